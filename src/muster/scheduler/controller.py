"""The scheduler at work: it keeps a snapshot, hears what happens, and decides on the pods whose time has come.

All that is remembered from look to look is here: the snapshot, the line of waiting pods, what nodes have answered.
The decision itself (decide.py) only reads them.
https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""
from __future__ import annotations

from collections.abc import Iterable

from ..api.objects import Key, labels_of
from ..api.pod_claims import claims_of
from ..client.mirror import Mirror
from ..control.plan import Plan
from ..control.runtime import Controller
from ..store.history import Change
from .decide import NAME, Decision, Observed, decide
from .examination import Examinations
from .fit import refusal
from .line import Line
from .preempt import Budget, budget_of
from .snapshot import Happened, Room, Snapshot, Waiting
from .spreading import SERVICES, Spreading
from .topology import INTER_POD
from .volumes import CLAIMS, CLASSES, PLUGIN, VOLUMES, volume_needs

NODES, PODS, NAMESPACES, BUDGETS = "nodes", "pods", "namespaces", "poddisruptionbudgets.policy"
AT_ONCE = 500  # pods considered in one look, at most


def scheduler() -> Controller:
    """A scheduler with a memory of its own."""
    memory = _Memory()
    return Controller(NAME, (NODES, PODS, NAMESPACES, SERVICES, BUDGETS, CLAIMS, VOLUMES, CLASSES), memory.hear,
                      memory.observe, memory.plan, workers=1, account="kube-scheduler")


class _Memory:
    def __init__(self) -> None:
        self._snapshot, self._line = Snapshot(), Line()
        self._examinations, self._spreading = Examinations(), Spreading()
        self._budgets: dict[Key, Budget] = {}

    # ------------------------------------------------------------------ what happens

    def hear(self, change: Change, mirror: Mirror) -> Iterable[str]:
        return (NAME,) if self._hear(change) else ()

    def _hear(self, change: Change) -> bool:
        match change.key.resource:
            case "pods":
                return self._hear_pod(change)
            case "nodes":
                return self._helps(self._snapshot.apply_node(change))
            case "namespaces":
                labels = labels_of(change.value) if change.value is not None else None
                return (self._snapshot.tallies.label_namespace(change.key.name, labels)
                        and self._line.wake_those_refused_by((INTER_POD,)))
            case "services":
                self._spreading.forget()
                return False
            case "poddisruptionbudgets.policy":
                if change.value is None:
                    self._budgets.pop(change.key, None)
                else:
                    self._budgets[change.key] = budget_of(change.value)
                return False
            case _:
                return self._line.wake_those_refused_by((PLUGIN,))

    def _hear_pod(self, change: Change) -> bool:
        happened = self._snapshot.apply_pod(change)
        if happened.waiting is not None:
            return self._line.put(happened.waiting)
        before = self._line.get(change.key)
        self._line.drop(change.key)
        helped = self._helps(happened)
        room = self._snapshot.rooms.get(before.nominated) if before is not None and before.nominated else None
        return (self._helps(Happened(room)) if room is not None else False) or helped  # nobody keeps it any more

    def _helps(self, happened: Happened) -> bool:
        return self._line.hear(happened, _fits, self._snapshot.tallies.namespaces)

    # ------------------------------------------------------------------ the look

    def observe(self, mirror: Mirror, key: str) -> Mirror | None:
        return mirror if len(self._line) else None

    def plan(self, mirror: Mirror, now: float) -> Plan:
        taken = [self._line.refine(self._spreading.of(one, mirror)) for one in self._line.take(now, AT_ONCE)]
        if not taken:
            return Plan(wake_at=self._line.next_time())
        snapshot = self._snapshot
        decision = decide(Observed(
            taken, snapshot.rooms, snapshot.node_order(), snapshot.tallies, snapshot.images, self._examinations,
            self._line.nominated, {one.key: volume_needs(one.pod, mirror) for one in taken if claims_of(one.pod)},
            list(self._budgets.values()), snapshot.lowest_priority), now)
        self._note(decision, now)
        return Plan(decision.actions, wake_at=now if self._line.is_ready else self._line.next_time(),
                    size=decision.size)

    def _note(self, decision: Decision, now: float) -> None:
        for key in decision.bound:
            self._line.tried(key, now)
        for key, why in decision.refused.items():
            self._line.refused(key, why, now)
        for key, node in decision.binding_volumes.items():
            self._line.keep_room(key, node)
            self._line.binds_volumes(key, PLUGIN, now)
        self._line.undone(decision.undone)


def _fits(one: Waiting, room: Room) -> bool:
    return refusal(one.pod, one.needs, room) is None
