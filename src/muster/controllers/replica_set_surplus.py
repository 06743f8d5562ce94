"""Which pods of a ReplicaSet go first when there are too many.

Each rule decides only where all before it are even; the pod that comes first goes first:

    without a node, pending, not ready, cheap to delete (`controller.kubernetes.io/pod-deletion-cost`),
    on a node with more siblings, ready for a shorter time, restarted more often, younger

Times are compared by the power of two of their age, so that among pods of about the same age chance (their
uid) decides, and not the order in which a rollout happened to start them.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-a-replicaset  KEP-2185
"""
from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cmp_to_key

from ..api.objects import Obj, annotations_of, condition, from_time, is_true, uid_of

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
_COST = re.compile(r"0|[1-9]\d*|-[1-9]\d*", re.ASCII)  # as the API accepts them: "+1" and "01" do not count
_LARGEST_COST = 2**31


def surplus(pods: Sequence[Obj], siblings: Iterable[Obj], count: int, now: float) -> list[Obj]:
    """The `count` pods to end; `siblings` are all active pods of the ReplicaSets with the same owner."""
    if count >= len(pods):
        return list(pods)
    crowds = Counter(pod["spec"].get("nodeName", "") for pod in siblings)

    def compare(one: Obj, other: Obj) -> int:
        return _compare(one, other, crowds, now)

    return sorted(pods, key=cmp_to_key(compare))[:count]


def deletion_cost(pod: Obj) -> int:
    """0 where none is given, or nonsense."""
    text = annotations_of(pod).get(DELETION_COST, "")
    cost = int(text) if _COST.fullmatch(text) else 0
    return cost if -_LARGEST_COST <= cost < _LARGEST_COST else 0


def _compare(one: Obj, other: Obj, crowds: Counter[str], now: float) -> int:
    """Negative where `one` goes before `other`."""
    settled = _order(_state(one), _state(other)) or _order(
        -crowds[one["spec"].get("nodeName", "")], -crowds[other["spec"].get("nodeName", "")])
    if settled:
        return settled
    if is_true(one, "Ready"):
        settled = _younger(_ready_since(one), _ready_since(other), one, other, now)
    return settled or _order(_restarts(other), _restarts(one)) or _younger(
        _created(one), _created(other), one, other, now)


def _state(pod: Obj) -> tuple[bool, int, bool, int]:
    phase = (pod.get("status") or {}).get("phase", "")
    return bool(pod["spec"].get("nodeName")), _PHASES.get(phase, 0), is_true(pod, "Ready"), deletion_cost(pod)


def _ready_since(pod: Obj) -> float | None:
    text = (condition(pod, "Ready") or {}).get("lastTransitionTime")
    return from_time(text) if text else None


def _created(pod: Obj) -> float | None:
    text = pod["metadata"].get("creationTimestamp")
    return from_time(text) if text else None


def _restarts(pod: Obj) -> tuple[int, int]:
    """The most that one container restarted; then the same for init containers, of which sidecars restart."""
    status = pod.get("status") or {}
    return _most(status.get("containerStatuses")), _most(status.get("initContainerStatuses"))


def _most(containers: Sequence[Obj] | None) -> int:
    return max((one.get("restartCount", 0) for one in containers or ()), default=0)


def _younger(one: float | None, other: float | None, pod: Obj, another: Obj, now: float) -> int:
    if one == other:
        return 0
    if one is None or other is None:
        return -1 if one is None else 1
    return _order(_magnitude(now - one), _magnitude(now - other)) or _order(uid_of(pod), uid_of(another))


def _magnitude(age_s: float) -> int:
    """The power of two of an age in nanoseconds; -1 for none."""
    return math.floor(math.log2(age_s * 1e9)) if age_s > 0 else -1


def _order(one: object, other: object) -> int:
    return (one > other) - (one < other)  # type: ignore[operator]
