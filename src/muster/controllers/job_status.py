"""The status of a Job: what was counted, what runs, and the conditions that say how it stands."""
from __future__ import annotations

from collections.abc import Collection

from ..api.indexes import indexes_text
from ..api.objects import Obj, at, condition, to_time, with_condition
from .job_counting import Count, Settled
from .job_indexes import Indexes, has_limit_per_index
from .job_pods import Run, is_indexed
from .job_verdict import Verdict

NOT_ZERO = ("active", "succeeded", "failed")  # left out where they are 0


def status_of(job: Obj, runs: Collection[Run], counted: Count, indexes: Indexes, settled: Settled,
              verdict: Verdict | None, now: float) -> Obj:
    status = {**(job.get("status") or {}), **settled.fields,
              "active": sum(run.is_active for run in runs),
              "ready": sum(run.is_active and run.is_ready for run in runs),
              "terminating": sum(run.is_terminating for run in runs)}
    for field in NOT_ZERO:
        if not status[field]:
            del status[field]
    suspended = bool(job["spec"].get("suspend"))
    if "startTime" not in status and not suspended:
        status["startTime"] = to_time(now)
    if is_indexed(job):
        if counted.done:
            status["completedIndexes"] = indexes_text(counted.done)
        if has_limit_per_index(job):
            status["failedIndexes"] = indexes_text(indexes.failed)
    if verdict is not None:
        return _with_end(status, job, verdict, settled, now)
    return _with_suspension(status, job, suspended, now)


def _with_suspension(status: Obj, job: Obj, suspended: bool, now: float) -> Obj:
    found = condition(job, "Suspended")
    was = found is not None and found.get("status") == "True"
    if was == suspended:
        return status
    if suspended:
        return _with(status, "Suspended", "True", "JobSuspended", "Job suspended", now)
    resumed = _with(status, "Suspended", "False", "JobResumed", "Job resumed", now)
    return {**resumed, "startTime": to_time(now)}  # a resumed job begins again


def _with_end(status: Obj, job: Obj, verdict: Verdict, settled: Settled, now: float) -> Obj:
    if condition(job, verdict.type) is None:
        status = _with(status, verdict.type, "True", verdict.reason, verdict.message, now)
    if not settled.is_complete or at(status, "active") or at(status, "terminating"):
        return status
    if verdict.has_failed:
        return _with(status, "Failed", "True", verdict.reason, verdict.message, now)
    return {**_with(status, "Complete", "True", verdict.reason, verdict.message, now), "completionTime": to_time(now)}


def _with(status: Obj, type_: str, value: str, reason: str, message: str, now: float) -> Obj:
    new = {"type": type_, "status": value, "lastProbeTime": to_time(now), "lastTransitionTime": to_time(now),
           "reason": reason, "message": message}
    return {**status, "conditions": with_condition(status.get("conditions") or (), new)}
