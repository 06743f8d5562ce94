"""Pods whose node is gone are removed, and so are old finished pods when there are too many.

Upstream waits 40 s before it believes that a node is gone, since its caches may lag behind each other; here the
runtime asks the API once more before it deletes (`Delete.unless`), so nothing has to wait.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.objects import Key, Obj, at, is_deleting, uid_of
from ..client.mirror import Mirror
from ..control.disruptions import disrupted
from ..control.plan import Delete, Patch, Plan
from ..control.runtime import Controller
from ..store.history import Change

FINISHED_KEPT = 12_500  # upstream's --terminated-pod-gc-threshold
FINISHED = ("Succeeded", "Failed")
TOO_MANY_FINISHED = ""  # the key of the look at finished pods; no node has an empty name


@dataclass(frozen=True)
class Observed:
    node: str  # "" for the look at finished pods
    pods: list[tuple[Key, Obj]]


class _Memory:
    """Which pods are finished, and stay unless they are too many: nobody has to look for them among all."""

    def __init__(self) -> None:
        self._finished: dict[Key, None] = {}

    def wakes(self, change: Change, mirror: Mirror) -> Iterable[str]:
        if change.key.resource == "nodes":
            if change.value is None:
                yield change.key.name
            return
        pod = change.value
        if pod is None:
            self._finished.pop(change.key, None)
            return
        node = pod["spec"].get("nodeName", "")
        if node and mirror.get(Key("nodes", "", node)) is None:
            yield node
        if at(pod, "status.phase") not in FINISHED or is_deleting(pod):
            self._finished.pop(change.key, None)
        elif change.key not in self._finished:
            self._finished[change.key] = None
            if len(self._finished) > FINISHED_KEPT:
                yield TOO_MANY_FINISHED

    def observe(self, mirror: Mirror, node: str) -> Observed | None:
        if node == TOO_MANY_FINISHED:
            found = ((key, mirror.get(key)) for key in self._finished)
            return Observed(node, [(key, pod) for key, pod in found if pod is not None])
        if mirror.get(Key("nodes", "", node)) is not None:
            return None
        return Observed(node, list(mirror.on_node(node).items()))


def plan(seen: Observed, now: float) -> Plan:
    if seen.node == TOO_MANY_FINISHED:
        oldest = sorted(seen.pods, key=lambda found: (found[1]["metadata"]["creationTimestamp"], found[0]))
        surplus = oldest[: max(0, len(oldest) - FINISHED_KEPT)]
        return Plan([Delete(key, uid_of(pod), grace_period_s=0) for key, pod in surplus], size=len(seen.pods))
    still_there = ((Key("nodes", "", seen.node), ""),)
    return Plan([Delete(key, uid_of(pod), grace_period_s=0, unless=still_there, first=_failed(key, pod, now))
                 for key, pod in seen.pods], size=1 + len(seen.pods))


def _failed(key: Key, pod: Obj, now: float) -> Patch | None:
    """No kubelet is left to say that it ended."""
    if at(pod, "status.phase") in FINISHED:
        return None
    return disrupted(key, uid_of(pod), "DeletionByPodGC", "PodGC: node no longer exists", now, phase="Failed")


def pod_garbage_collector() -> Controller:
    """One with a memory of its own."""
    memory = _Memory()
    return Controller("pod-garbage-collector", ("nodes", "pods"), memory.wakes, memory.observe, plan)
