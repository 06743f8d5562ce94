"""Which of the nodes that fit is best: plain numbers, higher is better.

Each part gives 0 to 100 and has upstream's weight (v1.32 default plugins): room left 1, balance between cpu
and memory 1, preferred node affinity 2, apart from pods of the same controller 2 (the default spreading), taints
that say "rather not" 3.  Preferences are measured against the best of the nodes compared, taints against the worst.
https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
"""
from __future__ import annotations

from ..api.objects import Obj, at
from ..api.placement import PREFER_NO_SCHEDULE, preference_weight, tolerates
from .snapshot import Room, Taken

FULL = 100


def room_left(needs: Taken, room: Room) -> int:
    """LeastAllocated and BalancedAllocation together, 0 to 200."""
    there = room.allocatable
    return (_least_allocated(((there.get("cpu", 0), room.scored_cpu + needs.scored_cpu),
                              (there.get("memory", 0), room.scored_memory + needs.scored_memory)))
            + _balance(tuple((there.get(name, 0), room.taken.get(name, 0) + needs.amounts.get(name, 0))
                             for name in ("cpu", "memory"))))


def _least_allocated(amounts: tuple[tuple[int, int], ...]) -> int:
    shares = [max(0, there - taken) * FULL // there for there, taken in amounts if there]
    return sum(shares) // len(shares) if shares else 0


def _balance(amounts: tuple[tuple[int, int], ...]) -> int:
    shares = [min(1.0, taken / there) for there, taken in amounts if there]
    return int(FULL * (1 - abs(shares[0] - shares[1]) / 2)) if len(shares) == 2 else FULL


def node_preference(pod: Obj, room: Room) -> int:
    return preference_weight(pod["spec"], room.node)


def unwelcome(pod: Obj, room: Room) -> int:
    """How many of the node's taints say that it had rather not."""
    tolerations = [one for one in pod["spec"].get("tolerations") or ()
                   if (one.get("effect") or PREFER_NO_SCHEDULE) == PREFER_NO_SCHEDULE]
    return sum(1 for taint in at(room.node, "spec.taints") or ()
               if taint.get("effect") == PREFER_NO_SCHEDULE and not tolerates(tolerations, taint))
