"""What may be done to a cluster in a story: steps as values that say what they are, and do it.

    str(step)              "watches stand still for 10 s"
    step.happen(ground)    and so they do

Steps do not depend on each other: one that finds nothing to do is in vain.  A step more is a class here, and a line
among the draws of a strand (story.py, story_clocks.py, story_scaling.py).
"""
from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from ..api.objects import Key, Obj, controller_of, name_of, namespace_of
from ..control.revisions import RESOURCE as REVISIONS
from .faults import Fault, carry_out
from .faults_line import Trouble
from .story_ground import Ground

SCALED = "busy"  # the workload that story_scaling.py is about: nothing but its load has a say in it


class What(Protocol):
    async def happen(self, ground: Ground) -> None:
        """Raises the ApiError with which it is refused."""
        ...


@dataclass(frozen=True)
class Step:
    at_s: float
    what: What

    def __str__(self) -> str:
        return f"{self.at_s:8.2f} s  {self.what}"


# ------------------------------------------------------------------ to objects


@dataclass(frozen=True)
class Make:
    """Applies a manifest."""

    manifest: Obj = field(hash=False)

    def __str__(self) -> str:
        metadata = self.manifest["metadata"]
        return f"apply {self.manifest['kind']} {metadata.get('namespace', '')}/{metadata['name']} " + _short(
            self.manifest.get("spec", {}))

    async def happen(self, ground: Ground) -> None:
        namespace = namespace_of(self.manifest)
        if namespace and ground.store.get(Key("namespaces", "", namespace)) is None:
            await ground.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        await ground.cluster.apply(self.manifest)


@dataclass(frozen=True)
class Edit:
    key: Key
    patch: Any = field(hash=False)
    how: str = "merge"

    def __str__(self) -> str:
        return f"patch {self.key}: {_short(self.patch)}"

    async def happen(self, ground: Ground) -> None:
        await ground.admin.patch(self.key, self.patch, how=self.how)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Remove:
    key: Key
    propagation: str | None = None

    def __str__(self) -> str:
        return f"delete {self.key}" + (f", {self.propagation}" if self.propagation else "")

    async def happen(self, ground: Ground) -> None:
        await ground.admin.delete(self.key, propagation=self.propagation)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Undo:
    """Goes back to an earlier revision of a DaemonSet's or a StatefulSet's template."""

    key: Key
    place: float  # among its revisions, in [0, 1)

    def __str__(self) -> str:
        return f"undo {self.key}"

    async def happen(self, ground: Ground) -> None:
        current = ground.store.get(self.key)
        if current is None:
            return
        past = [one.value for one in ground.store.history.lane(REVISIONS).snapshots()
                if (controller_of(one.value) or {}).get("uid") == current.value["metadata"]["uid"]]
        if past:
            past.sort(key=lambda one: (one["revision"], name_of(one)))
            await ground.admin.patch(self.key, past[int(self.place * len(past))]["data"], how="strategic")


@dataclass(frozen=True)
class Hit:
    """Something done to one of the pods that are there."""

    how: str  # "delete", "kill" (without grace), "evict", "relabel"
    place: float  # among the pods in their order, in [0, 1)

    def __str__(self) -> str:
        return f"{self.how} a pod"

    async def happen(self, ground: Ground) -> None:
        pods = ground.laws.scene.pods
        keys = sorted(key for key in pods if not key.name.startswith(f"{SCALED}-"))
        if not keys:
            return
        key = keys[int(self.place * len(keys))]
        ground.say(f"... {key}")
        match self.how:
            case "delete":
                await ground.admin.delete(key)
            case "kill":
                await ground.admin.delete(key, grace_period_s=0)
            case "evict":
                body = {"apiVersion": "policy/v1", "kind": "Eviction",
                        "metadata": {"name": key.name, "namespace": key.namespace}}
                await ground.admin.create(body, subresource="eviction")
            case "relabel":
                labels = pods[key]["metadata"].get("labels") or {}
                app = "nobody" if labels.get("app") != "nobody" else f"daemonset-{key.name.partition('-')[0]}"
                await ground.admin.patch(key, {"metadata": {"labels": {"app": app}}})


# ------------------------------------------------------------------ to machines, the line and processes


@dataclass(frozen=True)
class Fail:
    fault: Fault

    def __str__(self) -> str:
        return str(self.fault)

    async def happen(self, ground: Ground) -> None:
        ground.meanwhile(carry_out([self.fault], ground.cluster, ground.say))


@dataclass(frozen=True)
class BadLine:
    trouble: Trouble
    for_s: float

    def __str__(self) -> str:
        return f"{self.trouble.share * 100:g}% of the components' writes: {self.trouble.how}, for {self.for_s:g} s"

    async def happen(self, ground: Ground) -> None:
        ground.line.troubles.append(self.trouble)
        ground.later(self.for_s, partial(ground.line.mend, self.trouble))


@dataclass(frozen=True)
class StopWatches:
    for_s: float
    compact: bool  # so that what was missed is gone

    def __str__(self) -> str:
        return f"watches stand still for {self.for_s:g} s" + (", and the history is compacted" if self.compact else "")

    async def happen(self, ground: Ground) -> None:
        ground.line.hold()
        ground.later(self.for_s, partial(self._let_go, ground))

    async def _let_go(self, ground: Ground) -> None:
        if self.compact:
            await ground.store.compact(ground.store.history.revision)
        ground.line.let_go()


@dataclass(frozen=True)
class RepeatWatches:
    for_s: float

    def __str__(self) -> str:
        return f"every change arrives twice for {self.for_s:g} s"

    async def happen(self, ground: Ground) -> None:
        ground.line.repeats = True
        ground.later(self.for_s, ground.line.repeat_no_more)


@dataclass(frozen=True)
class Restart:
    controller: str

    def __str__(self) -> str:
        return f"{self.controller} is restarted"

    async def happen(self, ground: Ground) -> None:
        ground.line.let_go()  # another one lists anew: it begins with what is there
        await ground.caught_up()
        ground.cluster.restart(self.controller)
        ground.laws.restarted[self.controller] = ground.laws.now()


@dataclass(frozen=True)
class RestartProcess:
    """Ends one life of the cluster and begins another, on another ground: story_play.py parts the story here."""

    away_s: float

    def __str__(self) -> str:
        return f"the process ends; another one begins after {self.away_s:g} s"

    async def happen(self, ground: Ground) -> None:
        raise AssertionError("it is no part of a life")


def _short(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
