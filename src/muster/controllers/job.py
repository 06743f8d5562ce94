"""Runs pods to their end, as often as a Job asks for.

    observe   the job, its pods, and orphans that it may adopt
    decide    claims first: adopt what matches, release what no longer does
              what has ended is counted, each pod once      (job_counting.py)
              is it over: failed, or succeeded              (job_verdict.py, job_policies.py)
              if not: end what is too much, or start what is missing, after a pause where pods fail
              status                                        (job_status.py)

Nothing is remembered between two looks: pods that are not yet counted are held by a finalizer, and tell.
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from ..api.objects import Key, Obj, is_deleting, is_true, name_of, namespace_of, uid_of
from ..api.selectors import from_label_selector
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control import owners
from ..control.dependents import woken_by_dependent
from ..control.plan import NOTHING, Action, Create, Delete, Patch, Plan, SetStatus, Tell
from ..control.runtime import Controller
from ..store.history import Change
from . import job_backoff
from .job_counting import Count, count, settle
from .job_indexes import Indexes, failures_before, has_limit_per_index, pending, read_indexes_of, starts_at
from .job_pods import FINALIZER, Run, is_indexed, let_go, pod_maker, replaces_only_failed, runs_of
from .job_status import status_of
from .job_verdict import Verdict, deadline, failure, stored, success

RESOURCE = "jobs.batch"
MOST_AT_ONCE = 500  # pods made or ended in one look
OURSELVES = "kubernetes.io/job-controller"


@dataclass(frozen=True, slots=True)
class Observed:
    job: Obj
    pods: Sequence[Obj]  # its own, and those of its namespace without a controller


# ------------------------------------------------------------------ when to look

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    if change.key.resource == RESOURCE:
        return (change.key,)
    return woken_by_dependent(change, mirror, RESOURCE, "Job")


def observe(mirror: Mirror, key: Key) -> Observed | None:
    job = mirror.get(key)
    return Observed(job, owners.candidates(mirror, job, "pods")) if job is not None else None


# ------------------------------------------------------------------ the decision

def plan(seen: Observed, now: float) -> Plan:
    job, size = seen.job, 1 + len(seen.pods)
    if job["spec"].get("managedBy", OURSELVES) != OURSELVES:
        return NOTHING
    claimed = owners.claim(job, from_label_selector(job["spec"].get("selector")), seen.pods, "pods")
    if claimed.actions:
        return Plan([_held(action) for action in claimed.actions], size=size)
    runs = runs_of(job, claimed.mine)
    if is_deleting(job) or is_finished(job):
        return Plan([let_go(run.pod) for run in runs if run.is_tracked], size=size)
    return _decide(job, runs, now, size)


def _held(action: Action) -> Action:
    """An adopted pod is counted like all others: it gets the finalizer with its owner."""
    assert isinstance(action, Patch)
    metadata = action.patch["metadata"]
    if "$patch" in metadata["ownerReferences"][0]:
        return action
    return Patch(action.key, action.uid, {"metadata": {**metadata, "finalizers": [FINALIZER]}}, how=action.how)


def is_finished(job: Obj) -> bool:
    return is_true(job, "Complete") or is_true(job, "Failed")


def _decide(job: Obj, runs: list[Run], now: float, size: int) -> Plan:
    counted = count(job, runs)
    indexes = read_indexes_of(job, runs, counted.done)
    active = [run for run in runs if run.is_active]
    verdict = stored(job) or failure(job, runs, counted, indexes, now) or success(job, counted, len(active))
    wake_at: float | None = None
    if verdict is not None:
        actions = _end(job, active)
    else:
        actions, wake_at = _manage(job, runs, active, counted, indexes, now)

    settled = settle(job, runs, counted, has_failed=verdict is not None and verdict.has_failed,
                     has_succeeded=verdict is not None and not verdict.has_failed,
                     kept=lambda run: verdict is None and indexes.is_kept(run))
    status = status_of(job, runs, counted, indexes, settled, verdict, now)
    actions += settled.actions
    if status != job.get("status"):
        actions.append(SetStatus(Key(RESOURCE, namespace_of(job), name_of(job)), uid_of(job), status))
        actions += _tell(job, {**job, "status": status}, verdict)
    ends = deadline({**job, "status": status}) if verdict is None else None
    return Plan(actions, min((when for when in (wake_at, ends) if when is not None), default=None), size)


def _manage(job: Obj, runs: list[Run], active: list[Run], counted: Count, indexes: Indexes,
            now: float) -> tuple[list[Action], float | None]:
    """Pods to end, or else pods to start; and when to look again if they have to wait."""
    wanted = _wanted(job, counted, len(active))
    surplus = _surplus(job, active, len(active) - wanted)
    if surplus or job["spec"].get("suspend"):
        # Pods that we end ourselves are nobody's failures: they are let go, and never counted.
        return [*_end(job, surplus), *(let_go(run.pod) for run in surplus if run.is_tracked)], None
    waits_for = sum(run.is_terminating for run in runs) if replaces_only_failed(job) else 0
    missing = min(wanted - len(active) - waits_for, MOST_AT_ONCE)
    if missing <= 0:
        return [], None
    if not has_limit_per_index(job) and (pause_ends := job_backoff.starts_at(runs)) > now:
        return [], pause_ends
    make = pod_maker(job)
    if not is_indexed(job):
        return [Create(make(), tell=job) for _ in range(missing)], None
    chosen, when = _due(job, runs, indexes, missing, now)
    return [Create(make(index, failures_before(job, indexes, index)), tell=job) for index in chosen], when


def _wanted(job: Obj, counted: Count, active: int) -> int:
    spec = job["spec"]
    if spec.get("suspend"):
        return 0
    if spec.get("completions") is None:  # a work queue: one success means that the work runs out
        return active if counted.succeeded > 0 else int(spec["parallelism"])
    return max(0, min(spec["completions"] - counted.succeeded, spec["parallelism"]))


def _surplus(job: Obj, active: list[Run], many: int) -> list[Run]:
    """Pods without an index, twins of an index, then as many more as are too much."""
    ordered = sorted(active, key=lambda run: run.least_lost)
    odd: list[Run] = []
    if is_indexed(job):
        kept: set[int] = set()
        for run in reversed(ordered):
            if run.index is None or run.index in kept:
                odd.append(run)
            else:
                kept.add(run.index)
    named = {run.uid for run in odd}
    rest = [run for run in ordered if run.uid not in named]
    return (odd + rest[:max(0, many - len(odd))])[:MOST_AT_ONCE]


def _due(job: Obj, runs: list[Run], indexes: Indexes, missing: int, now: float) -> tuple[list[int], float | None]:
    """The next indexes that need not wait; if all must, until when."""
    if not has_limit_per_index(job):
        return list(islice(pending(job, runs, indexes), missing)), None
    due: list[int] = []
    later: list[float] = []
    for index in pending(job, runs, indexes):
        when = starts_at(indexes, index)
        if when > now:
            later.append(when)
        elif len(due) < missing:
            due.append(index)
    return due, min(later, default=None)


def _end(job: Obj, runs: Iterable[Run]) -> list[Action]:
    return [Delete(Key("pods", namespace_of(job), run.name), run.uid, tell=job) for run in runs]


def _tell(before: Obj, after: Obj, verdict: Verdict | None) -> list[Action]:
    """Events about what the new status says for the first time."""
    said: list[Action] = []
    if verdict is None and is_true(before, "Suspended") != is_true(after, "Suspended"):
        if is_true(after, "Suspended"):
            said.append(Tell(before, "Normal", "Suspended", "Job suspended"))
        else:
            said.append(Tell(before, "Normal", "Resumed", "Job resumed"))
    if is_true(after, "Complete"):
        said.append(Tell(before, "Normal", "Completed", "Job completed"))
    if is_true(after, "Failed") and verdict is not None:
        said.append(Tell(before, "Warning", verdict.reason, verdict.message))
    return said


controller = Controller("job-controller", (RESOURCE, Changes("pods", concerning=RESOURCE, owned_by="Job")),
                        wakes, observe, plan)
