"""Whether a Job is over, and why: the passing condition that ends the making of pods.

    FailureTarget        too many failures, a rule of podFailurePolicy, failed indexes, or out of time
    SuccessCriteriaMet   completions reached, or a rule of successPolicy

`Failed` and `Complete` follow, with the same reason, once every pod has ended and is counted.
https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup
"""
from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ..api.objects import Obj, at, condition, from_time
from .job_counting import Count
from .job_indexes import Indexes, has_limit_per_index
from .job_pods import Run, restarts_of
from .job_policies import judge, met_by

FAILURE, SUCCESS = "FailureTarget", "SuccessCriteriaMet"


class Verdict(NamedTuple):
    type: str
    reason: str
    message: str

    @property
    def has_failed(self) -> bool:
        return self.type == FAILURE


def stored(job: Obj) -> Verdict | None:
    """Once said it stays."""
    for type_ in (SUCCESS, FAILURE):
        found = condition(job, type_)
        if found is not None and found.get("status") == "True":
            return Verdict(type_, found.get("reason", ""), found.get("message", ""))
    return None


def failure(job: Obj, runs: Collection[Run], counted: Count, indexes: Indexes, now: float) -> Verdict | None:
    for run in runs:
        if run.is_failed and (judged := judge(job, run.pod)).action == "FailJob":
            return Verdict(FAILURE, "PodFailurePolicy", judged.message)
    limit = job["spec"].get("backoffLimit", 6)
    if counted.failed > limit or _restarts_exceed(job, runs, limit):
        return Verdict(FAILURE, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    ends = deadline(job)
    if ends is not None and ends <= now:
        return Verdict(FAILURE, "DeadlineExceeded", "Job was active longer than specified deadline")
    return _failed_indexes(job, indexes) if has_limit_per_index(job) else None


def _failed_indexes(job: Obj, indexes: Indexes) -> Verdict | None:
    most, failed = job["spec"].get("maxFailedIndexes"), len(indexes.failed)
    if most is not None and failed > most:
        return Verdict(FAILURE, "MaxFailedIndexesExceeded",
                       "Job has exceeded the specified maximal number of failed indexes")
    if failed and failed + len(indexes.done) >= (job["spec"].get("completions") or 0):
        return Verdict(FAILURE, "FailedIndexes", "Job has failed indexes")
    return None


def _restarts_exceed(job: Obj, runs: Collection[Run], limit: int) -> bool:
    """Containers that are started again on the spot count too."""
    if at(job, "spec.template.spec.restartPolicy") != "OnFailure":
        return False
    restarts = sum(restarts_of(run.pod) for run in runs if run.phase in ("Running", "Pending"))
    return restarts > 0 if limit == 0 else restarts >= limit


def deadline(job: Obj) -> float | None:
    """When the job has been active for too long."""
    lasts, began = job["spec"].get("activeDeadlineSeconds"), at(job, "status.startTime")
    if lasts is None or began is None or job["spec"].get("suspend"):
        return None
    return from_time(began) + lasts


def success(job: Obj, counted: Count, active: int) -> Verdict | None:
    place = met_by(job, counted.done)
    if place is not None:
        return Verdict(SUCCESS, "SuccessPolicy", f"Matched rules at index {place}")
    completions = job["spec"].get("completions")
    reached = counted.succeeded > 0 and active == 0 if completions is None else counted.succeeded >= completions
    if not reached:
        return None
    return Verdict(SUCCESS, "CompletionsReached", "Reached expected number of succeeded pods")
