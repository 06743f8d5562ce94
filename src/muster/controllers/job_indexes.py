"""Indexed Jobs with a limit of failures for each index: which have failed, which wait, which come next.

The last failed pod of an index is kept (with its finalizer) until its successor is made: it tells how often
the index has failed, and when.  https://kubernetes.io/docs/concepts/workloads/controllers/job/#backoff-limit-per-index
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from ..api.indexes import known_indexes
from ..api.objects import Obj
from .job_backoff import delay_s
from .job_pods import FAILURES, IGNORED_FAILURES, Run, count_in, replaces_only_failed
from .job_policies import judge


@dataclass(slots=True)
class Indexes:
    done: Set[int]
    failed: set[int] = field(default_factory=set)
    last_failed: Mapping[int, Run] = field(default_factory=dict)  # of the indexes that are tried again

    def is_kept(self, run: Run) -> bool:
        return run.index is not None and self.last_failed.get(run.index) is run


def has_limit_per_index(job: Obj) -> bool:
    return job["spec"].get("backoffLimitPerIndex") is not None


def read_indexes_of(job: Obj, runs: Iterable[Run], done: Set[int]) -> Indexes:
    if not has_limit_per_index(job):
        return Indexes(done)
    limit = job["spec"]["backoffLimitPerIndex"]
    failed = known_indexes((job.get("status") or {}).get("failedIndexes"), job["spec"].get("completions") or 0)
    busy: set[int] = set()
    last: dict[int, Run] = {}
    for run in runs:
        if run.index is None:
            continue
        if run.is_active:
            busy.add(run.index)
        if run.is_tracked and run.is_failed:
            if _ends_index(job, run, limit):
                failed.add(run.index)
            if run.index not in last or _tries(last[run.index]) < _tries(run):
                last[run.index] = run
    waiting = {index: run for index, run in last.items() if index not in busy | failed and index not in done}
    return Indexes(done, failed - set(done), waiting)


def _tries(run: Run) -> int:
    return count_in(run.pod, FAILURES) + count_in(run.pod, IGNORED_FAILURES)


def _ends_index(job: Obj, run: Run, limit: int) -> bool:
    action = judge(job, run.pod).action
    return action == "FailIndex" or (action != "Ignore" and count_in(run.pod, FAILURES) >= limit)


def failures_before(job: Obj, indexes: Indexes, index: int) -> dict[str, str]:
    """What the next pod of the index is told of those before it."""
    if not has_limit_per_index(job):
        return {}
    last = indexes.last_failed.get(index)
    if last is None:
        return {FAILURES: "0"}
    failures, ignored = count_in(last.pod, FAILURES), count_in(last.pod, IGNORED_FAILURES)
    if judge(job, last.pod).action == "Ignore":
        return {FAILURES: str(failures), IGNORED_FAILURES: str(ignored + 1)}
    told = {FAILURES: str(failures + 1)}
    return {**told, IGNORED_FAILURES: str(ignored)} if ignored else told


def starts_at(indexes: Indexes, index: int) -> float:
    """When the next pod of the index may come: 0 for one that has not failed."""
    last = indexes.last_failed.get(index)
    return last.finished_at + delay_s(_tries(last) + 1) if last is not None else 0.0


def pending(job: Obj, runs: Iterable[Run], indexes: Indexes) -> Iterator[int]:
    """The indexes that have no pod and are neither done nor failed, the lowest first."""
    waits = replaces_only_failed(job)
    busy = {run.index for run in runs if run.is_active or (waits and run.is_terminating)}
    for index in range(job["spec"].get("completions") or 0):
        if index not in indexes.done and index not in indexes.failed and index not in busy:
            yield index
