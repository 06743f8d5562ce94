"""Plays a story about a DaemonSet on a whole cluster in virtual time, and writes down what happened.

Pods are called by number, in the order they came: their real names are drawn by chance.  What happens at the
same instant is sorted by pod, so that a story does not depend on who was first within it.
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
from muster.control.revisions import RESOURCE as REVISIONS
from muster.control.revisions import number_of
from muster.controllers.daemonset_pods import node_of
from muster.store.memory import MemoryStore

KEY = Key("daemonsets.apps", "default", "agent")
SAME_INSTANT_S = 0.005
STATUS = {"desiredNumberScheduled": "desired", "currentNumberScheduled": "current", "numberReady": "ready",
          "updatedNumberScheduled": "up-to-date", "numberAvailable": "available",
          "numberMisscheduled": "misscheduled"}


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of the story, each with what it `does` and `shows`."""
    async def told(clock: Clock) -> list[dict[str, Any]]:
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            stage = Stage(cluster, story)
            await stage.set_up()
            return [await stage.play(step) for step in story["steps"]]

    return run_virtual(told, seed=story["about"])


class Stage:
    def __init__(self, cluster: Cluster, story: dict[str, Any]):
        self._cluster = cluster
        self._client = cluster.client("kubernetes-admin")
        self._story = story
        self._numbers: dict[str, str] = {}  # pod name -> "pod 3"
        self._heard: list[tuple[float, str]] = []
        self._said: dict[str, str] = {}
        cluster.mirror.on_change(self._hear)

    async def set_up(self) -> None:
        await self._cluster.create_missing(first_objects("127.0.0.1", 6443))
        for name, labels in self._story["nodes"].items():
            await self._node(name, labels)
        await asyncio.sleep(5)

    async def _node(self, name: str, labels: dict[str, str]) -> None:
        behaviour = {"pull": "1s..1s", "start": "1s..1s", "stop": "1s..1s", **self._story.get("behaviour", {})}
        await self._client.create({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": labels, "annotations": {
                "muster.dev/simulated": "true", "muster.dev/behaviour": json.dumps(behaviour)}}})

    # ---- what is done

    async def play(self, step: dict[str, Any]) -> dict[str, Any]:
        self._heard.clear()
        verb, given = next((verb, step[verb]) for verb in self._VERBS if verb in step)
        await self._VERBS[verb](self, given)
        await asyncio.sleep(step.get("for", 60))
        return {**step, "does": self._does(), "shows": self._shows()}

    async def _apply(self, manifest):
        await self._cluster.apply(manifest)

    async def _image(self, image):
        await self._strategic({"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": image}]}}}})

    async def _strategic(self, patch):
        await self._client.patch(KEY, patch, how="strategic")

    async def _undo(self, number):
        """As `kubectl rollout undo --to-revision=N`: the revision's data is the patch."""
        found = (await self._client.list(REVISIONS, "default")).items
        (data,) = [one["data"] for one in found if number_of(one) == number]
        await self._strategic(data)

    async def _delete(self, propagation):
        await self._client.delete(KEY, propagation=propagation)

    async def _delete_pod_on(self, node):
        (pod,) = [pod for pod in self._pods() if node_of(pod) == node]
        await self._client.delete(Key("pods", "default", name_of(pod)))

    async def _add_node(self, name):
        await self._node(name, {})

    async def _change_node(self, changes):
        for name, patch in changes.items():
            await self._client.patch(Key("nodes", "", name), patch, how="strategic")

    _VERBS = {"apply": _apply, "image": _image, "patch": _strategic, "undo": _undo, "delete": _delete,
              "delete pod on": _delete_pod_on, "add node": _add_node, "change nodes": _change_node}

    # ---- what is seen

    def _hear(self, change) -> None:
        pod = change.value or change.previous
        if change.key.resource != "pods":
            return
        name = name_of(pod)
        self._numbers.setdefault(name, f"pod {len(self._numbers) + 1}")
        state = "gone" if change.value is None else _state(pod)
        if self._said.get(name) != state:
            self._said[name] = state
            image = pod["spec"]["containers"][0]["image"]
            line = f"{self._numbers[name]} ({image} on {node_of(pod)}): {state}"
            self._heard.append((self._cluster.clock.now(), line))

    def _does(self) -> list[str]:
        lines: list[str] = []
        together: list[str] = []
        began = float("-inf")
        for when, line in self._heard:
            if when - began > SAME_INSTANT_S:
                lines += sorted(together, key=_number)
                together, began = [], when
            together.append(line)
        return lines + sorted(together, key=_number)

    def _pods(self):
        return [pod for pod in self._cluster.mirror.objects("pods").values() if not is_deleting(pod)]

    def _shows(self) -> dict[str, Any]:
        daemonset = self._cluster.mirror.get(KEY)
        shown: dict[str, Any] = {"pods": {
            node_of(pod): f"{self._numbers[name_of(pod)]}, {pod['spec']['containers'][0]['image']}"
            for pod in sorted(self._pods(), key=node_of)}}
        if daemonset is not None:
            status = daemonset.get("status") or {}
            shown["status"] = {short: status.get(field, 0) for field, short in STATUS.items()}
            shown["template generation"] = annotations_of(daemonset).get("deprecated.daemonset.template.generation")
        shown["revisions"] = sorted(number_of(one) for one in self._cluster.mirror.objects(REVISIONS).values())
        shown["events"] = self._events()
        return shown

    def _events(self) -> list[str]:
        found = [event for event in self._cluster.mirror.objects("events").values()
                 if event["source"]["component"] == "daemonset-controller"]
        lines = [f"{event['type']} {event['reason']} {self._numbered(event['message'])}" for event in found]
        return sorted(dict.fromkeys(lines), key=_by_number)

    def _numbered(self, message: str) -> str:
        return re.sub(r"agent-[a-z0-9]{5}", lambda found: self._numbers.get(found[0], found[0]), message)


def _state(pod) -> str:
    if is_deleting(pod):
        return "stopped" if pod["status"].get("phase") in ("Succeeded", "Failed") else "ending"
    waiting = [one["state"]["waiting"]["reason"] for one in pod.get("status", {}).get("containerStatuses") or ()
               if "waiting" in one.get("state", {})]
    if is_true(pod, "Ready"):
        return "ready"
    if waiting and waiting[0] in ("ErrImagePull", "ImagePullBackOff"):
        return "can not pull"
    return "waits" if pod.get("status", {}).get("phase", "Pending") == "Pending" else pod["status"]["phase"].lower()


def _number(line: str) -> int:
    return _by_number(line)[0]


def _by_number(line: str) -> tuple[int, str]:
    found = re.search(r"pod (\d+)", line)
    return int(found[1]) if found else 0, line


