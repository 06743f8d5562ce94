"""SPDY as kubectl speaks it: streams that a client opens, and what goes over them."""
import asyncio
import struct
import zlib

from muster.server.spdy import DICTIONARY, FIN, PING, RST_STREAM, SYN_STREAM, Spdy


class Client:
    """The other side: what it sends is there at once, and what it is sent is kept."""

    def __init__(self):
        self.waiting, self.sent = bytearray(), bytearray()
        self.deflate = zlib.compressobj(zdict=DICTIONARY)
        self.inflate = zlib.decompressobj(zdict=DICTIONARY)

    def control(self, kind, body, flags=0):
        self.waiting += struct.pack(">HHB", 0x8003, kind, flags) + len(body).to_bytes(3, "big") + body

    def open(self, number, flags=0, **headers):
        block = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for word in (name, value):
                block += struct.pack(">I", len(word)) + word.encode()
        packed = self.deflate.compress(block) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.control(SYN_STREAM, struct.pack(">IIH", number, 0, 0) + packed, flags)

    def say(self, number, data, flags=0):
        self.waiting += struct.pack(">IB", number, flags) + len(data).to_bytes(3, "big") + data

    async def read(self):
        data, self.waiting = bytes(self.waiting), bytearray()
        return data

    async def write(self, data):
        self.sent += data

    def heard(self):
        """(control kind or "data", number, flags, body), in order."""
        place, frames = 0, []
        while place < len(self.sent):
            head, size = self.sent[place:place + 8], int.from_bytes(self.sent[place + 5:place + 8], "big")
            body = bytes(self.sent[place + 8:place + 8 + size])
            if head[0] & 0x80:
                frames.append((int.from_bytes(head[2:4], "big"), int.from_bytes(body[:4], "big"), head[4], body[4:]))
            else:
                frames.append(("data", int.from_bytes(head[:4], "big"), head[4], body))
            place += 8 + size
        return frames


async def opened(client):
    return [stream async for stream in Spdy(client).streams()]


def test_the_dictionary_is_the_protocols():
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_streams_have_headers_and_bytes():
    client = Client()
    client.open(1, streamType="stdin", port="80")
    client.open(3, flags=FIN, streamType="error")
    client.say(1, b"hel")
    client.say(1, b"lo", FIN)

    async def play():
        first, second = await opened(client)
        return first.headers, second.headers["streamtype"], await first.read(), await first.read(), await second.read()
    assert asyncio.run(play()) == ({"streamtype": "stdin", "port": "80"}, "error", b"hello", b"", b"")
    replies = client.heard()
    assert [(kind, number) for kind, number, _, _ in replies] == [(2, 1), (2, 3)]
    assert [client.inflate.decompress(body) for _, _, _, body in replies] == [b"\0\0\0\0"] * 2


def test_what_is_said_and_closed():
    client = Client()
    client.open(1, streamType="stdout")

    async def play():
        async for stream in Spdy(client).streams():
            await stream.write(b"x" * 100_000)
            await stream.close()
            await stream.close()
    asyncio.run(play())
    assert [(number, flags, len(body)) for kind, number, flags, body in client.heard() if kind == "data"] == [
        (1, 0, 65536), (1, 0, 34464), (1, FIN, 0)]


def test_pings_are_answered_and_resets_end():
    client = Client()
    client.open(1, streamType="data")
    client.control(PING, struct.pack(">I", 7))
    client.control(RST_STREAM, struct.pack(">II", 1, 5))

    async def play():
        stream, = await opened(client)
        return await stream.read()
    assert asyncio.run(play()) == b""
    assert (PING, 7) in [(kind, number) for kind, number, _, _ in client.heard()]
