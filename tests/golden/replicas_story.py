"""Plays a story about a ReplicaSet, ReplicationController or StatefulSet `web`, and writes down what became of its pods.

Lines are `seconds pod (image): state`, and `seconds web: numbers; conditions` as the set's status comes to say so.
A step may apply manifests, patch or delete the set, label, annotate or delete pods.
"""
from __future__ import annotations

import asyncio
from typing import Any

from stage import Cast, Stage, by_number, image_of, tell

from muster.api.objects import Key, at, condition, is_deleting, name_of, owners_of

NUMBERS = {"replicas": "pods", "updatedReplicas": "updated", "readyReplicas": "ready", "availableReplicas": "available"}
CLAIMS, REVISIONS = "persistentvolumeclaims", "controllerrevisions.apps"


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    async def begin(stage: Stage):
        await stage.nodes(story["nodes"])
        return Scene(stage, Key(story["set"], "default", "web")).play

    return tell(story, begin)


class Scene:
    def __init__(self, stage: Stage, key: Key):
        self._stage, self._client, self._key = stage, stage.client, key
        self._cast = Cast(stage, image_of)
        self._told: list[str] = []
        self._last = ""
        stage.mirror.on_change(self._hear, [key.resource])

    async def play(self, step: dict[str, Any]) -> dict[str, Any]:
        self._cast.forget()
        self._told.clear()
        for manifest in step.get("apply", ()):
            await self._stage.cluster.apply(manifest)
        if "patch" in step:
            await self._client.patch(self._key, step["patch"], how="strategic")
        if "delete" in step:
            await self._client.delete(self._key, propagation=step["delete"])
        for pod, change in step.get("pods", {}).items():
            await self._client.patch(Key("pods", "default", self._cast.named(pod)), {"metadata": change})
        for pod in step.get("delete pods", ()):
            await self._client.delete(Key("pods", "default", self._cast.named(pod)))
        await asyncio.sleep(step.get("for", 60))
        return {**step, "does": self._cast.lines(self._stage.began), "says": list(self._told), "shows": self._shows()}

    def _hear(self, change: Any) -> None:
        said = "gone" if change.value is None else self._status(change.value)
        if said != self._last:
            self._last = said
            self._told.append(f"{self._stage.now_s:.0f} {said}")

    def _status(self, obj: Any) -> str:
        status = obj.get("status") or {}
        numbers = ", ".join(f"{status[field]} {word}" for field, word in NUMBERS.items() if status.get(field)) or "-"
        failure = condition(obj, "ReplicaFailure")
        return numbers if failure is None else f"{numbers}; {failure['reason']}: {failure['message'].partition(': ')[2]}"

    def _shows(self) -> dict[str, Any]:
        mirror = self._stage.mirror
        pods = [pod for pod in mirror.objects("pods").values() if not is_deleting(pod)]
        shown: dict[str, Any] = {"pods": sorted((f"{self._cast.called(name_of(pod))}: {image_of(pod)}, {self._owner(pod)}"
                                                 for pod in pods), key=by_number)}
        claims = mirror.objects(CLAIMS).values()
        if claims:
            shown["claims"] = [f"{name_of(one)}: {at(one, 'status.phase')} {at(one, 'spec.volumeName')[:3]}, "
                               f"{self._owner(one)}" for one in sorted(claims, key=name_of)]
        if revisions := mirror.objects(REVISIONS).values():
            shown["revisions"] = sorted(one["revision"] for one in revisions)
        return shown

    @staticmethod
    def _owner(obj: Any) -> str:
        return " and ".join(f"of {one['kind']} {one['name']}" for one in owners_of(obj)) or "nobody's"
