"""Who has to leave so that a more important pod can run.

On each node where room is what lacks, pods of lower priority are taken away, the least important first, until
the pod fits; those that turn out not to be needed may stay.  The best node is the one whose most important
victim matters least, then the one with the fewest victims.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.objects import Key, Obj
from .fit import refusal
from .snapshot import Room, Taken


@dataclass(frozen=True, slots=True)
class Preemption:
    node: str
    victims: tuple[tuple[Key, Taken], ...]


def may_preempt(pod: Obj) -> bool:
    return pod["spec"].get("preemptionPolicy") != "Never"


def best_preemption(pod: Obj, needs: Taken, rooms: Iterable[Room]) -> Preemption | None:
    found = [one for room in rooms if (one := _on(pod, needs, room)) is not None]
    return min(found, key=_cost, default=None)


def _cost(one: Preemption) -> tuple[int, int, int, str]:
    priorities = [taken.priority for _, taken in one.victims]
    return max(priorities), sum(priorities), len(priorities), one.node


def _on(pod: Obj, needs: Taken, room: Room) -> Preemption | None:
    """The fewest and least important pods whose leaving makes room on this node; None: it can not be made."""
    lower = sorted(((key, taken) for key, taken in room.pods.items() if taken.priority < needs.priority),
                   key=lambda found: (found[1].priority, found[1].since, found[0]))
    bare = room
    for key, _ in lower:
        bare = bare.without_pod(key)
    if not lower or refusal(pod, needs, bare) is not None:
        return None
    victims = []
    for key, taken in reversed(lower):  # the most important first: may it stay?
        kept = bare.with_pod(key, taken)
        if refusal(pod, needs, kept) is None:
            bare = kept
        else:
            victims.append((key, taken))
    return Preemption(room.name, tuple(victims))
