"""Nodes that run out of memory: who goes, who stays, what is told, and when it is over."""
from __future__ import annotations

import asyncio
import json

from small_world import a_node, found, told

from muster.api.objects import Key, condition, is_true

USAGE = "muster.dev/usage"


def a_small_node(name: str = "n1"):
    node = a_node(name, pull="0s..0s", start="0s..0s", stop="0s..0s")
    return {**node, "status": {"capacity": {"cpu": "4", "memory": "1000Mi", "pods": "110", "ephemeral-storage": "10Gi"}}}


def a_deployment(name: str, usage: str, replicas: int, request: str = "100Mi"):
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default", "annotations": {USAGE: usage}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}}, "spec": {"containers": [
                    {"name": "app", "image": "web:1", "resources": {"requests": {"memory": request}}}]}}}}


async def with_room(world, node: str, memory: str):
    """The machine is this large."""
    there = found(world, "nodes")
    status = next(one["status"] for one in there if one["metadata"]["name"] == node)
    await world.admin.patch(Key("nodes", "", node), {"status": {"capacity": {**status["capacity"], "memory": memory}}},
                            subresource="status")


def events(world, reason: str) -> list[str]:
    return [one["message"] for one in found(world, "events") if one["reason"] == reason]


def test_a_leak_is_evicted_and_the_node_recovers():
    async def story(world):
        await world.admin.create(a_small_node())
        await asyncio.sleep(5)
        await with_room(world, "n1", "1000Mi")
        await world.admin.create(a_deployment("calm", "memory=90Mi", 2))
        await world.admin.create(a_deployment("leak", "memory=100Mi", 1))
        await asyncio.sleep(30)
        assert not is_true(world.mirror.get(Key("nodes", "", "n1")), "MemoryPressure")
        # Its memory grows: no rollout, the same pod.
        await world.admin.patch(Key("deployments.apps", "default", "leak"), {"metadata": {"annotations": {USAGE: "memory=800Mi"}}})
        await asyncio.sleep(15)
        node = world.mirror.get(Key("nodes", "", "n1"))
        pods = found(world, "pods", "default")
        evicted = [one for one in pods if one["status"].get("reason") == "Evicted"]
        pending = [one for one in pods if one["status"]["phase"] == "Pending"]
        taints = [(one["key"], one["effect"]) for one in node["spec"].get("taints", ())]
        await world.admin.patch(Key("deployments.apps", "default", "leak"), {"metadata": {"annotations": {USAGE: "memory=90Mi"}}})
        await asyncio.sleep(310)
        after = world.mirror.get(Key("nodes", "", "n1"))
        running = [one["metadata"]["labels"]["app"] for one in found(world, "pods", "default")
                   if one["status"]["phase"] == "Running"]
        return node, evicted, pending, taints, after, sorted(running), events(world, "Evicted"), {
            reason: len(events(world, reason)) for reason in ("NodeHasInsufficientMemory", "NodeHasSufficientMemory")}

    node, evicted, pending, taints, after, running, messages, node_events = told(story)
    found_now = condition(node, "MemoryPressure")
    assert (found_now["status"], found_now["reason"]) == ("True", "KubeletHasInsufficientMemory")
    assert taints == [("node.kubernetes.io/memory-pressure", "NoSchedule")]
    (pod,) = evicted
    assert pod["metadata"]["labels"]["app"] == "leak" and pod["status"]["phase"] == "Failed"
    said = ("The node was low on resource: memory. Threshold quantity: 100Mi, available: 0. Container app was using 800Mi, "
            "request is 100Mi, has larger consumption of memory. ")
    assert pod["status"]["message"] == said and messages == [said]
    target = condition(pod, "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")
    (ended,) = pod["status"]["containerStatuses"]
    assert ended["state"]["terminated"]["exitCode"] == 137 and not ended["ready"]
    assert [one["metadata"]["labels"]["app"] for one in pending] == ["leak"], "its successor waits for the taint to go"
    assert condition(after, "MemoryPressure")["status"] == "False" and "taints" not in after["spec"]
    assert running == ["calm", "calm", "leak"]
    assert node_events == {"NodeHasInsufficientMemory": 1, "NodeHasSufficientMemory": 1}


def test_a_node_of_which_nothing_is_said_is_not_looked_at():
    async def story(world):
        await world.admin.create(a_small_node())
        await asyncio.sleep(5)
        await with_room(world, "n1", "1000Mi")
        await world.admin.create(a_deployment("quiet", "", 3))
        await world.admin.patch(Key("deployments.apps", "default", "quiet"), {"metadata": {"annotations": {USAGE: None}}})
        await asyncio.sleep(30)
        return [one for machine in world.fleet._machines.values() for one in machine.timers]

    assert "pressure" not in told(story)


def test_a_pool_may_say_what_its_containers_use():
    async def story(world):
        node = a_small_node()
        await world.admin.create(node)
        await asyncio.sleep(5)
        await with_room(world, "n1", "1000Mi")
        deployment = a_deployment("web", "", 4)
        del deployment["metadata"]["annotations"]
        await world.admin.create(deployment)
        await asyncio.sleep(20)
        behaviour = json.dumps({"usage": {"memory": "230%"}})
        await world.admin.patch(Key("nodes", "", "n1"), {"metadata": {"annotations": {"muster.dev/behaviour": behaviour}}})
        await asyncio.sleep(12)
        return [one["status"].get("reason") for one in found(world, "pods", "default")].count("Evicted")

    assert told(story) == 1
