"""What happens next to a pod on its node: one pure decision, the same for every pod, simulated or real.

    plan(pod, life, host, now, means) -> Next(life, status, tells, wake_at, ...)

It goes the way the kubelet does.  One worker a pod pulls and starts its containers one after the other, init
containers to their end first; nothing is told to the server while the worker is under way, so a pod costs as many
writes as it has visible states: ContainerCreating, Running, Ready, and one where some take no time.  What can not
be pulled, and what crashes, is tried again after 10 s, 20 s, 40 s ... up to 5 min.

Here is the order of things; what a step does is in pulling.py, running.py and stopping.py, over turn.py.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""
from __future__ import annotations

import math
from typing import NamedTuple

from ..api.objects import Obj, is_deleting
from . import pod_status, pulling, running, stopping
from .life import (
    BACKOFF,
    DONE,
    EPHEMERAL,
    EXITED,
    INIT,
    PULLING,
    QUEUED,
    RUNNING,
    SIDECAR,
    STARTING,
    UNPULLABLE,
    Life,
    Run,
    Verdict,
    is_critical_change,
)
from .means import Means
from .turn import MOST_STEPS, Host, Telling, Turn, succeeded

EVICTION_GRACE_S = 1.0  # upstream's, where a hard threshold was met
LATE_S = 1.0  # a step that comes later than this (the process slept, the node was away) counts from now

STEPS = {PULLING: pulling.finish, UNPULLABLE: pulling.after_failure, STARTING: running.start, RUNNING: running.go_on,
         EXITED: running.restart, BACKOFF: running.again}  # where a stage ends

DEADLINE_EXCEEDED = Verdict("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class Next(NamedTuple):
    life: Life
    status: Obj | None  # as it should read now; None: nothing to say yet
    tells: list[Telling]
    pulls: dict[str, float]  # images that will be on the node, and when
    wake_at: float  # inf: only a change of the pod matters
    remove: bool  # nothing is left of a deleted pod: take it out of the cluster


def plan(pod: Obj, life: Life, host: Host, now: float, means: Means) -> Next:
    turn = Turn(pod, life, host, now, means)
    if life.verdict is None or is_deleting(pod) or (means.is_reported and not life.has_ended()):
        _go_on(turn)
    after = turn.life()
    # The kubelet writes a pod's status between two rounds of its worker: first of all, and when a container ended.
    held = (after.stops_at is None and not turn.something_ended and turn.is_busy()
            and "startTime" in (pod.get("status") or {}))
    return Next(after, None if held else pod_status.status_of(pod, after, host.address, now), turn.tells, turn.pulls,
                _wake_at(turn), after.gone_at is not None and after.gone_at <= now)


def evict(pod: Obj, life: Life, host: Host, now: float, means: Means, verdict: Verdict) -> Next:
    """The node ends the pod to get its room back: at once, for good, and the pod stays to tell why."""
    turn = Turn(pod, life, host, now, means)
    stopping.fail(turn, verdict, "Warning", EVICTION_GRACE_S)
    turn.network(up=False)
    after = turn.life()
    return Next(after, pod_status.status_of(pod, after, host.address, now), turn.tells, {}, math.inf, False)


def _go_on(turn: Turn) -> None:
    pod = turn.pod
    if is_critical_change(turn.before, pod) and not is_deleting(pod):
        stopping.take_up_changes(turn)
    if is_deleting(pod):
        stopping.stop(turn)
        return
    if turn.verdict is not None or (pod.get("status") or {}).get("phase") in pod_status.PHASE_OVER:
        stopping.give_up(turn)
        return
    for _ in range(MOST_STEPS):
        _start_queued(turn)
        place = _next_due(turn)
        if place is None:
            break
        run = turn.runs[place]
        turn.moment = run.until if turn.now - run.until <= LATE_S else turn.now
        turn.network(up=True)
        if step := STEPS.get(run.stage):
            step(turn, place, run)
    if turn.deadline <= turn.now and turn.verdict is None and not turn.is_over():
        stopping.fail(turn, DEADLINE_EXCEEDED, "Normal")
    elif turn.is_over():
        stopping.stop_sidecars(turn)
        turn.network(up=False)


def _wake_at(turn: Turn) -> float:
    if turn.stops_at is not None:
        last = turn.gone_at if turn.gone_at is not None else turn.stops_at
        return last if last > turn.now else math.inf
    if turn.verdict is not None:
        return math.inf
    is_done, wake = True, math.inf
    for run in turn.runs:
        is_done = is_done and run.stage == DONE
        if run.until < wake and not (_needs_worker(run) and turn.is_busy()):
            wake = run.until
    if is_done:
        return math.inf
    return turn.deadline if turn.deadline < wake and not turn.is_over() else wake


def _next_due(turn: Turn) -> int | None:
    """The run whose stage ends first, of those that end by now."""
    found, earliest = None, turn.now
    for place, run in enumerate(turn.runs):
        due = run.until < earliest or (run.until == earliest and found is None)
        if due and not (_needs_worker(run) and (turn.is_busy() or not turn.means.has_network(turn.sandbox))):
            found, earliest = place, run.until
    return found


def _start_queued(turn: Turn) -> None:
    """Hands the worker the next container, if it is free and one may start."""
    while not turn.is_busy() and turn.means.has_network(turn.sandbox):
        place = _startable(turn)
        if place is None:
            return
        pulling.begin(turn, place)


def _startable(turn: Turn) -> int | None:
    for place, (part, run) in enumerate(zip(turn.parts, turn.runs, strict=True)):
        if run.stage == QUEUED:
            return place
        if part.role == INIT and not succeeded(run):
            return _startable_ephemeral(turn)
        if part.role == SIDECAR and not run.is_started(turn.moment) and run.restarts == 0:
            return _startable_ephemeral(turn)
    return None


def _startable_ephemeral(turn: Turn) -> int | None:
    return next((place for place, part in enumerate(turn.parts)
                 if part.role == EPHEMERAL and turn.runs[place].stage == QUEUED), None)


def _needs_worker(run: Run) -> bool:
    return run.stage in (UNPULLABLE, EXITED, BACKOFF)
