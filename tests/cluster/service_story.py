"""Tells what a resolver and the two kinds of list say of a service, while its pods come, change and go."""
from __future__ import annotations

import asyncio
from typing import Any

from small_world import World, a_daemonset, a_node, found, told

from muster.api.objects import Key, Obj, name_of
from muster.network.directory import RESOURCES, Directory
from muster.network.dns import answer
from muster.store.history import Change

SLICES = "endpointslices.discovery.k8s.io"
HOME = "default.svc.cluster.local"


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps, each with what is seen after it."""
    async def main(world: World) -> list[dict[str, Any]]:
        directory = Directory()

        def hear(change: Change) -> None:
            directory.hear(change)

        for resource in RESOURCES:
            for obj in world.mirror.objects(resource).values():
                key = Key(resource, obj["metadata"].get("namespace", ""), name_of(obj))
                snapshot = world.store.get(key)
                directory.hear(Change(snapshot.revision, key, snapshot, None))
        world.mirror.on_change(hear, RESOURCES)
        for number in range(1, story["nodes"] + 1):
            await world.admin.create(a_node(f"n{number}", pull="1s..1s", start="1s..1s", ready="2s..2s", stop="3s..3s"))
        await asyncio.sleep(5)
        return [await step(world, directory, given) for given in story["steps"]]

    return told(main, seed=story["about"])


async def step(world: World, directory: Directory, given: dict[str, Any]) -> dict[str, Any]:
    match given["do"]:
        case {"daemonset": name}:
            await world.apply(a_daemonset(name))
        case {"service": service}:
            await world.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": service["name"]}, "spec": service["spec"]})
        case {"delete pod on": node}:
            (pod,) = [one for one in found(world, "pods") if one["spec"].get("nodeName") == node]
            await world.admin.delete(Key("pods", "default", name_of(pod)))
        case {"fail node": node}:
            await world.admin.patch(Key("nodes", "", node), {"metadata": {"annotations": {"muster.dev/fail": "true"}}})
        case {"delete service": name}:
            await world.admin.delete(Key("services", "default", name))
    await asyncio.sleep(given["for"])
    return {**given, "shows": shown(world, directory)}


def shown(world: World, directory: Directory) -> dict[str, Any]:
    where = {one["status"]["podIP"]: one["spec"]["nodeName"] for one in found(world, "pods") if one.get("status", {}).get("podIP")}
    return {
        "slices": [_slice(one, where) for one in found(world, SLICES)],
        "endpoints": {name_of(one): _endpoints(one, where) for one in found(world, "endpoints")},
        "names": {name: _names(directory, name, where) for name in ("agent", "front")},
    }


def _slice(slice_: Obj, where: dict[str, str]) -> str:
    said = [f"{where[one['addresses'][0]]} {' '.join(key for key, value in one['conditions'].items() if value) or '-'}"
            for one in slice_["endpoints"]]
    return f"{slice_['metadata']['generateName']}: {', '.join(sorted(said))}"


def _endpoints(endpoints: Obj, where: dict[str, str]) -> str:
    ready, others = (sorted(where[one["ip"]] for subset in endpoints.get("subsets", ()) for one in subset.get(field, ()))
                     for field in ("addresses", "notReadyAddresses"))
    return f"ready {' '.join(ready) or '-'}; not ready {' '.join(others) or '-'}"


def _names(directory: Directory, name: str, where: dict[str, str]) -> str:
    reply = answer(directory, f"{name}.{HOME}", "A")
    return " ".join(sorted(where.get(str(one.value), "the service's address") for one in reply.records)) or reply.code
