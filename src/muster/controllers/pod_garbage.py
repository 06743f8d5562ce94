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


def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
    if change.key.resource == "nodes":
        if change.value is None:
            yield change.key.name
        return
    pod, old = change.value, change.previous
    if pod is None:
        return
    node = pod["spec"].get("nodeName", "")
    if node and mirror.get(Key("nodes", "", node)) is None:
        yield node
    if at(pod, "status.phase") in FINISHED and (old is None or at(old, "status.phase") not in FINISHED) \
            and len(mirror.objects("pods")) > FINISHED_KEPT:
        yield TOO_MANY_FINISHED


def observe(mirror: Mirror, node: str) -> Observed | None:
    if node == TOO_MANY_FINISHED:
        pods = [(Key("pods", *place), pod) for place, pod in mirror.objects("pods").items()
                if at(pod, "status.phase") in FINISHED and not is_deleting(pod)]
        return Observed(node, pods)
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


controller = Controller("pod-garbage-collector", ("nodes", "pods"), wakes, observe, plan)
