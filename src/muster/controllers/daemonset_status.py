"""The numbers of a DaemonSet's status, as `kubectl get ds` shows them.

    desired       nodes that should run a pod           current      of these, nodes that have one
    misscheduled  nodes that have one but should not    up-to-date, ready, available: of the oldest pod there

The oldest pod speaks for its node, so during a surge a node counts as updated when its old pod is gone.
Numbers of zero that the Go client leaves out (up-to-date, available, unavailable) are left out here too.
"""
from __future__ import annotations

from typing import NamedTuple

from ..api.objects import Obj
from .daemonset_nodes import Fit
from .daemonset_places import Place


class Counts(NamedTuple):
    """Of places: those that have a pod, and how that is."""

    current: int = 0
    misscheduled: int = 0
    ready: int = 0
    updated: int = 0
    up: int = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(self.current + other.current, self.misscheduled + other.misscheduled, self.ready + other.ready,
                      self.updated + other.updated, self.up + other.up)

    def minus(self, other: Counts) -> Counts:
        return Counts(self.current - other.current, self.misscheduled - other.misscheduled, self.ready - other.ready,
                      self.updated - other.updated, self.up - other.up)


NOTHING = Counts()
_MISSCHEDULED = Counts(misscheduled=1)


def counts_of(place: Place) -> Counts:
    """The oldest pod speaks for its node."""
    if not place.pods:
        return NOTHING
    if place.fit is not Fit.RUN:
        return _MISSCHEDULED if place.fit is not None else NOTHING
    oldest = place.pods[0]
    return Counts(1, 0, int(oldest.is_ready), int(oldest.is_current), int(oldest.is_available))


def status_of(daemonset: Obj, counts: Counts, desired: int) -> Obj:
    before = daemonset.get("status") or {}
    status = {
        "currentNumberScheduled": counts.current,
        "numberMisscheduled": counts.misscheduled,
        "desiredNumberScheduled": desired,
        "numberReady": counts.ready,
    }
    may_be_left_out = {
        "observedGeneration": daemonset["metadata"].get("generation"),
        "updatedNumberScheduled": counts.updated,
        "numberAvailable": counts.up,
        "numberUnavailable": desired - counts.up,
    }
    status.update({field: number for field, number in may_be_left_out.items() if number})
    status.update({field: before[field] for field in ("collisionCount", "conditions")
                   if before.get(field) is not None})
    return status
