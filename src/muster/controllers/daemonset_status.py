"""The numbers of a DaemonSet's status, as `kubectl get ds` shows them.

    desired       nodes that should run a pod           current      of these, nodes that have one
    misscheduled  nodes that have one but should not    up-to-date, ready, available: of the oldest pod there

The oldest pod speaks for its node, so during a surge a node counts as updated when its old pod is gone.
Numbers of zero that the Go client leaves out (up-to-date, available, unavailable) are left out here too.
"""
from __future__ import annotations

from collections.abc import Iterable

from ..api.objects import Obj
from .daemonset_nodes import Fit
from .daemonset_places import Place


def status_of(daemonset: Obj, places: Iterable[Place], desired: int) -> Obj:
    current = misscheduled = ready = updated = up = 0
    for place in places:
        if not place.pods:
            continue
        if place.fit is not Fit.RUN:
            misscheduled += place.fit is not None
            continue
        oldest = place.pods[0]
        current += 1
        ready += oldest.is_ready
        up += oldest.is_available
        updated += oldest.is_current
    before = daemonset.get("status") or {}
    status = {
        "currentNumberScheduled": current,
        "numberMisscheduled": misscheduled,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
    }
    may_be_left_out = {
        "observedGeneration": daemonset["metadata"].get("generation"),
        "updatedNumberScheduled": updated,
        "numberAvailable": up,
        "numberUnavailable": desired - up,
    }
    status.update({field: number for field, number in may_be_left_out.items() if number})
    status.update({field: before[field] for field in ("collisionCount", "conditions")
                   if before.get(field) is not None})
    return status
