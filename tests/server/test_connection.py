"""The connection itself, byte by byte over TLS: what is written at once reads as what is written in parts."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.schema import Schema
from muster.client.connections import tls
from muster.client.kubeconfig import Kubeconfig
from muster.clock import Clock
from muster.server.certificates import Certificates, prepare
from muster.server.http import Api
from muster.server.registry import Registry
from muster.server.serving import serve
from muster.store.memory import MemoryStore

WITHIN_S = 20.0  # only a hang takes as long
SPACE = b"/api/v1/namespaces/default/configmaps"
Speak = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("pki")
    return prepare(folder, Clock().now())


def spoken_to(certificates: Certificates, test: Callable[[Speak], Awaitable[None]]) -> None:
    async def main() -> None:
        api = Api(Registry(MemoryStore(), Kinds(BUILT_IN), Schema.load(), Clock(seed=1), ()), Clock(seed=1))
        async with asyncio.timeout(WITHIN_S), serve(api, "127.0.0.1", 0, certificates) as where:
            context = tls(Kubeconfig(where.url, certificates.ca, certificates.admin, certificates.admin_key))
            await test(lambda: asyncio.open_connection(where.host, where.port, ssl=context))
    asyncio.run(main())


def request(method: bytes, path: bytes, body: bytes = b"", *, version: bytes = b"1.1", more: bytes = b"") -> bytes:
    return (b"%b %b HTTP/%b\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n"
            % (method, path, version, len(body), more)) + body


def config(name: str, size: int = 10) -> bytes:
    return orjson.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                         "data": {"text": "x" * size}})


async def answer(reader: asyncio.StreamReader, *, body: bool = True) -> tuple[int, dict[bytes, bytes], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head[:-4].split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines[1:])
    assert {b"content-type", b"content-length", b"audit-id", b"cache-control"} <= headers.keys()
    return int(lines[0].split()[1]), headers, await reader.readexactly(int(headers[b"content-length"]) if body else 0)


def test_requests_sent_together_are_answered_in_their_order(certificates):
    async def story(speak: Speak) -> None:
        reader, writer = await speak()
        writer.write(b"".join((request(b"POST", SPACE, config("a")), request(b"GET", SPACE + b"/a"),
                               request(b"GET", SPACE + b"/b"), request(b"HEAD", b"/version"),
                               request(b"GET", SPACE + b"/a"))))
        assert (await answer(reader))[0] == 201
        status, _, first = await answer(reader)
        assert status == 200 and orjson.loads(first)["data"]
        assert (await answer(reader))[0] == 404
        assert (await answer(reader, body=False))[0] == 200
        assert (await answer(reader))[2] == first
        writer.close()
    spoken_to(certificates, story)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_request_that_comes_in_parts(certificates, step: int):
    async def story(speak: Speak) -> None:
        reader, writer = await speak()
        raw = request(b"POST", SPACE, config("a", 500))
        for start in range(0, len(raw), step):
            writer.write(raw[start:start + step])
            await writer.drain()
            await asyncio.sleep(0)
        status, _, body = await answer(reader)
        assert status == 201 and orjson.loads(body)["data"] == {"text": "x" * 500}
        writer.close()
    spoken_to(certificates, story)


@pytest.mark.parametrize("said", [
    pytest.param({"version": b"1.0"}, id="HTTP 1.0"),
    pytest.param({"more": b"connection: close\r\n"}, id="the client wants it closed"),
])
def test_the_connection_ends_after_the_answer(certificates, said: dict[str, bytes]):
    async def story(speak: Speak) -> None:
        reader, writer = await speak()
        writer.write(request(b"GET", b"/version", **said))
        status, headers, _ = await answer(reader)
        assert status == 200 and headers[b"connection"] == b"close" and await reader.read() == b""
        writer.close()
    spoken_to(certificates, story)


def test_a_client_that_asks_first_whether_to_send_its_body(certificates):
    async def story(speak: Speak) -> None:
        reader, writer = await speak()
        raw = request(b"POST", SPACE, config("a"), more=b"expect: 100-continue\r\n")
        head, _, body = raw.partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await answer(reader))[0] == 201
        writer.close()
    spoken_to(certificates, story)


def test_a_watcher_that_does_not_read_gets_everything_later(certificates):
    """More than all buffers of the connection hold: it is told, has no room, pulls, and misses nothing."""
    count, size = 60, 200_000

    async def story(speak: Speak) -> None:
        watching, watch = await speak()
        watch.write(request(b"GET", SPACE + b"?watch=1"))
        await watching.readuntil(b"\r\n\r\n")
        reader, writer = await speak()
        for number in range(count):
            writer.write(request(b"POST", SPACE, config(f"map-{number}", size)))
            assert (await answer(reader))[0] == 201
        body = b""
        while body.count(b"\n") < count:
            length = int(await watching.readuntil(b"\r\n"), 16)
            body += (await watching.readexactly(length + 2))[:-2]
        names = [orjson.loads(line)["object"]["metadata"]["name"] for line in body.splitlines()]
        assert names == [f"map-{number}" for number in range(count)]
        for one in (watch, writer):
            one.close()
    spoken_to(certificates, story)

