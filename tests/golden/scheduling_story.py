"""Plays a story about where pods go on a whole cluster in virtual time, and writes down what was told and when.

Lines are `seconds who: what`: a pod that gets its node, one that is told why it gets none, a claim that is told where its
pod will run, a pod that ends.  Of Deployments only how many pods are in which zone is written down.
"""
from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from stage import Stage, tell

from muster.api.objects import Key, annotations_of, at, condition, is_deleting, labels_of, name_of, owners_of

SELECTED, ZONE, HOST = "volume.kubernetes.io/selected-node", "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    room = {"cpu": "4", "memory": "8Gi", "pods": "110"}

    async def begin(stage: Stage):
        for name, zone in story["nodes"].items():
            await stage.node(name, {ZONE: zone, HOST: name}, {"muster.dev/capacity": json.dumps({"cpu": "4"})},
                             status={"capacity": room, "allocatable": room})
        return lambda step: _step(stage, step)

    return tell(story, begin)


async def _step(stage: Stage, step: dict[str, Any]) -> dict[str, Any]:
    lines = []

    def hear(change: Any) -> None:
        if (said := _said(change)) and not owners_of(change.value or change.previous):
            lines.append(f"{stage.now_s:.0f} {said}")

    stage.mirror.on_change(hear, ["pods", "persistentvolumeclaims"])
    for one in step.get("apply", ()):
        await stage.cluster.apply(one)
    for resource, name in step.get("delete", ()):
        await stage.client.delete(Key(resource, "default", name))
    await asyncio.sleep(step.get("for", 30))
    zones = {name: labels_of(node)[ZONE] for (_, name), node in stage.mirror.objects("nodes").items()}
    owned = Counter((labels_of(pod)["app"], zones.get(at(pod, "spec.nodeName", ""), "nowhere"))
                    for pod in stage.mirror.objects("pods").values() if owners_of(pod))
    failed = {name_of(one["involvedObject"] | {"metadata": one["involvedObject"]}): one["count"]
              for one in stage.mirror.objects("events").values() if one["reason"] == "FailedScheduling"}
    return {**step, "does": list(lines), **({"zones": [f"{app} {zone}: {count}" for (app, zone), count in sorted(owned.items())]}
                                      if owned else {}), **({"told so often": dict(sorted(failed.items()))} if failed else {})}


def _said(change: Any) -> str:
    old, new = change.previous or {}, change.value
    name = change.key.name
    if new is None:
        return f"{name} is gone"
    if change.key.resource == "persistentvolumeclaims":
        where, volume = annotations_of(new).get(SELECTED), at(new, "status.phase") == "Bound"
        if where and (not old or annotations_of(old).get(SELECTED) != where):
            return f"claim {name}: selected {where}"
        return f"claim {name}: bound" if volume and at(old, "status.phase") != "Bound" else ""
    if at(new, "spec.nodeName") and not at(old, "spec.nodeName"):
        return f"{name} goes to {new['spec']['nodeName']}"
    if is_deleting(new) and not (old and is_deleting(old)):
        return f"{name} ends: {(condition(new, 'DisruptionTarget') or {}).get('reason', 'deleted')}"
    message, before = (condition(new, "PodScheduled") or {}).get("message"), (condition(old, "PodScheduled") or {}).get("message")
    if message and message != before:
        return f"{name}: {message}"
    nominated = at(new, "status.nominatedNodeName")
    return f"{name} is nominated for {nominated}" if nominated and at(old, "status.nominatedNodeName") != nominated else ""
