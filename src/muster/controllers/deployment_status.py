"""What a Deployment says of itself: its numbers, and how its rollout goes.

    Available        True while no more pods are missing than maxUnavailable allows
    Progressing      NewReplicaSetCreated, ReplicaSetUpdated at each step, NewReplicaSetAvailable at the end;
                     False with ProgressDeadlineExceeded where nothing moved for progressDeadlineSeconds;
                     Unknown with DeploymentPaused and DeploymentResumed
    ReplicaFailure   that of a set whose pods are refused, the new one's first

`kubectl rollout status` and `kubectl wait` read these.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..api.objects import Obj, condition, from_time, name_of, to_time
from .deployment_sets import Limits, asked_of, count

NO_DEADLINE = 2**31 - 1
NEW_SET_AVAILABLE, TIMED_OUT, PAUSED = "NewReplicaSetAvailable", "ProgressDeadlineExceeded", "DeploymentPaused"
CREATE_ERROR = "ReplicaSetCreateError"


def deadline_of(deployment: Obj) -> int | None:
    """None: nobody waits for progress."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds == NO_DEADLINE else seconds


# ------------------------------------------------------------------ conditions


def with_said(status: Obj, type_: str, is_so: str, reason: str, message: str, now: float) -> Obj:
    """The status with this condition; as it was where status and reason are the same."""
    old = condition({"status": status}, type_)
    if old is not None and old.get("status") == is_so and old.get("reason") == reason:
        return status
    since = old.get("lastTransitionTime") if old is not None and old.get("status") == is_so else None
    said = {"type": type_, "status": is_so, "reason": reason, "message": message, "lastUpdateTime": to_time(now),
            "lastTransitionTime": since or to_time(now)}
    return {**status, "conditions": [*_others(status, type_), said]}


def without_said(status: Obj, type_: str) -> Obj:
    others = _others(status, type_)
    if others:
        return {**status, "conditions": others}
    return {field: value for field, value in status.items() if field != "conditions"}


def _others(status: Obj, type_: str) -> list[Obj]:
    return [one for one in status.get("conditions") or () if one.get("type") != type_]


def progressing(status: Obj, is_so: str, reason: str, message: str, now: float) -> Obj:
    return with_said(status, "Progressing", is_so, reason, message, now)


def with_pause(deployment: Obj, status: Obj, now: float) -> Obj:
    """The status where it says that the Deployment was paused or resumed.  A lack of progress is not hidden."""
    found = condition({"status": status}, "Progressing") or {}
    if deadline_of(deployment) is None or found.get("reason") == TIMED_OUT:
        return status
    was_paused, is_paused = found.get("reason") == PAUSED, bool(deployment["spec"].get("paused"))
    if is_paused and not was_paused:
        return progressing(status, "Unknown", PAUSED, "Deployment is paused", now)
    if was_paused and not is_paused:
        return progressing(status, "Unknown", "DeploymentResumed", "Deployment is resumed", now)
    return status


# ------------------------------------------------------------------ the whole status


def numbers_of(deployment: Obj, before: Obj, new: Obj | None, sets: Sequence[Obj], limits: Limits,
               now: float) -> Obj:
    """Numbers of zero that the Go client leaves out are left out here too."""
    available = count(sets, "availableReplicas")
    found = {
        "observedGeneration": deployment["metadata"].get("generation"),
        "replicas": count(sets, "replicas"),
        "updatedReplicas": count([new], "replicas") if new is not None else 0,
        "readyReplicas": count(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, asked_of(sets) - available),
    }
    status = {field: number for field, number in found.items() if number}
    status |= {field: before[field] for field in ("collisionCount", "conditions") if before.get(field) is not None}
    if available >= limits.least_available:
        return with_said(status, "Available", "True", "MinimumReplicasAvailable",
                         "Deployment has minimum availability.", now)
    return with_said(status, "Available", "False", "MinimumReplicasUnavailable",
                     "Deployment does not have minimum availability.", now)


def is_complete(deployment: Obj, status: Obj) -> bool:
    """Are all pods that are wanted of today's template, available, and are there no others?"""
    wanted = deployment["spec"].get("replicas", 1)
    return all(status.get(field, 0) == wanted for field in ("updatedReplicas", "replicas", "availableReplicas")) \
        and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)


def with_progress(deployment: Obj, before: Obj, status: Obj, new: Obj | None, now: float) -> Obj:
    """How the rollout goes, told by what changed since the status that was seen.

    `before` is that status, with what this look has already said about a new set or a pause.
    """
    if deadline_of(deployment) is None:
        return without_said(status, "Progressing")
    told = condition({"status": before}, "Progressing") or {}
    if status.get("replicas", 0) == status.get("updatedReplicas", 0) and told.get("reason") == NEW_SET_AVAILABLE:
        return status  # no rollout is under way
    who = f'ReplicaSet "{name_of(new)}"' if new is not None else f'Deployment "{name_of(deployment)}"'
    if is_complete(deployment, status):
        return progressing(status, "True", NEW_SET_AVAILABLE, f"{who} has successfully progressed.", now)
    if _has_moved(before, status):
        message = f"{who} is progressing."
        said = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": message,
                "lastUpdateTime": to_time(now),
                "lastTransitionTime": told["lastTransitionTime"] if told.get("status") == "True" else to_time(now)}
        return {**status, "conditions": [*_others(status, "Progressing"), said]}
    if _is_late(deployment, told, now):
        return progressing(status, "False", TIMED_OUT, f"{who} has timed out progressing.", now)
    return status


def _has_moved(before: Obj, after: Obj) -> bool:
    def old_pods(status: Obj) -> int:
        return status.get("replicas", 0) - status.get("updatedReplicas", 0)

    return old_pods(after) < old_pods(before) or any(
        after.get(field, 0) > before.get(field, 0)
        for field in ("updatedReplicas", "readyReplicas", "availableReplicas"))


def _is_late(deployment: Obj, told: Obj, now: float) -> bool:
    if told.get("reason") == TIMED_OUT:
        return True
    due = _due(deployment, told)
    return due is not None and due < now


def _due(deployment: Obj, told: Obj) -> float | None:
    """When the next step must have happened; None where no step is waited for."""
    deadline, since = deadline_of(deployment), told.get("lastUpdateTime")
    if deadline is None or not since or told.get("reason") in (NEW_SET_AVAILABLE, TIMED_OUT):
        return None
    return from_time(since) + deadline


def late_at(deployment: Obj, status: Obj) -> float | None:
    """When to look again for a lack of progress."""
    due = _due(deployment, condition({"status": status}, "Progressing") or {})
    return None if due is None or is_complete(deployment, status) else due + 1


def with_failures(status: Obj, new: Obj | None, sets: Iterable[Obj]) -> Obj:
    """The condition ReplicaFailure of the first set that has one, the new set before all others."""
    for one in [*([new] if new is not None else ()), *sets]:
        failure = condition(one, "ReplicaFailure")
        if failure is not None:
            kept = condition({"status": status}, "ReplicaFailure") or {}
            if kept.get("status") == failure.get("status") and kept.get("reason") == failure.get("reason"):
                return status
            said = {**failure, "lastUpdateTime": failure.get("lastTransitionTime")}
            return {**status, "conditions": [*_others(status, "ReplicaFailure"), said]}
    return without_said(status, "ReplicaFailure") if condition({"status": status}, "ReplicaFailure") else status
