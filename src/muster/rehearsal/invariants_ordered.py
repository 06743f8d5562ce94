"""The laws of StatefulSets: one pod an ordinal, each in its turn.

    start    a pod is made once every lower ordinal is running and ready; never a second one of an ordinal
    stop     beyond the replicas asked for the highest ordinal goes first, the next once it is gone
    update   an available pod makes way for a new revision only at or above the partition, and only once all higher
             ordinals are available

With podManagementPolicy Parallel starts and stops wait for nobody, and updates for pods that are ready.  A pod that is
not available itself may always go: it is replaced, whatever its place.

A pod that stopped being available by itself since the controller looked, or went altogether with its node, still counts
for what follows from that look.  What the controller took down itself does not.
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#deployment-and-scaling-guarantees
"""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..api.objects import Key, Obj, at, is_deleting, uid_of
from ..store.history import Change
from .invariants_scene import available_from, is_active, is_ready, owner_of, phase_of

if TYPE_CHECKING:
    from .invariants import Laws

CONTROLLER = "statefulset-controller"


class Ordered:
    def __init__(self, laws: Laws):
        self._laws = laws
        self._sets: dict[str, Obj] = {}
        self._changed: dict[str, float] = {}
        # Of each set: its pods as they were before they stopped being ready, or went, by themselves; and until when.
        self._lost: dict[str, dict[int, deque[tuple[float, Obj]]]] = {}

    def hear(self, change: Change) -> None:
        key, old, new = change.key, change.previous, change.value
        if key.resource != "pods" or new is None:
            return
        stateful_set = self._sets.get(owner_of(new, "StatefulSet"))
        if stateful_set is None or self._laws.who() != CONTROLLER:
            return
        if old is None:
            self._starts(key, stateful_set)
        elif is_deleting(new) and not is_deleting(old) and phase_of(old) not in ("Failed", "Succeeded"):
            self._ends(key, old, stateful_set)

    def heard(self, change: Change) -> None:
        key, old, new, now = change.key, change.previous, change.value, self._laws.now()
        if key.resource == "pods":
            self._note_loss(key, old, new)
            return
        if new is None:
            for known in (self._sets, self._changed, self._lost):
                known.pop(uid_of(old) if old is not None else "", None)
            return
        if old is None or old["spec"] != new["spec"] or is_deleting(new):
            self._changed[uid_of(new)] = now
        self._sets[uid_of(new)] = new

    def _note_loss(self, key: Key, old: Obj | None, new: Obj | None) -> None:
        uid, ordinal = owner_of(old, "StatefulSet"), _ordinal(key.name)
        if old is None or uid not in self._sets:
            return
        if self._laws.who() == CONTROLLER:
            self._lost.get(uid, {}).pop(ordinal, None)
        elif _is_up(old) and not (new is not None and owner_of(new, "StatefulSet") == uid and _is_up(new)):
            lost = self._lost.setdefault(uid, {}).setdefault(ordinal, deque(maxlen=64))
            lost.append((self._laws.now(), old))

    # ---- each in its turn

    def _starts(self, key: Key, stateful_set: Obj) -> None:
        ordinal, (first, beyond) = _ordinal(key.name), _range(stateful_set)
        if self._laws.is_fresh(self._changed.get(uid_of(stateful_set))):
            return
        if not first <= ordinal < beyond:
            self._laws.wrong("StatefulSets start in order", key, f"is not one of {first} to {beyond - 1}")
        if not _is_ordered(stateful_set):
            return
        there = self._by_ordinal(stateful_set)
        for lower in range(first, ordinal):
            if not self._seemed_well(lower, there, stateful_set):
                self._laws.wrong("StatefulSets start in order", key, f"starts while ordinal {lower} is "
                                                                     f"{_wanting(there.get(lower))}")
                return

    def _ends(self, key: Key, pod: Obj, stateful_set: Obj) -> None:
        laws, ordinal, (first, beyond) = self._laws, _ordinal(key.name), _range(stateful_set)
        if laws.is_fresh(self._changed.get(uid_of(stateful_set))) or is_deleting(stateful_set):
            return
        there = self._by_ordinal(stateful_set)
        if not first <= ordinal < beyond:
            higher = [other for other in there if other > ordinal and other >= beyond]
            if _is_ordered(stateful_set) and higher:
                laws.wrong("StatefulSets stop in order", key, f"ends while ordinal {max(higher)} is still there")
            return
        if available_from(pod, stateful_set) > laws.now():
            return
        partition = at(stateful_set, "spec.updateStrategy.rollingUpdate.partition", 0)
        if at(stateful_set, "spec.updateStrategy.type", "RollingUpdate") == "OnDelete":
            laws.wrong("StatefulSets update in order", key, "is ended, though updates wait for deletion")
        elif ordinal < first + partition:
            laws.wrong("StatefulSets update in order", key, f"is below the partition {partition}")
        elif at(stateful_set, "spec.updateStrategy.rollingUpdate.maxUnavailable") is None:
            for above in range(ordinal + 1, beyond):
                if not self._seemed_well(above, there, stateful_set):
                    laws.wrong("StatefulSets update in order", key, f"ends while ordinal {above} is "
                                                                    f"{_wanting(there.get(above))}")
                    return

    def _by_ordinal(self, stateful_set: Obj) -> dict[int, Obj]:
        return {_ordinal(key.name): pod for key, pod in self._laws.scene.pods_of(uid_of(stateful_set)).items()}

    def _seemed_well(self, ordinal: int, there: Mapping[int, Obj], stateful_set: Obj) -> bool:
        """It is, or the controller, which had not heard yet that it was lost, had reason to think so."""
        if self._is_well(there.get(ordinal), stateful_set):
            return True
        lost = self._lost.get(uid_of(stateful_set), {}).get(ordinal, ())
        return any(self._laws.is_fresh(until) and self._is_well(pod, stateful_set) for until, pod in lost)

    def _is_well(self, pod: Obj | None, stateful_set: Obj) -> bool:
        """Available; where nobody waits for that, ready."""
        return pod is not None and (available_from(pod, stateful_set) <= self._laws.now() or (
            not _is_ordered(stateful_set) and _is_up(pod)))


def _is_up(pod: Obj) -> bool:
    return is_ready(pod) and is_active(pod)


def _wanting(pod: Obj | None) -> str:
    return "not there" if pod is None else "not available"


def _ordinal(name: str) -> int:
    last = name.rpartition("-")[2]
    return int(last) if last.isdigit() else -1


def _range(stateful_set: Obj) -> tuple[int, int]:
    first = at(stateful_set, "spec.ordinals.start", 0)
    return first, first + stateful_set["spec"].get("replicas", 1)


def _is_ordered(stateful_set: Obj) -> bool:
    return stateful_set["spec"].get("podManagementPolicy") != "Parallel"
