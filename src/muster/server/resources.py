"""The verbs on objects: what a request asks becomes one call of the registry, and its result an answer.

Nothing is decided here that the registry decides; this is the translation between HTTP and it.  Encoded
objects are passed on as they are: a GET is the stored bytes, a LIST joins them.
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, cast

import orjson

from ..api.causes import invalid as invalid_value
from ..api.errors import BadRequest, MethodNotAllowed, NotFound, invalid
from ..api.kinds.kind import Kind
from ..api.kinds.node import MACHINE
from ..api.logs import LogOptions, check, container_of, moment
from ..api.objects import Key, Obj, annotations_of, name_of, uid_of
from ..api.tables import Include, partial, table
from ..clock import Clock
from ..store.history import Snapshot
from .bodies import decode
from .exchange import (
    TEXT,
    Answer,
    Request,
    Stream,
    answer_encoded,
    answer_object,
    in_pieces,
    warning_headers,
)
from .listing import check_not_older
from .negotiation import JSON, WHOLE, Form, accepted, body_media, patch_media
from .node_lines import NodeLines
from .options import META, delete_options, flag, list_query, number, text, watch_query, write_options
from .processes import Processes
from .registry import Registry
from .requests import Deleted, Ear, Page, PatchBody, Written
from .routes import Route
from .streams import pieces, renderer, whole_lines
from .subresources import ACTIONS, SCALE, SCALE_ROW
from .upgrades import Upgrade, upgrade

Logs = Callable[[Obj, LogOptions], AsyncIterator[bytes]]

WATCH_AT_LEAST_S = 1800.0  # a watch that does not say how long lasts 30 to 60 minutes, as upstream
# How it is said that a patch can not be read.
_UNREADABLE = {"json": "error decoding patch: ", "merge": "error decoding patch: "}
_NO_PROCESS = frozenset(("exec", "attach", "portforward", "proxy"))
# What these kinds answer a deletion with is the object itself, and not a Status.
_RETURN_DELETED = frozenset(("pods", "services", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims",
                             "podtemplates", "resourcequotas"))


class Resources:
    def __init__(self, registry: Registry, clock: Clock, logs: Logs | None, processes: Processes | None = None,
                 lines: NodeLines | None = None):
        self._registry = registry
        self._clock = clock
        self._random = clock.fork("watches")
        self._logs = logs
        self._processes = processes
        self._lines = lines or NodeLines()
        self._verbs: dict[str, Callable[[Route, Request], Awaitable[Answer | Stream]]] = {
            "get": self._get, "list": self._list, "watch": self._watch, "create": self._create,
            "update": self._update, "patch": self._patch, "delete": self._delete,
            "deletecollection": self._delete_collection}

    async def answer(self, route: Route, verb: str, request: Request) -> Answer | Stream | Upgrade:
        if route.subresource == "log":
            return await self._log(route, request)
        if route.subresource in _NO_PROCESS:
            pod = self._registry.get(route.kind, route.namespace, route.name).value
            if route.subresource != "proxy" and self._is_elsewhere(pod):
                return await self._lines.relay(route.subresource, pod, request)
            if self._processes is None or route.subresource == "proxy" or not self._processes.reaches(pod):
                raise _no_process(route, pod, text(request.params, "container"))
            return await upgrade(route.subresource, pod, request, self._processes)
        return await self._verbs[verb](route, request)

    # ---- reading

    async def _get(self, route: Route, request: Request) -> Answer:
        form = accepted(request.accept)
        if asked := text(request.params, "resourceVersion"):
            check_not_older(self._registry.store.history, asked)
        snapshot = self._registry.get(route.kind, route.namespace, route.name, route.subresource)
        if form == WHOLE:
            return Answer(200, snapshot.encoded())
        return self._one(route, request, snapshot, form)

    def _one(self, route: Route, request: Request, snapshot: Snapshot, form: Form, status: int = 200,
             headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
        row = _printed_as(route)
        if form.shape == "whole" or row is None:
            return answer_encoded(snapshot.encoded(), form.media, status, headers)
        if form.shape == "partial":
            return answer_object(partial(snapshot.value), form, status, headers)
        metadata = {"resourceVersion": str(snapshot.revision)}
        return answer_object(table(row, (snapshot.value,), self._clock.now(), _include(request),
                                   metadata=metadata), form, status, headers)

    async def _list(self, route: Route, request: Request) -> Answer:
        form = accepted(request.accept)
        page = self._registry.list(route.kind, route.namespace, list_query(request.params))
        return self._listed(route.kind, request, page, form)

    def _listed(self, kind: Kind, request: Request, page: Page, form: Form) -> Answer:
        metadata: Obj = {"resourceVersion": str(page.revision)}
        if page.continue_token:
            metadata["continue"] = page.continue_token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
        if form.shape == "table":
            values = [item.value for item in page.items]
            return answer_object(table(kind, values, self._clock.now(), _include(request), metadata=metadata), form)
        if form.shape == "partial":
            said = {"kind": "PartialObjectMetadataList", "apiVersion": f"{META}/v1", "metadata": metadata}
            return answer_object({**said, "items": [partial(item.value) for item in page.items]}, form)
        head = orjson.dumps({"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": metadata})
        body = in_pieces(head[:-1] + b',"items":[', [item.encoded() for item in page.items], b"]}")
        if form.media is not JSON:
            return answer_encoded(body if isinstance(body, bytes) else b"".join(body), form.media)
        return Answer(200, body)

    async def _watch(self, route: Route, request: Request) -> Stream:
        form = accepted(request.accept)
        kind = route.kind
        query = watch_query(request.params, route.name)
        render = renderer(kind, form, _include(request), self._clock.now)
        # A Table's lines are each watcher's own: only the first has headers.
        ear = Ear(render, request.say) if request.say is not None and render is whole_lines else None
        batches = self._registry.watch(kind, route.namespace, query, ear)
        seconds = query.timeout_s or WATCH_AT_LEAST_S * (1 + self._random.random())
        return Stream(pieces(batches, render), seconds=seconds, watched=(kind.group, kind.version, kind.name))

    # ---- writing

    async def _create(self, route: Route, request: Request) -> Answer:
        form = accepted(request.accept)
        obj, duplicates = await _object(request)
        options = write_options(request.params, request.user, "CreateOptions", duplicates)
        written = await self._registry.create(route.kind, route.namespace, obj, options, route.subresource, route.name)
        if route.subresource in ACTIONS:
            return answer_object(_success(code=201), form, 201, warning_headers(written.warnings))
        return self._written(route, request, written, form, 201)

    async def _update(self, route: Route, request: Request) -> Answer:
        form = accepted(request.accept)
        obj, duplicates = await _object(request)
        options = write_options(request.params, request.user, "UpdateOptions", duplicates)
        written = await self._registry.update(route.kind, route.namespace, route.name, obj, options, route.subresource)
        return self._written(route, request, written, form)

    async def _patch(self, route: Route, request: Request) -> Answer:
        form = accepted(request.accept)
        how = patch_media(request.content_type)
        raw = await request.body()
        body, duplicates = decode(raw, "yaml" if how == "apply" else "json", _UNREADABLE.get(how, ""))
        options = write_options(request.params, request.user, "PatchOptions", duplicates, apply=how == "apply")
        written = await self._registry.patch(route.kind, route.namespace, route.name, PatchBody(how, body), options,
                                             route.subresource)
        return self._written(route, request, written, form)

    def _written(self, route: Route, request: Request, written: Written, form: Form, status: int = 200) -> Answer:
        headers = warning_headers(written.warnings) if written.warnings else ()
        return self._one(route, request, written.snapshot, form, status, headers)

    # ---- deleting

    async def _delete(self, route: Route, request: Request) -> Answer:
        form = accepted(request.accept)
        options = delete_options(request.params, await _delete_body(request))
        deleted = await self._registry.delete(route.kind, route.namespace, route.name, options, request.user)
        kind, snapshot = route.kind, deleted.snapshot
        # How far the deletion is in the order of all changes; upstream's clients ignore it.
        headers = [(b"muster-revision", b"%d" % snapshot.revision)]
        if not deleted.gone or kind.resource in _RETURN_DELETED:
            status = 202 if not deleted.gone and options.orphan_dependents is False else 200
            return self._one(route, request, snapshot, form, status, headers)
        return answer_object(_gone(kind, deleted), form, 200, headers)

    async def _delete_collection(self, route: Route, request: Request) -> Answer:
        form = accepted(request.accept)
        options = delete_options(request.params, await _delete_body(request))
        query = list_query(request.params)
        left = await self._registry.delete_collection(route.kind, route.namespace, query, options, request.user)
        return self._listed(route.kind, request, Page(left, self._registry.store.history.revision), form)

    # ---- what pods do

    async def _log(self, route: Route, request: Request) -> Stream | Answer:
        params = request.params
        since = text(params, "sinceTime")
        asked = LogOptions(
            container=text(params, "container"), follow=flag(params, "follow") is True,
            previous=flag(params, "previous") is True, timestamps=flag(params, "timestamps") is True,
            tail_lines=number(params, "tailLines"), since_s=number(params, "sinceSeconds"),
            since_time=moment(since) if since else None, limit_bytes=number(params, "limitBytes"),
        )
        check(asked, route.name)
        pod = self._registry.get(route.kind, route.namespace, route.name).value
        container = container_of(pod, asked.container)
        reader = self._lines.logs if self._is_elsewhere(pod) else self._logs
        if reader is None:
            raise BadRequest("this server keeps no logs")
        options = LogOptions(container, asked.follow, asked.previous, asked.timestamps, asked.tail_lines,
                             asked.since_s, asked.since_time, asked.limit_bytes)
        chunks = reader(pod, options)
        # The first piece is waited for, so that what is wrong can still be said with a status.
        if not options.follow:
            return Answer(200, [*[chunk async for chunk in chunks], b""], TEXT)
        return Stream(await _begun(chunks), media=TEXT)

    def _is_elsewhere(self, pod: Obj) -> bool:
        """Does it run on a node of another machine?"""
        node = pod["spec"].get("nodeName")
        if not node or self._processes is not None and self._processes.reaches(pod):
            return False
        there = self._registry.store.get(Key("nodes", "", node))
        return there is not None and MACHINE in annotations_of(there.value)


def _printed_as(route: Route) -> Kind | None:
    """None: what is there has no columns."""
    below = route.kind.subresource(route.subresource)
    if below is None or not below.kind:
        return route.kind
    return SCALE_ROW if below.name == SCALE else None


def _no_process(route: Route, pod: Obj, container: str) -> BadRequest:
    if route.subresource in ("exec", "attach"):
        container_of(pod, container)
    what = {"exec": "run a command in", "attach": "attach to", "portforward": "forward a port to"}
    return BadRequest(
        f"cannot {what.get(route.subresource, 'reach')} {route.kind.singular} {route.name}: it is simulated, "
        f"and no process runs behind it. `kubectl logs`, `kubectl describe` and `kubectl get events` do work")


async def _begun(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, the first of which is already there: raises here what fails at the start."""
    try:
        first = await anext(chunks)
    except StopAsyncIteration:
        first = b""

    async def rest() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return rest()


async def _object(request: Request) -> tuple[Any, list[str]]:
    media = body_media(request.content_type)
    return decode(await request.body(), media)


async def _delete_body(request: Request) -> Any:
    raw = await request.body()
    return decode(raw, body_media(request.content_type))[0] if raw.strip() else None


def _include(request: Request) -> Include:
    asked = text(request.params, "includeObject")
    if asked not in ("", "Metadata", "Object", "None"):
        raise invalid("TableOptions", META, "", [
            invalid_value("includeObject", asked, "must be 'Metadata', 'Object', 'None', or empty")])
    return cast(Include, asked or "Metadata")


def _success(code: int = 0, **more: Any) -> Obj:
    said: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", **more}
    return {**said, "code": code} if code else said


def _gone(kind: Kind, deleted: Deleted) -> Obj:
    value = deleted.snapshot.value
    details = {"name": name_of(value), "group": kind.group, "kind": kind.plural, "uid": uid_of(value)}
    return _success(details={key: said for key, said in details.items() if said})


def not_found() -> NotFound:
    return NotFound("the server could not find the requested resource")


def not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource")
