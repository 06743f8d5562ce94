"""The pods of a Job: how one is made, and what decisions ask of one that is there.

Each pod is read once a look (`runs_of`).  A pod that we have not counted yet carries the finalizer
batch.kubernetes.io/job-tracking: nobody can take its result away before it is in the job's status.

A pod of an Indexed job knows its number from an annotation, a label, its host name, and JOB_COMPLETION_INDEX.
https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    condition,
    controller_reference,
    finalizers_of,
    from_time,
    is_deleting,
    is_true,
    name_of,
    namespace_of,
    uid_of,
)
from ..control.plan import Patch

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
LONGEST_PREFIX = 58  # of a generated name: five letters follow


@dataclass(frozen=True, slots=True)
class Run:
    """One pod of the job, read once."""

    pod: Obj
    name: str
    uid: str
    index: int | None  # None where it has none, or one that is out of range
    is_tracked: bool  # not yet counted
    is_going: bool
    phase: str
    is_failed: bool
    is_ready: bool
    finished_at: float  # meaningful where it has succeeded or failed

    @property
    def has_succeeded(self) -> bool:
        return self.phase == "Succeeded"

    @property
    def has_ended(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    @property
    def is_active(self) -> bool:
        return not self.has_ended and not self.is_going

    @property
    def is_terminating(self) -> bool:
        return self.is_going and not self.has_ended

    @property
    def least_lost(self) -> tuple[bool, bool, bool, int, float, str]:
        """Sorts first what is ended first: unassigned, pending, not ready, restarted often, young."""
        born = from_time(self.pod["metadata"].get("creationTimestamp") or "1970-01-01T00:00:00Z")
        return (bool(self.pod["spec"].get("nodeName")), self.phase == "Running", self.is_ready,
                -restarts_of(self.pod), -born, self.name)


def is_indexed(job: Obj) -> bool:
    return job["spec"].get("completionMode") == "Indexed"


def replaces_only_failed(job: Obj) -> bool:
    return job["spec"].get("podReplacementPolicy") == "Failed"


def runs_of(job: Obj, pods: Iterable[Obj]) -> list[Run]:
    indexed, count, only_failed = is_indexed(job), job["spec"].get("completions") or 0, replaces_only_failed(job)
    return [_run(pod, indexed, count, only_failed) for pod in pods]


def _run(pod: Obj, indexed: bool, count: int, only_failed: bool) -> Run:
    phase, going = at(pod, "status.phase", ""), is_deleting(pod)
    # A pod that is going counts as failed at once, unless its replacement is to wait until it is gone.
    failed = phase == "Failed" or (going and phase != "Succeeded" and not only_failed)
    index = index_of(pod) if indexed else None
    if index is not None and index >= count:
        index = None
    return Run(pod, name_of(pod), uid_of(pod), index, FINALIZER in finalizers_of(pod), going, phase, failed,
               is_true(pod, "Ready"), _finished_at(pod) if failed or phase == "Succeeded" else 0.0)


def index_of(pod: Obj) -> int | None:
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() else None


def count_in(pod: Obj, annotation: str) -> int:
    """How often the index of this pod had failed before it."""
    text = annotations_of(pod).get(annotation, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def restarts_of(pod: Obj) -> int:
    return sum(one.get("restartCount") or 0 for one in container_statuses(pod))


def container_statuses(pod: Obj) -> list[Obj]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _finished_at(pod: Obj) -> float:
    """When the last container ended; for a pod that tells less, when it stopped to be ready, or was deleted."""
    ends = [at(one, "state.terminated.finishedAt") for one in at(pod, "status.containerStatuses", ())]
    if ends and all(ends):
        return max(map(from_time, ends))
    ready = condition(pod, "Ready")
    if ready is not None and ready.get("status") == "False" and ready.get("lastTransitionTime"):
        return from_time(ready["lastTransitionTime"])
    metadata = pod["metadata"]
    if metadata.get("deletionTimestamp"):
        return from_time(metadata["deletionTimestamp"]) - (metadata.get("deletionGracePeriodSeconds") or 0)
    return from_time(metadata.get("creationTimestamp") or "1970-01-01T00:00:00Z")


def let_go(pod: Obj) -> Patch:
    """Takes our finalizer away: the pod is counted, or never will be."""
    return Patch(Key("pods", namespace_of(pod), name_of(pod)), uid_of(pod),
                 {"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}}, how="strategic")


# ------------------------------------------------------------------ new pods

def pod_maker(job: Obj) -> Callable[..., Obj]:
    """`make()`, or `make(3, failures={...})` for the pod of an index."""
    template = job["spec"]["template"]
    described = template.get("metadata") or {}
    finalizers = [*(described.get("finalizers") or ()), FINALIZER]
    metadata: Obj = {"namespace": namespace_of(job), "labels": described.get("labels") or {},
                     "ownerReferences": [controller_reference(job)], "finalizers": finalizers}
    if described.get("annotations"):
        metadata["annotations"] = described["annotations"]
    name, spec = name_of(job), template["spec"]
    numbered = _with_index_variable(spec) if is_indexed(job) else spec

    def make(index: int | None = None, failures: dict[str, str] | None = None) -> Obj:
        if index is None:
            return {"apiVersion": "v1", "kind": "Pod", "spec": spec,
                    "metadata": {**metadata, "generateName": _prefix(name, "-")}}
        number = str(index)
        told = {**metadata, "generateName": _prefix(name, f"-{number}-"),
                "labels": {**metadata["labels"], INDEX: number},
                "annotations": {**(metadata.get("annotations") or {}), INDEX: number, **(failures or {})}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": told,
                "spec": {**numbered, "hostname": f"{name}-{number}"}}

    return make


def _prefix(name: str, end: str) -> str:
    return name[:LONGEST_PREFIX - len(end)] + end


def _with_index_variable(spec: Obj) -> Obj:
    variable = {"name": INDEX_VARIABLE,
                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}}
    changed = dict(spec)
    for field in ("initContainers", "containers"):
        if spec.get(field):
            changed[field] = [_with_variable(one, variable) for one in spec[field]]
    return changed


def _with_variable(container: Obj, variable: Obj) -> Obj:
    there = container.get("env") or []
    if any(one.get("name") == INDEX_VARIABLE for one in there):
        return container
    return {**container, "env": [*there, variable]}
