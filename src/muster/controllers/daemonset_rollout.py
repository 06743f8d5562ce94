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
from .daemonset_pods import is_current

PAUSED_ANNOTATION = "muster.dev/paused"


@dataclass(frozen=True, slots=True)
class Limits:
    max_unavailable: int
    max_surge: int


@dataclass(slots=True)
class Steps:
    end: list[Obj] = field(default_factory=list)  # pods
    start: list[str] = field(default_factory=list)  # nodes


@dataclass(frozen=True, slots=True)
class Standing:
    """The one new and the one old pod of a place; None for `pods` where there are more of a sort."""

    new: Obj | None = None
    old: Obj | None = None
    crowded: bool = False


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


def roll(places: Iterable[Place], limits: Limits, desired: int, hash: str, generation: str | None,
         available: set[str]) -> Steps:
    standing = [(place, _standing(place.live, hash, generation)) for place in places]
    if limits.max_surge == 0:
        return _replace(standing, limits.max_unavailable, available)
    return _surge(standing, limits.max_surge, desired, available)


def _standing(live: list[Obj], hash: str, generation: str | None) -> Standing:
    new: Obj | None = None
    old: Obj | None = None
    for pod in live:
        if is_current(pod, hash, generation):
            if new is not None:
                return Standing(crowded=True)
            new = pod
        else:
            if old is not None:
                return Standing(crowded=True)
            old = pod
    return Standing(new, old)


def _replace(standing: list[tuple[Place, Standing]], max_unavailable: int, available: set[str]) -> Steps:
    down, broken, candidates = 0, [], []
    for _, pods in standing:
        new, old = pods.new, pods.old
        if pods.crowded or (new is None) == (old is None):
            down += 1  # none there, or too many: the chores see to it
        elif new is not None:
            down += not _is_in(new, available)
        elif old is not None and _is_in(old, available):
            candidates.append(old)
        elif old is not None:
            broken.append(old)
            down += 1
    return Steps(end=broken + candidates[:max(0, max_unavailable - down)])


def _surge(standing: list[tuple[Place, Standing]], max_surge: int, desired: int, available: set[str]) -> Steps:
    steps, surging, up = Steps(), 0, 0
    candidates: list[str] = []
    leaving: list[Obj] = []
    for place, pods in standing:
        new, old = pods.new, pods.old
        if pods.crowded:
            surging += 1
            continue
        up += any(pod is not None and _is_in(pod, available) for pod in ((old,) if old is not None else (new,)))
        if old is None:
            continue  # none, or a new one alone: the chores see to it
        if new is not None:
            if _is_in(new, available):
                steps.end.append(old)
            else:
                surging += 1
        elif place.fit is Fit.RUN:
            (candidates if _is_in(old, available) else steps.start).append(place.node)
        elif place.fit is not None:
            (leaving if _is_in(old, available) else steps.end).append(old)
    steps.start += candidates[:max(0, max_surge - surging)]
    steps.end += leaving[:max(0, up - desired)]  # from where none should run: only once others carry on
    return steps


def _is_in(pod: Obj, available: set[str]) -> bool:
    return pod["metadata"]["uid"] in available
