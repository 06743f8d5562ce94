"""When a node runs out of memory or disk, and which pod it ends then: one pure look at the node.

    look(node, pods with what they use, pressures, now) -> Outcome(pressures, victim, tells, wake_at)

The node is under pressure while less is free than the kubelet keeps back (memory.available < 100Mi,
nodefs.available < 10%), and for five minutes after; a taint then keeps new pods away.  Each look ends one pod: first
those that use more than they requested, of these the least important, of these the one furthest over its request.
Pods that a node can not do without are never ended.
https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
"""
from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from ..api import quantities
from ..api.kinds.quality_of_service import qos_class
from ..api.objects import Obj, annotations_of, name_of, namespace_of
from ..api.placement import MEMORY_PRESSURE, requests_of, tolerates
from ..api.samples import Used
from .life import Verdict
from .pod_status import EVICTED
from .usage import system_use

MONITOR_S = 10.0  # between two looks
TRANSITION_S = 300.0
EARLY_S = 1e-3  # a timer may come this much too early
CRITICAL = 2_000_000_000
_MIRROR, _SOURCE = "kubernetes.io/config.mirror", "kubernetes.io/config.source"


class Signal(NamedTuple):
    resource: str
    condition: str
    kept_back: Callable[[int], int]  # of so much in all
    shown: Callable[[int], str]  # what is kept back, as messages have it
    amount: Callable[[Used], int]
    begins: str  # reasons of the node's events
    ends: str


def _plain(amount: int) -> str:
    return quantities.written(amount)


def _binary(amount: int) -> str:
    return quantities.written(amount, quantities.BINARY)


MEMORY_KEPT_BACK = 100 * 2**20
DISK_KEPT_BACK_SHARE = 0.1
SIGNALS = (
    Signal("memory", "MemoryPressure", lambda room: MEMORY_KEPT_BACK, _binary, lambda used: used.memory,
           "NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    Signal("ephemeral-storage", "DiskPressure", lambda room: int(room * DISK_KEPT_BACK_SHARE), _plain,
           lambda used: used.storage, "NodeHasDiskPressure", "NodeHasNoDiskPressure"),
)


class Weighed(NamedTuple):
    """A pod, and what each of its containers uses."""

    pod: Obj
    used: Mapping[str, Used]


class Telling(NamedTuple):
    """An event about the node."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class Outcome(NamedTuple):
    pressures: dict[str, float]  # the node's condition -> when too little was free last
    victim: Obj | None
    verdict: Verdict | None
    tells: list[Telling]
    wake_at: float  # inf: only a change matters


def look(node: Obj, pods: Sequence[Weighed], before: Mapping[str, float], now: float) -> Outcome:
    capacity = (node.get("status") or {}).get("capacity") or {}
    pressures: dict[str, float] = {}
    tells: list[Telling] = []
    victim: Obj | None = None
    verdict: Verdict | None = None
    for signal in SIGNALS:
        room = quantities.whole(capacity.get(signal.resource, "0"))
        kept_back = signal.kept_back(room)
        used = signal.amount(system_use(capacity)) + sum(signal.amount(one) for weighed in pods
                                                         for one in weighed.used.values())
        is_short = room > kept_back > room - used
        last = now if is_short else before.get(signal.condition, -math.inf)
        if is_short or now + EARLY_S < last + TRANSITION_S:
            pressures[signal.condition] = last
        if (signal.condition in pressures) != (signal.condition in before):
            reason = signal.begins if signal.condition in pressures else signal.ends
            tells.append(Telling("Normal", reason, f"Node {name_of(node)} status is now: {reason}"))
        if is_short and victim is None:
            tells.append(Telling("Warning", "EvictionThresholdMet", f"Attempting to reclaim {signal.resource}"))
            chosen = next((one for one in _ranked(pods, signal) if not is_critical(one.pod)), None)
            if chosen is not None:
                available = max(0, room - used)
                victim, verdict = chosen.pod, Verdict(EVICTED, _message(chosen, signal, kept_back, available))
    wake_at = min((last + TRANSITION_S for last in pressures.values()), default=math.inf)
    return Outcome(pressures, victim, verdict, tells, wake_at if victim is None else now + MONITOR_S)


def is_critical(pod: Obj) -> bool:
    annotations = annotations_of(pod)
    return (_MIRROR in annotations or annotations.get(_SOURCE, "api") != "api"
            or (pod["spec"].get("priority") or 0) >= CRITICAL)


def _ranked(pods: Sequence[Weighed], signal: Signal) -> list[Weighed]:
    """Who goes first."""
    def rank(weighed: Weighed) -> tuple[bool, int, int, str, str]:
        pod = weighed.pod
        over = (sum(signal.amount(one) for one in weighed.used.values())
                - requests_of(pod["spec"]).get(signal.resource, 0))
        return over <= 0, pod["spec"].get("priority") or 0, -over, namespace_of(pod), name_of(pod)

    return sorted(pods, key=rank)


def _message(weighed: Weighed, signal: Signal, kept_back: int, available: int) -> str:
    said = (f"The node was low on resource: {signal.resource}. Threshold quantity: {signal.shown(kept_back)}, "
            f"available: {_binary(available)}. ")
    spec = weighed.pod["spec"]
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        used = weighed.used.get(container["name"])
        request = ((container.get("resources") or {}).get("requests") or {}).get(signal.resource, "0")
        if used is not None and signal.amount(used) > quantities.whole(request):
            said += (f"Container {container['name']} was using {_binary(signal.amount(used))}, request is {request}, "
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
