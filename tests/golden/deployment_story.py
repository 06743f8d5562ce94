"""Plays a story about a Deployment on a whole cluster in virtual time, and writes down what happened.

ReplicaSets and pods are called by their images: their real names are hashes, or drawn by chance.
"""
from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from muster.api.objects import Key, annotations_of, is_deleting, is_true, name_of
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import Clock, run_virtual
from muster.controllers.deployment_sets import HISTORY, REVISION
from muster.store.memory import MemoryStore

KEY = Key("deployments.apps", "default", "web")
SETS = "replicasets.apps"
NUMBERS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of the story, each with what it `does` and `shows`."""
    async def told(clock: Clock) -> list[dict[str, Any]]:
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            stage = Stage(cluster)
            await stage.set_up(story)
            return [await stage.play(step) for step in story["steps"]]

    return run_virtual(told, seed=story["about"])


class Stage:
    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self._client = cluster.client("kubernetes-admin")
        self._images: dict[str, str] = {}  # of ReplicaSets, by name
        self._fewest = self._most = 0
        cluster.mirror.on_change(self._hear)

    async def set_up(self, story: dict[str, Any]) -> None:
        await self._cluster.create_missing(first_objects("127.0.0.1", 6443))
        behaviour = {"pull": "1s..1s", "start": "1s..1s", "stop": "1s..1s", **story.get("behaviour", {})}
        for number in range(1, story["nodes"] + 1):
            await self._client.create({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": f"n{number}", "annotations": {
                    "muster.dev/simulated": "true", "muster.dev/behaviour": json.dumps(behaviour)}}})
        await asyncio.sleep(5)

    async def play(self, step: dict[str, Any]) -> dict[str, Any]:
        before = set(self._events())
        self._fewest, self._most = self._counts()
        if "apply" in step:
            await self._cluster.apply(step["apply"])
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
        pods = [pod for pod in self._cluster.mirror.objects("pods").values() if not is_deleting(pod)]
        return sum(is_true(pod, "Ready") for pod in pods), len(pods)

    def _sets(self):
        return [one for _, one in sorted(self._cluster.mirror.objects(SETS).items())]

    def _events(self) -> list[str]:
        found = [event for event in self._cluster.mirror.objects("events").values()
                 if event["source"]["component"] == "deployment-controller"]
        found.sort(key=lambda event: (event["firstTimestamp"], event["metadata"]["name"]))
        return [re.sub(r"web-[a-z0-9]+", lambda name: f"of {self._images[name[0]]}", event["message"]) for event in found]

    def _shows(self) -> dict[str, Any]:
        deployment = self._cluster.mirror.get(KEY)
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
