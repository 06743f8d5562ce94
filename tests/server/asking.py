"""Asks the ASGI application directly: the real registry over the memory store, in virtual time, no socket."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from small_cluster import Cluster, in_cluster, namespace

from muster.first_roles import first_roles
from muster.server.http import Api
from muster.server.identity import ANONYMOUS, User

T = TypeVar("T")
ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
BOB = User("bob", ("system:authenticated",))
NOBODY = ANONYMOUS


@dataclass
class Said:
    status: int
    headers: dict[str, str]
    body: bytes
    all_headers: list[tuple[bytes, bytes]]

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Asking:
    def __init__(self, cluster: Cluster, **options: Any):
        self.cluster = cluster
        self.api = Api(cluster.registry, cluster.clock, **options)

    async def __call__(self, method: str, target: str, body: Any = None, *, user: User = ADMIN,
                       **headers: str) -> Said:
        """`body`: bytes as they are, anything else as JSON; `content_type="..."` sets that header."""
        call = self.open(method, target, body, user=user, **headers)
        await call.task
        return call.said()

    def open(self, method: str, target: str, body: Any = None, *, user: User = ADMIN, **headers: str) -> Call:
        return Call(self.api, method, target, body, user, headers)


class Call:
    """A request that goes on; `leave()` is the client going away."""

    def __init__(self, api: Api, method: str, target: str, body: Any, user: User, headers: dict[str, str]):
        path, _, query = target.partition("?")
        raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        if raw and "content_type" not in headers:
            headers["content_type"] = "application/json"
        lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": lines,
                 "user": user}
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": raw, "more_body": False})
        self._start: dict[str, Any] = {}
        self.pieces: list[bytes] = []
        self.ended = False
        self._news = asyncio.Event()
        self.task = asyncio.ensure_future(api(scope, self._incoming.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self.pieces.append(message.get("body", b""))
            self.ended = not message.get("more_body", False)
        self._news.set()

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    def said(self) -> Said:
        lines = self._start["headers"]
        return Said(self._start["status"], {name.decode(): value.decode() for name, value in lines},
                    b"".join(self.pieces), lines)

    async def lines(self, count: int) -> list[Any]:
        """The first `count` lines, once they are there."""
        while (body := b"".join(self.pieces)).count(b"\n") < count:
            assert not self.ended, body
            self._news.clear()
            await self._news.wait()
        return [orjson.loads(line) for line in body.split(b"\n")[:count]]


def asked(test: Callable[[Asking], Awaitable[T]], *, keep: int = 1000, **options: Any) -> T:
    async def main(cluster: Cluster) -> T:
        for obj in (namespace("kube-public"), *first_roles()):
            await cluster.create(obj)
        return await test(Asking(cluster, **options))
    return in_cluster(main, keep=keep)
