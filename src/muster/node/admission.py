"""Whether a node takes a pod that was bound to it: the kubelet's last look, with the kubelet's words.

The scheduler has checked the same, but a pod may name its node itself, and the node may have changed since.
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..api.objects import Obj
from ..api.placement import (
    NO_EXECUTE,
    Amounts,
    HostPort,
    amounts_of,
    host_ports_of,
    matches_required_affinity,
    requests_of,
    taken_port,
    untolerated,
)
from ..api.remembered import Remembered
from .life import Verdict

_REASONS = {"cpu": "OutOfcpu", "memory": "OutOfmemory", "ephemeral-storage": "OutOfephemeral-storage",
            "pods": "OutOfpods"}


class Footprint(NamedTuple):
    """What a pod takes of its node."""

    requests: Amounts
    ports: list[HostPort]


def footprint_of(pod: Obj) -> Footprint:
    spec = pod["spec"]
    return _footprint_of(spec["containers"], spec.get("initContainers"), spec.get("overhead"))


def _footprint(containers: list[Obj], first: list[Obj] | None, overhead: dict[str, str] | None) -> Footprint:
    spec = {"containers": containers, "initContainers": first, "overhead": overhead}
    return Footprint(requests_of(spec), host_ports_of(spec))


_footprint_of = Remembered(_footprint)  # the same for all pods of a template


def refusal(pod: Obj, wants: Footprint, node: Obj, others: Iterable[Footprint]) -> Verdict | None:
    """Why the node refuses the pod, beside the pods it has; None: it takes it."""
    others = list(others)
    return (_too_large(wants, amounts_of((node.get("status") or {}).get("allocatable")), others)
            or _unfit(pod, wants, node, others))


def _too_large(wants: Footprint, room: Amounts, others: list[Footprint]) -> Verdict | None:
    if not room:
        return None  # a node that has not registered yet
    asked = {"pods": 1, **{name: amount for name, amount in wants.requests.items() if amount > 0}}
    for name, amount in asked.items():
        used = len(others) if name == "pods" else sum(other.requests.get(name, 0) for other in others)
        capacity = room.get(name, 0)
        if used + amount > capacity:
            return Verdict(_REASONS.get(name, f"OutOf{name}"),
                           f"Pod was rejected: Node didn't have enough resource: {name}, requested: {amount}, "
                           f"used: {used}, capacity: {capacity}")
    return None


def _unfit(pod: Obj, wants: Footprint, node: Obj, others: list[Footprint]) -> Verdict | None:
    spec = pod["spec"]
    if not matches_required_affinity(spec, node):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if wants.ports and taken_port(wants.ports, [port for other in others for port in other.ports]):
        return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    if untolerated(spec.get("tolerations"), node["spec"].get("taints"), (NO_EXECUTE,)):
        return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def _predicate(name: str, why: str) -> Verdict:
    return Verdict(name, f"Pod was rejected: Predicate {name} failed: {why}")
