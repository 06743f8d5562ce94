"""How old pods give way to new ones.

Without surge, an old pod is ended and its place filled again afterwards.  At most `maxUnavailable` places
may be down: those that are down already count, whatever the reason.  Old pods that are down themselves are
replaced first and at once, for that makes nothing worse.

With surge, a new pod is started next to the old one on at most `maxSurge` nodes, and the old one is ended
once the new one is available.  Where the old one is down, the new one is started outside of that limit.
https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/  KEP-1591 (surge)

Both judge one place at a time, over `Place.live`, what is left after the chores of the same look: a place that will
be filled next counts as down, as it will be when the new pod stands there.  The board (daemonset_board.py) adds places
up and gives those that wait their turn, in the order of the nodes.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..api.objects import Obj, annotations_of, at
from ..api.remembered import Remembered
from .daemonset_nodes import Fit
from .daemonset_places import Place
from .daemonset_pods import Daemon

PAUSED_ANNOTATION = "muster.dev/paused"


class Limits(NamedTuple):
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


@dataclass(frozen=True, slots=True)
class _Strategy:
    """spec.updateStrategy, read once for each specification."""

    type: str
    max_unavailable: int | str | None
    max_surge: int | str | None


def _read(spec: Obj) -> _Strategy:
    rolling = at(spec, "updateStrategy.rollingUpdate", {})
    return _Strategy(at(spec, "updateStrategy.type", "RollingUpdate"), rolling.get("maxUnavailable"),
                     rolling.get("maxSurge"))


_strategy = Remembered(_read)


def strategy_of(daemonset: Obj) -> str:
    return _strategy(daemonset["spec"]).type


def limits_of(daemonset: Obj, desired: int) -> Limits:
    strategy = _strategy(daemonset["spec"])
    if strategy.type != "RollingUpdate":
        return Limits(0, 0)
    unavailable = scaled(strategy.max_unavailable, desired)
    surge = scaled(strategy.max_surge, desired)
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


@dataclass(frozen=True, slots=True)
class Turn:
    """What the rollout makes of one place: what it counts for, what is done there at once, what waits for its turn."""

    down: int = 0
    up: int = 0
    surging: int = 0
    end: Daemon | None = None
    start: str | None = None
    may_end: Daemon | None = None
    may_start: str | None = None

    @property
    def acts(self) -> bool:
        return self.end is not None or self.start is not None

    @property
    def waits(self) -> bool:
        return self.may_end is not None or self.may_start is not None


def turn_of(place: Place, surges: bool) -> Turn:
    return _surge(place) if surges else _replace(place)


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


_IS_DOWN = Turn(down=1)
_IS_UP = Turn()


def _replace(place: Place) -> Turn:
    new, old = _new_and_old(place) or (None, None)
    if old is None:
        return _IS_DOWN if new is None or not new.is_available else _IS_UP
    if new is not None:
        return _IS_DOWN  # one too many: the chores see to it
    return Turn(may_end=old) if old.is_available else Turn(down=1, end=old)


def _surge(place: Place) -> Turn:
    standing = _new_and_old(place)
    if standing is None:
        return Turn(surging=1)
    new, old = standing
    if old is None:
        return Turn(up=int(new is not None and new.is_available))
    up = int(old.is_available)
    if new is not None:
        return Turn(up=up, end=old) if new.is_available else Turn(up=up, surging=1)
    if place.fit is Fit.RUN:
        return Turn(up=up, may_start=place.node) if up else Turn(start=place.node)
    if place.fit is not None:  # from where none should run
        return Turn(up=up, may_end=old) if up else Turn(end=old)
    return Turn(up=up)
