"""Plays a story about an autoscaler on a whole cluster in virtual time, and writes down what happened.

Every step says what it changes, the events it led to (with the seconds since its start), and how things stand then.
"""
from __future__ import annotations

import asyncio
from typing import Any

from stage import Stage, tell

from muster.api.kinds.horizontal_pod_autoscaler import HORIZONTAL_POD_AUTOSCALER, RESOURCE
from muster.api.objects import Key, from_time, is_true
from muster.api.tables import table

DEPLOYMENTS = "deployments.apps"
WEB = Key(DEPLOYMENTS, "default", "web")
USAGE = "muster.dev/usage"


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    async def begin(stage: Stage):
        await stage.nodes(2)
        await stage.client.create({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default", "annotations": {USAGE: story["usage"]}},
            "spec": {"replicas": story["replicas"], "selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                    {"name": "app", "image": "web:1", "resources": {"requests": story["requests"]}}]}}}})
        return Scene(stage).play

    return tell(story, begin)


class Scene:
    def __init__(self, stage: Stage):
        self._stage, self._client = stage, stage.client
        self._heard: list[str] = []
        stage.mirror.on_change(self._hear, ["events"])

    async def play(self, step: dict[str, Any]) -> dict[str, Any]:
        self._heard = []
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
        if event is None or event["involvedObject"]["kind"] != "HorizontalPodAutoscaler":
            return
        after_s = self._stage.after_s(from_time(event["lastTimestamp"]))
        self._heard.append(f"{after_s:.0f} s: {event['reason']}: {event['message']}")

    def _shows(self) -> dict[str, Any]:
        autoscaler = self._stage.mirror.get(Key(RESOURCE, "default", "web"))
        if autoscaler is None:
            return {}
        (row,) = table(HORIZONTAL_POD_AUTOSCALER, [autoscaler], self._stage.cluster.clock.now())["rows"]
        pods = self._stage.mirror.in_namespace("pods", "default").values()
        return {"row": " | ".join(map(str, row["cells"][:-1])), "ready pods": sum(is_true(pod, "Ready") for pod in pods),
                "conditions": [f"{one['type']} {one['status']} {one['reason']}"
                               for one in autoscaler["status"].get("conditions", ())]}
