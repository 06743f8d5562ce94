"""A node falls silent, in virtual time: ordinary pods leave it after five minutes, daemons stay and are there again."""
from __future__ import annotations

import asyncio

from muster.api.objects import Key, at, condition, is_deleting, labels_of
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import run_virtual
from muster.store.memory import MemoryStore
from rows import rows

FAIL = "muster.dev/fail"
KEYS = "node.kubernetes.io/"
DAEMON = {
    "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "default"},
    "spec": {"selector": {"matchLabels": {"app": "agent"}},
             "template": {"metadata": {"labels": {"app": "agent"}},
                          "spec": {"containers": [{"name": "main", "image": "agent:1"}]}}}}
ORDINARY = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
            "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "web:1"}]}}


class World:
    def __init__(self, cluster):
        self.cluster, self.client = cluster, cluster.client("kubernetes-admin")

    async def fail(self, yes: bool):
        await self.client.patch(Key("nodes", "", "n1"), {"metadata": {"annotations": {FAIL: "true" if yes else None}}})

    @property
    def node(self):
        return self.cluster.mirror.get(Key("nodes", "", "n1"))

    @property
    def taints(self):
        return {(one["key"].removeprefix(KEYS), one["effect"]) for one in at(self.node, "spec.taints", [])}

    def pods(self, app):
        return [pod for pod in self.cluster.mirror.objects("pods").values()
                if labels_of(pod)["app"] == app and pod["spec"].get("nodeName") == "n1"]

    def said(self, reason):
        return [one["message"] for one in self.cluster.mirror.objects("events").values() if one["reason"] == reason]


def play(story):
    async def told(clock):
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            world = World(cluster)
            for name in ("n1", "n2"):
                await world.client.create({"apiVersion": "v1", "kind": "Node", "metadata": {
                    "name": name, "annotations": {"muster.dev/simulated": "true"}}})
            await asyncio.sleep(5)
            await cluster.apply(DAEMON)
            await cluster.apply(ORDINARY)
            await asyncio.sleep(30)
            return await story(world)

    return run_virtual(told, seed="node loss")


@rows(49, 50, 57, 58)
def test_daemons_survive_a_node_that_is_not_heard_of():
    async def story(world):
        daemon, = world.pods("agent")
        await world.fail(True)
        await asyncio.sleep(40)
        assert world.taints == set(), "the grace period is not over"
        await asyncio.sleep(25)
        assert world.taints == {("unreachable", "NoExecute"), ("unreachable", "NoSchedule")}
        assert condition(world.node, "Ready")["status"] == "Unknown"
        assert [condition(pod, "Ready")["status"] for pod in world.pods("agent") + world.pods("web")] == ["False", "False"]
        assert world.said("TaintManagerEviction") == []
        await asyncio.sleep(270)
        assert not is_deleting(*world.pods("web")), "it tolerates this for five minutes"
        await asyncio.sleep(40)
        assert is_deleting(*world.pods("web")), "and waits for its node to say that it has ended"
        assert world.said("TaintManagerEviction") == ["Marking for deletion Pod default/web"]
        await asyncio.sleep(3600)
        left, = world.pods("agent")
        assert left["metadata"]["uid"] == daemon["metadata"]["uid"] and not is_deleting(left)

        await world.fail(False)
        await asyncio.sleep(60)
        assert world.taints == set()
        assert world.pods("web") == []
        back, = world.pods("agent")
        assert back["metadata"]["uid"] == daemon["metadata"]["uid"]
        assert condition(back, "Ready")["status"] == "True"

    play(story)


@rows(6, 58)
def test_the_pods_of_a_node_that_is_gone_for_good_are_collected():
    async def story(world):
        await world.fail(True)
        await asyncio.sleep(60)
        await world.client.delete(Key("nodes", "", "n1"))
        await asyncio.sleep(120)
        assert world.pods("agent") == world.pods("web") == []
        status = world.cluster.mirror.get(Key("daemonsets.apps", "default", "agent"))["status"]
        assert status["desiredNumberScheduled"] == status["numberAvailable"] == 1

    play(story)
