"""Which nodes are to be looked at because of what their pods use, and what such a look finds.

Usage is no stream of numbers: memory and disk of a container stay as they were drawn.  So a node is looked at only when
something changed on it of which anything was said (by an annotation, or by a pool), and not at all where nothing was.
What was said may change on a pod, on its workload, on a node or on a pool: each wakes the nodes it concerns.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ..api.objects import Key, Obj, annotations_of, labels_of, name_of, uid_of
from ..client.mirror import Mirror
from ..store.history import Change
from . import behaviour, pressure, usage
from .machines import POOL, Machine
from .meter import POOLS, FleetMeter

WORKLOADS = ("deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch",
             "cronjobs.batch", "replicationcontrollers")


class Gauge:
    """`stir(node name)` asks for a look at that node soon."""

    def __init__(self, meter: FleetMeter, mirror: Mirror, stir: Callable[[str], None]):
        self._meter, self._mirror, self._stir = meter, mirror, stir
        self._told: dict[Key, None] = {}  # workloads, nodes and pools that say what is used
        for said, stirred, resources in ((_said_of_workload, self._workload_changed, WORKLOADS),
                                         (_said_of_node, self._node_changed, ("nodes",)),
                                         (_said_of_pool, self._pool_changed, (POOLS,))):
            for resource in resources:
                if resource in mirror.resources:
                    mirror.on_change(partial(self._hear, said, stirred), [resource])
                    self._told.update((Key(resource, *place), None)
                                      for place, one in mirror.objects(resource).items() if said(one) is not None)

    def matters(self, pod: Obj, node: Obj) -> bool:
        """Was anything said of what the pod uses?  If not, it brings no node under pressure."""
        return usage.ANNOTATION in annotations_of(pod) or bool(self._told) and self._meter.may_press(pod, node)

    def look(self, machine: Machine, now: float) -> pressure.Outcome:
        there = [resident.pod for resident in machine.residents.values() if resident.is_live()]
        weighed = [pressure.Weighed(pod, self._meter.used(pod, machine.node)) for pod in there]
        return pressure.look(machine.node, weighed, machine.pressures, now)

    def _hear(self, said: Callable[[Obj], Any], stir: Callable[[Change], None], change: Change) -> None:
        before = said(change.previous) if change.previous is not None else None
        after = said(change.value) if change.value is not None else None
        if before != after:
            if after is None:
                self._told.pop(change.key, None)
            else:
                self._told[change.key] = None
            stir(change)

    def _workload_changed(self, change: Change) -> None:
        if change.value is not None:
            for pod in self._pods_below(change.value):
                self._stir(pod["spec"].get("nodeName", ""))

    def _node_changed(self, change: Change) -> None:
        self._stir(change.key.name)

    def _pool_changed(self, change: Change) -> None:
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


def _said_of_workload(workload: Obj) -> Any:
    return annotations_of(workload).get(usage.ANNOTATION)


def _said_of_node(node: Obj) -> Any:
    return annotations_of(node).get(behaviour.ANNOTATION)


def _said_of_pool(pool: Obj) -> Any:
    return (pool["spec"].get("behaviour") or {}).get("usage")
