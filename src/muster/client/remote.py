"""The cluster over HTTP: the same verbs as in the server's own process, for any Kubernetes API server.

Lists are asked for in pages of one moment.  A follower reconnects where it was, as long as the server keeps
the changes since; it is told `before` of each change from what was listed and seen, since a watch only says
what is now.  What goes wrong is raised as the class the server raised (`from_status`).
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson

from ..api.errors import ApiError, BadRequest, Conflict, Gone, Internal, Invalid, NotFound, Unavailable, from_status
from ..api.kinds.built_in import BUILT_IN
from ..api.kinds.catalogue import Kinds
from ..api.kinds.kind import Kind
from ..api.objects import Key, Obj, name_of, namespace_of, revision_of
from ..store.history import Change, Snapshot
from .client import How, Listing, Propagation
from .connections import ConnectionLost, Pool
from .kubeconfig import Kubeconfig

PAGE = 500
RECONNECT_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)  # then it is the caller's turn to decide
LARGEST_LINE = 16 * 1024 * 1024  # bytes of one watch event

_JSON = "application/json"
_PATCHES = {"merge": "application/merge-patch+json", "json": "application/json-patch+json",
            "strategic": "application/strategic-merge-patch+json"}
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


Items = list[Obj]
_OWNERS = {"binding": "pods", "eviction": "pods", "token": "serviceaccounts"}


class Where(NamedTuple):
    """What a path is made of."""

    root: str  # "/api/v1", "/apis/apps/v1"
    plural: str
    namespaced: bool
    api_version: str
    kind: str


class RemoteClient:
    def __init__(self, config: Kubeconfig, kinds: Kinds | None = None):
        self._pool = Pool(config)
        self._where: dict[str, Where] = {}
        self._named: dict[tuple[str, str], Where] = {}
        self._listed: dict[tuple[str, str], tuple[int, dict[tuple[str, str], Snapshot]]] = {}  # by resource and fields
        for kind in kinds if kinds is not None else Kinds(BUILT_IN):
            self._learn(kind.resource, _where_of(kind))

    async def close(self) -> None:
        await self._pool.close()

    def present(self, config: Kubeconfig) -> None:
        """Another certificate of the same user, for the same server."""
        self._pool.present(config)

    async def request(self, method: str, path: str, body: bytes = b"",
                      headers: Mapping[str, str] | None = None) -> tuple[int, dict[bytes, bytes], bytes]:
        """One request as it is: (status, headers with lower-case names, body).  Raises Unavailable."""
        return await self._pool.request(method, path, body, headers)

    # ---- reading

    async def get(self, key: Key) -> Obj:
        return await self._ask("GET", await self._path(key))

    async def list(self, resource: str, namespace: str = "", *, labels: str = "", fields: str = "") -> Listing:
        where = await self._find(resource)
        root = _path(where, namespace)
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(PAGE)}
        items: Items = []
        while True:
            try:
                page = await self._ask("GET", _with_query(root, query))
            except Gone:  # the moment of the first page is forgotten: all at once, of now
                if "continue" not in query:
                    raise
                items = []
                query = {name: value for name, value in query.items() if name not in ("continue", "limit")}
                continue
            items += [_complete(item, where) for item in page.get("items") or ()]
            if not (token := page["metadata"].get("continue")):
                break
            query["continue"] = token
        revision = int(page["metadata"]["resourceVersion"])
        if not (namespace or labels):
            self._listed[resource, fields] = revision, {
                (namespace_of(item), name_of(item)): Snapshot(item, revision_of(item)) for item in items}
        return Listing(items, revision)

    async def follow(self, resource: str, after: int, *, fields: str = "") -> AsyncIterator[Sequence[Change]]:
        """Every change after a revision.  Raises Gone, and Unavailable once it could not reconnect for long."""
        where = await self._find(resource)
        revision, known = self._listed.pop((resource, fields), (0, {}))
        if revision != after:
            known = {}
        failed = 0
        while True:
            try:
                async for events in self._watch(where, after, fields):
                    failed = 0
                    changes = [change for event in events
                               if (change := _change(resource, where, event, known)) is not None]
                    after = max(after, *(_revision_in(event) for event in events))
                    if changes:
                        yield changes
            except (ConnectionLost, Unavailable) as error:
                failed += 1
                if failed >= len(RECONNECT_S):
                    raise Unavailable(str(error)) from None
            await asyncio.sleep(RECONNECT_S[failed])

    async def _watch(self, where: Where, after: int, fields: str) -> AsyncIterator[Items]:
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": str(after), "fieldSelector": fields}
        response, chunks = await self._pool.stream("GET", _with_query(_path(where, ""), query), {"accept": _JSON})
        try:
            if response.status != 200:
                raise _error(response.status, b"".join([chunk async for chunk in chunks]))
            rest = b""
            async for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > LARGEST_LINE:
                    raise Internal(f"an event of the watch is larger than {LARGEST_LINE} bytes")
                if events := [orjson.loads(line) for line in lines if line]:
                    yield events
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]

    # ---- writing

    async def create(self, obj: Obj, *, subresource: str = "") -> Obj:
        """With a subresource (a Binding, an Eviction) returns the object it was done to, or the answer where that is
        none (a TokenRequest)."""
        if subresource:
            owner = Key(_OWNERS[subresource], namespace_of(obj), name_of(obj))
            answer = await self._ask("POST", await self._path(owner, subresource), obj)
            if answer.get("kind") == obj["kind"]:
                return answer
            try:
                return await self.get(owner)
            except NotFound:
                return obj
        where = await self._find_named(obj)
        return await self._ask("POST", _path(where, namespace_of(obj)), obj)

    async def replace(self, obj: Obj, *, subresource: str = "") -> Obj:
        where = await self._find_named(obj)
        return await self._ask("PUT", _path(where, namespace_of(obj), name_of(obj), subresource), obj)

    async def patch(self, key: Key, patch: Any, *, how: How = "merge", subresource: str = "") -> Obj:
        return await self._ask("PATCH", await self._path(key, subresource), patch, media=_PATCHES[how])

    async def set_status(self, key: Key, uid: str, status: Obj) -> Obj:
        operations = [{"op": "add", "path": "/metadata/uid", "value": uid},
                      {"op": "add", "path": "/status", "value": status}]
        try:
            return await self.patch(key, operations, how="json", subresource="status")
        except Invalid as error:
            if any(cause.get("field") == "metadata.uid" for cause in error.details.get("causes") or ()):
                raise Conflict(error.message, details=error.details) from None
            raise

    async def delete(self, key: Key, *, uid: str | None = None, revision: int = 0, grace_period_s: int | None = None,
                     propagation: Propagation | None = None) -> int:
        options: Obj = {"kind": "DeleteOptions", "apiVersion": "v1"}
        preconditions: Obj = {"uid": uid} if uid is not None else {}
        if revision:
            preconditions["resourceVersion"] = str(revision)
        if preconditions:
            options["preconditions"] = preconditions
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if propagation is not None:
            options["propagationPolicy"] = propagation
        status, headers, body = await self._send("DELETE", await self._path(key), options)
        if said := headers.get(b"muster-revision"):
            return int(said)
        left = orjson.loads(body)
        return revision_of(left) if left.get("kind") != "Status" else 0

    # ---- parts

    async def _ask(self, method: str, path: str, body: Any = None, media: str = _JSON) -> Any:
        return orjson.loads((await self._send(method, path, body, media))[2])

    async def _send(self, method: str, path: str, body: Any = None,
                    media: str = _JSON) -> tuple[int, dict[bytes, bytes], bytes]:
        headers = {"accept": _JSON}
        if body is not None:
            headers["content-type"] = media
        encoded = orjson.dumps(body) if body is not None else b""
        answer = await self._pool.request(method, path, encoded, headers)
        if answer[0] >= 400:
            raise _error(answer[0], answer[2])
        return answer

    async def _path(self, key: Key, subresource: str = "") -> str:
        return _path(await self._find(key.resource), key.namespace, key.name, subresource)

    def _learn(self, resource: str, where: Where) -> None:
        self._where[resource] = where
        self._named[where.api_version, where.kind] = where

    async def _find(self, resource: str) -> Where:
        if resource not in self._where:
            await self._discover()
        if resource not in self._where:
            raise NotFound(f'the server doesn\'t have a resource type "{resource}"')
        return self._where[resource]

    async def _find_named(self, obj: Obj) -> Where:
        said = obj.get("apiVersion", ""), obj.get("kind", "")
        if said not in self._named:
            await self._discover()
        if said not in self._named:
            raise BadRequest(f'no matches for kind "{said[1]}" in version "{said[0]}"')
        return self._named[said]

    async def _discover(self) -> None:
        """Learns what else this server serves; the first version it names of a group is the one to use."""
        for path in ("/api", "/apis"):
            status, _, body = await self._pool.request("GET", path, headers={"accept": f"{_DISCOVERY},{_JSON}"})
            if status != 200:
                raise _error(status, body)
            for group in orjson.loads(body).get("items") or ():
                for version in reversed(group["versions"]):
                    for one in version["resources"]:
                        name = group["metadata"].get("name", "")
                        api_version = f"{name}/{version['version']}" if name else version["version"]
                        root = f"/apis/{api_version}" if name else f"/api/{api_version}"
                        where = Where(root, one["resource"], one["scope"] == "Namespaced", api_version,
                                      one["responseKind"]["kind"])
                        resource = f"{one['resource']}.{name}" if name else one["resource"]
                        self._learn(resource, where)


def _where_of(kind: Kind) -> Where:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    return Where(root, kind.plural, kind.namespaced, kind.api_version, kind.name)


def _path(where: Where, namespace: str, name: str = "", subresource: str = "") -> str:
    parts = [where.root]
    if where.namespaced and namespace:
        parts += ("namespaces", quote(namespace, safe=""))
    parts.append(where.plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def _with_query(path: str, query: Mapping[str, str]) -> str:
    said = urlencode([(name, value) for name, value in query.items() if value])
    return f"{path}?{said}" if said else path


def _complete(item: Obj, where: Where) -> Obj:
    """Items of a list need not say their kind: the list says it for them."""
    return item if "kind" in item else {"apiVersion": where.api_version, "kind": where.kind, **item}


def _change(resource: str, where: Where, event: Obj, known: dict[tuple[str, str], Snapshot]) -> Change | None:
    if event["type"] == "BOOKMARK":
        return None
    if event["type"] == "ERROR":
        raise from_status(event["object"])
    obj = _complete(event["object"], where)
    revision = revision_of(obj)
    place = namespace_of(obj), name_of(obj)
    now = Snapshot(obj, revision)
    if event["type"] == "DELETED":
        return Change(revision, Key(resource, *place), None, known.pop(place, now))
    before = known.get(place) or (now if event["type"] == "MODIFIED" else None)
    known[place] = now
    return Change(revision, Key(resource, *place), now, before)


def _revision_in(event: Obj) -> int:
    return revision_of(event["object"])


def _error(status: int, body: bytes) -> ApiError:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if isinstance(said, dict) and said.get("kind") == "Status":
        return from_status(said)
    text = body[:200].decode(errors="replace")
    return from_status({"code": status, "message": f"the server answered {status}: {text}"})
