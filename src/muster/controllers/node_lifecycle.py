"""A node that says nothing any more is marked, so that no new pod goes there and old ones may leave.

    its agent renews a lease             Ready stays as the agent says
    nothing heard for the grace period   Ready and the pressures become Unknown, its pods are no longer Ready
    conditions                           become taints (not-ready, unreachable, memory-pressure, ...)

Whether the pods of a lost node have to leave it (NoExecute) is decided in node_evictions.py, for all zones together;
here that taint is changed with the condition, and taken away as soon as the node is back.  What it then does to pods
is decided in taint_eviction.py.
A node counts as heard of when this controller saw its lease renewed or its status reported anew (`LastHeard`), not when
these say that it happened: the clock of a node may be wrong, and it must be neither lost nor kept for that.  Who was
just started has heard of every node just now, as upstream.
The grace period is 50 s (v1.32's --node-monitor-grace-period; 60 s, --node-startup-grace-period, for a node that never
reported), or the lease's own duration where that is longer: a large simulated fleet renews its leases more rarely and
says so in them.
https://kubernetes.io/docs/concepts/architecture/nodes/#node-heartbeats
https://kubernetes.io/docs/reference/labels-annotations-taints/#node-kubernetes-io-not-ready
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from ..api import placement
from ..api.kinds.lease import RENEWED_AGO
from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    condition,
    from_time,
    is_deleting,
    is_true,
    name_of,
    to_time,
    uid_of,
    with_condition,
)
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.plan import Action, Patch, Plan, Tell
from ..control.runtime import Controller
from ..store.history import Change
from .zones import is_lost_taint

LEASES, LEASE_NAMESPACE = "leases.coordination.k8s.io", "kube-node-lease"
GRACE_S, STARTUP_GRACE_S = 50.0, 60.0
REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
SILENT = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
NEVER_HEARD = ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
MANAGED_TAINTS = (placement.NOT_READY, placement.UNREACHABLE, placement.MEMORY_PRESSURE, placement.DISK_PRESSURE,
                  placement.PID_PRESSURE, placement.NETWORK_UNAVAILABLE, placement.UNSCHEDULABLE)
PRESSURE_TAINTS = (("MemoryPressure", placement.MEMORY_PRESSURE), ("DiskPressure", placement.DISK_PRESSURE),
                   ("PIDPressure", placement.PID_PRESSURE), ("NetworkUnavailable", placement.NETWORK_UNAVAILABLE))


class LastHeard:
    """When each node was last heard of, by the clock of who hears it."""

    def __init__(self, now: Callable[[], float]):
        self._now = now
        self._heard: dict[str, float] = {}

    def hear(self, change: Change) -> None:
        name, new = change.key.name, change.value
        if change.key.resource == "nodes":
            if new is None:
                self._heard.pop(name, None)
            elif name not in self._heard:
                never_spoke = condition(new, "Ready") is None
                self._heard[name] = from_time(new["metadata"]["creationTimestamp"]) if never_spoke else self._now()
            elif _reported(new) not in (None, _reported(change.previous)):
                self._heard[name] = self._now()
        elif name not in self._heard:
            return
        elif new is None:
            if self._heard[name] + _holds_s(change.previous) > self._now():  # it held until it was taken away
                self._heard[name] = self._now()
        elif _renewed(new) not in (None, _renewed(change.previous)):
            self._heard[name] = self._now() - float(annotations_of(new).get(RENEWED_AGO, 0.0))

    def of(self, name: str) -> float:
        return self._heard[name]


def _reported(node: Obj | None) -> str | None:
    """The heartbeat in its status, unless it was this controller who wrote it last."""
    ready = condition(node, "Ready") if node is not None else None
    return ready.get("lastHeartbeatTime") if ready is not None and ready.get("status") != "Unknown" else None


def _holds_s(lease: Obj | None) -> float:
    return float(at(lease or {}, "spec.leaseDurationSeconds", 0))


def _renewed(lease: Obj | None) -> str | None:
    return at(lease or {}, "spec.renewTime", None)


@dataclass(frozen=True)
class Observed:
    node: Obj
    lease: Obj | None
    ready_pods: list[tuple[Key, Obj]]
    heard_at: float  # when the node last gave a sign of life (Unix seconds)


def wakes(change: Change, mirror: Mirror, last_heard: LastHeard) -> Iterable[str]:
    if change.key.resource == "nodes":
        last_heard.hear(change)
        yield change.key.name
    elif change.key.resource == LEASES and change.key.namespace == LEASE_NAMESPACE:
        last_heard.hear(change)
        # A renewal for a node that is well says nothing new: the plan looks again when the lease would run out.
        # Unless it now holds for less long than before.
        node = mirror.get(Key("nodes", "", change.key.name))
        if node is not None and (not is_true(node, "Ready") or _is_shorter(change)):
            yield change.key.name


def _is_shorter(renewal: Change) -> bool:
    before, after = _holds_s(renewal.previous), _holds_s(renewal.value)
    return 0 < after < before


def observe(mirror: Mirror, name: str, last_heard: LastHeard) -> Observed | None:
    node = mirror.get(Key("nodes", "", name))
    if node is None or is_deleting(node):
        return None
    pods = [(key, pod) for key, pod in mirror.on_node(name).items() if is_true(pod, "Ready")]
    return Observed(node, mirror.get(Key(LEASES, LEASE_NAMESPACE, name)), pods, last_heard.of(name))


def plan(seen: Observed, now: float) -> Plan:
    node, actions = seen.node, list[Action]()
    ready = condition(node, "Ready")
    grace_s = max(GRACE_S if ready is not None else STARTUP_GRACE_S, _holds_s(seen.lease))
    silent_from = seen.heard_at + grace_s
    if silent_from <= now and not _all_unknown(node):
        conditions = _unknown_conditions(node, now)
        actions.append(_status_patch(node, conditions))
        ready = next(one for one in conditions if one["type"] == "Ready")
        actions.append(_tell_status(node, "NodeNotReady"))
    if ready is None or ready["status"] != "True":
        actions.extend(_pods_not_ready(seen.ready_pods, now))
    taints = next_taints(node, ready, now)
    if taints != (at(node, "spec.taints") or []):
        actions.append(Patch(Key("nodes", "", name_of(node)), uid_of(node), {
            "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}, "spec": {"taints": taints or None}}))
    wake_at = silent_from if silent_from > now else None
    return Plan(actions, wake_at=wake_at, size=1 + len(seen.ready_pods))


def _all_unknown(node: Obj) -> bool:
    return all((found := condition(node, type_)) is not None and found["status"] == "Unknown" for type_ in REPORTED)


def _unknown_conditions(node: Obj, now: float) -> list[Obj]:
    """Just the reported ones, for a patch that merges conditions by type."""
    result = []
    for type_ in REPORTED:
        old = condition(node, type_)
        reason, message = SILENT if old is not None else NEVER_HEARD
        fresh: Obj = {"type": type_, "status": "Unknown", "reason": reason, "message": message,
                      "lastHeartbeatTime": (old or {}).get("lastHeartbeatTime", node["metadata"]["creationTimestamp"]),
                      "lastTransitionTime": to_time(now)}
        result.extend(with_condition([old] if old is not None else [], fresh))
    return result


def _status_patch(node: Obj, conditions: list[Obj]) -> Patch:
    return Patch(Key("nodes", "", name_of(node)), uid_of(node), {"status": {"conditions": conditions}},
                 how="strategic", subresource="status")


def next_taints(node: Obj, ready: Obj | None, now: float) -> list[Obj]:
    """The node's taints as its conditions ask for them; taints of others stay, in their order."""
    wanted: list[tuple[str, str]] = []
    status = ready["status"] if ready is not None else "Unknown"
    current = at(node, "spec.taints") or []
    if status != "True":
        lost = placement.UNREACHABLE if status == "Unknown" and ready is not None else placement.NOT_READY
        wanted.append((lost, placement.NO_SCHEDULE))
        if any(is_lost_taint(taint) for taint in current):
            wanted.append((lost, placement.NO_EXECUTE))  # the one in the place of the other
    wanted += [(taint, "NoSchedule") for type_, taint in PRESSURE_TAINTS if is_true(node, type_)]
    if at(node, "spec.unschedulable", False):
        wanted.append((placement.UNSCHEDULABLE, "NoSchedule"))
    kept = [taint for taint in current
            if taint["key"] not in MANAGED_TAINTS or (taint["key"], taint["effect"]) in wanted]
    there = {(taint["key"], taint["effect"]) for taint in kept}
    added = [{"key": key, "effect": effect, "timeAdded": to_time(now)}
             for key, effect in wanted if (key, effect) not in there]
    return [*kept, *added]


def _pods_not_ready(pods: list[tuple[Key, Obj]], now: float) -> Iterable[Action]:
    for key, pod in pods:
        old = condition(pod, "Ready") or {}
        fresh = {**{name: value for name, value in old.items() if name not in ("reason", "message")},
                 "type": "Ready", "status": "False", "lastTransitionTime": to_time(now)}
        yield Patch(key, uid_of(pod), {"status": {"conditions": [fresh]}}, how="strategic", subresource="status")
        yield Tell(pod, "Warning", "NodeNotReady", "Node is not ready")


def _tell_status(node: Obj, status: str) -> Tell:
    return Tell(node, "Normal", status, f"Node {name_of(node)} status is now: {status}")


def node_controller(now: Callable[[], float]) -> Controller:
    last_heard = LastHeard(now)
    return Controller("node-controller", ("nodes", Changes("pods", status_too=False), LEASES),
                      partial(wakes, last_heard=last_heard), partial(observe, last_heard=last_heard), plan, workers=32)
