"""A connection that is no HTTP any more: bytes both ways, at the pace of the slower side.

It takes the place of the HTTP protocol on its transport once a request asked for an upgrade (serving.py).
"""
from __future__ import annotations

import asyncio
from typing import Any, Protocol

MOST_WAITING = 1 << 20  # bytes, before the other side has to wait


class Duplex(Protocol):
    async def read(self) -> bytes:
        """What has come; b"" at the end."""
        ...

    async def write(self, data: bytes) -> None: ...


class Pieces:
    """What comes from the other side, in pieces of the size that is asked for."""

    def __init__(self, pipe: Duplex):
        self._pipe = pipe
        self._there = bytearray()

    async def take(self, size: int) -> bytes | None:
        """None: the other side ended before."""
        while len(self._there) < size:
            data = await self._pipe.read()
            if not data:
                return None
            self._there += data
        taken = bytes(self._there[:size])
        del self._there[:size]
        return taken


class Pipe(asyncio.Protocol):
    def __init__(self, transport: asyncio.Transport, rest: bytes = b""):
        self._transport = transport
        self._waiting = bytearray(rest)
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._is_over = self._is_paused = False

    async def read(self) -> bytes:
        while not self._waiting and not self._is_over:
            self._news.clear()
            await self._news.wait()
        data, self._waiting = bytes(self._waiting), bytearray()
        if self._is_paused and not self._is_over:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    def unread(self, data: bytes) -> None:
        """What was read too much comes first again."""
        self._waiting[:0] = data

    async def over(self) -> None:
        """Returns once the other side is gone."""
        while not self._is_over:
            self._news.clear()
            await self._news.wait()

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError where nobody is there any more."""
        if self._is_over or self._transport.is_closing():
            raise ConnectionResetError("the client is gone")
        self._transport.write(data)
        await self._room.wait()

    def close(self) -> None:
        self._transport.close()

    def socket(self) -> Any:
        """What is below it, for its options; None where there is none."""
        return self._transport.get_extra_info("socket")

    # What the transport tells

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        self._news.set()
        if len(self._waiting) > MOST_WAITING and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self._news.set()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()
