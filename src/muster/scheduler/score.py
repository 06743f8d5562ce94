"""Which of the nodes that fit is best: plain numbers, higher is better.

Each part gives 0 to 100 and has upstream's weight (v1.32 default plugins): room left 1, balance between cpu
and memory 1, preferred node affinity 2, apart from pods of the same controller 2 (the default spreading), taints
that say "rather not" 3.
"""
from __future__ import annotations

from collections.abc import Mapping

from ..api.objects import Obj, at
from ..api.placement import PREFER_NO_SCHEDULE, preference_weight, tolerates
from .snapshot import Room, Taken

COUNTED = ("cpu", "memory")
FULL = 100.0


def score(pod: Obj, needs: Taken, room: Room) -> float:
    shares = [_share(name, needs.amounts, room) for name in COUNTED]
    left = FULL * (1 - sum(shares) / len(shares))
    balance = FULL * (1 - (max(shares) - min(shares)) / 2)
    preferred = min(FULL, float(preference_weight(pod["spec"], room.node)))
    tolerations = pod["spec"].get("tolerations")
    rather_not = sum(1 for taint in at(room.node, "spec.taints") or ()
                     if taint.get("effect") == PREFER_NO_SCHEDULE and not tolerates(tolerations, taint))
    apart = FULL / (1 + room.siblings.get(needs.owner, 0)) if needs.owner else 0.0
    return left + balance + 2 * preferred + 2 * apart + 3 * FULL / (1 + rather_not)


def _share(name: str, amounts: Mapping[str, int], room: Room) -> float:
    """The part of a resource that would be taken, 0 to 1."""
    there = room.allocatable.get(name, 0)
    return min(1.0, (room.taken.get(name, 0) + amounts.get(name, 0)) / there) if there else 1.0
