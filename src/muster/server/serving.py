"""The listening end: uvicorn's HTTP protocol over TLS, in the caller's event loop.

uvicorn's `Server` would own the process (signals, a polling main loop); here only its protocol is used, so a
cluster starts and stops in a few milliseconds inside whatever loop there is.  The protocol does not tell who
the peer is: a subclass reads the client's certificate once a connection and hands the User on in each scope.

Bounds: 64 KiB of request head and 10 s to send it (431, or the connection ends), keep-alive for two minutes.
Bodies are bounded by the application (413), which alone knows how to word a Status.
"""
from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from .certificates import Certificates
from .identity import ANONYMOUS, User, from_certificate
from .pipe import Pipe

LARGEST_HEAD = 64 * 1024  # bytes
HEAD_WITHIN_S = 10.0
KEEP_ALIVE_S = 120
STOP_WITHIN_S = 5.0
BACKLOG = 2048

_HEAD_TOO_LARGE = (b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
                   b"content-length: 31\r\nconnection: close\r\n\r\nrequest header fields too large")


class Application(Protocol):
    """An ASGI application that can be told to end what it streams."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Serving:
    host: str
    port: int  # the one that was bound, where 0 was asked for

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


class _Connection(HttpToolsProtocol):
    """Adds to uvicorn's protocol: who the peer is, a bound on the request head, and no WebSocket.

    Beyond ASGI the scope holds, to do at once what otherwise takes a task or two writes, `body` (all of it, where it
    came with the head), `reply` (a whole answer) and `say` (a piece of a streamed one); and `upgrade`, which hands the
    connection over to what is no HTTP (upgrades.py).
    """

    user: User = ANONYMOUS
    _head_bytes = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        secured = transport.get_extra_info("ssl_object")
        if secured is not None:
            self.user = from_certificate(secured.getpeercert())
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head or not self._head_bytes or self.transport.is_closing():
            return
        if self._head_bytes > LARGEST_HEAD:
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.close()
        elif self._head_timer is None:  # most heads come whole, and need no timer
            self._watch_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["user"] = self.user  # type: ignore[typeddict-unknown-key]
        self.scope["say"] = self.say  # type: ignore[typeddict-unknown-key]
        self.scope["reply"] = self.reply  # type: ignore[typeddict-unknown-key]
        self.scope["upgrade"] = self.upgrade  # type: ignore[typeddict-unknown-key]

    def reply(self, scope: Any, status: int, head: bytes, body: bytes) -> bool:
        """Writes a whole answer in one piece; False where it is for `send`, which waits, closes, or keeps the order."""
        cycle = self.cycle
        if (cycle.scope is not scope or cycle.response_started or cycle.disconnected or not cycle.keep_alive
                or scope["method"] == "HEAD" or self.flow.write_paused or self.transport.is_closing()):
            return False
        self.transport.write(b"".join((STATUS_LINE[status], head, body)))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True

    def upgrade(self, head: bytes) -> Pipe:
        """Answers that the connection is something else from now on, and hands it over."""
        self._forget_head()
        self._unset_keepalive_if_required()
        cycle = self.cycle
        cycle.response_started = cycle.response_complete = cycle.disconnected = True
        self.connections.discard(self)
        pipe = Pipe(self.transport)
        self.transport.set_protocol(pipe)
        self.flow.resume_reading()
        self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n" + head + b"\r\n")
        return pipe

    def say(self, piece: bytes) -> bool:
        """Writes a piece of the answer that is being streamed, without a task; False where `send` has to wait."""
        cycle = self.cycle
        if (self.flow.write_paused or cycle.disconnected or cycle.response_complete or not cycle.chunked_encoding
                or self.transport.is_closing()):
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        return True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._forget_head()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._head_bytes = True, 0
        # A body that came with its head needs no waiting for; one that is being received is not looked for here.
        self.scope["body"] = bytes(self.cycle.body)  # type: ignore[typeddict-unknown-key]

    def _watch_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self.transport.close)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _unsupported_upgrade_warning(self) -> None:
        """The application answers what can not be upgraded with a Status; there is nothing to warn of."""


@contextlib.asynccontextmanager
async def serve(app: Application, host: str, port: int, certificates: Certificates,
                device: str = "") -> AsyncIterator[Serving]:
    """Serves `app` until the block ends; those alone who come in by `device`, where one is named (on Linux).

    Raises OSError when the address can not be listened on.
    """
    loop = asyncio.get_running_loop()
    config = Config(app, http=_Connection, ws="none", lifespan="off", log_config=None, access_log=False,
                    server_header=False, date_header=False, proxy_headers=False, timeout_keep_alive=KEEP_ALIVE_S)
    config.load()
    # It warns of each request that is no HTTP: any stranger could fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    state = ServerState()

    def connection() -> asyncio.Protocol:
        return _Connection(config, state, {}, loop)

    listening = _listen(host, port, device)
    bound = listening.getsockname()[1]
    try:
        server = await loop.create_server(connection, sock=listening, ssl=tls(certificates), backlog=BACKLOG)
    except BaseException:
        listening.close()
        raise
    try:
        yield Serving(host, bound)
    finally:
        server.close()
        app.stop()
        await _end(state)


def tls(certificates: Certificates) -> ssl.SSLContext:
    """Clients may show a certificate of the cluster's CA; who shows none is anonymous."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificates.server_file, certificates.server_key_file)
    context.load_verify_locations(certificates.ca_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def _listen(host: str, port: int, device: str) -> socket.socket:
    """Bound before anything else starts, so that a port that is taken is told at once."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if device:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        listening.setblocking(False)
        listening.bind(address)
    except BaseException:
        listening.close()
        raise
    return listening


async def _end(state: ServerState) -> None:
    """Lets answers under way finish (streams were told to end), then closes every connection."""
    for connection in list(state.connections):
        connection.shutdown()
    await _finish(state.tasks, STOP_WITHIN_S)
    for connection in list(state.connections):
        if connection.transport is not None:
            # asyncio's own of the first Pythons 3.11 (Debian's) have no abort left once they were closed.
            with contextlib.suppress(AttributeError):
                connection.transport.abort()


async def _finish(tasks: Iterable[asyncio.Task[None]], within_s: float) -> None:
    pending = list(tasks)
    if not pending:
        return
    _, late = await asyncio.wait(pending, timeout=within_s)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=within_s)
