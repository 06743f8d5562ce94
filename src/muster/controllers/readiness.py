"""Whether a pod counts: ready, and available.

Available is: ready for at least `minReadySeconds`, without a break.  So a ready pod has a time at which it
becomes available, and that is what is asked for here: who waits for it knows when to look again.
https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
"""
from __future__ import annotations

import math

from ..api.objects import Obj, condition, from_time

NEVER = math.inf


def available_at(pod: Obj, min_ready_s: int) -> float:
    """When the pod is (or was first) available, should it stay ready; NEVER for one that is not ready."""
    found = condition(pod, "Ready")
    if found is None or found.get("status") != "True":
        return NEVER
    if not min_ready_s:
        return 0.0
    since = found.get("lastTransitionTime")
    return from_time(since) + min_ready_s if since else NEVER
