"""The server's side of SPDY/3.1, as far as kubectl uses it: streams with headers, both ways, over one connection.

    connection = Spdy(pipe)
    async for stream in connection.streams(): stream.headers, await stream.read(), await stream.write(...)

kubectl speaks it for port-forward (inside a WebSocket since 1.31) and, where it is older, for exec and attach.
Flow control windows are not kept, as its client does not keep them; what waits in a stream is bounded instead.
https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
"""
from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator

from .pipe import Duplex, Pieces

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, HEADERS = 1, 2, 3, 6, 8
FIN = 1
LARGEST_FRAME, MOST_STREAMS = 1 << 24, 1000
MOST_WAITING = 1 << 20
PIECE = 1 << 16
REFUSED = 3

# What headers are compressed against: part of the protocol (section 2.6.10.1).
_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match
if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range
referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get
status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin
"""
_NAMES = [word.replace("_", " ") for word in _WORDS.split()]
_CODES = ("100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
          "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
          "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable")
_REST = ("Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
         "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
         "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.")
DICTIONARY = b"".join(struct.pack(">I", len(name)) + name.encode() for name in _NAMES) + (_CODES + _REST).encode()


class Stream:
    def __init__(self, connection: Spdy, number: int, headers: dict[str, str]):
        self.number, self.headers = number, headers
        self._connection = connection
        self._waiting = bytearray()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._is_over = self._is_closed = False

    async def read(self) -> bytes:
        """b"" when the client has nothing more to say on it."""
        while not self._waiting and not self._is_over:
            self._news.clear()
            await self._news.wait()
        data, self._waiting = bytes(self._waiting), bytearray()
        self._room.set()
        return data

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            if self._is_closed:
                raise ConnectionResetError("the client closed the stream")
            await self._connection.send_data(self.number, data[start:start + PIECE], 0)

    async def close(self) -> None:
        """Nothing more will be said on it from here."""
        if not self._is_closed:
            self._is_closed = True
            await self._connection.send_data(self.number, b"", FIN)

    async def took(self, data: bytes, is_last: bool) -> None:
        self._waiting += data
        self._is_over = self._is_over or is_last
        self._news.set()
        while len(self._waiting) > MOST_WAITING and not self._is_over:
            self._room.clear()
            await self._room.wait()

    def end(self) -> None:
        self._is_over = self._is_closed = True
        self._news.set()
        self._room.set()


class Spdy:
    def __init__(self, pipe: Duplex):
        self._pipe = pipe
        self._coming = Pieces(pipe)
        self._streams: dict[int, Stream] = {}
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._sending = asyncio.Lock()

    async def streams(self) -> AsyncIterator[Stream]:
        """Those that the client opens, until it is gone."""
        try:
            while (head := await self._coming.take(8)) is not None:
                size = int.from_bytes(head[5:8], "big")
                body = await self._coming.take(size)
                if body is None:
                    return
                if not head[0] & 0x80:
                    await self._data(int.from_bytes(head[:4], "big"), head[4], body)
                    continue
                opened = await self._control(int.from_bytes(head[2:4], "big"), head[4], body)
                if opened is not None:
                    yield opened
        finally:
            for stream in self._streams.values():
                stream.end()

    async def send_data(self, number: int, data: bytes, flags: int) -> None:
        async with self._sending:
            await self._pipe.write(struct.pack(">IB", number, flags) + len(data).to_bytes(3, "big") + data)

    async def _data(self, number: int, flags: int, data: bytes) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            await stream.took(data, bool(flags & FIN))

    async def _control(self, kind: int, flags: int, body: bytes) -> Stream | None:
        if kind == SYN_STREAM and len(body) >= 10:
            return await self._opened(int.from_bytes(body[:4], "big") & 0x7FFFFFFF, flags, body[10:])
        if kind == PING:
            await self._send(PING, body[:4])
        elif kind == RST_STREAM and len(body) >= 4:
            reset = self._streams.pop(int.from_bytes(body[:4], "big") & 0x7FFFFFFF, None)
            if reset is not None:
                reset.end()
        elif kind in (HEADERS, SYN_REPLY):
            self._read_headers(body[4:])
        return None

    async def _opened(self, number: int, flags: int, compressed: bytes) -> Stream | None:
        headers = self._read_headers(compressed)
        if len(self._streams) >= MOST_STREAMS:
            await self._send(RST_STREAM, struct.pack(">II", number, REFUSED))
            return None
        stream = self._streams[number] = Stream(self, number, headers)
        if flags & FIN:
            await stream.took(b"", True)
        async with self._sending:
            reply = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self._pipe.write(_control_frame(SYN_REPLY, struct.pack(">I", number) + reply))
        return stream

    def forget(self, *streams: Stream) -> None:
        for stream in streams:
            stream.end()
            self._streams.pop(stream.number, None)

    async def _send(self, kind: int, body: bytes) -> None:
        async with self._sending:
            await self._pipe.write(_control_frame(kind, body))

    def _read_headers(self, compressed: bytes) -> dict[str, str]:
        block = self._inflate.decompress(compressed, LARGEST_FRAME)
        headers: dict[str, str] = {}
        place = 4
        for _ in range(int.from_bytes(block[:4], "big")):
            words = []
            for _ in range(2):
                size = int.from_bytes(block[place:place + 4], "big")
                words.append(block[place + 4:place + 4 + size].decode("latin-1"))
                place += 4 + size
            headers[words[0].lower()] = words[1]
            if place >= len(block):
                break
        return headers


def _control_frame(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHB", 0x8003, kind, 0) + len(body).to_bytes(3, "big") + body
