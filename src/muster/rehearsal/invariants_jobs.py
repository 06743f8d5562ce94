"""The laws of Jobs: no pod is counted twice, and no more run than were asked for.

    succeeded and failed only grow, and never beyond the pods that were seen to end that way
    never more succeeded than completions; never more active pods than parallelism when one is made
    no pod that carries the tracking finalizer goes before it was counted, and no Job is made anew once it is over

https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-tracking-with-finalizers
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from ..api.objects import Key, Obj, is_deleting, is_true, uid_of
from ..store.history import Change
from .invariants_scene import owner_of, phase_of

if TYPE_CHECKING:
    from .invariants import Laws

CONTROLLER = "job-controller"


class _Job:
    def __init__(self, job: Obj):
        self.obj = job
        self.succeeded = 0  # pods that were seen to succeed
        self.failed = 0  # that failed, or were told to go; some of these may still succeed
        self.ended = 0  # one or the other
        self.counted: dict[str, str] = {}  # uid of a pod that is still there -> what it was counted as: "s", "f", "fs"
        self.changed = float("-inf")


class Jobs:
    def __init__(self, laws: Laws):
        self._laws = laws
        self._jobs: dict[str, _Job] = {}

    def hear(self, change: Change) -> None:
        key, old, new = change.key, change.previous, change.value
        if key.resource == "pods":
            if old is None and new is not None and self._laws.who() == CONTROLLER:
                self._made(key, new)
        elif old is not None and new is not None:
            self._job_goes_on(key, old, new)

    def heard(self, change: Change) -> None:
        key, old, new = change.key, change.previous, change.value
        if key.resource == "pods":
            self._count(old, new)
        elif new is None:
            self._jobs.pop(uid_of(old) if old is not None else "", None)
        else:
            job = self._jobs.get(uid_of(new))
            if job is None:
                job = self._jobs[uid_of(new)] = _Job(new)
                for pod in self._laws.scene.pods_of(uid_of(new)).values():
                    self._count(None, pod)
            elif job.obj["spec"] != new["spec"]:
                job.changed = self._laws.now()
            job.obj = new

    def _count(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        job = self._jobs.get(owner_of(pod, "Job"))
        if job is None or pod is None:
            return
        known = job.counted.get(uid_of(pod), "")
        how = "s" if phase_of(pod) == "Succeeded" else "f" if (
            phase_of(pod) == "Failed" or is_deleting(pod) or new is None) else ""
        if how and how not in known:
            job.ended += not known
            job.succeeded += how == "s"
            job.failed += how == "f"
            job.counted[uid_of(pod)] = known + how
        if new is None:
            job.counted.pop(uid_of(pod), None)

    def _made(self, key: Key, pod: Obj) -> None:
        laws, job = self._laws, self._jobs.get(owner_of(pod, "Job"))
        if job is None or laws.is_fresh(job.changed):
            return
        spec, uid = job.obj["spec"], uid_of(job.obj)
        if is_true(job.obj, "Complete") or is_true(job.obj, "Failed"):
            laws.wrong("a Job that is over stays over", key, "is made for it")
        unseen = sum(laws.is_hidden(laws.scene.came.get(other)) for other in laws.scene.pods_of(uid))
        there = laws.scene.active[uid]
        most = spec.get("parallelism", 1)
        if there - unseen + 1 > most:
            laws.wrong("a Job runs no more pods than its parallelism", key, f"is number {there + 1} of {most}")
        completions = spec.get("completions")
        if completions is not None and spec.get("completionMode") != "Indexed":
            done = (job.obj.get("status") or {}).get("succeeded") or 0
            if there - unseen + 1 + done > completions:
                laws.wrong("a Job runs no more pods than its completions", key,
                           f"{done} have succeeded and {there} are active, {completions} are needed")

    def _job_goes_on(self, key: Key, old: Obj, new: Obj) -> None:
        job = self._jobs.get(uid_of(new))
        before, after = old.get("status") or {}, new.get("status") or {}
        if job is None or before == after:
            return
        for field, seen in (("succeeded", job.succeeded), ("failed", job.failed)):
            was, is_ = before.get(field) or 0, after.get(field) or 0
            if is_ < was and not (field == "succeeded" and new["spec"].get("completionMode") == "Indexed"):
                self._laws.wrong("Jobs count each pod once", key, f"{field} falls from {was} to {is_}")
            if is_ > seen:
                self._laws.wrong("Jobs count each pod once", key, f"{field} is {is_}, {seen} pods ended so")
        total = (after.get("succeeded") or 0) + (after.get("failed") or 0)
        if total > job.ended:
            self._laws.wrong("Jobs count each pod once", key, f"{total} are counted, {job.ended} pods ended")
        completions = new["spec"].get("completions")
        if completions is not None and (after.get("succeeded") or 0) > completions:
            self._laws.wrong("a Job runs no more pods than its completions", key,
                             f"{after['succeeded']} of {completions} succeeded")
        for type_ in ("Complete", "Failed"):
            if is_true(old, type_) and not is_true(new, type_):
                self._laws.wrong("a Job that is over stays over", key, f"is no longer {type_}")
