"""A connection that does little but ask, so that what is measured is the server and not the one who asks.

`Line` sends one request after another, the next from within the callback that ends the last: no task, no queue,
no timer.  `Listener` reads one answer that goes on, and hands on what came.  Both speak HTTP/1.1, over TLS where
the kubeconfig says so; httptools parses.
"""
from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httptools

from ..api.errors import Unavailable, from_status
from ..client.connections import tls
from ..client.kubeconfig import Kubeconfig

CONNECT_TOGETHER = 50
CONNECT_WITHIN_S = 30.0
SAID_AT_MOST = 500  # bytes of a refusal that are repeated


class Place:
    """Where to connect to, and how a request is written there."""

    def __init__(self, config: Kubeconfig):
        parts = urlsplit(config.server)
        self._host, self._base = parts.hostname or "localhost", parts.path.rstrip("/")
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = tls(config) if parts.scheme == "https" else None
        self._name = config.server_name or self._host
        self._fixed = (f" HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\nuser-agent: muster-bench\r\n"
                       "accept: application/json\r\n")
        if config.token:
            self._fixed += f"authorization: Bearer {config.token}\r\n"

    def request(self, method: str, target: str, body: bytes = b"") -> bytes:
        head = f"{method} {self._base}{target}{self._fixed}"
        if body:
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        return head.encode("latin-1") + b"\r\n" + body

    async def connect(self, make: Callable[[], Any], count: int) -> list[Any]:
        """`count` connections, each with a protocol that `make()` makes."""
        loop, few = asyncio.get_running_loop(), asyncio.Semaphore(CONNECT_TOGETHER)

        async def one() -> Any:
            async with few, asyncio.timeout(CONNECT_WITHIN_S):
                return (await loop.create_connection(
                    make, self._host, self._port, ssl=self._tls,
                    server_hostname=self._name if self._tls is not None else None))[1]

        try:
            return list(await asyncio.gather(*(one() for _ in range(count))))
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"{count} connections to {self._host}:{self._port} can not be had: "
                              f"{error or 'no answer'}") from None


class _Speaker(asyncio.Protocol):
    """`ended` is done when there is nothing more to ask, or fails with what went wrong."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(Unavailable(f"the connection to the server was lost: {exc or 'it closed it'}"))

    def send(self, request: bytes) -> None:
        assert self._transport is not None, "connected"
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(Unavailable(f"the server's answer is not HTTP: {error}"))

    def fail(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)

    def close(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        if self._transport is not None:
            self._transport.abort()


class Line(_Speaker):
    """Asks `following()` for each next request until it answers None; `taken_s` has how long each answer took."""

    def __init__(self, following: Callable[[], bytes | None], taken_s: list[float]):
        super().__init__()
        self._following, self._taken_s = following, taken_s
        self._asked = 0.0
        self._refusal = bytearray()

    def begin(self) -> None:
        if (request := self._following()) is None:
            if not self.ended.done():
                self.ended.set_result(None)
            return
        self._asked = time.perf_counter()
        self.send(request)

    def on_body(self, body: bytes) -> None:
        if self._parser.get_status_code() >= 300 and len(self._refusal) < SAID_AT_MOST:
            self._refusal += body

    def on_message_complete(self) -> None:
        if (status := self._parser.get_status_code()) >= 300:
            self.fail(refusal(status, bytes(self._refusal)))
            return
        self._taken_s.append(time.perf_counter() - self._asked)
        self.begin()


class Listener(_Speaker):
    """Hands each piece of an answer to `hear`; `answered` is done once the answer has begun."""

    def __init__(self, hear: Callable[[bytes], None]):
        self.on_body = hear  # before the parser is made: it asks for this once
        super().__init__()
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_headers_complete(self) -> None:
        if (status := self._parser.get_status_code()) >= 300:
            self.answered.set_exception(refusal(status, b""))
        else:
            self.answered.set_result(None)


def refusal(status: int, body: bytes) -> Exception:
    text = body[:SAID_AT_MOST].decode(errors="replace")
    return from_status({"code": status, "message": f"the server answered {status}" + (f": {text}" if text else "")})
