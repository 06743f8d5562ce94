"""The log of a simulated container, told from its pod alone: nothing is kept.

A container whose command is understood (commands.py) says what the command prints, and nothing else.  Any other
one tells of its own life: that it started, is ready, still runs (a line a minute), and how it ended.
https://kubernetes.io/docs/concepts/cluster-administration/logging/#basic-logging-in-kubernetes
"""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..api.errors import BadRequest
from ..api.logs import LogOptions
from ..api.objects import Obj, condition, from_time, name_of, namespace_of, to_micro_time
from . import life
from .commands import FOR_EVER, Course, line_at
from .durations import go_duration
from .life import Part

EVERY_S = 60.0
MOST_LINES = 1000  # of those a minute apart: the last ones


class Line(NamedTuple):
    at: float
    text: str


def written(pod: Obj, options: LogOptions, now: float) -> list[Line]:
    """The lines up to now that `options` ask for.  Raises BadRequest where there is no log."""
    lines = _lines(pod, options, now)
    if options.tail_lines is not None:
        lines = lines[len(lines) - min(options.tail_lines, len(lines)):]
    since = now - options.since_s if options.since_s is not None else options.since_time
    return [line for line in lines if line.at >= since] if since is not None else lines


def written_after(pod: Obj, options: LogOptions, after: float, now: float) -> list[Line]:
    """What came after a moment, for those who follow."""
    return [line for line in _lines(pod, options, now) if line.at > after]


def attempt_asked(pod: Obj, options: LogOptions) -> int:
    """Which run's log is meant, counted from 0.  Raises BadRequest where there is none."""
    container = options.container
    told = _told(pod, container)
    state, restarts = told.get("state") or {}, told.get("restartCount") or 0
    last = (told.get("lastState") or {}).get("terminated")
    if options.previous:
        if last is None:
            raise BadRequest(f'previous terminated container "{container}" in pod "{name_of(pod)}" not found')
        return max(0, restarts - ("running" in state or "terminated" in state))
    if not ("running" in state or "terminated" in state or last is not None):
        raise BadRequest(_waits(pod, container, state))
    return int(restarts)


def encoded(lines: Sequence[Line], options: LogOptions) -> bytes:
    return b"".join((f"{_stamp(line.at)} {line.text}\n" if options.timestamps else f"{line.text}\n").encode()
                    for line in lines)


def goes_on(pod: Obj | None, container: str) -> bool:
    """Is there more to come?"""
    return pod is not None and "running" in (_told(pod, container).get("state") or {})


def _stamp(at: float) -> str:
    return f"{to_micro_time(at)[:-1]}000Z"


def _lines(pod: Obj, options: LogOptions, now: float) -> list[Line]:
    name, container = name_of(pod), options.container
    told = _told(pod, container)
    state, last = told.get("state") or {}, (told.get("lastState") or {}).get("terminated")
    restarts = told.get("restartCount") or 0
    if options.previous:
        if last is None:
            raise BadRequest(f'previous terminated container "{container}" in pod "{name}" not found')
        ended, began = last, last.get("startedAt")
        if "running" in state or "terminated" in state:
            restarts -= 1
    elif "running" in state:
        ended, began = None, state["running"].get("startedAt")
    else:
        ended = state.get("terminated") or last
        if ended is None:
            raise BadRequest(_waits(pod, container, state))
        began = ended.get("startedAt")
    part = next(part for part in life.parts_of(pod) if part.name == container)
    if not began:
        return []  # it never ran
    return list(_of_run(pod, part, max(0, restarts), from_time(began), ended, now))


def _told(pod: Obj, container: str) -> Obj:
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for one in status.get(field) or ():
            if one["name"] == container:
                return one
    return {}


def _waits(pod: Obj, container: str, state: Obj) -> str:
    if not pod["spec"].get("nodeName"):
        return f"pod {name_of(pod)} does not have a host assigned"
    reason = (state.get("waiting") or {}).get("reason") or "ContainerCreating"
    if reason in ("ErrImagePull", "ImagePullBackOff"):
        reason = "trying and failing to pull image"
    return f'container "{container}" in pod "{name_of(pod)}" is waiting to start: {reason}'


def _of_run(pod: Obj, part: Part, restarts: int, began: float, ended: Obj | None, now: float) -> Iterator[Line]:
    until = from_time(ended["finishedAt"]) if ended is not None and ended.get("finishedAt") else now
    if part.course is not FOR_EVER:
        yield from _printed(part.course, began, until if ended is None else until + 1.0)  # stamps are whole seconds
        return
    yield Line(began, f"{part.name}: run {restarts + 1} of image {part.image} in pod "
                      f"{namespace_of(pod)}/{name_of(pod)} on node {pod['spec'].get('nodeName')} (simulated)")
    ready = condition(pod, "ContainersReady")
    if ended is None and ready is not None and ready.get("status") == "True":
        yield Line(max(began, from_time(ready["lastTransitionTime"])), f"{part.name}: ready")
    ticks = math.floor((until - began) / EVERY_S)
    for tick in range(max(1, ticks - MOST_LINES + 1), ticks + 1):
        yield Line(began + tick * EVERY_S, f"{part.name}: has been running for {go_duration(tick * EVERY_S)}")
    if ended is not None:
        yield Line(until, f"{part.name}: ended with exit code {ended.get('exitCode', 0)}")


def _printed(course: Course, began: float, until: float) -> Iterator[Line]:
    for after_s, text in course.prints:
        if began + after_s <= until:
            yield Line(began + after_s, line_at(text, began + after_s))
