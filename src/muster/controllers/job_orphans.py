"""Pods that outlive their Job are let go: nobody will count them, so nothing may hold them.

A job that is deleted leaves pods with the finalizer batch.kubernetes.io/job-tracking behind; so does a pod that
was taken out of its job's selector.  The garbage collector could not end them otherwise.
https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-tracking-with-finalizers
"""
from __future__ import annotations

from collections.abc import Iterable

from ..api.objects import Key, Obj, controller_of, finalizers_of, namespace_of, uid_of
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.plan import Plan
from ..control.runtime import Controller
from ..store.history import Change
from .job import RESOURCE
from .job_pods import FINALIZER, let_go


def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    if change.key.resource == "pods":
        if change.value is not None and is_orphan(change.value, mirror):
            yield change.key
    elif change.value is None and change.previous is not None:
        for key in mirror.dependents(uid_of(change.previous)):
            if key.resource == "pods":
                yield key


def is_orphan(pod: Obj, mirror: Mirror) -> bool:
    """Held for a job that is not there (any more)."""
    if FINALIZER not in finalizers_of(pod):
        return False
    reference = controller_of(pod)
    if reference is None:
        return True
    if reference["kind"] != "Job":
        return False
    job = mirror.get(Key(RESOURCE, namespace_of(pod), reference["name"]))
    return job is None or uid_of(job) != reference["uid"]


def observe(mirror: Mirror, key: Key) -> Obj | None:
    pod = mirror.get(key)
    return pod if pod is not None and is_orphan(pod, mirror) else None


def plan(pod: Obj, now: float) -> Plan:
    return Plan([let_go(pod)])


controller = Controller("job-orphans", (Changes("pods", owned_by="Job", status_too=False), RESOURCE),
                        wakes, observe, plan, account="job-controller")
