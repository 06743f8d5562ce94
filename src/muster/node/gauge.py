"""Which nodes are to be looked at because of what their pods use, and what such a look finds.

Usage is no stream of numbers: memory and disk of a container stay as they were drawn.  So a node is looked at only when
something changed on it of which anything was said (by an annotation, or by a pool), and not at all where nothing was.
What was said may change on a pod, on its workload, on a node or on a pool: each wakes the nodes it concerns.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..api.objects import Obj, annotations_of, labels_of, name_of, uid_of
from ..client.mirror import Mirror
from ..store.history import Change
from . import behaviour, pressure, usage
from .machines import POOL, Machine
from .meter import POOLS, FleetMeter

WORKLOADS = ("deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch",
             "replicationcontrollers")


class Gauge:
    """`stir(node name)` asks for a look at that node soon."""

    def __init__(self, meter: FleetMeter, mirror: Mirror, stir: Callable[[str], None]):
        self._meter, self._mirror, self._stir = meter, mirror, stir
        self.matters = meter.may_press
        for listener, resources in ((self._workload_changed, WORKLOADS), (self._node_changed, ("nodes",)),
                                    (self._pool_changed, (POOLS,))):
            mirror.on_change(listener, [one for one in resources if one in mirror.resources])

    def look(self, machine: Machine, now: float) -> pressure.Outcome:
        there = [resident.pod for resident in machine.residents.values() if resident.is_live()]
        weighed = [pressure.Weighed(pod, self._meter.used(pod, machine.node)) for pod in there]
        return pressure.look(machine.node, weighed, machine.pressures, now)

    def _workload_changed(self, change: Change) -> None:
        if change.value is not None and _differs(change, lambda one: annotations_of(one).get(usage.ANNOTATION)):
            for pod in self._pods_below(change.value):
                self._stir(pod["spec"].get("nodeName", ""))

    def _node_changed(self, change: Change) -> None:
        if _differs(change, lambda one: annotations_of(one).get(behaviour.ANNOTATION)):
            self._stir(change.key.name)

    def _pool_changed(self, change: Change) -> None:
        if _differs(change, lambda one: (one["spec"].get("behaviour") or {}).get("usage")):
            for node in self._mirror.objects("nodes").values():
                if labels_of(node).get(POOL) == change.key.name:
                    self._stir(name_of(node))

    def _pods_below(self, workload: Obj) -> Iterator[Obj]:
        """Its pods, and those of what it owns."""
        for key, one in self._mirror.dependents(uid_of(workload)).items():
            if key.resource == "pods":
                yield one
            else:
                yield from (pod for below, pod in self._mirror.dependents(uid_of(one)).items()
                            if below.resource == "pods")


def _differs(change: Change, told: Callable[[Obj], Any]) -> bool:
    before, after = change.previous, change.value
    return (told(before) if before is not None else None) != (told(after) if after is not None else None)
