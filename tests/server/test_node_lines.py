"""The server reaches a node by lines that the node keeps open: real TLS, both ends in one event loop."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from small_cluster import pod

from certificate_requests import client_certificate
from muster.api.errors import BadRequest, Forbidden, Unauthorized, Unavailable
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.logs import LogOptions
from muster.api.objects import Key, Obj, name_of, uid_of
from muster.api.samples import NodeSample, PodSample, Used
from muster.api.schema import Schema
from muster.client.dialed import dial
from muster.client.kubeconfig import Kubeconfig
from muster.client.remote import RemoteClient
from muster.clock import Clock
from muster.node import far_readings
from muster.node.far_readings import FarReadings, Told
from muster.node.line import WAITING, Line
from muster.node.meters import Meters
from muster.server import node_lines
from muster.server.certificates import prepare
from muster.server.http import Api
from muster.server.node_rights import LINE
from muster.server.pipe import Duplex
from muster.server.processes import Closing, Session, Wanted
from muster.server.registry import Registry
from muster.server.serving import serve
from muster.store.memory import MemoryStore

WITHIN_S = 30.0  # only a hang takes as long
POD = "/api/v1/namespaces/default/pods/web"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    return folder, prepare(folder, Clock().now())


SAMPLES = {"pods": {"u": [1_000, 15.0, {"c": [5, 6, 7, 0, 0]}]}, "node": [1_000, 15.0, [8, 9, 0, 0, 0]]}
MINE: Obj = {"metadata": {"uid": "u", "name": "web"}, "spec": {"nodeName": "far"}}


class Nobody:
    def pod(self, pod: Obj) -> None:
        return None

    node = pod


class Far:
    """A node whose containers say what they are told to."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.left = asyncio.Event()

    def reaches(self, pod: Obj) -> bool:
        return True

    async def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        if options.previous:
            raise BadRequest(f"previous terminated container in pod {name_of(pod)} not found")
        try:
            yield f"{name_of(pod)} {options.tail_lines}\n".encode()
            while options.follow and (piece := await self.said.get()) is not None:
                yield piece
        finally:
            self.left.set()

    def samples(self) -> Obj:
        return SAMPLES

    async def run(self, pod: Obj, wanted: Wanted) -> Session:
        raise BadRequest(f"no {wanted.container} runs {wanted.command}")

    async def attach(self, pod: Obj, wanted: Wanted) -> Session:
        raise BadRequest("not here")

    async def connect(self, pod: Obj, port: int) -> tuple[Duplex, Closing]:
        raise OSError("nothing listens there")


class World:
    def __init__(self, folder: Any, config: Kubeconfig, registry: Registry, api: Api):
        self.folder, self.config, self.registry, self.api = folder, config, registry, api
        self.client, self.far = RemoteClient(config), Far()
        self.line = Line(lambda: dial(self.as_node("far"), LINE.format("far"), "muster-line"), self.find, self.far)

    def as_node(self, name: str) -> Kubeconfig:
        certificate, key = client_certificate(self.folder, Clock().now(), f"system:node:{name}", ["system:nodes"])
        return Kubeconfig(self.config.server, self.config.ca, certificate, key)

    def find(self, key: Key) -> Obj | None:
        found = self.registry.store.get(key)
        return found.value if found is not None else None

    async def get(self, path: str) -> tuple[int, bytes]:
        status, _, body = await self.client.request("GET", path)
        return status, body


def meet(pki, test: Callable[[World], Awaitable[None]], *, joined: bool = True) -> None:
    async def main() -> None:
        registry = Registry(MemoryStore(), Kinds(BUILT_IN), Schema.load(), Clock(), ())
        api = Api(registry, Clock())
        async with asyncio.timeout(WITHIN_S), serve(api, "127.0.0.1", 0, pki[1]) as front:
            config = Kubeconfig(front.url, pki[1].ca, pki[1].admin, pki[1].admin_key)
            world = World(pki[0], config, registry, api)
            for obj in ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}},
                        {"apiVersion": "v1", "kind": "Node", "metadata": {
                            "name": "far", "annotations": {"muster.dev/machine": "192.0.2.2"}}}):
                await world.client.create(obj)
            made = pod("web", node="far")
            await world.client.create({**made, "metadata": {**made["metadata"], "namespace": "default"}})
            line = asyncio.ensure_future(world.line.run()) if joined else None
            try:
                await test(world)
            finally:
                if line is not None:
                    line.cancel()
                    await asyncio.gather(line, return_exceptions=True)
                await world.client.close()
    asyncio.run(main())


def test_logs_come_from_the_node(pki):
    async def check(world: World) -> None:
        assert await world.get(f"{POD}/log?tailLines=7") == (200, b"web 7\n")
    meet(pki, check)


def test_many_calls_one_after_another_and_at_once(pki):
    async def check(world: World) -> None:
        for _ in range(3):
            said = await asyncio.gather(*(world.get(f"{POD}/log?tailLines={n}") for n in range(2 * WAITING)))
            assert said == [(200, b"web %d\n" % n) for n in range(2 * WAITING)]
    meet(pki, check)


def test_a_log_is_followed_until_the_reader_leaves(pki):
    async def check(world: World) -> None:
        response, chunks = await world.client._pool.stream("GET", f"{POD}/log?follow=true")
        assert response.status == 200
        assert await anext(chunks) == b"web None\n"
        world.far.said.put_nowait(b"more\n")
        assert await anext(chunks) == b"more\n"
        await chunks.aclose()  # type: ignore[attr-defined]
        await world.far.left.wait()
    meet(pki, check)


def test_a_log_that_ends(pki):
    async def check(world: World) -> None:
        world.far.said.put_nowait(b"last\n")
        world.far.said.put_nowait(None)
        assert await world.get(f"{POD}/log?follow=true") == (200, b"web None\nlast\n")
    meet(pki, check)


@pytest.mark.parametrize("path, said", [
    pytest.param(f"{POD}/log?previous=true", b"previous terminated container in pod web not found", id="a log"),
    pytest.param(f"{POD}/exec?command=ls&container=c&stdout=true", b"no c runs ['ls']", id="a command"),
])
def test_what_the_node_refuses(pki, path, said):
    async def check(world: World) -> None:
        status, body = await _upgraded(world, path)
        assert status == 400 and said in body
    meet(pki, check)


async def _upgraded(world: World, path: str) -> tuple[int, bytes]:
    status, _, body = await world.client.request("GET", path, headers={
        "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13", "sec-websocket-protocol": "v5.channel.k8s.io"})
    return status, body


def test_a_pod_that_the_node_knows_as_another(pki):
    async def check(world: World) -> None:
        there = world.find(Key("pods", "default", "web"))
        assert there is not None and uid_of(there)
        world.line._find = lambda key: {**there, "metadata": {**there["metadata"], "uid": "before"}}
        status, body = await world.get(f"{POD}/log")
        assert status == 404 and b"is another one by now" in body
    meet(pki, check)


def test_a_node_that_is_not_connected(pki, monkeypatch):
    monkeypatch.setattr(node_lines, "WAIT_S", 0.01)

    async def check(world: World) -> None:
        status, body = await world.get(f"{POD}/log")
        assert status == 503 and b"node far is not connected to the server" in body
    meet(pki, check, joined=False)


@pytest.mark.parametrize("who, error", [
    pytest.param("other", Forbidden, id="another node"),
    pytest.param("", Unauthorized, id="a stranger"),
])
def test_nobody_answers_in_the_place_of_a_node(pki, who, error):
    async def check(world: World) -> None:
        config = world.as_node(who) if who else Kubeconfig(world.config.server, world.config.ca)
        with pytest.raises(error):
            await dial(config, LINE.format("far"), "muster-line")
    meet(pki, check, joined=False)


def test_lines_come_back_after_a_server_that_let_go(pki):
    async def check(world: World) -> None:
        await world.get(f"{POD}/log")
        for pipe in list(world.api._pipes):
            pipe.close()
        assert (await world.get(f"{POD}/log"))[0] in (200, 503)  # one that was just let go may be taken
        assert await world.get(f"{POD}/log") == (200, b"web None\n")
    meet(pki, check)


def test_what_pods_use_is_asked_of_their_node(pki):
    async def check(world: World) -> None:
        meters = Meters(Nobody())
        readings = FarReadings(world.api.lines, meters, Clock().now)
        await world.get(f"{POD}/log")  # by now it is connected
        while not world.api.lines.connected():
            await asyncio.sleep(0)
        await readings.ask_all()
        assert meters.pod(MINE) == PodSample(1_000, 15.0, {"c": Used(5, 6, 7)})
        assert meters.node({"metadata": {"name": "far"}}) == NodeSample(1_000, 15.0, Used(8, 9, 0))
        world.far.samples = lambda: {"pods": "nonsense"}  # type: ignore[method-assign]
        while not world.api.lines.connected():
            await asyncio.sleep(0)
        await readings.ask_all()
        assert meters.pod(MINE) is None
    meet(pki, check)


def test_what_a_node_tells_is_what_its_readings_say():
    told = Told(SAMPLES)
    assert far_readings.told(told, [MINE], {"metadata": {"name": "far"}}) == SAMPLES


def test_a_server_that_is_not_there():
    config = Kubeconfig("https://127.0.0.1:1", b"")
    with pytest.raises(Unavailable):
        asyncio.run(dial(config, LINE.format("far"), "muster-line"))
