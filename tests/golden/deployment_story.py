"""Plays a story about a Deployment on a whole cluster in virtual time, and writes down what happened.

ReplicaSets and pods are called by their images: their real names are hashes, or drawn by chance.
"""
from __future__ import annotations

import asyncio
import re
from typing import Any

from stage import Stage, tell

from muster.api.objects import Key, annotations_of, is_deleting, is_true, name_of
from muster.controllers.deployment_sets import HISTORY, REVISION

KEY = Key("deployments.apps", "default", "web")
SETS = "replicasets.apps"
NUMBERS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of the story, each with what it `does` and `shows`."""
    async def begin(stage: Stage):
        await stage.nodes(story["nodes"])
        return Scene(stage).play

    return tell(story, begin)


class Scene:
    def __init__(self, stage: Stage):
        self._stage, self._client, self._mirror = stage, stage.client, stage.mirror
        self._images: dict[str, str] = {}  # of ReplicaSets, by name
        self._fewest = self._most = 0
        stage.mirror.on_change(self._hear)

    async def play(self, step: dict[str, Any]) -> dict[str, Any]:
        before = set(self._events())
        self._fewest, self._most = self._counts()
        if "apply" in step:
            await self._stage.cluster.apply(step["apply"])
        elif "image" in step:
            container = {"name": "web", "image": step["image"]}
            await self._patch({"spec": {"template": {"spec": {"containers": [container]}}}})
        elif "undo" in step:
            await self._undo(step["undo"])
        else:
            await self._patch(step["patch"])
        await asyncio.sleep(step.get("for", 60))
        return {**step, "does": [line for line in self._events() if line not in before], "shows": self._shows()}

    async def _patch(self, patch: dict[str, Any]) -> None:
        await self._client.patch(KEY, patch, how="strategic")

    async def _undo(self, number: int) -> None:
        """As `kubectl rollout undo --to-revision=N`: the template of that number's ReplicaSet, without the hash."""
        (found,) = [one for one in self._sets() if annotations_of(one)[REVISION] == str(number)]
        template = found["spec"]["template"]
        labels = {key: value for key, value in template["metadata"]["labels"].items() if key != "pod-template-hash"}
        template = {**template, "metadata": {**template["metadata"], "labels": labels}}
        await self._client.patch(KEY, [{"op": "replace", "path": "/spec/template", "value": template}], how="json")

    def _hear(self, change) -> None:
        if change.key.resource == SETS and change.value is not None:
            self._images[change.key.name] = change.value["spec"]["template"]["spec"]["containers"][0]["image"]
        if change.key.resource == "pods":
            ready, there = self._counts()
            self._fewest, self._most = min(self._fewest, ready), max(self._most, there)

    def _counts(self) -> tuple[int, int]:
        pods = [pod for pod in self._mirror.objects("pods").values() if not is_deleting(pod)]
        return sum(is_true(pod, "Ready") for pod in pods), len(pods)

    def _sets(self):
        return [one for _, one in sorted(self._mirror.objects(SETS).items())]

    def _events(self) -> list[str]:
        found = [event for event in self._mirror.objects("events").values()
                 if event["source"]["component"] == "deployment-controller"]
        found.sort(key=lambda event: (event["firstTimestamp"], event["metadata"]["name"]))
        return [re.sub(r"web-[a-z0-9]+", lambda name: f"of {self._images[name[0]]}", event["message"]) for event in found]

    def _shows(self) -> dict[str, Any]:
        deployment = self._mirror.get(KEY)
        status = deployment["status"]
        return {
            "fewest ready, most there": [self._fewest, self._most],
            "revision": annotations_of(deployment)[REVISION],
            "sets": {self._images[name_of(one)]: self._set(one) for one in
                     sorted(self._sets(), key=lambda one: int(annotations_of(one)[REVISION]))},
            "status": {field: status[field] for field in NUMBERS if field in status},
            "conditions": sorted(f"{one['type']} {one['status']} {one['reason']}" for one in status["conditions"]),
        }

    @staticmethod
    def _set(one) -> str:
        annotations = annotations_of(one)
        former = f" (was {annotations[HISTORY]})" if HISTORY in annotations else ""
        return f"revision {annotations[REVISION]}{former}, {one['spec']['replicas']} pods"
