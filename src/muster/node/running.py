"""A container's run: how it starts or fails to, goes on, ends, and is started again."""
from __future__ import annotations

import math

from ..api.objects import name_of, namespace_of
from . import pulling
from .durations import go_duration
from .life import (
    BACKOFF,
    EXITED,
    FIRST_BACKOFF_S,
    LONGEST_BACKOFF_S,
    QUEUED,
    SIDECAR,
    UNPULLABLE,
    Run,
    is_restarted,
)
from .means import Failure
from .turn import Turn

SHOWN_FAILURE_S = 2.0  # why a container did not start stands this long before CrashLoopBackOff
# What went wrong after the container was made -> the event's reason.
AFTER_CREATION = {"RunContainerError": "Failed", "PostStartHookError": "FailedPostStartHook"}


def start(turn: Turn, place: int, run: Run) -> None:
    part = turn.parts[place]
    if (failure := turn.means.start_failure(run)) is not None:
        _failed_to_start(turn, place, run, failure)
        return
    turn.tell(part, "Normal", "Created", f"Created container: {part.name}")
    turn.tell(part, "Normal", "Started", f"Started container {part.name}")
    run = run._replace(restarts=run.attempt)
    run = turn.means.running(turn.pod, part, run, turn.moment)
    if run.ready_at == math.inf and part.readiness_s is not None and not turn.means.is_reported:
        turn.tell(part, "Warning", "Unhealthy", "Readiness probe failed: ")
    turn.runs[place] = run._replace(until=_next_of(run, turn.moment))


def _failed_to_start(turn: Turn, place: int, run: Run, failure: Failure) -> None:
    """What could not be made is tried again; what was made, and then did not start, counts as a run that failed."""
    part = turn.parts[place]
    if failure.reason not in AFTER_CREATION:
        turn.tell(part, "Warning", "Failed", f"Error: {failure.message}")
        turn.runs[place] = run._replace(stage=UNPULLABLE, until=turn.moment + FIRST_BACKOFF_S, failed_pulls=0,
                                        waiting=(failure.reason, failure.message))
        return
    turn.tell(part, "Normal", "Created", f"Created container: {part.name}")
    turn.tell(part, "Warning", AFTER_CREATION[failure.reason],
              failure.message if failure.reason == "PostStartHookError" else f"Error: {failure.message}")
    turn.end(place, run._replace(restarts=run.attempt, began=run.exit_at, exit_at=math.inf),
             run.course.exit_code, run.course.reason)
    if is_restarted(part, turn.pod, run.course.exit_code):
        turn.runs[place] = turn.runs[place]._replace(
            stage=EXITED, until=turn.moment + SHOWN_FAILURE_S, waiting=(failure.reason, failure.message))


def go_on(turn: Turn, place: int, run: Run) -> None:
    if turn.moment < run.exit_at:
        turn.runs[place] = run._replace(until=_next_of(run, turn.moment))
        return
    part = turn.parts[place]
    if run.course.exit_code == run.course.stop_code and part.liveness_s == run.course.lasts_s:
        turn.tell(part, "Warning", "Unhealthy", "Liveness probe failed: ")
        turn.tell(part, "Normal", "Killing", f"Container {part.name} failed liveness probe, will be restarted")
    turn.end(place, run, run.course.exit_code, run.course.reason)
    if run.report.again:  # it was stopped to be started as it reads now
        turn.runs[place] = turn.runs[place]._replace(stage=QUEUED, failed_pulls=0)
    elif is_restarted(part, turn.pod, run.course.exit_code) and not (
            part.role == SIDECAR and turn.is_over()):
        turn.runs[place] = turn.runs[place]._replace(
            stage=EXITED, until=turn.moment + turn.means.restart_pause_s())


def restart(turn: Turn, place: int, run: Run) -> None:
    """At once the first time, and then after ever longer waits, until it has run for ten minutes."""
    part = turn.parts[place]
    if run.backoff_s == 0 or run.finished - run.restarted_at > 2 * LONGEST_BACKOFF_S:
        turn.runs[place] = run._replace(backoff_s=FIRST_BACKOFF_S, restarted_at=turn.moment)
        pulling.begin(turn, place)
        return
    pod = f"{name_of(turn.pod)}_{namespace_of(turn.pod)}({turn.before.uid})"
    turn.tell(part, "Warning", "BackOff", f"Back-off restarting failed container {part.name} in pod {pod}")
    why = f"back-off {go_duration(run.backoff_s)} restarting failed container={part.name} pod={pod}"
    turn.runs[place] = run._replace(stage=BACKOFF, until=max(turn.moment, run.finished + run.backoff_s),
                                    waiting=("CrashLoopBackOff", why))


def again(turn: Turn, place: int, run: Run) -> None:
    """The wait is over; the next one will be twice as long."""
    backoff_s = min(LONGEST_BACKOFF_S, 2 * run.backoff_s)
    turn.runs[place] = run._replace(backoff_s=backoff_s, restarted_at=turn.moment)
    pulling.begin(turn, place)


def _next_of(run: Run, moment: float) -> float:
    """When something about a running container changes next."""
    return min([run.exit_at, *(at for at in (run.started_at, run.ready_at) if at > moment)])
