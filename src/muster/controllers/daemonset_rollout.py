"""How old pods give way to new ones.

Without surge, an old pod is ended and its place filled again afterwards.  At most `maxUnavailable` places
may be down: those that are down already count, whatever the reason.  Old pods that are down themselves are
replaced first and at once, for that makes nothing worse.

With surge, a new pod is started next to the old one on at most `maxSurge` nodes, and the old one is ended
once the new one is available.  Where the old one is down, the new one is started outside of that limit.
https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/  KEP-1591 (surge)

Both decide over `Place.live`, what is left after the chores of the same look: a place that will be filled
next counts as down, as it will be when the new pod stands there.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..api.objects import Obj, annotations_of, at
from .daemonset_nodes import Fit
from .daemonset_places import Place
from .daemonset_pods import Daemon

PAUSED_ANNOTATION = "muster.dev/paused"


@dataclass(frozen=True, slots=True)
class Limits:
    max_unavailable: int
    max_surge: int


@dataclass(slots=True)
class Steps:
    end: list[Daemon] = field(default_factory=list)
    start: list[str] = field(default_factory=list)  # nodes


def scaled(value: int | str | None, total: int) -> int:
    """`1`, or `"10%"` of the total, rounded up."""
    if isinstance(value, str):
        return -(-total * int(value.removesuffix("%")) // 100)
    return value or 0


def strategy_of(daemonset: Obj) -> str:
    return at(daemonset, "spec.updateStrategy.type", "RollingUpdate")


def limits_of(daemonset: Obj, desired: int) -> Limits:
    rolling = at(daemonset, "spec.updateStrategy.rollingUpdate", {})
    if strategy_of(daemonset) != "RollingUpdate":
        return Limits(0, 0)
    unavailable = scaled(rolling.get("maxUnavailable"), desired)
    surge = scaled(rolling.get("maxSurge"), desired)
    if desired and not unavailable and not surge:
        unavailable = 1  # neither would never move: one at a time is the default
    return Limits(unavailable, surge)


def allows_surge(daemonset: Obj) -> bool:
    return limits_of(daemonset, 1).max_surge > 0


def is_paused(daemonset: Obj) -> bool:
    """Halts the rollout (upstream knows no pause for DaemonSets): nodes still get pods, old ones stay."""
    return annotations_of(daemonset).get(PAUSED_ANNOTATION) == "true"


def is_rolling(daemonset: Obj) -> bool:
    return strategy_of(daemonset) == "RollingUpdate" and not is_paused(daemonset)


def roll(places: Iterable[Place], limits: Limits, desired: int) -> Steps:
    if limits.max_surge == 0:
        return _replace(places, limits.max_unavailable)
    return _surge(places, limits.max_surge, desired)


def _new_and_old(place: Place) -> tuple[Daemon | None, Daemon | None] | None:
    """The one new and the one old pod of a place; None where there are more of a sort."""
    new: Daemon | None = None
    old: Daemon | None = None
    for daemon in place.live:
        if daemon.is_current:
            if new is not None:
                return None
            new = daemon
        else:
            if old is not None:
                return None
            old = daemon
    return new, old


def _replace(places: Iterable[Place], max_unavailable: int) -> Steps:
    down = 0
    broken: list[Daemon] = []
    candidates: list[Daemon] = []
    for place in places:
        new, old = _new_and_old(place) or (None, None)
        if old is None:
            down += new is None or not new.is_available
        elif new is not None:
            down += 1  # one too many: the chores see to it
        elif old.is_available:
            candidates.append(old)
        else:
            broken.append(old)
            down += 1
    return Steps(end=broken + candidates[:max(0, max_unavailable - down)])


def _surge(places: Iterable[Place], max_surge: int, desired: int) -> Steps:
    steps, surging, up = Steps(), 0, 0
    candidates: list[str] = []
    leaving: list[Daemon] = []
    for place in places:
        standing = _new_and_old(place)
        if standing is None:
            surging += 1
            continue
        new, old = standing
        if old is None:
            up += new is not None and new.is_available
            continue
        up += old.is_available
        if new is not None:
            if new.is_available:
                steps.end.append(old)
            else:
                surging += 1
        elif place.fit is Fit.RUN:
            (candidates if old.is_available else steps.start).append(place.node)
        elif place.fit is not None:
            (leaving if old.is_available else steps.end).append(old)
    steps.start += candidates[:max(0, max_surge - surging)]
    steps.end += leaving[:max(0, up - desired)]  # from where none should run: only once others carry on
    return steps
