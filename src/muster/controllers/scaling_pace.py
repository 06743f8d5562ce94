"""How fast an autoscaler may go: what it remembers of recent looks, and what follows from that.  Pure values.

    recommendations   what each look would have had.  Going down takes the highest of the last 5 minutes
    ups, downs        by how much it changed the number, and when: a policy allows so much a period

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#configurable-scaling-behavior
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..api.objects import Obj

DOWN_WINDOW_S = 300
LONGEST_WINDOW_S = 3600  # of a behavior, and so of what is remembered
FASTEST, AT_LEAST = 2.0, 4  # without a behavior: at most twice as many, or four


class Once(NamedTuple):
    """A number at a moment."""

    at: float
    number: int


@dataclass(frozen=True, slots=True)
class Memory:
    next_look: float = 0.0
    recommendations: tuple[Once, ...] = ()
    ups: tuple[Once, ...] = ()
    downs: tuple[Once, ...] = ()

    def recommended(self, now: float, number: int) -> Memory:
        kept = tuple(one for one in self.recommendations if one.at > now - LONGEST_WINDOW_S)
        return replace(self, recommendations=(*kept, Once(now, number)))

    def scaled(self, now: float, before: int, after: int) -> Memory:
        def kept(events: tuple[Once, ...]) -> tuple[Once, ...]:
            return tuple(one for one in events if one.at > now - LONGEST_WINDOW_S)

        if after > before:
            return replace(self, ups=(*kept(self.ups), Once(now, after - before)))
        return replace(self, downs=(*kept(self.downs), Once(now, before - after)))


class Limited(NamedTuple):
    """A number, and the two conditions that say how it came about: (type, status, reason, message)."""

    replicas: int
    able: tuple[str, str, str, str]
    limited: tuple[str, str, str, str]


class Bounds(NamedTuple):
    least: int
    most: int


_READY = ("ReadyForNewScale", "recommended size matches current size")
_HIGHER = ("ScaleDownStabilized",
           "recent recommendations were higher than current one, applying the highest recent recommendation")
_LOWER = ("ScaleUpStabilized",
          "recent recommendations were lower than current one, applying the lowest recent recommendation")
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_UP_LIMIT = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_DOWN_LIMIT = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")


def limit(behavior: Obj | None, memory: Memory, current: int, wanted: int, bounds: Bounds, now: float) -> Limited:
    """What becomes of a wanted number.  The memory is of the looks before this one."""
    if behavior is None:
        steady = max([wanted, *(one.number for one in memory.recommendations if one.at > now - DOWN_WINDOW_S)])
        why = _HIGHER
        allowed, reason = _without_behavior(current, steady, bounds)
    else:
        steady = _stabilized(behavior, memory.recommendations, current, wanted, now)
        why = _LOWER if wanted >= current else _HIGHER
        allowed, reason = _with_behavior(behavior, memory, current, steady, bounds, now)
    able = ("AbleToScale", "True", *(_READY if steady == wanted else why))
    return Limited(allowed, able, ("ScalingLimited", "False" if allowed == steady else "True", *reason))


def _without_behavior(current: int, wanted: int, bounds: Bounds) -> tuple[int, tuple[str, str]]:
    fastest = int(max(FASTEST * current, AT_LEAST))
    most, why = (fastest, _UP_LIMIT) if bounds.most > fastest else (bounds.most, _TOO_MANY)
    if wanted < bounds.least:
        return bounds.least, _TOO_FEW
    return (most, why) if wanted > most else (wanted, _WITHIN)


def _stabilized(behavior: Obj, recommendations: Sequence[Once], current: int, wanted: int, now: float) -> int:
    up_s = behavior["scaleUp"].get("stabilizationWindowSeconds") or 0
    down_s = behavior["scaleDown"].get("stabilizationWindowSeconds")
    down_s = DOWN_WINDOW_S if down_s is None else down_s
    lowest = min([wanted, *(one.number for one in recommendations if one.at > now - up_s)])
    highest = max([wanted, *(one.number for one in recommendations if one.at > now - down_s)])
    return min(max(current, lowest), highest)


def _with_behavior(behavior: Obj, memory: Memory, current: int, wanted: int, bounds: Bounds,
                   now: float) -> tuple[int, tuple[str, str]]:
    if wanted > current:
        fastest = max(current, _fastest_up(behavior["scaleUp"], memory, current, now))
        most, why = (fastest, _UP_LIMIT) if bounds.most > fastest else (bounds.most, _TOO_MANY)
        if wanted > most:
            return most, why
    elif wanted < current:
        fastest = min(current, _fastest_down(behavior["scaleDown"], memory, current, now))
        least, why = (fastest, _DOWN_LIMIT) if bounds.least < fastest else (bounds.least, _TOO_FEW)
        if wanted < least:
            return least, why
    return wanted, _WITHIN


def _fastest_up(rules: Obj, memory: Memory, current: int, now: float) -> int:
    if rules.get("selectPolicy") == "Disabled":
        return current
    allowed = []
    for policy in rules["policies"]:
        start, value = _start(policy, memory, current, now), policy["value"]
        allowed.append(start + value if policy["type"] == "Pods" else math.ceil(start * (1 + value / 100)))
    return min(allowed) if rules.get("selectPolicy") == "Min" else max(allowed)


def _fastest_down(rules: Obj, memory: Memory, current: int, now: float) -> int:
    if rules.get("selectPolicy") == "Disabled":
        return current
    allowed = []
    for policy in rules["policies"]:
        start, value = _start(policy, memory, current, now), policy["value"]
        allowed.append(start - value if policy["type"] == "Pods" else int(start * (1 - value / 100)))
    return max(allowed) if rules.get("selectPolicy") == "Min" else min(allowed)


def _start(policy: Obj, memory: Memory, current: int, now: float) -> int:
    """How many there were when the policy's period began."""
    return current - _within(memory.ups, policy, now) + _within(memory.downs, policy, now)


def _within(events: Sequence[Once], policy: Obj, now: float) -> int:
    return sum(one.number for one in events if one.at > now - policy["periodSeconds"])
