"""What a StatefulSet may do next: the pods to start and to end now, in their order.

    places       lowest first: a failed pod is ended, a missing one started; none before all lower ones are available
    condemned    highest first: pods beyond the number asked for; the next one once the former is gone
    rollout      highest first, not below the partition: a pod of another revision is ended, the next one once
                 its successor is ready; with maxUnavailable several at a time

Each of the three comes only when the one before has nothing left to wait for.  With podManagementPolicy
Parallel starts and stops wait for nobody; a rollout keeps its order.

A pod that never got ready blocks all that follows.  Upstream waits for it for ever, also once the template
is another (kubernetes issue 67250: the user has to delete the pod).  Here a stuck pod of another revision
than it should have gives way to its successor, unless the set's annotation asks for upstream's way.  So does
one that is condemned: it has no successor, and no template that comes later can make it ready.
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#deployment-and-scaling-guarantees
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..api.objects import Obj, annotations_of, at, is_deleting
from .readiness import available_at
from .stateful_set_history import History
from .stateful_set_pods import (
    has_ended,
    is_healthy,
    is_running_and_ready,
    ordinal_of,
    revision_of,
    was_never_ready,
)

UPSTREAM_STUCK_ROLLOUT = "muster.dev/upstream-stuck-rollout"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the set asks for."""

    replicas: int
    start: int = 0  # the first ordinal
    is_ordered: bool = True  # OrderedReady
    is_rolling: bool = True  # not OnDelete
    partition: int = 0
    max_unavailable: int | None = None
    min_ready_s: int = 0
    stuck_stay: bool = False


@dataclass(slots=True)
class Steps:
    start: list[int] = field(default_factory=list)  # ordinals
    end: list[Obj] = field(default_factory=list)


def rules_of(stateful_set: Obj) -> Rules:
    spec = stateful_set["spec"]
    replicas = spec.get("replicas", 1)
    rolling = at(spec, "updateStrategy.rollingUpdate", {})
    return Rules(
        replicas=replicas,
        start=at(spec, "ordinals.start", 0),
        is_ordered=spec.get("podManagementPolicy") != "Parallel",
        is_rolling=at(spec, "updateStrategy.type", "RollingUpdate") == "RollingUpdate",
        partition=rolling.get("partition") or 0,
        max_unavailable=_count(rolling.get("maxUnavailable"), replicas),
        min_ready_s=spec.get("minReadySeconds") or 0,
        stuck_stay=annotations_of(stateful_set).get(UPSTREAM_STUCK_ROLLOUT) == "true",
    )


def _count(value: int | str | None, replicas: int) -> int | None:
    """A share is rounded down, but one pod may always be down."""
    if value is None:
        return None
    return max(1, int(value[:-1]) * replicas // 100 if isinstance(value, str) else value)


def next_steps(pods: Sequence[Obj], rules: Rules, history: History, now: float) -> Steps:
    by_ordinal = {ordinal_of(pod): pod for pod in pods}
    wanted = range(rules.start, rules.start + rules.replicas)
    places = [by_ordinal.get(ordinal) for ordinal in wanted]
    condemned = [by_ordinal[ordinal] for ordinal in sorted(by_ordinal, reverse=True) if ordinal not in wanted]
    steps = Steps()
    if _waits_for_places(places, rules, history, now, steps):
        return steps
    if _waits_for_condemned(condemned, rules, history, now, steps):
        return steps
    if rules.is_rolling:
        _roll(places, rules, history.update, steps)
    return steps


def wanted_revision(ordinal: int, rules: Rules, history: History) -> str:
    """What a pod that is made now comes from."""
    below = rules.is_rolling and ordinal < rules.start + rules.partition
    return history.current if below else history.update


def _waits_for_places(places: Sequence[Obj | None], rules: Rules, history: History, now: float, steps: Steps) -> bool:
    for ordinal, pod in enumerate(places, rules.start):
        if pod is None:
            steps.start.append(ordinal)
        elif has_ended(pod):
            if not is_deleting(pod):
                steps.end.append(pod)
        elif not rules.is_ordered or (not is_deleting(pod) and _is_available(pod, rules, now)):
            continue
        elif _gives_way(pod, wanted_revision(ordinal, rules, history), rules, history):
            steps.end.append(pod)
        if rules.is_ordered:
            return True
    return False


def _is_available(pod: Obj, rules: Rules, now: float) -> bool:
    return is_running_and_ready(pod) and available_at(pod, rules.min_ready_s) <= now


def _gives_way(pod: Obj, wanted: str, rules: Rules, history: History) -> bool:
    """Is it stuck at a revision that nobody wants (any more)?  One that all pods once had gets more patience:
    it may have been ready before."""
    if rules.stuck_stay or not rules.is_rolling or is_deleting(pod) or is_running_and_ready(pod):
        return False
    revision = revision_of(pod)
    return revision != wanted and (revision not in (history.current, history.update) or was_never_ready(pod))


def _waits_for_condemned(condemned: Sequence[Obj], rules: Rules, history: History, now: float, steps: Steps) -> bool:
    if not rules.is_ordered:
        steps.end += [pod for pod in condemned if not is_deleting(pod)]
        return False
    if not condemned:
        return False
    pod = condemned[0]  # one that has ended will not get better, so it is not waited for (upstream would)
    first_unhealthy = next((one for one in reversed(condemned) if not is_healthy(one)), None)
    if not is_deleting(pod) and (_is_available(pod, rules, now) or has_ended(pod) or pod is first_unhealthy
                                 or _gives_way(pod, wanted_revision(ordinal_of(pod), rules, history), rules, history)):
        steps.end.append(pod)
    return True


def _roll(places: Sequence[Obj | None], rules: Rules, update: str, steps: Steps) -> None:
    if rules.max_unavailable is not None:
        _roll_several(places, rules.partition, rules.max_unavailable, update, steps)
        return
    for pod in reversed(places[rules.partition:]):
        if pod is not None and revision_of(pod) != update and not is_deleting(pod):
            if not has_ended(pod):  # else it is being replaced already
                steps.end.append(pod)
            return
        if not is_healthy(pod):
            return


def _roll_several(places: Sequence[Obj | None], partition: int, allowed: int, update: str, steps: Steps) -> None:
    """At most so many are down; one that is down anyway costs nothing."""
    left = allowed - sum(not is_healthy(pod) for pod in places)
    for pod in reversed(places[partition:]):
        if pod is None or revision_of(pod) == update or is_deleting(pod) or has_ended(pod):
            continue
        if is_healthy(pod):
            if left <= 0:
                return
            left -= 1
        steps.end.append(pod)
