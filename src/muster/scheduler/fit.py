"""Does this pod fit on this node, and if not, why not: in the words of FailedScheduling events.

The checks stand in the order of the upstream plugins; the first that says no is the reason (only the
resource check can give several).  What other pods mean for the node is asked in topology.py.
https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
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
    plugin: str  # as upstream names what refused: "TaintToleration"
    reasons: tuple[str, ...]
    found: str = ""  # the value that stood against it
    # Would it help if pods of lower priority left?  Not against a taint, a label or a name.
    room_could_help: bool = False


def refusal(pod: Obj, needs: Taken, room: Room) -> Refusal | None:
    """Why the pod may not run on that node; None: it may."""
    unwelcome = misplaced(pod["spec"], room.node)
    if unwelcome is not None:
        return unwelcome
    if needs.ports and (port := taken_port(needs.ports, room.ports)) is not None:
        return Refusal("NodePorts", ("node(s) didn't have free ports for the requested pod ports",),
                       f"{port.ip}:{port.port}/{port.protocol}", room_could_help=True)
    return lacks(needs.amounts, room)


def misplaced(spec: Obj, node: Obj) -> Refusal | None:
    """Why a pod with this spec does not belong on the node, whatever is taken there."""
    if at(node, "spec.unschedulable", False) and not tolerates(
            spec.get("tolerations"), {"key": UNSCHEDULABLE, "effect": "NoSchedule"}):
        return Refusal("NodeUnschedulable", ("node(s) were unschedulable",), "spec.unschedulable: true")
    taint = untolerated(spec.get("tolerations"), at(node, "spec.taints"), HARD_EFFECTS)
    if taint is not None:
        key, value = taint["key"], taint.get("value", "")
        return Refusal("TaintToleration", (f"node(s) had untolerated taint {{{key}: {value}}}",),
                       f"{key}={value}:{taint.get('effect', '')}")
    if not matches_required_affinity(spec, node):
        return Refusal("NodeAffinity", ("node(s) didn't match Pod's node affinity/selector",),
                       _asked_for(spec, node))
    return None


def lacks(amounts: Mapping[str, int], room: Room) -> Refusal | None:
    """`("Insufficient cpu", "Too many pods")`: what the node has too little of."""
    there, lacking, found = room.allocatable, [], []
    if len(room.pods) + 1 > there.get("pods", 0):
        lacking.append("Too many pods")
        found.append(f"pods: {len(room.pods)} of {there.get('pods', 0)} taken")
    for name, amount in amounts.items():
        if amount and room.taken.get(name, 0) + amount > there.get(name, 0):
            lacking.append(f"Insufficient {name}")
            found.append(f"{name}: {amount} wanted, {room.taken.get(name, 0)} of {there.get(name, 0)} taken")
    return Refusal("NodeResourcesFit", tuple(lacking), "; ".join(found), room_could_help=True) if lacking else None


def _asked_for(spec: Obj, node: Obj) -> str:
    """The node's values of the labels that the pod asks about."""
    labels = node["metadata"].get("labels") or {}
    terms = at(spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms", ())
    keys = {*(spec.get("nodeSelector") or ()), *(one.get("key", "") for term in terms
                                                 for one in term.get("matchExpressions") or ())}
    return ", ".join(f"{key}={labels[key]}" if key in labels else f"no {key}" for key in sorted(keys))
