"""Finished Jobs go by themselves, `ttlSecondsAfterFinished` after their end, with their pods before them.

https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/
"""
from __future__ import annotations

from collections.abc import Iterable

from ..api.objects import Key, Obj, condition, from_time, is_deleting, name_of, namespace_of, revision_of, uid_of
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Delete, Plan
from ..control.runtime import Controller
from ..store.history import Change
from .job import RESOURCE


def expires_at(job: Obj) -> float | None:
    """None for a job that stays, or has not ended."""
    lasts = job["spec"].get("ttlSecondsAfterFinished")
    if lasts is None:
        return None
    for type_ in ("Complete", "Failed"):
        found = condition(job, type_)
        if found is not None and found.get("status") == "True":
            return from_time(found["lastTransitionTime"]) + lasts
    return None


def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    if change.value is not None and expires_at(change.value) is not None:
        yield change.key


def observe(mirror: Mirror, key: Key) -> Obj | None:
    return mirror.get(key)


def plan(job: Obj, now: float) -> Plan:
    when = expires_at(job)
    if when is None or is_deleting(job):
        return NOTHING
    if when > now:
        return Plan(wake_at=when)
    return Plan([Delete(Key(RESOURCE, namespace_of(job), name_of(job)), uid_of(job), propagation="Foreground",
                        revision=revision_of(job))])  # it may have been given more time meanwhile


controller = Controller("ttl-after-finished-controller", (RESOURCE,), wakes, observe, plan)
