"""Plays a story about evictions on a whole cluster in virtual time, and writes down who went when, and who was refused.

Steps evict pods (all named in one step come together), drain nodes as kubectl does (who is refused is asked again
every five seconds), let nodes fall silent and come back, or change an object.
"""
from __future__ import annotations

import asyncio
from typing import Any

from stage import Stage, tell

from muster.api.errors import ApiError, NotFound
from muster.api.objects import Key, at, condition, controller_of, is_deleting, is_true

BUDGETS = "poddisruptionbudgets.policy"
RETRY_S = 5.0


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    async def begin(stage: Stage):
        await stage.nodes(story["nodes"])
        return Scene(stage).play

    return tell({**story, "behaviour": {"stop": "2s..2s", **story.get("behaviour", {})}}, begin)


class Scene:
    def __init__(self, stage: Stage):
        self._stage, self._client, self._mirror = stage, stage.client, stage.mirror
        self._lines: list[str] = []
        stage.cluster.store.history.on_append(self._hear)

    async def play(self, step: dict[str, Any]) -> dict[str, Any]:
        self._lines = []
        for obj in step.get("apply", ()):
            await self._stage.cluster.apply(obj)
        if "patch" in step:
            await self._client.patch(Key(step["of"], "default", step["named"]), step["patch"])
        for node in step.get("lose", ()):
            await self._fail(node, "true")
        for node in step.get("find", ()):
            await self._fail(node, None)
        async with asyncio.TaskGroup() as group:
            for pod in step.get("evict", ()):
                group.create_task(self._evict(pod))
            for node in step.get("drain", ()):
                group.create_task(self._drain(node))
            group.create_task(asyncio.sleep(step.get("for", 30)))
        return {**step, "does": self._lines, "shows": self._shows()}

    async def _fail(self, node: str, value: str | None) -> None:
        await self._client.patch(Key("nodes", "", node), {"metadata": {"annotations": {"muster.dev/fail": value}}})

    async def _evict(self, pod: str) -> bool:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}}
        try:
            await self._client.create(body, subresource="eviction")
        except NotFound:
            return True
        except ApiError as error:
            why = "; ".join(cause["message"] for cause in error.details.get("causes", ())) or error.message
            self._say(f"{pod} is not evicted: {error.code} {why}")
            return False
        return True

    async def _drain(self, node: str) -> None:
        await self._client.patch(Key("nodes", "", node), {"spec": {"unschedulable": True}})
        left = sorted(key.name for key, pod in self._mirror.on_node(node).items()
                      if (controller_of(pod) or {}).get("kind") != "DaemonSet")
        while left:
            left = [pod for pod in left if not await self._evict(pod)]
            if left:
                await asyncio.sleep(RETRY_S)
        self._say(f"{node} is drained")

    def _say(self, text: str) -> None:
        self._lines.append(f"{self._stage.now_s:.1f} {text}")

    def _hear(self, changes) -> None:
        for change in changes:
            old, new, name = change.previous or {}, change.value, change.key.name
            match change.key.resource:
                case "pods":
                    self._hear_pod(name, old, new)
                case "poddisruptionbudgets.policy" if new is not None and at(old, "status") != new["status"]:
                    self._say(f"budget {name}: {self._counted(new)}")
                case "nodes" if new is not None:
                    for taint in _evicting(new):
                        if taint not in _evicting(old):
                            self._say(f"{name}: its pods have to leave, {taint}")

    def _hear_pod(self, name, old, new) -> None:
        if new is None:
            self._say(f"{name} is gone")
            return
        target = condition(new, "DisruptionTarget")
        if target is not None and target != condition(old, "DisruptionTarget"):
            self._say(f"{name} is told: {target['reason']}")
        if is_deleting(new) and not (old and is_deleting(old)):
            self._say(f"{name} ends")
        elif is_true(new, "Ready") and not is_true(old, "Ready"):
            self._say(f"{name} is ready on {new['spec']['nodeName']}")

    @staticmethod
    def _counted(budget) -> str:
        status = budget["status"]
        promised = f", {' '.join(sorted(status['disruptedPods']))} promised" if "disruptedPods" in status else ""
        return (f"{status['disruptionsAllowed']} allowed, {status['currentHealthy']} healthy, {status['desiredHealthy']} wanted"
                f"{promised}")

    def _shows(self) -> dict[str, Any]:
        pods = sorted(self._mirror.objects("pods").items())
        return {"pods": {place[1]: at(pod, "spec.nodeName", "nowhere") for place, pod in pods},
                "budgets": {place[1]: self._counted(one) for place, one in sorted(self._mirror.objects(BUDGETS).items())}}


def _evicting(node) -> list[str]:
    return [taint["key"].rpartition("/")[2] for taint in at(node, "spec.taints", ()) if taint["effect"] == "NoExecute"]
