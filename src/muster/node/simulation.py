"""Simulated nodes, as the loop over nodes and pods (fleet.py) needs them: nothing is carried out, all is drawn by lot.

A node is simulated when a NodePool owns it, or when it says `muster.dev/simulated: "true"`.  How it behaves is said
by its pool, at any time as the pool stands there, or by an annotation of its own (behaviour.py).  Its clock is ahead by
as much as it says, `muster.dev/clock-skew: "-90s"`.
"""
from __future__ import annotations

import random
from collections.abc import Callable

from ..api.objects import Obj, annotations_of, name_of
from ..client.mirror import Mirror
from ..store.history import Change
from . import behaviour, life, status
from .machines import Machine, Resident, clock_skew_s
from .means import Drawn

POOLS = "nodepools.muster.dev"


class Simulation:
    def __init__(self, mirror: Mirror, chance: random.Random, usual: behaviour.Behaviour,
                 simulates: Callable[[Obj], bool]):
        self._chance = chance
        self._usual = usual  # where neither pool, node nor pod says otherwise
        self._usual_means = Drawn(usual, chance)
        self._simulates = simulates
        self._strangers = 0
        self._means: dict[str, Drawn] = {}  # of the pools, as they are now
        if POOLS in mirror.resources:
            mirror.on_change(self._pool_changed, [POOLS])
            for pool in mirror.objects(POOLS).values():
                self._behaves(pool)

    def _pool_changed(self, change: Change) -> None:
        if change.value is None:
            self._means.pop(change.key.name, None)
        else:
            self._behaves(change.value)

    def _behaves(self, pool: Obj) -> None:
        towards_all = behaviour.from_pool(pool["spec"].get("behaviour"), self._usual)
        self._means[name_of(pool)] = Drawn(towards_all, self._chance)

    def takes(self, node: Obj) -> bool:
        return self._simulates(node)

    def machine(self, node: Obj, now: float) -> Machine:
        if not (node["spec"].get("podCIDR") and status.internal_ip(node)):
            self._strangers += 1
        return Machine(node, self._strangers, now, clock_skew_s(node))

    def skew_s(self, node: Obj) -> float:
        return clock_skew_s(node)

    def means(self, machine: Machine) -> Drawn:
        usual = self._means.get(machine.pool, self._usual_means)
        own = annotations_of(machine.node).get(behaviour.ANNOTATION)
        return Drawn(behaviour.from_annotation(own, usual.behaviour), self._chance) if own else usual

    def begin(self, resident: Resident, now: float) -> life.Life:
        pod = resident.pod
        return life.begin(pod, now, "" if pod["spec"].get("hostNetwork") else resident.machine.addresses.take())

    def resume(self, resident: Resident, now: float) -> life.Life:
        pod = resident.pod
        address = "" if pod["status"].get("podIP") else resident.machine.addresses.take()
        return life.resume(pod, now, address, self.means(resident.machine).towards(pod, (), now).course)

    def looked(self, resident: Resident, now: float) -> None:
        """Nothing is to be done: the life itself says what comes next, and when."""

    def left(self, resident: Resident) -> None:
        if resident.life is not None:
            resident.machine.addresses.give_back(resident.life.address)

    def node_status(self, machine: Machine, now: float) -> Obj:
        present = [name for name, there_at in machine.images.items() if there_at <= now]
        return status.node_status(machine.node, machine.address, present, now, machine.pressures)
