"""When a node runs out of memory, disk or process numbers, and which pod it ends then: pure looks at the node.

    feel(name, thresholds, observed, pressures, now) -> Outcome(pressures, short, tells, wake_at)
    choose(outcome, pods with what they use, now)    -> the same, with the pod that is to go

The node is under pressure while less is free than it is to keep back (thresholds.py), and for five minutes after; a
taint then keeps new pods away.  Each look ends one pod: first those that use more than they requested, of these the
least important, of these the one furthest over its request.  Pods that a node can not do without are never ended.
A simulated node is looked at by its pods alone (`look`); what a real one has is observed (pressure_watch.py).
https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
"""
from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from ..api import quantities
from ..api.kinds.quality_of_service import qos_class
from ..api.objects import Obj, annotations_of, name_of, namespace_of
from ..api.placement import MEMORY_PRESSURE, requests_of, tolerates
from ..api.samples import Used
from .life import Verdict
from .pod_status import EVICTED
from .thresholds import CONDITIONS, SIGNALS, USUAL, Observed, Signal, Threshold
from .usage import system_use

MONITOR_S = 10.0  # between two looks
TRANSITION_S = 300.0
EARLY_S = 1e-3  # a timer may come this much too early
CRITICAL = 2_000_000_000
PROCESSES = "pids"
_MIRROR, _SOURCE = "kubernetes.io/config.mirror", "kubernetes.io/config.source"
_TOLD = {"MemoryPressure": ("NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
         "DiskPressure": ("NodeHasDiskPressure", "NodeHasNoDiskPressure"),
         "PIDPressure": ("NodeHasInsufficientPID", "NodeHasSufficientPID")}
NOTHING = Used(0, 0, 0)


class Weighed(NamedTuple):
    """A pod, what each of its containers uses, and what none of them uses alone: its volumes."""

    pod: Obj
    used: Mapping[str, Used]
    beside: Used = NOTHING


class Telling(NamedTuple):
    """An event about the node."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class Short(NamedTuple):
    """Of what there is too little."""

    threshold: Threshold
    observed: Observed

    @property
    def signal(self) -> Signal:
        return self.threshold.signal


class Outcome(NamedTuple):
    pressures: dict[str, float]  # the node's condition -> when too little was free last
    short: Short | None  # what is to be got back first
    victim: Obj | None
    verdict: Verdict | None
    tells: list[Telling]
    wake_at: float  # inf: only a change matters


def look(node: Obj, pods: Sequence[Weighed], before: Mapping[str, float], now: float) -> Outcome:
    """At a simulated node."""
    capacity = (node.get("status") or {}).get("capacity") or {}
    observed: dict[str, Observed] = {}
    for name in ("memory.available", "nodefs.available"):
        signal = SIGNALS[name]
        room = quantities.whole(capacity.get(signal.resource, "0"))
        used = signal.amount(system_use(capacity)) + sum(signal.amount(one) for weighed in pods
                                                         for one in weighed.used.values())
        # Of a node too small to keep anything back nothing is observed.
        if room > next(one for one in USUAL if one.signal is signal).kept_back(room):
            observed[name] = Observed(room - used, room)
    return choose(feel(name_of(node), USUAL, observed, before, now), pods, now)


def feel(name: str, thresholds: Sequence[Threshold], observed: Mapping[str, Observed], before: Mapping[str, float],
         now: float, transition_s: float = TRANSITION_S) -> Outcome:
    """`before`: the pressures so far."""
    met = [Short(one, observed[one.signal.name]) for one in thresholds
           if one.signal.name in observed and one.is_met(observed[one.signal.name])]
    pressures: dict[str, float] = {}
    tells: list[Telling] = []
    for condition in CONDITIONS:
        is_short = any(one.signal.condition == condition for one in met)
        last = now if is_short else before.get(condition, -math.inf)
        if is_short or now + EARLY_S < last + transition_s:
            pressures[condition] = last
        if (condition in pressures) != (condition in before):
            begins, ends = _TOLD[condition]
            reason = begins if condition in pressures else ends
            tells.append(Telling("Normal", reason, f"Node {name} status is now: {reason}"))
    if met:
        tells.append(Telling("Warning", "EvictionThresholdMet", f"Attempting to reclaim {met[0].signal.resource}"))
    wake_at = min((last + transition_s for last in pressures.values()), default=math.inf)
    return Outcome(pressures, met[0] if met else None, None, None, tells, wake_at)


def choose(found: Outcome, pods: Sequence[Weighed], now: float) -> Outcome:
    """The pod that goes for it; none where nothing is short."""
    if found.short is None:
        return found
    chosen = next((one for one in _ranked(pods, found.short.signal) if not is_critical(one.pod)), None)
    if chosen is None:
        return found
    return found._replace(victim=chosen.pod, verdict=Verdict(EVICTED, _message(chosen, found.short)),
                          wake_at=now + MONITOR_S)


def is_critical(pod: Obj) -> bool:
    annotations = annotations_of(pod)
    return (_MIRROR in annotations or annotations.get(_SOURCE, "api") != "api"
            or (pod["spec"].get("priority") or 0) >= CRITICAL)


def _ranked(pods: Sequence[Weighed], signal: Signal) -> list[Weighed]:
    """Who goes first.  Nobody requests processes."""
    def rank(weighed: Weighed) -> tuple[bool, int, int, str, str]:
        pod = weighed.pod
        over = (signal.amount(weighed.beside) + sum(signal.amount(one) for one in weighed.used.values())
                - requests_of(pod["spec"]).get(signal.resource, 0))
        is_within = over <= 0 and signal.resource != PROCESSES
        return is_within, pod["spec"].get("priority") or 0, -over, namespace_of(pod), name_of(pod)

    return sorted(pods, key=rank)


def _message(weighed: Weighed, short: Short) -> str:
    signal, observed = short.signal, short.observed
    available = quantities.written(max(0, observed.available), signal.family)
    said = (f"The node was low on resource: {signal.resource}. Threshold quantity: "
            f"{short.threshold.shown(observed.capacity)}, available: {available}. ")
    if signal.family != quantities.BINARY:  # processes and inodes are not told of containers
        return said
    spec = weighed.pod["spec"]
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        used = weighed.used.get(container["name"])
        request = ((container.get("resources") or {}).get("requests") or {}).get(signal.resource, "0")
        if used is not None and signal.amount(used) > quantities.whole(request):
            said += (f"Container {container['name']} was using "
                     f"{quantities.written(signal.amount(used), quantities.BINARY)}, request is {request}, "
                     f"has larger consumption of {signal.resource}. ")
    return said


def refusal(pod: Obj, pressures: Collection[str]) -> Verdict | None:
    """Why a node under pressure takes no such pod now: under that of memory only what asks for none is refused."""
    if not pressures or is_critical(pod):
        return None
    if list(pressures) == ["MemoryPressure"]:
        taint = {"key": MEMORY_PRESSURE, "effect": "NoSchedule"}
        if qos_class(pod) != "BestEffort" or tolerates(pod["spec"].get("tolerations"), taint):
            return None
    return Verdict(EVICTED, f"Pod was rejected: The node had condition: [{' '.join(pressures)}]. ")
