"""Gives each real node that has joined from another machine a network for its pods, which nobody else has.

    10.88.0.0/16      the cluster          10.88.0.0/24, 10.88.1.0/24 ... 10.88.50.0/24     the server's own nodes
    10.88.51.0/24 ... 10.88.254.0/24       nodes that have joined, in the order they came

https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/ (nodeipam)
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..api.kinds.node import MACHINE
from ..api.objects import Key, Obj, annotations_of, at, is_deleting, name_of, uid_of
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Action, Patch, Plan, Tell
from ..control.runtime import Controller
from ..store.history import Change

NODES = "nodes"
FIRST, LAST = 51, 254


@dataclass(frozen=True)
class Observed:
    stem: str  # "10.88"
    nodes: Sequence[Obj]


def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
    """One key for all: no two of them are given the same."""
    if change.value is not None and _is_bare(change.value) or change.value is None:
        yield NODES


def _is_bare(node: Obj) -> bool:
    return MACHINE in annotations_of(node) and not at(node, "spec.podCIDR") and not is_deleting(node)


def plan(seen: Observed, now: float) -> Plan:
    bare = sorted(filter(_is_bare, seen.nodes), key=lambda one: (one["metadata"]["creationTimestamp"], name_of(one)))
    if not bare:
        return NOTHING
    taken = {at(node, "spec.podCIDR") for node in seen.nodes}
    every = [f"{seen.stem}.{number}.0/24" for number in range(FIRST, LAST + 1)]
    free = [cidr for cidr in every if cidr not in taken]
    given: list[Action] = [_give(node, cidr) for node, cidr in zip(bare, free, strict=False)]
    left: list[Action] = [Tell(node, "Warning", "CIDRNotAvailable", f"Node {name_of(node)} status is now: "
                                                                    "CIDRNotAvailable") for node in bare[len(free):]]
    return Plan(given + left, size=len(seen.nodes))


def _give(node: Obj, cidr: str) -> Patch:
    return Patch(Key(NODES, "", name_of(node)), uid_of(node), {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}})


def node_networks(cidr: str) -> Controller:
    """`cidr`: of all nodes and pods, a /16."""
    stem = ".".join(cidr.split(".")[:2])

    def observe(mirror: Mirror, key: str) -> Observed:
        return Observed(stem, list(mirror.objects(NODES).values()))

    return Controller("node-ipam-controller", (NODES,), wakes, observe, plan, account="node-controller")
