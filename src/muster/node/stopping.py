"""How containers end that do not end by themselves: their pod is deleted, fails, is over but for its sidecars, or has
changed.

A simulated container ends when its turn says so.  A real one is told to stop (`_wind_up`), and its end is reported.
"""
from __future__ import annotations

import math
from typing import Literal

from ..api.objects import Obj
from . import pod_status, running
from .commands import KILLED
from .life import DONE, QUEUED, RUNNING, SIDECAR, STARTING, Run, Verdict, parts_of
from .means import LONGEST_TEARDOWN_S
from .turn import MOST_STEPS, Telling, Turn

USUAL_GRACE_S = 30.0


def fail(turn: Turn, verdict: Verdict, type_: Literal["Normal", "Warning"], grace_s: float = math.inf) -> None:
    """`grace_s`: the longest that its containers get."""
    turn.moment = turn.now
    turn.verdict = verdict
    turn.tells.append(Telling(type_, *verdict))
    if turn.means.is_reported:
        turn.stops_by = min(turn.stops_by, turn.now + grace_s)
        _wind_up(turn, min(turn.stops_by, turn.now + _grace_s(turn.pod)))
        return
    _tell_stopping(turn)
    _stop_running(turn, KILLED)
    turn.runs = [run._replace(stage=DONE, until=math.inf) for run in turn.runs]


def give_up(turn: Turn) -> None:
    """It has failed as a whole, or somebody else has called it so: what still runs is stopped."""
    if turn.means.is_reported:
        _wind_up(turn, min(turn.stops_by, turn.now + _grace_s(turn.pod)))
        return
    _tell_stopping(turn)
    _stop_running(turn)
    turn.runs = [run._replace(stage=DONE, until=math.inf) for run in turn.runs]
    turn.sandbox = False


def stop(turn: Turn) -> None:
    """The pod is deleted: its containers end, then its network goes, then the pod itself may."""
    allowed_until = _allowed_until(turn)
    if turn.means.is_reported:
        _wind_up(turn, allowed_until)
        if turn.stops_at is None and all(run.stage == DONE for run in turn.runs):
            turn.stops_at = turn.now
        return
    if turn.stops_at is None:
        _tell_stopping(turn)
        runs_on = any(run.stage == RUNNING for run in turn.runs)
        turn.stops_at = turn.now + (turn.means.stop_s() if runs_on else 0.0)
    if turn.gone_at is None:
        turn.stops_at = max(min(turn.stops_at, allowed_until), min(turn.now, turn.stops_at))
        if turn.stops_at <= turn.now:
            _end_all(turn, killed=turn.stops_at == allowed_until)
            teardown_s = min(turn.means.stop_s() / 2, LONGEST_TEARDOWN_S) if turn.sandbox else 0.0
            turn.gone_at = turn.now + teardown_s
    if turn.gone_at is not None and turn.gone_at <= turn.now:
        turn.sandbox = False


def _allowed_until(turn: Turn) -> float:
    """Counted from when the node heard of it: the deletionTimestamp is told by another clock.  It may be hurried."""
    grace_s = turn.pod["metadata"].get("deletionGracePeriodSeconds") or 0
    turn.stops_by = min(turn.stops_by, turn.now + grace_s)
    return turn.stops_by


def stop_sidecars(turn: Turn) -> None:
    if turn.means.is_reported:
        _wind_up(turn, turn.now + _grace_s(turn.pod))
        return
    for place, (part, run) in enumerate(zip(turn.parts, turn.runs, strict=True)):
        if part.role == SIDECAR and run.stage == RUNNING:
            turn.tell(part, "Normal", "Killing", f"Stopping container {part.name}")
            turn.end(place, run, run.course.stop_code)
        elif run.stage != DONE:
            turn.runs[place] = run._replace(stage=DONE, until=math.inf)


def take_up_changes(turn: Turn) -> None:
    """A container whose image was changed is started again with the new one."""
    parts = parts_of(turn.pod)
    runs: list[Run] = []
    for place, part in enumerate(parts):
        run = turn.runs[place] if place < len(turn.runs) else Run()
        if place < len(turn.parts) and turn.parts[place].image != part.image:
            if run.stage == RUNNING:
                run = _changed(turn, place, run)
            if run.stage != RUNNING and (run.stage != DONE or run.ended is not None):
                run = run._replace(stage=QUEUED, until=math.inf, failed_pulls=0)
        runs.append(run)
    turn.parts, turn.runs = parts, runs


def _wind_up(turn: Turn, allowed_until: float) -> None:
    """What runs is told to stop, sidecars after the rest and the last one first; their ends are reported.

    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#pod-termination
    """
    turn.moment = turn.now
    for _ in range(MOST_STEPS):
        place = next((place for place, run in enumerate(turn.runs)
                      if run.stage in (RUNNING, STARTING) and run.until <= turn.now), None)
        if place is None:
            break
        run = turn.runs[place]
        (running.start if run.stage == STARTING else running.go_on)(turn, place, run)
    _close(turn, turn.verdict is not None or turn.is_over(), still_running=(RUNNING, STARTING))
    first = [place for place, part in enumerate(turn.parts)
             if part.role != SIDECAR and turn.runs[place].stage in (RUNNING, STARTING)]
    last = [place for place, run in enumerate(turn.runs) if run.stage == RUNNING][-1:]
    for place in first or last:
        _tell_to_stop(turn, place, allowed_until, f"Stopping container {turn.parts[place].name}")


def _tell_to_stop(turn: Turn, place: int, by: float, why: str, again: bool = False) -> None:
    """A real container's end takes until it is reported, or until the grace period is over."""
    run = turn.runs[place]
    if run.stage == RUNNING:
        if run.report.stop_by == math.inf:
            turn.tell(turn.parts[place], "Normal", "Killing", why)
        turn.runs[place] = run._replace(
            report=run.report._replace(stop_by=min(by, run.report.stop_by), again=again))


def _changed(turn: Turn, place: int, run: Run) -> Run:
    part = turn.parts[place]
    why = f"Container {part.name} definition changed, will be restarted"
    if turn.means.is_reported:
        _tell_to_stop(turn, place, turn.now + _grace_s(turn.pod), why, again=True)
    else:
        turn.tell(part, "Normal", "Killing", why)
        turn.end(place, run, run.course.stop_code)
    return turn.runs[place]


def _tell_stopping(turn: Turn) -> None:
    for part, run in zip(turn.parts, turn.runs, strict=True):
        if run.stage == RUNNING:
            turn.tell(part, "Normal", "Killing", f"Stopping container {part.name}")


def _stop_running(turn: Turn, exit_code: int | None = None) -> None:
    for place, run in enumerate(turn.runs):
        if run.stage == RUNNING:
            turn.end(place, run, run.course.stop_code if exit_code is None else exit_code)


def _end_all(turn: Turn, killed: bool) -> None:
    turn.moment = turn.now
    was_over = turn.verdict is not None or turn.is_over()
    _stop_running(turn, KILLED if killed else None)
    _close(turn, was_over)
    if was_over:
        turn.sandbox = False  # it went when the pod ended


def _close(turn: Turn, was_over: bool, still_running: tuple[str, ...] = ()) -> None:
    """What does not run will not; of what never ran in a pod that was not over, nothing is known."""
    for place, run in enumerate(turn.runs):
        if run.stage != DONE and run.stage not in still_running:
            ended = run.ended or (None if was_over else pod_status.NEVER_FOUND)
            turn.runs[place] = run._replace(stage=DONE, until=math.inf, waiting=None, ended=ended)


def _grace_s(pod: Obj) -> float:
    said = pod["spec"].get("terminationGracePeriodSeconds")
    return float(said) if said is not None else USUAL_GRACE_S
