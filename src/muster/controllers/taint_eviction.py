"""Pods leave a node with a NoExecute taint that they do not tolerate, or not for ever.

    no toleration                        leaves at once
    a toleration with tolerationSeconds  leaves that long after the taint was added (the shortest counts)
    a toleration without an end          stays (every daemon does, for not-ready and unreachable)

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.objects import Key, Obj, at, from_time, is_deleting, name_of, namespace_of, uid_of
from ..api.placement import NO_EXECUTE, tolerates_one
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.disruptions import disrupted
from ..control.plan import Action, Delete, Plan, Tell
from ..control.runtime import Controller
from ..store.history import Change

NEVER = float("inf")


@dataclass(frozen=True)
class Observed:
    node: Obj
    pods: list[tuple[Key, Obj]]


def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
    if change.key.resource == "nodes":
        if change.value is not None and evicting_taints(change.value):
            yield change.key.name
        return
    pod = change.value
    if pod is None or not (name := pod["spec"].get("nodeName")):
        return
    node = mirror.get(Key("nodes", "", name))
    if node is not None and evicting_taints(node):
        old = change.previous
        if old is None or old["spec"] is not pod["spec"] and old["spec"] != pod["spec"]:
            yield name


def observe(mirror: Mirror, name: str) -> Observed | None:
    node = mirror.get(Key("nodes", "", name))
    if node is None or not evicting_taints(node):
        return None
    return Observed(node, [(key, pod) for key, pod in mirror.on_node(name).items() if not is_deleting(pod)])


def plan(seen: Observed, now: float) -> Plan:
    taints = evicting_taints(seen.node)
    actions: list[Action] = []
    wake_at = NEVER
    for key, pod in seen.pods:
        leaves = leaves_at(pod, taints, now)
        if leaves > now:
            wake_at = min(wake_at, leaves)
            continue
        why = disrupted(key, uid_of(pod), "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint",
                        now)
        actions += [Delete(key, uid_of(pod), first=why),
                    Tell(pod, "Normal", "TaintManagerEviction",
                         f"Marking for deletion Pod {namespace_of(pod)}/{name_of(pod)}")]
    return Plan(actions, wake_at=wake_at if wake_at < NEVER else None, size=1 + len(seen.pods))


def evicting_taints(node: Obj) -> list[Obj]:
    return [taint for taint in at(node, "spec.taints") or () if taint.get("effect") == NO_EXECUTE]


def leaves_at(pod: Obj, taints: list[Obj], now: float) -> float:
    """When the pod has to leave (Unix seconds): now for an untolerated taint, NEVER if it may stay."""
    first = NEVER
    tolerations = pod["spec"].get("tolerations") or ()
    for taint in taints:
        matching = [one for one in tolerations if tolerates_one(one, taint)]
        if not matching:
            return now
        limits = [one["tolerationSeconds"] for one in matching if one.get("tolerationSeconds") is not None]
        if limits:
            since = from_time(taint["timeAdded"]) if taint.get("timeAdded") else now
            first = min(first, since + max(0, min(limits)))
    return first


controller = Controller("taint-eviction-controller", ("nodes", Changes("pods", status_too=False)),
                        wakes, observe, plan, workers=16)
