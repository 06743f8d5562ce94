"""The front door: an ASGI application that answers as a Kubernetes API server does.

    path -> route (routes) -> may they? (rights) -> the verb (resources) or a document (discovery, health, ...)

Everything that goes wrong anywhere below rises as an ApiError and becomes a Status here, and only here.  What
nobody expected is a 500 with an id that the log has the story to; a caller never sees a traceback.  How many
requests are under way at once is bounded (429): watches, which wait, are not counted.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from time import perf_counter

import orjson

from ..api.errors import ApiError, BadRequest, Internal, TooManyRequests, Unauthorized
from ..api.kinds.catalogue import Kinds
from ..api.samples import Meter
from ..clock import Clock
from . import bootstrap_tokens, openapi, openapi_v2, openid, resource_metrics, reviews
from .asked import Asked
from .bearer import Authenticator, authenticated, for_the_server
from .bodies import decode
from .callers import acting
from .discovery import VERSION, Discovery, Document, encode, etag
from .exchange import (
    TEXT,
    Answer,
    Receive,
    Request,
    Scope,
    Send,
    Stream,
    answer_encoded,
    answer_error,
    answer_object,
    send_answer,
)
from .health import ENDPOINTS, Health
from .identity import ANONYMOUS
from .metrics import CONTENT_TYPE, Metrics, Sort
from .negotiation import JSON, accepted, accepted_discovery, body_media
from .node_lines import NodeLines
from .node_rights import LINES
from .options import flag, text, wants_watch
from .pipe import Pipe
from .processes import Processes
from .registry import Registry
from .resource_metrics import ResourceMetrics
from .resources import Logs, Resources, not_allowed, not_found
from .routes import Route, resolve, serves, verb_of
from .streams import Streams
from .upgrades import Upgrade

log = logging.getLogger(__name__)

IN_FLIGHT_AT_MOST = 2_000
_MUTATING = frozenset(("POST", "PUT", "PATCH", "DELETE"))
_ROOT_PATHS = ("/.well-known/openid-configuration", "/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2",
               "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version")
# What only creates answers a question of the authorization APIs.
_REVIEWS = Kinds(reviews.ROWS)
_METERED = Kinds(resource_metrics.ROWS)


class Api:
    """`logs(pod, options)` gives a container's log as pieces of bytes, or raises an ApiError.  Without a `meter`
    there is no metrics API."""

    def __init__(self, registry: Registry, clock: Clock, *, logs: Logs | None = None, meter: Meter | None = None,
                 processes: Processes | None = None,
                 health: Health | None = None,
                 controllers: Callable[[], Mapping[str, Mapping[str, int]]] = dict):
        self.registry = registry
        self.kinds = registry.kinds
        self.rights = registry.rights
        self.health = health or Health()
        self.metrics = Metrics(self._count_objects, controllers)
        self.streams = Streams()
        self._pipes: set[Pipe] = set()
        self._ids = clock.fork("audit ids")
        self.lines = NodeLines()
        self._resources = Resources(registry, clock, logs, processes, self.lines)
        self._metered = ResourceMetrics(registry, clock, meter) if meter is not None else None
        self._extra = (*reviews.ROWS, *(resource_metrics.ROWS if meter is not None else ()))
        self._discovery = Discovery(self.kinds, self._extra)
        self._openapi: dict[str, Document] = {}
        self._version = encode(VERSION)
        self._authenticators: tuple[Authenticator, ...] = (
            registry.tokens.known, for_the_server(bootstrap_tokens.authenticator(registry.store.history, clock.now)))

    def stop(self) -> None:
        """Ends all watches at once; clients take up where they were when the server is back."""
        self.streams.stop()
        for pipe in list(self._pipes):
            pipe.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise AssertionError(f"served with ws='none' and lifespan='off', yet asked for {scope['type']}")
        start = perf_counter()
        audit_id = b"%032x" % self._ids.getrandbits(128)
        flying = self.metrics.in_flight
        side = "mutating" if scope["method"] in _MUTATING else "readOnly"
        flying[side] += 1
        sort: list[Sort] = []
        try:
            answer = await self._answer(scope, receive, sort, audit_id)
        finally:
            flying[side] -= 1
        if isinstance(answer, Upgrade):
            await self._upgrade(answer, scope, audit_id)
            code = 101
        elif isinstance(answer, Stream):
            await self._stream(answer, scope, receive, audit_id, send)
            code = 200
        else:
            await send_answer(answer, audit_id, send, scope, close=_upgrades(scope))
            code = answer.status
        self.metrics.done(sort[0] if sort else (scope["method"], "", "", "", "", ""), code, perf_counter() - start)

    async def _stream(self, stream: Stream, scope: Scope, receive: Receive, audit_id: bytes, send: Send) -> None:
        request = Request(scope, receive)
        if stream.watched is None:
            await self.streams.send(stream, request, audit_id, send)
            return
        self.metrics.watchers[stream.watched] += 1
        try:
            await self.streams.send(stream, request, audit_id, send)
        finally:
            self.metrics.watchers[stream.watched] -= 1

    async def _upgrade(self, answer: Upgrade, scope: Scope, audit_id: bytes) -> None:
        """From here on the connection is the answer's own; it ends with what runs on it, or with the server."""
        headers = (*answer.headers, (b"audit-id", audit_id))
        pipe = scope["upgrade"](b"".join(b"%b: %b\r\n" % header for header in headers))
        self._pipes.add(pipe)
        try:
            await answer.run(pipe)
        except (ApiError, ConnectionError, TimeoutError) as error:
            log.info("request %s: the connection ended: %s", audit_id.decode(), error)
        except Exception:
            log.exception("request %s failed after it was upgraded", audit_id.decode())
        finally:
            self._pipes.discard(pipe)
            pipe.close()

    async def _answer(self, scope: Scope, receive: Receive, sort: list[Sort],
                      audit_id: bytes) -> Answer | Stream | Upgrade:
        try:
            if sum(self.metrics.in_flight.values()) > IN_FLIGHT_AT_MOST:
                raise TooManyRequests("Too many requests, please try again later.", retry_after_s=1)
            request = Request(scope, receive)
            user = authenticated(request.user, request.headers, self._authenticators)
            request.user = acting(user, request.headers, scope["headers"], self.rights)
            review = resolve(_REVIEWS, request.path) if request.method == "POST" and "reviews" in request.path else None
            if review is not None and not review.name:
                return await self._review(review, request, sort)
            route = resolve(self.kinds, request.path)
            if route is not None:
                return await self._on_resource(route, request, sort)
            metered = resolve(_METERED, request.path) if self._metered is not None else None
            if metered is not None:
                return await self._measured(metered, request, sort)
            if request.path.startswith(LINES):
                return self._line(request)
            return self._document(request)
        except ApiError as error:
            return answer_error(error)
        except RecursionError:
            return answer_error(BadRequest("the request's body is nested too deeply"))
        except Exception:
            log.exception("request %s failed: %s %s", audit_id.decode(), scope["method"], scope["path"])
            story = f"see request {audit_id.decode()} in the server's log"
            return answer_error(Internal(f"Internal error occurred: {story}"))

    # ---- objects

    async def _on_resource(self, route: Route, request: Request, sort: list[Sort]) -> Answer | Stream | Upgrade:
        kind = route.kind
        verb = verb_of(route, request.method, watch="watch" in request.params and wants_watch(request.params))
        sort.append((_said(verb, request.method), kind.group, kind.version, kind.plural, route.subresource,
                     route.scope))
        self._check(request, Asked(verb or request.method.lower(), kind.resource, route.subresource, route.namespace,
                                   route.name, fields=text(request.params, "fieldSelector")))
        if route.subresource and kind.subresource(route.subresource) is None:
            raise not_found()
        if not verb or not serves(route, verb):
            raise not_allowed()
        return await self._resources.answer(route, verb, request)

    async def _review(self, route: Route, request: Request, sort: list[Sort]) -> Answer:
        kind = route.kind
        sort.append((request.method, kind.group, kind.version, kind.plural, "", "cluster"))
        self._check(request, Asked("create", kind.resource, namespace=route.namespace))
        form = accepted(request.accept)
        body, _ = decode(await request.body(), body_media(request.content_type))
        asking = reviews.Asking(request.user, self.rights, self._authenticators)
        return answer_object(reviews.answer(kind, body, asking, route.namespace), form, 201)

    async def _measured(self, route: Route, request: Request, sort: list[Sort]) -> Answer:
        kind, verb = route.kind, verb_of(route, request.method, watch="watch" in request.params)
        sort.append((_said(verb, request.method), kind.group, kind.version, kind.plural, "", route.scope))
        self._check(request, Asked(verb or request.method.lower(), kind.resource, route.subresource, route.namespace,
                                   route.name))
        if route.subresource:
            raise not_found()
        if verb not in kind.verbs:
            raise not_allowed()
        assert self._metered is not None, "the route was looked for"
        return await self._metered.answer(route, request)

    def _check(self, request: Request, asked: Asked) -> None:
        if request.user is ANONYMOUS and not self.rights.may(ANONYMOUS, asked):
            raise Unauthorized("Unauthorized")  # who shows who they are may be told more
        self.rights.check(request.user, asked)

    def _line(self, request: Request) -> Upgrade:
        self._check(request, Asked(request.method.lower(), path=request.path))
        return self.lines.upgrade(request)

    # ---- documents

    def _document(self, request: Request) -> Answer:
        path = request.path
        self._check(request, Asked("get" if request.method == "HEAD" else request.method.lower(), path=path))
        if request.method not in ("GET", "HEAD"):
            raise not_allowed() if path.rstrip("/") in _ROOT_PATHS else not_found()
        first = path.split("/")[1]
        if first in ENDPOINTS:
            return self._healthy(request)
        if first in ("api", "apis"):
            media, aggregated = accepted_discovery(request.accept)
            plain = path.rstrip("/")
            found = self._discovery.document(plain, aggregated) or self._discovery.document(plain)
            if found is not None:
                said = media
                if aggregated and plain in ("/api", "/apis"):
                    said = b"application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList" % aggregated.encode()
                return _cached(found, request, said)
        if path == "/openapi/v2":
            body, media = openapi_v2.document(request.accept)
            return Answer(200, body, media, ((b"vary", b"Accept"),))
        if (told := openid.document(request, self.registry.tokens.key)) is not None:
            return told
        if first == "openapi":
            return _cached(self._openapi_document(path), request, JSON)
        if path == "/version" or path == "/version/":
            return answer_encoded(self._version.body)
        if path == "/metrics":
            return Answer(200, self.metrics.text(), CONTENT_TYPE)
        if path == "/":
            return answer_encoded(orjson.dumps({"paths": _ROOT_PATHS}))
        raise not_found()

    def _openapi_document(self, path: str) -> Document:
        schema = self.registry.schema
        kinds = [*self.kinds, *(row for row in self._extra if self.kinds.get(row.resource) is None)]
        match path.split("/")[2:]:
            case ["v3"]:
                return encode(openapi.index(kinds))
            case ["v3", "api", version]:
                body = openapi.document(kinds, schema, "", version)
            case ["v3", "apis", group, version]:
                body = openapi.document(kinds, schema, group, version)
            case _:
                raise not_found()
        known = self._openapi.get(path)
        if known is None or known.body is not body:  # it is kept until its kinds change
            known = self._openapi[path] = Document(body, etag(body))
        return known

    def _healthy(self, request: Request) -> Answer:
        found = self.health.answer(request.path, verbose=flag(request.params, "verbose") is True,
                                   exclude=request.params.get("exclude", ()))
        if found is None:
            raise not_found()
        return Answer(found.status, found.body, TEXT)

    def _count_objects(self) -> dict[str, int]:
        return {lane.resource: len(lane.objects) for lane in self.registry.store.history.lanes()}


def _cached(document: Document, request: Request, media: bytes) -> Answer:
    headers = ((b"etag", document.etag), (b"vary", b"Accept"))
    if document.etag in request.headers.get(b"if-none-match", b""):
        return Answer(304, b"", media, headers)
    if media is not JSON and b";" not in media:
        return answer_encoded(document.body, media, 200, headers)
    return Answer(200, document.body, media, headers)


def _said(verb: str, method: str) -> str:
    """The verb as metrics name it."""
    return {"create": "POST", "update": "PUT"}.get(verb, verb.upper()) or method


def _upgrades(scope: Scope) -> bool:
    return b"upgrade" in dict(scope["headers"])
