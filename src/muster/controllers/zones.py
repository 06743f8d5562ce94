"""The zones of a cluster, and how many nodes of each are heard of: kept from change to change, never counted anew.

A zone is what nodes say of region and zone together; those that say nothing are one zone too.  A node that carries
node.kubernetes.io/exclude-disruption is not counted (but treated like the others).  A node says by its own clock since
when it is not ready; what lies ahead of ours counts from when it was heard.
https://kubernetes.io/docs/concepts/architecture/nodes/#rate-limits-on-eviction
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..api import placement
from ..api.objects import Obj, at, condition, from_time, labels_of
from ..store.history import Change

NOT_COUNTED = "node.kubernetes.io/exclude-disruption"
LOST_TAINTS = (placement.NOT_READY, placement.UNREACHABLE)
LONG_AGO = float("-inf")
REGION = ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region")
ZONE = ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone")

ZoneName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Health:
    """What is counted of a node."""

    zone: ZoneName
    ready: bool
    counted: bool
    lost_since: float | None  # since when it is known to be lost; None: it is well, or nothing was heard yet
    evicting_since: float | None  # since when its pods have to leave


@dataclass(slots=True)
class Zone:
    ready: int = 0
    not_ready: int = 0
    waiting: dict[str, float] = field(default_factory=dict)  # lost nodes whose pods may stay so far: since when
    evicting: dict[str, float] = field(default_factory=dict)  # lost nodes whose pods leave: since when
    last_evicting: float = LONG_AGO  # when the last of them was added

    @property
    def is_empty(self) -> bool:
        return not (self.ready or self.not_ready or self.waiting or self.evicting)


class Zones:
    def __init__(self, now: Callable[[], float]) -> None:
        self.zones: dict[ZoneName, Zone] = {}
        self._now = now

    def apply(self, change: Change) -> bool:
        """Counts a change of a node; True where it was one that matters here."""
        before = health_of(change.previous) if change.previous is not None else None
        after = health_of(change.value) if change.value is not None else None
        if before == after:
            return False
        name = change.key.name
        waited_since = self._leave(name, before) if before is not None else None
        if after is not None:
            self._enter(name, after, self._now() if waited_since is None else waited_since,
                        was_evicting=before is not None and before.evicting_since is not None)
        if before is not None and self.zones[before.zone].is_empty:  # not before: its only node may still be in it
            del self.zones[before.zone]
        return True

    def _leave(self, name: str, was: Health) -> float | None:
        """Since when it waited, if it did."""
        zone = self.zones[was.zone]
        self._count(zone, was, -1)
        zone.evicting.pop(name, None)
        return zone.waiting.pop(name, None)

    def _enter(self, name: str, now_is: Health, known_since: float, *, was_evicting: bool) -> None:
        zone = self.zones.setdefault(now_is.zone, Zone())
        self._count(zone, now_is, 1)
        if now_is.evicting_since is not None:
            zone.evicting[name] = now_is.evicting_since
            if not was_evicting:  # one taint in the place of another is no new eviction
                zone.last_evicting = max(zone.last_evicting, now_is.evicting_since)
        elif now_is.lost_since is not None:
            zone.waiting[name] = min(now_is.lost_since, known_since)

    @staticmethod
    def _count(zone: Zone, health: Health, by: int) -> None:
        if health.counted:
            zone.ready += by if health.ready else 0
            zone.not_ready += 0 if health.ready else by


def health_of(node: Obj) -> Health:
    ready = condition(node, "Ready")
    status = ready.get("status") if ready is not None else None
    lost_since = None
    if ready is not None and status != "True":
        since = ready.get("lastTransitionTime") or node["metadata"]["creationTimestamp"]
        lost_since = from_time(since)
    labels = labels_of(node)
    return Health((_first(labels, REGION), _first(labels, ZONE)), status == "True", NOT_COUNTED not in labels,
                  lost_since, evicting_since(node))


def evicting_since(node: Obj) -> float | None:
    """Since when the pods of a lost node have to leave it."""
    times = [from_time(taint["timeAdded"]) if taint.get("timeAdded") else LONG_AGO
             for taint in at(node, "spec.taints") or () if is_lost_taint(taint)]
    return max(times, default=None)


def is_lost_taint(taint: Obj) -> bool:
    return taint["key"] in LOST_TAINTS and taint.get("effect") == placement.NO_EXECUTE


def _first(labels: dict[str, str], names: Iterable[str]) -> str:
    return next((labels[name] for name in names if name in labels), "")
