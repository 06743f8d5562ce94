"""Laws of what goes along: with a namespace all that is in it and nothing else, with a node its pods."""
from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from small_world import World, a_daemonset, a_node, a_pod, told

from muster.api.errors import ApiError, Forbidden, NotFound
from muster.api.objects import Key, Obj

NAMES = ("red", "green", "blue")


def a_thing(rng: random.Random, namespace: str, number: int) -> Obj:
    metadata = {"name": f"thing-{number}", "namespace": namespace}
    labels = {"app": f"thing-{number}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    selected = {"selector": {"matchLabels": labels}, "template": template}
    return rng.choice([
        a_pod(f"thing-{number}", namespace), a_daemonset(f"thing-{number}", namespace),
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {**selected, "replicas": 2}},
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": {
            **selected, "serviceName": "s", "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": [{"port": 80}]}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim},
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"pods": "50"}}},
    ])


def contents(world: World, namespace: str) -> list[str]:
    return [f"{kind.resource} {name}" for kind in world.kinds.stored() if kind.namespaced
            for name in world.mirror.in_namespace(kind.resource, namespace)]


@pytest.mark.parametrize("seed", range(5))
def test_a_namespace_goes_with_all_that_is_in_it_and_nothing_else(seed: int) -> None:
    """Things are made up to the end, and after it: a namespace that is on its way refuses them."""
    async def main(world: World) -> None:
        rng = random.Random(seed)
        for node in ("n1", "n2"):
            await world.admin.create(a_node(node, pull="1s..1s", start="1s..1s", stop="1s..3s"))
        for name in NAMES:
            await world.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await asyncio.sleep(2)
        kept: dict[str, Obj] = {}
        gone: set[str] = set()
        for number in range(60):
            namespace = rng.choice(NAMES)
            if namespace != "blue" and rng.random() < .06 and namespace not in gone:
                gone.add(namespace)
                await world.admin.delete(Key("namespaces", "", namespace))
            try:
                made = await world.admin.create(a_thing(rng, namespace, number))
            except (Forbidden, NotFound):
                assert namespace in gone
            else:
                assert namespace not in gone, "nothing new in what is on its way"
                if namespace == "blue":
                    kept[f"{made['kind']} {made['metadata']['name']}"] = made
            await asyncio.sleep(rng.choice([0, 0.1, 2]))
        for namespace in ("red", "green"):
            with contextlib.suppress(ApiError):
                await world.admin.delete(Key("namespaces", "", namespace))
        await asyncio.sleep(120)
        for namespace in ("red", "green"):
            assert world.mirror.get(Key("namespaces", "", namespace)) is None
            assert contents(world, namespace) == []
        there = " ".join(contents(world, "blue"))
        assert kept and all(name.partition(" ")[2] in there for name in kept), "the others' things stay"

    told(main, seed)


@pytest.mark.parametrize("seed", range(5))
def test_no_pod_stays_on_a_node_that_is_gone(seed: int) -> None:
    """Nodes come and go, some under a name that was there before; what a controller wants is made anew elsewhere."""
    async def main(world: World) -> None:
        rng = random.Random(seed)
        names = [f"n{number}" for number in range(5)]
        await world.apply(a_daemonset("agent"))
        await world.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
                           "spec": {"replicas": 6, "selector": {"matchLabels": {"app": "web"}}, "template": {
                               "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "w:1"}]}}}})
        for number in range(30):
            name = rng.choice(names)
            if rng.random() < .2:
                await world.admin.create(a_pod(f"pinned-{number}", nodeName=rng.choice(names)))
            if world.mirror.get(Key("nodes", "", name)) is None:
                await world.admin.create(a_node(name, pull="1s..1s", start="1s..2s", stop="1s..3s"))
            else:
                await world.admin.delete(Key("nodes", "", name))
            await asyncio.sleep(rng.choice([0, 0.1, 3, 60]))
        if world.mirror.get(Key("nodes", "", "n0")) is None:
            await world.admin.create(a_node("n0"))
        await asyncio.sleep(300)
        nodes = sorted(name for _, name in world.mirror.objects("nodes"))
        pods = list(world.mirror.objects("pods").values())
        assert {pod["spec"].get("nodeName") for pod in pods} <= set(nodes)
        owners = sorted(pod["metadata"]["ownerReferences"][0]["kind"] for pod in pods if "ownerReferences" in pod["metadata"])
        assert owners == ["DaemonSet"] * len(nodes) + ["ReplicaSet"] * 6

    told(main, seed)
