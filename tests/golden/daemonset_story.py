"""Plays a story about a DaemonSet on a whole cluster in virtual time, and writes down what happened."""
from __future__ import annotations

import asyncio
import re
from typing import Any

from stage import Cast, Stage, by_number, image_of, tell

from muster.api.objects import Key, annotations_of, is_deleting, name_of
from muster.control.revisions import RESOURCE as REVISIONS
from muster.control.revisions import number_of
from muster.controllers.daemonset_pods import node_of

KEY = Key("daemonsets.apps", "default", "agent")
STATUS = {"desiredNumberScheduled": "desired", "currentNumberScheduled": "current", "numberReady": "ready",
          "updatedNumberScheduled": "up-to-date", "numberAvailable": "available",
          "numberMisscheduled": "misscheduled"}


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of the story, each with what it `does` and `shows`."""
    async def begin(stage: Stage):
        for name, labels in story["nodes"].items():
            await stage.node(name, labels)
        return Scene(stage).play

    return tell(story, begin)


class Scene:
    def __init__(self, stage: Stage):
        self._stage, self._client, self._mirror = stage, stage.client, stage.mirror
        self._cast = Cast(stage, lambda pod: f"{image_of(pod)} on {node_of(pod)}")

    # ---- what is done

    async def play(self, step: dict[str, Any]) -> dict[str, Any]:
        self._cast.forget()
        verb, given = next((verb, step[verb]) for verb in self._VERBS if verb in step)
        await self._VERBS[verb](self, given)
        await asyncio.sleep(step.get("for", 60))
        return {**step, "does": self._cast.lines(), "shows": self._shows()}

    async def _apply(self, manifest):
        await self._stage.cluster.apply(manifest)

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
        await self._stage.node(name)

    async def _change_node(self, changes):
        for name, patch in changes.items():
            await self._client.patch(Key("nodes", "", name), patch, how="strategic")

    _VERBS = {"apply": _apply, "image": _image, "patch": _strategic, "undo": _undo, "delete": _delete,
              "delete pod on": _delete_pod_on, "add node": _add_node, "change nodes": _change_node}

    # ---- what is seen

    def _pods(self):
        return [pod for pod in self._mirror.objects("pods").values() if not is_deleting(pod)]

    def _shows(self) -> dict[str, Any]:
        daemonset = self._mirror.get(KEY)
        shown: dict[str, Any] = {"pods": {
            node_of(pod): f"{self._cast.called(name_of(pod))}, {image_of(pod)}"
            for pod in sorted(self._pods(), key=node_of)}}
        if daemonset is not None:
            status = daemonset.get("status") or {}
            shown["status"] = {short: status.get(field, 0) for field, short in STATUS.items()}
            shown["template generation"] = annotations_of(daemonset).get("deprecated.daemonset.template.generation")
        shown["revisions"] = sorted(number_of(one) for one in self._mirror.objects(REVISIONS).values())
        shown["events"] = self._events()
        return shown

    def _events(self) -> list[str]:
        found = [event for event in self._mirror.objects("events").values()
                 if event["source"]["component"] == "daemonset-controller"]
        lines = [f"{event['type']} {event['reason']} {self._numbered(event['message'])}" for event in found]
        return sorted(dict.fromkeys(lines), key=by_number)

    def _numbered(self, message: str) -> str:
        return re.sub(r"agent-[a-z0-9]{5}", lambda found: self._cast.called(found[0]), message)
