"""Plays a story about an autoscaler on a whole cluster in virtual time, and writes down what happened.

Every step says what it changes, the events it led to (with the seconds since its start), and how things stand then.
"""
from __future__ import annotations

import asyncio
import json
from typing import Any

from muster.api.kinds.horizontal_pod_autoscaler import HORIZONTAL_POD_AUTOSCALER, RESOURCE
from muster.api.objects import Key, from_time, is_true
from muster.api.tables import table
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import Clock, run_virtual
from muster.store.memory import MemoryStore

DEPLOYMENTS = "deployments.apps"
WEB = Key(DEPLOYMENTS, "default", "web")
USAGE = "muster.dev/usage"


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
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
        self._heard: list[str] = []
        self._began = 0.0
        cluster.mirror.on_change(self._hear)

    async def set_up(self, story: dict[str, Any]) -> None:
        await self._cluster.create_missing(first_objects("127.0.0.1", 6443))
        behaviour = {"pull": "1s..1s", "start": "1s..1s", "stop": "1s..1s"}
        for name in ("n1", "n2"):
            await self._client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": {
                "muster.dev/simulated": "true", "muster.dev/behaviour": json.dumps(behaviour)}}})
        await self._client.create({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default", "annotations": {USAGE: story["usage"]}},
            "spec": {"replicas": story["replicas"], "selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                    {"name": "app", "image": "web:1", "resources": {"requests": story["requests"]}}]}}}})
        await asyncio.sleep(5)

    async def play(self, step: dict[str, Any]) -> dict[str, Any]:
        self._began, self._heard = self._cluster.clock.now(), []
        if "autoscaler" in step:
            await self._client.create({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {
                "name": "web", "namespace": "default"}, "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                    **step["autoscaler"]}})
        if "usage" in step:
            await self._client.patch(WEB, {"metadata": {"annotations": {USAGE: step["usage"]}}})
        if "replicas" in step:
            await self._client.patch(WEB, {"spec": {"replicas": step["replicas"]}})
        if "spec" in step:
            await self._client.patch(Key(RESOURCE, "default", "web"), {"spec": step["spec"]})
        await asyncio.sleep(step["for"])
        return {**step, "does": self._heard, "shows": self._shows()}

    def _hear(self, change) -> None:
        event = change.value
        if change.key.resource != "events" or event is None or event["involvedObject"]["kind"] != "HorizontalPodAutoscaler":
            return
        after_s = from_time(event["lastTimestamp"]) - self._began
        self._heard.append(f"{after_s:.0f} s: {event['reason']}: {event['message']}")

    def _shows(self) -> dict[str, Any]:
        autoscaler = self._cluster.mirror.get(Key(RESOURCE, "default", "web"))
        if autoscaler is None:
            return {}
        (row,) = table(HORIZONTAL_POD_AUTOSCALER, [autoscaler], self._cluster.clock.now())["rows"]
        pods = self._cluster.mirror.in_namespace("pods", "default").values()
        return {"row": " | ".join(map(str, row["cells"][:-1])), "ready pods": sum(is_true(pod, "Ready") for pod in pods),
                "conditions": [f"{one['type']} {one['status']} {one['reason']}"
                               for one in autoscaler["status"].get("conditions", ())]}
