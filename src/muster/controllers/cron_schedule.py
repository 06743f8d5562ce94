"""Which of a CronJob's times is to be served now, and when the next one comes.

Of several that were missed only the latest is served.  More than a hundred missed ones are worth a warning.
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#job-creation
"""
from __future__ import annotations

from datetime import tzinfo
from typing import NamedTuple

from ..api.cron import Schedule

MANY = 100
LONGEST_WALK = 10_000  # times looked at on the way to the latest


class Due(NamedTuple):
    time: float | None  # the latest that has come and was not served; None: all were
    next_at: float | None
    too_many: bool = False


class Never(ValueError):
    """A schedule that reads well, and has no time: the 31st of February."""

    def __init__(self) -> None:
        super().__init__("time difference between two schedules is less than 1 second")  # upstream's words


def due(schedule: Schedule, zone: tzinfo, served_until: float, deadline_s: int | None, now: float) -> Due:
    """`served_until`: the last time that was served, or when the CronJob was made.

    A time that came before the deadline is not looked at, so that nobody is told of it: v1.32 has words for one that
    was missed so (MissSchedule), and never says them (https://github.com/kubernetes/kubernetes/issues/111223).
    """
    next_at = schedule.next_after(now, zone)
    earliest = served_until if deadline_s is None else max(served_until, now - deadline_s)
    first = schedule.next_after(earliest, zone)
    if first is None:
        raise Never
    if first > now:
        return Due(None, next_at)
    second = schedule.next_after(first, zone)
    if second is None:
        raise Never
    if second > now:
        return Due(first, next_at)
    apart = max(1.0, second - first)
    missed = (now - first) // apart + 1
    return Due(_latest(schedule, zone, first, apart, now), next_at, missed > MANY)


def _latest(schedule: Schedule, zone: tzinfo, first: float, apart: float, now: float) -> float:
    """Looks back from now, further each time, until there is a time, and walks on from there to the last."""
    if schedule.every_s:
        return first + (now - first) // apart * apart
    back = apart
    start = max(first, now - back)
    while start > first and (schedule.next_after(start - 1, zone) or now + 1) > now:
        back *= 2
        start = max(first, now - back)
    latest = first
    following = schedule.next_after(start - 1, zone)
    for _ in range(LONGEST_WALK):
        if following is None or following > now:
            break
        latest, following = following, schedule.next_after(following, zone)
    return latest
