"""Of how many lost nodes the pods have to leave, and how fast: one node after the other, zone by zone.

A node that is lost gets its NoSchedule taint at once (node_lifecycle.py).  The NoExecute taint, which drives its pods
away, is dealt out here, since many nodes lost together say more about the network than about themselves:

    a zone that is mostly well               one node every 10 s
    55 % of it lost, and more than two       over 50 nodes: one every 100 s; smaller: none
    a zone lost as a whole                   one every 10 s: it is the others that can take over
    every zone lost as a whole               none, and the taints that are there are taken back: it may be us

The first one in a zone goes as soon as it is noticed.  When the last one went is read off the nodes (`timeAdded`),
so a controller that was just started goes on where the one before it stopped.
https://kubernetes.io/docs/concepts/architecture/nodes/#rate-limits-on-eviction
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..api import placement
from ..api.objects import Key, Obj, at, condition, is_deleting, name_of, to_time, uid_of
from ..client.mirror import Mirror
from ..control.plan import Patch, Plan
from ..control.runtime import Controller
from ..store.history import Change
from .zones import Zone, ZoneName, Zones, is_lost_taint

NAME = "node-eviction-controller"
FEW = 2  # lost nodes that are no disruption of their zone, however small it is


@dataclass(frozen=True, slots=True)
class Pace:
    """Upstream's flags of the controller manager, with their defaults in v1.32."""

    usual_per_s: float = 0.1  # --node-eviction-rate
    disrupted_per_s: float = 0.01  # --secondary-node-eviction-rate
    large_zone: int = 50  # --large-cluster-size-threshold: nodes; a disrupted zone up to it loses no pods
    disrupted_share: float = 0.55  # --unhealthy-zone-threshold
    noticed_after_s: float = 5.0  # --node-monitor-period: who is back sooner was never lost


@dataclass(frozen=True, slots=True)
class Observed:
    zones: Mapping[ZoneName, Zone]
    nodes: Mapping[str, Obj]  # those that may have to be written: the next of each zone, or all that are evicting


def is_lost(zone: Zone) -> bool:
    return not zone.ready and zone.not_ready > 0


def rate_of(zone: Zone, pace: Pace) -> float:
    """Nodes a second whose pods may begin to leave."""
    size = zone.ready + zone.not_ready
    if not is_lost(zone) and zone.not_ready > FEW and zone.not_ready / size >= pace.disrupted_share:
        return pace.disrupted_per_s if size > pace.large_zone else 0.0
    return pace.usual_per_s


def all_lost(zones: Mapping[ZoneName, Zone]) -> bool:
    return all(is_lost(zone) for zone in zones.values() if zone.ready or zone.not_ready)


def next_in(zone: Zone) -> str:
    """The node that waits for longest."""
    return min(zone.waiting, key=lambda name: (zone.waiting[name], name))


def observe(mirror: Mirror, zones: Mapping[ZoneName, Zone]) -> Observed:
    if all_lost(zones):
        names = [name for zone in zones.values() for name in zone.evicting]
    else:
        names = [next_in(zone) for zone in zones.values() if zone.waiting]
    nodes = {name: mirror.get(Key("nodes", "", name)) for name in names}
    return Observed(zones, {name: node for name, node in nodes.items() if node is not None and not is_deleting(node)})


def plan(seen: Observed, now: float, pace: Pace) -> Plan:
    size = 1 + sum(len(zone.waiting) + len(zone.evicting) for zone in seen.zones.values())
    if all_lost(seen.zones):
        return Plan([_with_taints(node, [one for one in at(node, "spec.taints") or () if not is_lost_taint(one)])
                     for node in seen.nodes.values()], size=size)
    actions = []
    wake_at: list[float] = []
    for zone in seen.zones.values():
        rate = rate_of(zone, pace)
        if not zone.waiting or not rate:
            continue
        name = next_in(zone)
        due = max(zone.waiting[name] + pace.noticed_after_s, zone.last_evicting + 1 / rate)
        if due > now:
            wake_at.append(due)
        elif (node := seen.nodes.get(name)) is not None:
            actions.append(_with_taints(node, [*(at(node, "spec.taints") or ()), _taint(node, now)]))
    return Plan([*actions], wake_at=min(wake_at, default=None), size=size)


def _taint(node: Obj, now: float) -> Obj:
    silent = (condition(node, "Ready") or {}).get("status") == "Unknown"
    return {"key": placement.UNREACHABLE if silent else placement.NOT_READY, "effect": placement.NO_EXECUTE,
            "timeAdded": to_time(now)}


def _with_taints(node: Obj, taints: list[Obj]) -> Patch:
    return Patch(Key("nodes", "", name_of(node)), uid_of(node), {
        "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}, "spec": {"taints": taints or None}})


def node_evictions(now: Callable[[], float], pace: Pace | None = None) -> Controller:
    """One look at all zones; `pace` is upstream's unless told otherwise."""
    zones, chosen = Zones(now), pace or Pace()

    def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
        if zones.apply(change):
            yield NAME

    return Controller(NAME, ("nodes",), wakes, lambda mirror, key: observe(mirror, zones.zones),
                      lambda seen, now: plan(seen, now, chosen), workers=1, account="node-controller")
