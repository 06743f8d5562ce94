"""Does this pod fit on this node, and if not, why not: in the words of FailedScheduling events.

The checks stand in the order of the upstream plugins; the first that says no is the reason (only the
resource check can give several).  https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..api.objects import Obj, at
from ..api.placement import (
    HARD_EFFECTS,
    UNSCHEDULABLE,
    matches_required_affinity,
    taken_port,
    tolerates,
    untolerated,
)
from .snapshot import Room, Taken


@dataclass(frozen=True, slots=True)
class Refusal:
    reasons: tuple[str, ...]
    # Would it help if pods of lower priority left?  Not against a taint, a label or a name.
    room_could_help: bool = False


def refusal(pod: Obj, needs: Taken, room: Room) -> Refusal | None:
    """Why the pod may not run on that node; None: it may."""
    spec, node = pod["spec"], room.node
    if at(node, "spec.unschedulable", False) and not tolerates(
            spec.get("tolerations"), {"key": UNSCHEDULABLE, "effect": "NoSchedule"}):
        return Refusal(("node(s) were unschedulable",))
    taint = untolerated(spec.get("tolerations"), at(node, "spec.taints"), HARD_EFFECTS)
    if taint is not None:
        return Refusal((f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}",))
    if not matches_required_affinity(spec, node):
        return Refusal(("node(s) didn't match Pod's node affinity/selector",))
    if needs.ports and taken_port(needs.ports, room.ports) is not None:
        return Refusal(("node(s) didn't have free ports for the requested pod ports",), room_could_help=True)
    lacking = lacks(needs.amounts, room)
    return Refusal(tuple(lacking), room_could_help=True) if lacking else None


def lacks(amounts: Mapping[str, int], room: Room) -> list[str]:
    """`["Insufficient cpu", "Too many pods"]`: what the node has too little of."""
    lacking = []
    if len(room.pods) + 1 > room.allocatable.get("pods", 0):
        lacking.append("Too many pods")
    for name, amount in amounts.items():
        if amount and room.taken.get(name, 0) + amount > room.allocatable.get(name, 0):
            lacking.append(f"Insufficient {name}")
    return lacking
