"""A node's view of the cluster: what its pods name is there before they are, and nothing else is."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from certificate_requests import client_certificate
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Key, Obj
from muster.api.schema import Schema
from muster.client.kubeconfig import Kubeconfig
from muster.client.mirror import Mirror
from muster.client.remote import RemoteClient
from muster.clock import Clock
from muster.node import node_client
from muster.node.node_client import NodeClient
from muster.server.certificates import prepare
from muster.server.http import Api
from muster.server.registry import Registry
from muster.server.serving import serve
from muster.store.memory import MemoryStore

WITHIN_S = 30.0  # only a hang takes as long
RESOURCES = ("pods", "nodes", "configmaps", "secrets")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    return folder, prepare(folder, Clock().now())


def pod(name: str, node: str, *, maps: tuple[str, ...] = ()) -> Obj:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i", "envFrom": [
                {"configMapRef": {"name": one}} for one in maps]}]}}


def config_map(name: str, value: str = "1") -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
            "data": {"a": value}}


class World:
    def __init__(self, admin: RemoteClient, client: NodeClient):
        self.admin, self.client = admin, client
        self.mirror = Mirror(client, RESOURCES)
        self.heard: list[tuple[str, bool]] = []  # each pod, and whether all that it names was there
        self.news = asyncio.Event()
        self.mirror.on_change(self._hear)

    def _hear(self, change) -> None:
        if change.key.resource == "pods" and change.value is not None:
            names = [one["configMapRef"]["name"] for one in change.value["spec"]["containers"][0].get("envFrom", ())]
            self.heard.append((change.key.name, all(self.value(name) is not None for name in names)))
        self.news.set()

    def value(self, name: str) -> str | None:
        found = self.mirror.get(Key("configmaps", "default", name))
        return found["data"]["a"] if found is not None else None

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.news.clear()
            await self.news.wait()


def meet(pki, test: Callable[[World], Awaitable[None]], *before: Obj) -> None:
    async def main() -> None:
        registry = Registry(MemoryStore(), Kinds(BUILT_IN), Schema.load(), Clock(), ())
        async with asyncio.timeout(WITHIN_S), serve(Api(registry, Clock()), "127.0.0.1", 0, pki[1]) as front:
            admin = RemoteClient(Kubeconfig(front.url, pki[1].ca, pki[1].admin, pki[1].admin_key))
            certificate, key = client_certificate(pki[0], Clock().now(), "system:node:n1", ["system:nodes"])
            remote = RemoteClient(Kubeconfig(front.url, pki[1].ca, certificate, key))
            await admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
            for obj in before:
                await admin.create(obj)
            world = World(admin, NodeClient(remote, "n1"))
            work = [asyncio.ensure_future(one) for one in (world.mirror.run(), world.client.run())]
            try:
                await world.mirror.synced()
                await test(world)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
                await remote.close()
                await admin.close()
    asyncio.run(main())


def test_what_pods_name_is_there_before_them(pki):
    async def check(world: World) -> None:
        assert (world.value("a"), world.value("other")) == ("1", None)
        world.heard.clear()
        for number in range(5):
            await world.admin.create(config_map(f"new{number}"))
            await world.admin.create(pod(f"new{number}", "n1", maps=(f"new{number}", "a")))
        await world.until(lambda: len(world.heard) >= 5)
        assert world.heard == [(f"new{number}", True) for number in range(5)]
    meet(pki, check, config_map("a"), config_map("other"), pod("mine", "n1", maps=("a",)),
         pod("theirs", "n2", maps=("other",)))


def test_a_change_is_seen_and_what_nobody_names_is_forgotten(pki, monkeypatch):
    monkeypatch.setattr(node_client, "MISSING_S", 0.01)
    monkeypatch.setattr(node_client, "REFRESH_S", 0.02)

    async def check(world: World) -> None:
        await world.admin.patch(Key("configmaps", "default", "a"), {"data": {"a": "2"}})
        await world.until(lambda: world.value("a") == "2")
        await world.admin.create(config_map("late"))
        await world.until(lambda: world.value("late") == "1")
        await world.admin.delete(Key("configmaps", "default", "late"))
        await world.until(lambda: world.value("late") is None)
        await world.admin.delete(Key("pods", "default", "mine"), grace_period_s=0)
        await world.until(lambda: world.value("a") is None)
        assert world.mirror.get(Key("pods", "default", "mine")) is None
    meet(pki, check, config_map("a"), pod("mine", "n1", maps=("a", "late")))


def test_pods_that_came_and_went_between_two_looks(pki):
    async def check(world: World) -> None:
        await world.admin.create(pod("short", "n1", maps=("missing",)))
        await world.until(lambda: ("short", False) in world.heard)  # what is not there keeps no pod from being heard of
        await world.admin.delete(Key("pods", "default", "short"), grace_period_s=0)
        await world.until(lambda: world.mirror.get(Key("pods", "default", "short")) is None)
        assert [name for _, name in world.mirror.objects("pods")] == ["mine"]
    meet(pki, check, config_map("a"), pod("mine", "n1", maps=("a",)))


def test_a_pod_is_not_told_of_before_what_it_names_is_taken_in(pki):
    async def check(world: World) -> None:
        client = NodeClient(world.client._remote, "n1")
        after = (await client.list("pods")).revision
        pods, maps = client.follow("pods", after), client.follow("configmaps", (await client.list("configmaps")).revision)
        await world.admin.create(config_map("b"))
        await world.admin.create(pod("new", "n1", maps=("b",)))
        heard = asyncio.ensure_future(anext(pods))
        assert [change.key.name for change in await anext(maps)] == ["b"]
        for _ in range(100):
            await asyncio.sleep(0)
        assert not heard.done()  # the map is handed out, and may still be on its way into the mirror
        more = asyncio.ensure_future(anext(maps))
        assert [change.key.name for change in await heard] == ["new"]
        more.cancel()
        await asyncio.gather(more, return_exceptions=True)
        for one in (pods, maps):
            await one.aclose()
    meet(pki, check)
