"""The server's side of a WebSocket: messages over a pipe.

Written here because the libraries at hand take the mask off byte by byte, and `kubectl cp` sends large files so.
https://www.rfc-editor.org/rfc/rfc6455
"""
from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence

from .pipe import Duplex, Pieces

LARGEST_MESSAGE = 32 << 20
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
NORMAL, PROTOCOL_ERROR, TOO_BIG = 1000, 1002, 1009
_KEY_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # from the RFC


def is_asked_for(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"upgrade", b"").lower() == b"websocket" and b"sec-websocket-key" in headers


def offered(headers: Mapping[bytes, bytes]) -> list[str]:
    """The subprotocols that the client can speak."""
    said = headers.get(b"sec-websocket-protocol", b"").decode("latin-1")
    return [one.strip() for one in said.split(",") if one.strip()]


def handshake(headers: Mapping[bytes, bytes], protocol: str) -> Sequence[tuple[bytes, bytes]]:
    accept = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + _KEY_SUFFIX).digest())
    return ((b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-accept", accept),
            (b"sec-websocket-protocol", protocol.encode()))


class WebSocket:
    def __init__(self, pipe: Duplex):
        self._pipe = pipe
        self._coming = Pieces(pipe)
        self._closed = False

    async def receive(self) -> bytes | None:
        """The next message; None when the client has said that it is the last, or is gone."""
        message = bytearray()
        while True:
            frame = await self._frame()
            if frame is None:
                return None
            code, is_last, payload = frame
            if code == PING:
                await self._send(PONG, payload)
            elif code == CLOSE:
                await self.close()
                return None
            elif code != PONG:
                message += payload
                if len(message) > LARGEST_MESSAGE:
                    await self.close(TOO_BIG)
                    return None
                if is_last:
                    return bytes(message)

    async def send(self, message: bytes) -> None:
        await self._send(BINARY, message)

    async def close(self, code: int = NORMAL) -> None:
        if not self._closed:
            self._closed = True
            try:
                await self._pipe.write(_framed(CLOSE, code.to_bytes(2, "big")))
            except ConnectionError:
                return

    async def _send(self, code: int, payload: bytes) -> None:
        if not self._closed:
            await self._pipe.write(_framed(code, payload))

    async def _frame(self) -> tuple[int, bool, bytes] | None:
        head = await self._coming.take(2)
        if head is None:
            return None
        size, is_masked = head[1] & 0x7F, bool(head[1] & 0x80)
        if size >= 126:
            said = await self._coming.take(2 if size == 126 else 8)
            if said is None:
                return None
            size = int.from_bytes(said, "big")
        if size > LARGEST_MESSAGE or not is_masked or head[0] & 0x70:
            await self.close(TOO_BIG if size > LARGEST_MESSAGE else PROTOCOL_ERROR)
            return None
        mask, payload = await self._coming.take(4), await self._coming.take(size)
        if mask is None or payload is None:
            return None
        return head[0] & 0x0F, bool(head[0] & 0x80), _unmasked(payload, mask)


class Tunnel:
    """Another protocol inside the messages of a WebSocket."""

    def __init__(self, socket: WebSocket):
        self._socket = socket

    async def read(self) -> bytes:
        while (message := await self._socket.receive()) is not None:
            if message:
                return message
        return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send(data)


def _framed(code: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | code, size))
    elif size < 1 << 16:
        head = bytes((0x80 | code, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | code, 127)) + size.to_bytes(8, "big")
    return head + payload


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    """All bytes at once, as two large numbers."""
    size = len(payload)
    stretched = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")).to_bytes(size, "big")
