"""What all stories here are played on: a whole cluster in virtual time, with its first objects and a few quick nodes.

`tell` sets it up and plays the steps; a story's own module says what a step changes and what is seen of it.

    Stage   the cluster, the user's client, the seconds since the step began, nodes
    Cast    the pods by name, or by number in the order they came where chance drew their names; what became of them
"""
from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from muster.api.objects import Obj, is_deleting, is_true, name_of
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import Clock, run_virtual
from muster.store.memory import MemoryStore

Step = dict[str, Any]
SAME_INSTANT_S = 0.005
QUICK = {"pull": "1s..1s", "start": "1s..1s", "stop": "1s..1s"}


class Stage:
    def __init__(self, cluster: Cluster, story: dict[str, Any]):
        self.cluster, self.mirror = cluster, cluster.mirror
        self.client = cluster.client("kubernetes-admin")
        self.behaviour: dict[str, Any] = {**QUICK, **story.get("behaviour", {})}
        self.began = cluster.clock.now()

    def begin(self) -> None:
        self.began = self.cluster.clock.now()

    @property
    def now_s(self) -> float:
        """Since the step began."""
        return self.cluster.clock.now() - self.began

    def after_s(self, when: float) -> float:
        return when - self.began

    async def node(self, name: str, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None,
                   **more: Any) -> None:
        """A simulated node that behaves as the story says."""
        await self.client.create({"apiVersion": "v1", "kind": "Node", **more, "metadata": {
            "name": name, "labels": labels or {}, "annotations": {
                "muster.dev/simulated": "true", "muster.dev/behaviour": json.dumps(self.behaviour), **(annotations or {})}}})

    async def nodes(self, count: int) -> None:
        for number in range(1, count + 1):
            await self.node(f"n{number}")


def tell(story: dict[str, Any], begin: Callable[[Stage], Awaitable[Callable[[Step], Awaitable[Step]]]]) -> list[Step]:
    """The steps of the story, each with what is seen of it.  `begin` makes what is there at first, and says how a step
    is played."""
    async def told(clock: Clock) -> list[Step]:
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            stage = Stage(cluster, story)
            play = await begin(stage)
            await asyncio.sleep(5)
            done = []
            for step in story["steps"]:
                stage.begin()
                done.append(await play(step))
            return done

    return run_virtual(told, seed=story["about"])


class Cast:
    """Hears of pods.  What happens at the same instant is sorted by pod, so that a story does not depend on who was
    first within it."""

    def __init__(self, stage: Stage, described: Callable[[Obj], str]):
        self._stage, self._described = stage, described
        self._numbers: dict[str, str] = {}  # pod name -> "pod 3"
        self._heard: list[tuple[float, str, str]] = []  # when, who, what became of it
        self._said: dict[str, str] = {}
        stage.mirror.on_change(self._hear, ["pods"])

    def called(self, name: str) -> str:
        return self._numbers.get(name, name)

    def named(self, called: str) -> str:
        return next((name for name, number in self._numbers.items() if number == called), called)

    def lines(self, since_s: float | None = None) -> list[str]:
        """What became of whom; with the seconds since the step began where `since_s` says when that was."""
        lines: list[str] = []
        together: list[tuple[str, str]] = []
        began = float("-inf")
        for when, who, line in self._heard:
            if when - began > SAME_INSTANT_S:
                lines += _by_pod(together)
                together, began = [], when
            together.append((who, line if since_s is None else f"{when - since_s:.0f} {line}"))
        return lines + _by_pod(together)

    def forget(self) -> None:
        self._heard.clear()

    def _hear(self, change: Any) -> None:
        pod = change.value or change.previous
        name = name_of(pod)
        if "generateName" in pod["metadata"]:
            self._numbers.setdefault(name, f"pod {len(self._numbers) + 1}")
        state = "gone" if change.value is None else _state(pod)
        if self._said.get(name) != state:
            self._said[name] = state
            line = f"{self.called(name)} ({self._described(pod)}): {state}"
            self._heard.append((self._stage.cluster.clock.now(), self.called(name), line))


def _by_pod(heard: list[tuple[str, str]]) -> list[str]:
    return [line for _, line in sorted(heard, key=lambda one: by_number(one[0]))]


def _state(pod: Obj) -> str:
    if is_deleting(pod):
        return "stopped" if pod["status"].get("phase") in ("Succeeded", "Failed") else "ending"
    waiting = [one["state"]["waiting"]["reason"] for one in pod.get("status", {}).get("containerStatuses") or ()
               if "waiting" in one.get("state", {})]
    if is_true(pod, "Ready"):
        return "ready"
    if waiting and waiting[0] in ("ErrImagePull", "ImagePullBackOff"):
        return "can not pull"
    return "waits" if pod.get("status", {}).get("phase", "Pending") == "Pending" else pod["status"]["phase"].lower()


def image_of(pod: Obj) -> str:
    return pod["spec"]["containers"][0]["image"]


def by_number(line: str) -> tuple[int, str]:
    found = re.search(r"pod (\d+)", line)
    return int(found[1]) if found else 0, line
