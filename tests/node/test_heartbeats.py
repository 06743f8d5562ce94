"""What nodes tell of themselves: that they are there, and how they are."""
from __future__ import annotations

import asyncio

from fleet_story import World, story

from muster.api.objects import Key, Obj, condition, is_true, owners_of, uid_of


def test_a_node_that_fails_falls_silent_and_comes_back() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        name = node["metadata"]["name"]
        key, lease = Key("nodes", "", name), Key("leases.coordination.k8s.io", "kube-node-lease", name)
        await world.client.patch(key, {"metadata": {"annotations": {"muster.dev/fail": "true"}}})
        pod = await world.pod("web", name)
        await asyncio.sleep(1)
        last = world.get(lease)["spec"]["renewTime"]
        await asyncio.sleep(100)
        assert world.get(lease)["spec"]["renewTime"] == last
        assert world.get(pod)["status"]["phase"] == "Pending"
        assert not any("Pull" in event for event in world.events())
        await world.client.patch(key, {"metadata": {"annotations": {"muster.dev/fail": None}}})
        await asyncio.sleep(1)
        assert world.get(lease)["spec"]["renewTime"] > last
        assert is_true(world.get(pod), "Ready")
    story(tell)


def test_a_node_made_by_hand_needs_to_say_that_it_is_simulated() -> None:
    async def tell(world: World) -> None:
        for name, said in (("silent", {}), ("simulated", {"muster.dev/simulated": "true"})):
            await world.client.create({"apiVersion": "v1", "kind": "Node", "metadata": {
                "name": name, "annotations": said, "labels": {"kubernetes.io/arch": "arm64"}}})
        pods = [await world.pod(name, name) for name in ("silent", "simulated")]
        await asyncio.sleep(10)
        assert [is_true(world.get(pod), "Ready") for pod in pods] == [False, True]
        assert condition(world.get(Key("nodes", "", "silent")), "Ready") is None
        simulated = world.get(Key("nodes", "", "simulated"))
        assert simulated["status"]["allocatable"]["cpu"] == "4"
        assert simulated["metadata"]["labels"] == {
            "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64",
            "kubernetes.io/hostname": "simulated", "kubernetes.io/os": "linux"}, "its kubelet adds what is not there"
        assert simulated["status"]["nodeInfo"]["architecture"] == "arm64"
    story(tell)


def test_many_nodes_cost_few_writes() -> None:
    async def tell(world: World) -> None:
        nodes = await world.pool(2000)
        assert all(is_true(node, "Ready") for node in nodes)
        writes, revision = world.fleet.writes, world.store.history.revision
        pods = [await world.pod(f"web-{number}", node["metadata"]["name"]) for number, node in enumerate(nodes)]
        await asyncio.sleep(20)
        assert all(is_true(world.get(pod), "Ready") for pod in pods)
        renewals = 2000 + 100  # 2,000 nodes renew their leases every 20 s
        assert world.fleet.writes - writes <= len(pods) + renewals
        assert world.store.history.revision - revision <= 2 * len(pods) + renewals
    story(tell)


def test_a_node_that_is_made_anew_takes_over_the_lease_of_its_earlier_life() -> None:
    """Or the collector would take the lease along with the node that was, and nobody would hear of the new one."""
    async def tell(world: World) -> None:
        name, said = "again", {"muster.dev/simulated": "true"}
        node: Obj = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": said}}
        key, lease = Key("nodes", "", name), Key("leases.coordination.k8s.io", "kube-node-lease", name)
        await world.client.create(node)
        await asyncio.sleep(1)
        assert [one["uid"] for one in owners_of(world.get(lease))] == [uid_of(world.get(key))]
        await world.client.delete(key)
        await world.client.create(node)
        await asyncio.sleep(1)
        assert [one["uid"] for one in owners_of(world.get(lease))] == [uid_of(world.get(key))]
    story(tell)
