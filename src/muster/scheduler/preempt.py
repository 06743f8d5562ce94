"""Who has to leave so that a more important pod can run.

On each node where that could help, all pods of lower priority are thought away; if the pod fits then, they are
let back in one by one, those that a budget protects first, then the most important: who does not fit beside
the pod is a victim.  The best node breaks the fewest budgets, then has the least important victims, the
smallest sum of priorities, the fewest victims, and those that started last.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..api.objects import Key, Obj, at, uid_of
from ..api.placement import taken_port
from ..api.selectors import Selector, from_label_selector
from .choice import World
from .fit import Refusal
from .sample import sample
from .snapshot import Room, Taken, Waiting
from .topology import Surroundings
from .volumes import VolumeNeeds

MOST_CANDIDATES = 100  # nodes compared (upstream: a tenth of them, 100 at least)
PER_PRIORITY = 1 << 31  # so that one pod more never counts for less
Victim = tuple[Key, Taken]


class Budget(NamedTuple):
    """Of a PodDisruptionBudget, what picking victims needs."""

    namespace: str
    selector: Selector
    allowed: int
    noted: frozenset[str]  # pods that were counted already

    def covers(self, key: Key, pod: Taken) -> bool:
        return (key.namespace == self.namespace and key.name not in self.noted and not self.selector.is_empty
                and self.selector.matches(dict(pod.wishes.group.labels)))


def budget_of(budget: Obj) -> Budget:
    return Budget(budget["metadata"]["namespace"], from_label_selector(at(budget, "spec.selector")),
                  at(budget, "status.disruptionsAllowed", 0), frozenset(at(budget, "status.disruptedPods", {})))


@dataclass(frozen=True, slots=True)
class Preemption:
    node: str
    victims: tuple[Victim, ...]
    broken: int = 0  # victims whose budgets did not allow it


def may_preempt(pod: Obj) -> bool:
    return pod["spec"].get("preemptionPolicy") != "Never"


def waits_for_victims(one: Waiting, world: World) -> bool:
    """True while pods that it preempted are still on their way out."""
    if one.nominated not in world.rooms:
        return False
    room = world.room(one.nominated)
    return any(pod.leaving and pod.priority < one.needs.priority for pod in room.pods.values())


def best_preemption(one: Waiting, world: World, said: Mapping[str, Refusal], volumes: VolumeNeeds | None,
                    budgets: Sequence[Budget]) -> Preemption | None:
    names: Iterable[str] = said if one.only_on is not None else sample(world.order, uid_of(one.pod))[0]
    found: list[Preemption] = []
    for name in names:
        if name in said and said[name].room_could_help:
            preemption = _on(one, world, name, volumes, budgets)
            if preemption is not None:
                found.append(preemption)
                if len(found) == MOST_CANDIDATES:
                    break
    return min(found, key=_cost, default=None)


def _cost(one: Preemption) -> tuple[int, int, int, int, tuple[int, ...]]:
    priorities = [taken.priority for _, taken in one.victims]
    highest = max(priorities, default=-PER_PRIORITY)
    first = min((taken.since for _, taken in one.victims if taken.priority == highest), default="")
    return (one.broken, highest, sum(priority + PER_PRIORITY for priority in priorities), len(priorities),
            tuple(-ord(letter) for letter in first))  # the latest start is best


class _Trial:
    """A node from which pods are thought away."""

    def __init__(self, one: Waiting, room: Room, world: World):
        self._one, self._room, self._world = one, room, world
        self._taken, self._count = dict(room.taken), len(room.pods)
        self._ports = list(room.ports)
        # Asked again only where other pods matter at all.
        self._minds_others = Surroundings(one.needs.wishes, world.draft).is_narrow

    def move(self, pod: Taken, more: int) -> None:
        self._count += more
        for name, amount in pod.amounts.items():
            self._taken[name] = self._taken.get(name, 0) + more * amount
        for port in pod.ports:
            self._ports.append(port) if more > 0 else self._ports.remove(port)
        if self._minds_others:
            self._world.draft.place(self._room.node, pod.wishes, leaving=pod.leaving, more=more)

    def fits(self) -> bool:
        needs, there = self._one.needs, self._room.allocatable
        if self._count + 1 > there.get("pods", 0):
            return False
        for name, amount in needs.amounts.items():
            if amount and self._taken.get(name, 0) + amount > there.get(name, 0):
                return False
        if needs.ports and taken_port(needs.ports, self._ports) is not None:
            return False
        return not self._minds_others or Surroundings(needs.wishes,
                                                      self._world.draft).refusal(self._room.node) is None


def _on(one: Waiting, world: World, name: str, volumes: VolumeNeeds | None,
        budgets: Sequence[Budget]) -> Preemption | None:
    """The fewest and least important pods whose leaving makes room on this node; None: it can not be made."""
    room = world.room_for(one, name)
    lower = [(key, pod) for key, pod in world.room(name).pods.items() if pod.priority < one.needs.priority]
    if not lower or volumes is not None and volumes.refusal(room.node) is not None:
        return None
    trial = _Trial(one, room, world)
    for _, pod in lower:
        trial.move(pod, -1)
    stays: list[Victim] = []
    victims: list[Victim] = []
    broken = 0
    if fits := trial.fits():
        lower.sort(key=lambda victim: (-victim[1].priority, victim[1].since, victim[0]))
        protected, free = _protected(lower, budgets)
        for number, (key, pod) in enumerate((*protected, *free)):
            trial.move(pod, 1)
            if trial.fits():
                stays.append((key, pod))
            else:
                trial.move(pod, -1)
                victims.append((key, pod))
                broken += number < len(protected)
    gone = victims if fits else lower
    for _, pod in gone:  # the draft is as it was
        trial.move(pod, 1)
    return Preemption(name, tuple(victims), broken) if fits and victims else None


def _protected(pods: Sequence[Victim], budgets: Sequence[Budget]) -> tuple[list[Victim], list[Victim]]:
    """Those whose leaving a budget does not allow, and the others."""
    if not budgets:
        return [], list(pods)
    left = [budget.allowed for budget in budgets]
    protected: list[Victim] = []
    free: list[Victim] = []
    for key, pod in pods:
        breaks = False
        for index, budget in enumerate(budgets):
            if budget.covers(key, pod):
                left[index] -= 1
                breaks = breaks or left[index] < 0
        (protected if breaks else free).append((key, pod))
    return protected, free
