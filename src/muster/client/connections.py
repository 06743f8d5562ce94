"""HTTP/1.1 over kept-alive connections: what RemoteClient speaks through.

A connection carries one request at a time; `Pool` keeps those that are free, bounds how many are busy at once,
and opens new ones.  A long answer is read at the reader's pace: the socket is paused while more than
`READ_AHEAD` waits.  httptools does the parsing.
"""
from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httptools

from ..api.errors import BadRequest, Timeout, Unavailable
from .kubeconfig import Kubeconfig

READ_AHEAD = 1024 * 1024  # bytes
LARGEST_ANSWER = 512 * 1024 * 1024  # bytes; lists are asked for in pages, so none comes near
BUSY_AT_MOST = 64
IDLE_AT_MOST_S = 60.0  # well below what the server allows, so that it never closes one just as it is used
CONNECT_WITHIN_S = 10.0
ANSWER_WITHIN_S = 90.0


class ConnectionLost(Exception):
    """The connection ended before the answer did.  `fresh`: nothing of an answer had come."""

    def __init__(self, why: str, *, fresh: bool):
        super().__init__(why)
        self.fresh = fresh


@dataclass(slots=True)
class Response:
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._response = Response()
        self._begun = self._complete = self._keep = False
        self._lost: Exception | None = None
        self._news = asyncio.Event()
        self._paused = False
        self.idle_since = 0.0

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc or ConnectionResetError("the server closed the connection")
        self._news.set()

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self.close()  # nobody asked anything
            return
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._lost = error
            self.close()
        if len(self._response.body) > READ_AHEAD and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._news.set()

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        self._response.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._response.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._response.body += body

    def on_message_complete(self) -> None:
        if self._response.status >= 200:
            self._complete = True
            self._keep = bool(self._parser.should_keep_alive())  # afterwards it has forgotten

    # What the client calls

    @property
    def is_open(self) -> bool:
        return self._lost is None and self._transport is not None and not self._transport.is_closing()

    @property
    def may_be_kept(self) -> bool:
        return self.is_open and self._complete and self._keep

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, head: bytes, body: bytes) -> Response:
        """Sends a request; returns once the answer's head is there."""
        assert self._transport is not None, "connected"
        self._parser = httptools.HttpResponseParser(self)
        self._response = Response()
        self._begun = self._complete = self._keep = False
        self._transport.write(head + body)
        while not self._response.status >= 200:
            await self._wait()
        return self._response

    async def read(self) -> bytes:
        """The whole body."""
        parts = bytearray()
        async for chunk in self.chunks():
            parts += chunk
            if len(parts) > LARGEST_ANSWER:
                self.close()
                raise BadRequest(f"the answer is larger than {LARGEST_ANSWER} bytes")
        return bytes(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, to its end."""
        while True:
            if self._response.body:
                chunk, self._response.body = bytes(self._response.body), bytearray()
                if self._paused and self._transport is not None:
                    self._paused = False
                    self._transport.resume_reading()
                yield chunk
            elif self._complete:
                return
            else:
                await self._wait()

    async def _wait(self) -> None:
        if self._lost is not None:
            raise ConnectionLost(str(self._lost), fresh=not self._begun)
        self._news.clear()
        await self._news.wait()
        if self._lost is not None and not self._complete and not self._response.body:
            raise ConnectionLost(str(self._lost), fresh=not self._begun)


class Pool:
    def __init__(self, config: Kubeconfig, busy_at_most: int = BUSY_AT_MOST):
        parts = urlsplit(config.server)
        self.server = config.server
        self.base = parts.path.rstrip("/")
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = tls(config) if parts.scheme == "https" else None
        self._server_name = config.server_name or self._host
        self._fixed = b"host: %s\r\nuser-agent: muster\r\n" % parts.netloc.rpartition("@")[2].encode()
        if config.token:
            self._fixed += b"authorization: Bearer %s\r\n" % config.token.encode()
        self._busy = asyncio.Semaphore(busy_at_most)
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()

    def present(self, config: Kubeconfig) -> None:
        """New connections show this certificate; those that are open stay."""
        self._tls = tls(config)

    async def request(self, method: str, target: str, body: bytes = b"",
                      headers: Mapping[str, str] | None = None) -> tuple[int, dict[bytes, bytes], bytes]:
        """One request, answered in full."""
        head = self._head(method, target, body, headers)
        async with self._busy:
            while True:
                connection, reused = await self._take()
                try:
                    async with asyncio.timeout(ANSWER_WITHIN_S):
                        response = await connection.ask(head, body)
                        read = await connection.read()
                except ConnectionLost as lost:
                    self._drop(connection)
                    if reused and lost.fresh and method == "GET":
                        continue  # it was closed just as it was used; nothing was done
                    raise Unavailable(f"the connection to the server at {self.server} was lost: {lost}") from None
                except TimeoutError:
                    self._drop(connection)
                    raise Timeout(f"no answer from {self.server} within {ANSWER_WITHIN_S:.0f} s") from None
                except BaseException:
                    self._drop(connection)
                    raise
                self._give_back(connection)
                return response.status, response.headers, read

    async def stream(self, method: str, target: str,
                     headers: Mapping[str, str] | None = None) -> tuple[Response, AsyncIterator[bytes]]:
        """One request whose answer goes on; on a connection of its own, closed when the iterator is."""
        connection = await self._open()
        try:
            response = await connection.ask(self._head(method, target, b"", headers), b"")
        except ConnectionLost as lost:
            self._drop(connection)
            raise Unavailable(f"the connection to the server at {self.server} was lost: {lost}") from None
        except BaseException:
            self._drop(connection)
            raise
        return response, self._streamed(connection)

    async def _streamed(self, connection: Connection) -> AsyncIterator[bytes]:
        try:
            async for chunk in connection.chunks():
                yield chunk
        finally:
            self._drop(connection)

    async def close(self) -> None:
        for connection in list(self._all):
            self._drop(connection)
        self._idle.clear()
        await asyncio.sleep(0)

    def _head(self, method: str, target: str, body: bytes, headers: Mapping[str, str] | None) -> bytes:
        lines = [f"{method} {self.base}{target} HTTP/1.1\r\n".encode("ascii"), self._fixed]
        lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in (headers or {}).items()]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(b"content-length: %d\r\n" % len(body))
        lines.append(b"\r\n")
        return b"".join(lines)

    async def _take(self) -> tuple[Connection, bool]:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and now - connection.idle_since < IDLE_AT_MOST_S:
                return connection, True
            self._drop(connection)
        return await self._open(), False

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                _, connection = await loop.create_connection(
                    Connection, self._host, self._port, ssl=self._tls,
                    server_hostname=self._server_name if self._tls is not None else None)
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(f"the server at {self.server} is not the one this kubeconfig is for: "
                              f"{error.verify_message}") from None
        except ConnectionRefusedError:
            raise Unavailable(f"the server at {self.server} is not running (connection refused); "
                              "start it with `muster up`") from None
        except TimeoutError:
            raise Unavailable(f"the server at {self.server} does not accept connections") from None
        except OSError as error:
            raise Unavailable(f"the server at {self.server} can not be reached: {error}") from None
        self._all.add(connection)
        return connection

    def _give_back(self, connection: Connection) -> None:
        if not connection.may_be_kept:
            self._drop(connection)
            return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def _drop(self, connection: Connection) -> None:
        self._all.discard(connection)
        connection.close()


def tls(config: Kubeconfig) -> ssl.SSLContext:
    """Raises BadRequest for certificates that can not be used."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    try:
        if config.ca:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # that authority and no other
            context.load_verify_locations(cadata=config.ca.decode("ascii"))
        if config.certificate:
            with tempfile.TemporaryDirectory(prefix="muster-") as folder:  # mode 0700; ssl reads files alone
                place = Path(folder) / "client.pem"
                place.write_bytes(config.certificate.rstrip() + b"\n" + config.key)
                context.load_cert_chain(place)
    except (ssl.SSLError, ValueError) as error:
        raise BadRequest(f"the kubeconfig's certificates can not be used: {error}") from None
    if config.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
