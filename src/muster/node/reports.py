"""What a container runtime reports of a pod, put into the pod's life; the decision (plan.py) then goes on from there.

Each report is a function of the life as it is: one that comes twice, late, or for a container that is not at that
step any more changes nothing.  `taken_over` makes the life of a pod that was on its node before this process did
anything, from what the runtime holds: what runs goes on running, and an exit that nobody saw is not lost.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..api.objects import Obj
from .commands import FOR_EVER, Course
from .life import (
    DONE,
    EXITED,
    FIRST_BACKOFF_S,
    LONGEST_BACKOFF_S,
    PULLING,
    QUEUED,
    RUNNING,
    STARTING,
    Life,
    Run,
    terminated,
)

NEVER_FOUND_MESSAGE = ("The container could not be located when the pod was deleted.  "
                       "The container used to be Running")


class Exit(NamedTuple):
    """How a container ended."""

    exit_code: int
    reason: str
    message: str
    finished: float


class Found(NamedTuple):
    """A container as the runtime has it."""

    attempt: int
    id: str
    image: str
    image_id: str
    began: float
    ended: Exit | None  # None: it runs


def network_up(life: Life, address: str) -> Life:
    return life._replace(sandbox=True, address=address)


def network_down(life: Life) -> Life:
    return life._replace(sandbox=False)


def gone(life: Life, now: float) -> Life:
    """Nothing is left of the pod on its node."""
    return life._replace(sandbox=False, gone_at=now)


def pulled(life: Life, place: int, now: float, took: float, size: int, image_id: str) -> Life:
    run = life.runs[place]
    if run.stage != PULLING:
        return life
    return _with(life, place, run._replace(until=now, pull_took=took, report=run.report._replace(
        size=size, image_id=image_id, failure=None)))


def not_pulled(life: Life, place: int, now: float, why: str) -> Life:
    run = life.runs[place]
    if run.stage != PULLING:
        return life
    return _with(life, place, run._replace(until=now, report=run.report._replace(failure=("ErrImagePull", why))))


def started(life: Life, place: int, now: float, id_: str, image: str, image_id: str) -> Life:
    run = life.runs[place]
    if run.stage != STARTING:
        return life
    return _with(life, place, run._replace(until=now, report=run.report._replace(
        id=id_, image=image, image_id=image_id, failure=None)))


def not_started(life: Life, place: int, now: float, reason: str, why: str, id_: str = "",
                ended: Exit | None = None) -> Life:
    """`ended`: of the container that was made, and did not start or was killed for its hook."""
    run = life.runs[place]
    if run.stage != STARTING:
        return life
    report = run.report._replace(failure=(reason, why), id=id_, message=ended.message if ended else "")
    course = Course(math.inf, ended.exit_code, reason=ended.reason) if ended else run.course
    return _with(life, place, run._replace(until=now, course=course, exit_at=ended.finished if ended else math.inf,
                                           report=report))


def exited(life: Life, place: int, now: float, attempt: int, end: Exit) -> Life:
    run = life.runs[place]
    if run.stage != RUNNING or run.restarts != attempt:
        return life
    return _with(life, place, run._replace(
        until=now, exit_at=min(end.finished, now), course=Course(math.inf, end.exit_code, reason=end.reason),
        report=run.report._replace(message=end.message)))


def startup_passed(life: Life, place: int, now: float) -> Life:
    run, part = life.runs[place], life.parts[place]
    if run.stage != RUNNING or run.started_at <= now:
        return life
    ready_at = now if part.readiness_s is None else run.ready_at
    return _with(life, place, run._replace(until=now, started_at=now, ready_at=ready_at))


def readiness(life: Life, place: int, now: float, ready: bool) -> Life:
    run = life.runs[place]
    if run.stage != RUNNING or run.is_ready(now) == ready:
        return life
    return _with(life, place, run._replace(until=now, ready_at=now if ready else math.inf))


def unhealthy(life: Life, place: int, now: float, grace_s: float) -> Life:
    """Its liveness or startup probe failed: it is stopped; what comes then is up to the restart policy."""
    run = life.runs[place]
    if run.stage != RUNNING or run.report.stop_by < math.inf:
        return life
    return _with(life, place, run._replace(report=run.report._replace(stop_by=now + grace_s)))


def _with(life: Life, place: int, run: Run) -> Life:
    return life._replace(runs=life.runs[:place] + (run,) + life.runs[place + 1:])


# ------------------------------------------------------------------ a pod that was here before


def taken_over(life: Life, found: Mapping[str, Sequence[Found]], address: str | None, now: float) -> Life:
    """`life`: from the status; `found`: by name, the oldest first; `address`: of its network, None: it has none."""
    runs = tuple(_taken_over(life, place, found.get(part.name, ()), now) for place, part in enumerate(life.parts))
    return life._replace(runs=runs, sandbox=address is not None, address=address or life.address)


def _taken_over(life: Life, place: int, found: Sequence[Found], now: float) -> Run:
    """Goes through what happened since the status was written, run by run."""
    run = life.runs[place]
    run = run._replace(report=run.report._replace(stop_by=math.inf, failure=None))
    if run.stage in (PULLING, STARTING):
        run = run._replace(stage=QUEUED, until=math.inf)
    for one in found:
        if run.stage == RUNNING and one.attempt == run.restarts + 1 and run.exit_at <= now:
            run = _restarted(run)
        if run.stage == RUNNING and one.attempt == run.restarts:
            run = run._replace(report=run.report._replace(id=one.id, image=one.image, image_id=one.image_id))
            run = _ended(run, one.ended, now) if one.ended is not None else _goes_on(life, place, run)
        elif run.stage not in (RUNNING, DONE) and one.attempt == run.attempt:
            run = _caught_up(life, place, run, one, now)
    if run.stage == RUNNING and not any(one.attempt == run.restarts for one in found):
        return _ended(run, Exit(137, "ContainerStatusUnknown", NEVER_FOUND_MESSAGE, now), now)
    return run


def _restarted(run: Run) -> Run:
    """It ended, and was about to run again."""
    finished = run.exit_at
    ended = terminated(run, run.report.id, run.course.exit_code, run.course.reason, finished)
    return run._replace(stage=EXITED, until=math.inf, ended=ended, before=run.ended, finished=finished,
                        backoff_s=min(LONGEST_BACKOFF_S, 2 * run.backoff_s) or FIRST_BACKOFF_S, restarted_at=finished)


def _caught_up(life: Life, place: int, run: Run, one: Found, now: float) -> Run:
    """It was started, and that was not written any more."""
    run = run._replace(stage=RUNNING, waiting=None, restarts=one.attempt, began=one.began,
                       started_at=now if life.parts[place].startup_s is None else math.inf, ready_at=math.inf,
                       report=run.report._replace(id=one.id, image=one.image, image_id=one.image_id))
    return _ended(run, one.ended, now) if one.ended is not None else _goes_on(life, place, run)


def _goes_on(life: Life, place: int, run: Run) -> Run:
    """Its probes are asked again; until they answer it is as ready as it was."""
    part = life.parts[place]
    started_at = run.started_at if part.startup_s is None or run.started_at <= run.began else math.inf
    ready = run.ready_at <= run.began or (part.readiness_s is None and started_at < math.inf)
    return run._replace(until=math.inf, exit_at=math.inf, course=FOR_EVER, started_at=started_at,
                        ready_at=run.began if ready else math.inf)


def _ended(run: Run, end: Exit, now: float) -> Run:
    return run._replace(until=now, exit_at=min(end.finished, now),
                        course=Course(math.inf, end.exit_code, reason=end.reason),
                        report=run.report._replace(message=end.message))



def place_of(life: Life, name: str) -> int | None:
    return next((place for place, part in enumerate(life.parts) if part.name == name), None)


def is_wanted(pod: Obj, life: Life) -> bool:
    """Should the pod have a network on its node now?"""
    return (life.verdict is None and life.stops_at is None and not pod["metadata"].get("deletionTimestamp")
            and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
            and any(run.stage != DONE for run in life.runs))
