"""Messages over WebSocket frames: what clients may send, in whatever pieces it arrives."""
import asyncio
import os
import random

import pytest

from muster.server.websocket import BINARY, CLOSE, PING, PONG, TEXT, Tunnel, WebSocket, handshake


class Line:
    """A pipe whose bytes come in pieces of any size."""

    def __init__(self, data, seed=0):
        self.data, self.chance, self.sent = data, random.Random(seed), bytearray()

    async def read(self):
        size = self.chance.randint(1, 50)
        piece, self.data = self.data[:size], self.data[size:]
        return piece

    async def write(self, data):
        self.sent += data


def frame(code, payload=b"", last=True, mask=b"\1\2\3\4", masked=True):
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
    length = bytes([length[0] | (0x80 if masked else 0)]) + length[1:]
    body = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload)) if masked else payload
    return bytes([(0x80 if last else 0) | code]) + length + (mask if masked else b"") + body


async def everything(line):
    socket, messages = WebSocket(line), []
    while (message := await socket.receive()) is not None:
        messages.append(message)
    return messages


LARGE = os.urandom(70_000)


@pytest.mark.parametrize("data, messages, answer", [
    pytest.param(frame(BINARY, b"hi") + frame(TEXT, b"there"), [b"hi", b"there"], b"", id="two"),
    pytest.param(frame(BINARY), [b""], b"", id="empty"),
    pytest.param(frame(BINARY, LARGE[:300]) + frame(BINARY, LARGE), [LARGE[:300], LARGE], b"", id="large"),
    pytest.param(frame(BINARY, b"a", last=False) + frame(PING, b"p") + frame(0, b"b"), [b"ab"], b"\x8a\x01p", id="in parts"),
    pytest.param(frame(PONG, b"x") + frame(BINARY, b"a"), [b"a"], b"", id="pong"),
    pytest.param(frame(CLOSE) + frame(BINARY, b"late"), [], b"\x88\x02\x03\xe8", id="closed"),
    pytest.param(frame(BINARY, b"a", masked=False), [], b"\x88\x02\x03\xea", id="not masked"),
    pytest.param(b"\x82\xff" + (1 << 40).to_bytes(8, "big"), [], b"\x88\x02\x03\xf1", id="too large"),
    pytest.param(frame(BINARY, b"abc")[:-1], [], b"", id="cut off"),
])
@pytest.mark.parametrize("seed", range(3))
def test_messages(data, messages, answer, seed):
    line = Line(data, seed)
    assert asyncio.run(everything(line)) == messages
    assert bytes(line.sent) == answer


@pytest.mark.parametrize("size, head", [(5, b"\x82\x05"), (300, b"\x82\x7e\x01\x2c"), (70_000, b"\x82\x7f" + (70_000).to_bytes(8, "big"))])
def test_what_is_sent(size, head):
    line = Line(b"")
    asyncio.run(WebSocket(line).send(b"x" * size))
    assert bytes(line.sent) == head + b"x" * size


def test_a_tunnel_skips_what_is_empty():
    line = Line(frame(BINARY) + frame(BINARY, b"inside"))
    assert asyncio.run(Tunnel(WebSocket(line)).read()) == b"inside"


def test_the_handshake_of_the_rfc():
    headers = dict(handshake({b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ=="}, "v5.channel.k8s.io"))
    assert headers[b"sec-websocket-accept"] == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
