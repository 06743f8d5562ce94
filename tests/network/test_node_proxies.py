"""The rules of nodes follow services and slices: on every node, in few steps, and again after a failure."""
import asyncio
import contextlib

from muster.api.objects import Key, with_
from muster.client.client import Listing
from muster.client.mirror import Mirror
from muster.clock import run_virtual
from muster.network.backends import Here
from muster.network.node_proxies import LONGEST_RETRY_S, Hosted, NodeProxies
from muster.store.memory import MemoryStore
from muster.store.store import ANY

SERVICES, SLICES = "services", "endpointslices.discovery.k8s.io"


class StoreClient:
    """What a mirror needs of a client, straight from a store."""

    def __init__(self, store):
        self._store = store

    async def list(self, resource):
        snapshots, revision = self._store.list(resource)
        return Listing([one.value for one in snapshots], revision)

    def follow(self, resource, after):
        return self._store.follow(resource, after)


class Network:
    """A node's network: it keeps the scripts that it was given, and refuses them while it is broken."""

    def __init__(self):
        self.scripts, self.refused, self.is_broken, self.forgotten = [], 0, False, []

    async def load(self, script):
        await asyncio.sleep(0.01)
        if self.is_broken:
            self.refused += 1
            raise RuntimeError("no such table")
        self.scripts.append(script)

    async def forget(self, flows):
        self.forgotten += flows


class Scene:
    def __init__(self):
        self.store, self.networks = MemoryStore(), {name: Network() for name in ("n1", "n2")}
        self.mirror = Mirror(StoreClient(self.store), (SERVICES, SLICES, "nodes"))
        hosted = [Hosted(Here(name, f"10.88.0.{name[1]}", "10.88.0.0/16", f"10.88.{name[1]}.0/24"), network.load, network.forget)
                  for name, network in self.networks.items()]
        self.proxies = NodeProxies(self.mirror, hosted, "10.96.0.0/16")

    @contextlib.asynccontextmanager
    async def running(self):
        async with asyncio.TaskGroup() as group:
            work = [group.create_task(self.mirror.run()), group.create_task(self.proxies.run())]
            await asyncio.sleep(1)
            yield
            for one in work:
                one.cancel()

    async def write(self, resource, obj):
        key = Key(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        await self.store.commit(key, obj, expect=ANY)

    async def service(self, name="web", number=7, protocol="TCP"):
        await self.write(SERVICES, {"metadata": {"name": name, "namespace": "shop"}, "spec": {
            "clusterIP": f"10.96.0.{number}", "ports": [{"port": 80, "protocol": protocol}]}})

    async def slice(self, *addresses, service="web", name=None, protocol="TCP", **more):
        made = {"metadata": {"name": name or f"{service}-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": service}},
                "addressType": "IPv4", "ports": [{"port": 8080, "protocol": protocol}],
                "endpoints": [{"addresses": [one], **more} for one in addresses]}
        await self.write(SLICES, made)
        return made


def test_a_service_comes_and_goes():
    async def main(_):
        scene = Scene()
        await scene.service()
        async with scene.running():
            for network in scene.networks.values():
                (first,) = network.scripts
                assert first.startswith("add table ip muster\ndelete table ip muster\n")
                assert "unserved_services { 10.96.0.7 . tcp . 80 : goto refuse }" in first
            await scene.slice("10.88.1.5", "10.88.2.5")
            await asyncio.sleep(1)
            await scene.store.commit(Key(SERVICES, "shop", "web"), None, expect=ANY)
            await asyncio.sleep(1)
            for network in scene.networks.values():
                _, second, third = network.scripts
                assert "dnat to 10.88.2.5:8080" in second and "table ip muster {" not in second
                assert "delete chain ip muster cluster/shop/web/tcp/80" in third
    run_virtual(main)


def test_what_comes_together_is_done_together():
    async def main(_):
        scene = Scene()
        await scene.service()
        async with scene.running():
            for last in range(2, 252):
                await scene.slice(*(f"10.88.1.{number}" for number in range(1, last)))
                await asyncio.sleep(0.001)
            await asyncio.sleep(1)
            assert len(scene.networks["n1"].scripts) < 10
            assert "mod 250" in scene.networks["n1"].scripts[-1]
    run_virtual(main)


def test_a_service_of_two_slices_loses_one():
    async def main(_):
        scene = Scene()
        await scene.service()
        await scene.slice("10.88.1.5", name="one")
        await scene.slice("10.88.1.6", name="two")
        async with scene.running():
            assert "mod 2" in scene.networks["n1"].scripts[-1]
            await scene.slice("10.88.1.6", name="two", service="other")
            await asyncio.sleep(1)
            assert "goto endpoint/shop/web/tcp/80/10.88.1.5/8080" in scene.networks["n1"].scripts[-1]
            assert "mod 2" not in scene.networks["n1"].scripts[-1]
    run_virtual(main)


def test_a_node_that_refuses_is_told_everything_anew():
    async def main(_):
        scene = Scene()
        broken, well = scene.networks.values()
        await scene.service()
        async with scene.running():
            broken.is_broken = True
            await scene.slice("10.88.1.5")
            await asyncio.sleep(600)
            assert len(well.scripts) == 2, "the other does not wait for it"
            assert 600 / LONGEST_RETRY_S <= broken.refused < 40, "later and later"
            broken.is_broken = False
            await asyncio.sleep(LONGEST_RETRY_S + 1)
            assert len(broken.scripts) == 2
            assert broken.scripts[-1].startswith("add table ip muster\ndelete table ip muster\n")
            assert "dnat to 10.88.1.5:8080" in broken.scripts[-1]
            await scene.slice("10.88.1.6")
            await asyncio.sleep(1)
            assert "table ip muster {" not in broken.scripts[-1], "and then what differs"
    run_virtual(main)


def test_nobody_is_sent_to_a_simulated_node():
    async def main(_):
        scene = Scene()
        await scene.service()
        await scene.write("nodes", {"metadata": {"name": "simulated"}})
        await scene.write("nodes", {"metadata": {"name": "n2", "labels": {"muster.dev/runtime": "containers"}}})
        await scene.slice("10.244.0.5", nodeName="simulated")
        async with scene.running():
            assert "10.96.0.7 . tcp . 80 : goto refuse" in scene.networks["n1"].scripts[-1]
            await scene.slice("10.88.2.5", nodeName="n2", name="real")
            await asyncio.sleep(1)
            assert "goto endpoint/shop/web/tcp/80/10.88.2.5/8080" in scene.networks["n1"].scripts[-1]
            await scene.slice("10.88.3.5", nodeName="n3", name="early")
            await asyncio.sleep(1)
            await scene.write("nodes", {"metadata": {"name": "n3", "labels": {"muster.dev/runtime": "containers"}}})
            await asyncio.sleep(1)
            assert "dnat to 10.88.3.5:8080" in scene.networks["n1"].scripts[-1], "its node was heard of later"
            assert not any("10.244.0.5" in script for script in scene.networks["n1"].scripts)
    run_virtual(main)


def test_a_node_moves_to_another_zone():
    async def main(_):
        scene = Scene()
        await scene.service()
        node = {"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}}}
        await scene.write("nodes", node)
        await scene.slice("10.88.1.5", hints={"forZones": [{"name": "a"}]}, name="a")
        await scene.slice("10.88.1.6", hints={"forZones": [{"name": "b"}]}, name="b")
        async with scene.running():
            assert "dnat to 10.88.1.6" not in scene.networks["n1"].scripts[-1]
            assert "mod 2" in scene.networks["n2"].scripts[-1], "a node of no zone asks any"
            await scene.write("nodes", with_(node, "metadata.labels", {"topology.kubernetes.io/zone": "b"}))
            await asyncio.sleep(1)
            assert "dnat to 10.88.1.6" in scene.networks["n1"].scripts[-1]
            assert len(scene.networks["n2"].scripts) == 1, "nothing changed for it"
    run_virtual(main)


def test_flows_of_datagrams_are_ended_once_the_rules_are_new():
    async def main(_):
        scene = Scene()
        await scene.service(protocol="UDP")
        await scene.slice("10.88.1.5", "10.88.1.6", protocol="UDP")
        async with scene.running():
            assert scene.networks["n1"].forgotten == []
            await scene.slice("10.88.1.6", protocol="UDP")
            await asyncio.sleep(1)
            assert scene.networks["n1"].forgotten == [("10.88.1.5", 8080)]
    run_virtual(main)
