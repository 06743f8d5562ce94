"""How a Job counts each pod once, whatever happens in between.

    1  a pod that ended is written down by its uid       status.uncountedTerminatedPods
    2  then its finalizer is taken away                  only of a uid that is seen in the stored status
    3  the uid becomes one more in the counter           only of a pod that is seen without the finalizer, or gone

Each step is planned from what the step before has left in the store, so a crash between any two of them
neither loses nor repeats a count.  Indexed jobs need no uids for success: an index is done or it is not.
https://github.com/kubernetes/enhancements/tree/master/keps/sig-apps/2307-job-tracking-without-lingering-pods
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from ..api.indexes import known_indexes
from ..api.objects import Obj
from ..control.plan import Action
from .job_pods import Run, is_indexed, let_go
from .job_policies import judge

MOST_UNCOUNTED = 500


@dataclass(slots=True)
class Count:
    """What stands in the status, and what this look adds to it."""

    succeeded: int  # all told, those that are not yet written down too
    failed: int
    done: set[int] = field(default_factory=set)  # indexes
    stored_done: frozenset[int] = frozenset()  # of them, those that the stored status has
    new_succeeded: list[Run] = field(default_factory=list)
    new_failed: list[Run] = field(default_factory=list)


@dataclass(slots=True)
class Settled:
    fields: Obj  # of the status: succeeded, failed, uncountedTerminatedPods
    actions: list[Action] = field(default_factory=list)  # finalizers to take away
    is_complete: bool = True  # nothing is left to count


def count(job: Obj, runs: Iterable[Run]) -> Count:
    status = job.get("status") or {}
    uncounted = status.get("uncountedTerminatedPods") or {}
    succeeded, failed = uncounted.get("succeeded") or [], uncounted.get("failed") or []
    known, indexed = {*succeeded, *failed}, is_indexed(job)
    completions = job["spec"].get("completions") or 0
    done = known_indexes(status.get("completedIndexes"), completions) if indexed else set()
    found = Count(0, 0, done, frozenset(done))
    for run in runs:
        if not run.is_tracked or run.uid in known or (indexed and run.index is None):
            continue
        if run.has_succeeded:
            found.new_succeeded.append(run)
            if run.index is not None:
                done.add(run.index)
        elif run.is_failed and judge(job, run.pod).action != "Ignore":
            found.new_failed.append(run)
    found.succeeded = len(done) if indexed else (
        status.get("succeeded", 0) + len(succeeded) + len(found.new_succeeded))
    found.failed = status.get("failed", 0) + len(failed) + len(found.new_failed)
    return found


def settle(job: Obj, runs: Collection[Run], counted: Count, *, has_failed: bool, has_succeeded: bool,
           kept: Callable[[Run], bool]) -> Settled:
    """`kept` pods stay uncounted for now: their index needs them to tell how often it has failed."""
    status = job.get("status") or {}
    stored = status.get("uncountedTerminatedPods") or {}
    tracked = {run.uid: run for run in runs if run.is_tracked}
    fields: Obj = {"succeeded": status.get("succeeded", 0), "failed": status.get("failed", 0)}
    waiting: dict[str, list[str]] = {}
    result = Settled(fields)
    for outcome in ("succeeded", "failed"):
        uids = stored.get(outcome) or []
        waiting[outcome] = [uid for uid in uids if uid in tracked]
        fields[outcome] += len(uids) - len(waiting[outcome])
        result.actions += [let_go(tracked[uid].pod) for uid in waiting[outcome]]

    known = {*waiting["succeeded"], *waiting["failed"]}
    indexed = is_indexed(job)
    for run in tracked.values():
        if run.uid in known:
            continue
        outcome = _outcome(job, run, counted, indexed, has_failed)
        if outcome == "" and (run.is_failed or has_failed or has_succeeded or run.has_succeeded) and not kept(run):
            result.actions.append(let_go(run.pod))
        elif outcome in waiting and not kept(run) and sum(map(len, waiting.values())) < MOST_UNCOUNTED:
            waiting[outcome].append(run.uid)
    if indexed:
        fields["succeeded"] = len(counted.done)
    result.is_complete = not any(waiting.values()) and len(result.actions) == len(tracked) == 0
    fields["uncountedTerminatedPods"] = {outcome: uids for outcome, uids in waiting.items() if uids}
    return result


def _outcome(job: Obj, run: Run, counted: Count, indexed: bool, has_failed: bool) -> str:
    """ "succeeded" or "failed": write it down; "": nothing is to be counted; "later": not now."""
    if indexed and run.index is None:
        return ""
    if run.has_succeeded:
        if not indexed:
            return "succeeded"
        return "" if run.index in counted.stored_done else "later"
    if run.is_failed:
        return "" if judge(job, run.pod).action == "Ignore" else "failed"
    return "failed" if has_failed else ""

