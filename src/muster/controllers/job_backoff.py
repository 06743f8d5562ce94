"""How long a Job waits before it replaces pods that failed: 10 s, 20 s, 40 s ... 6 min.

The count begins again after a pod that succeeded.  It is read from the pods that are there, so nothing has
to be remembered between two looks.
https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy
"""
from __future__ import annotations

from collections.abc import Iterable

from .job_pods import Run

FIRST_S, LONGEST_S = 10.0, 360.0


def delay_s(failures: int) -> float:
    """After so many in a row."""
    return min(FIRST_S * 2 ** min(failures - 1, 10), LONGEST_S) if failures > 0 else 0.0


def starts_at(runs: Iterable[Run]) -> float:
    """When the next pod may be made: 0 for at once."""
    # A pod that is going and was let go before is one that we ended ourselves.
    ended = [run for run in runs if (run.has_succeeded or run.is_failed) and (run.is_tracked or not run.is_going)]
    good_since = max((run.finished_at for run in ended if run.has_succeeded), default=float("-inf"))
    bad = [run.finished_at for run in ended if not run.has_succeeded and run.finished_at > good_since]
    return max(bad) + delay_s(len(bad)) if bad else 0.0
