"""Node pools: keeps as many nodes as each pool asks for, made from its template.

This is the cloud's part of a node: a name, a zone, addresses and a size.  What the node's agent says of itself
comes from the fleet (node/fleet.py), so a new node is NotReady until its agent has registered.

    muster-gpu-7dc8b11b-cxs1      muster-<pool>-<stem of the pool>-<one of the pool's 531,441 endings>

    10.128.0.0/14                 nodes, the InternalIP      34.64.0.0/10   the ExternalIP
    10.132.0.0 - 10.255.255.0     their pods, a /24 a node: room for 31,744 nodes

All pools are looked at together, since they share these addresses.  A pool that shrinks loses its newest nodes
first and drains nothing.  A changed template is for new nodes only, as a cloud's would be.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ..api.kinds.node_pool import DEFAULT_ZONES, POOL_LABEL
from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    controller_of,
    controller_reference,
    is_deleting,
    is_true,
    name_of,
    to_time,
    uid_of,
)
from ..client.mirror import Mirror
from ..clock import NAME_ALPHABET
from ..control.plan import NOTHING, Action, Create, Delete, Plan, SetStatus, Tell
from ..control.runtime import Controller
from ..store.history import Change

POOLS = "nodepools.muster.dev"
NUMBER = "muster.dev/number"  # of the node in its pool: the order in which they came, and the end of the name

ALL_POOLS = "all pools"
LONGEST_POOL_IN_NAME = 42  # so that the name stays a label value (63) with all around it
SUFFIX_LENGTH = 4
SUFFIXES = len(NAME_ALPHABET) ** SUFFIX_LENGTH

FIRST_POD_OCTET = 132
MOST_NODES = (256 - FIRST_POD_OCTET) * 256


@dataclass(frozen=True)
class Observed:
    pools: Sequence[Obj]
    nodes: Sequence[Obj] = field(default_factory=list)  # all of the cluster


def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
    if change.key.resource == POOLS:
        return (ALL_POOLS,)
    old, new = change.previous, change.value
    counts = old is None or new is None or is_true(old, "Ready") != is_true(new, "Ready")
    return (ALL_POOLS,) if counts else ()


def observe(mirror: Mirror, key: str) -> Observed:
    return Observed(list(mirror.objects(POOLS).values()), list(mirror.objects("nodes").values()))


def plan(seen: Observed, now: float) -> Plan:
    mine: dict[str, list[Obj]] = {uid_of(pool): [] for pool in seen.pools}
    taken: set[int] = set()
    for node in seen.nodes:
        owner = controller_of(node)
        if owner is not None and owner["uid"] in mine:
            mine[owner["uid"]].append(node)
        index = index_of(at(node, "spec.podCIDR", ""))
        if index is not None:
            taken.add(index)
    free = iter(index for index in range(MOST_NODES) if index not in taken)
    actions: list[Action] = []
    for pool in sorted(seen.pools, key=name_of):
        if not is_deleting(pool):
            actions += _resized(pool, mine[uid_of(pool)], free, now)
    return Plan(actions, size=len(seen.nodes) + len(seen.pools)) if actions else NOTHING


def _resized(pool: Obj, nodes: list[Obj], free: Iterator[int], now: float) -> list[Action]:
    staying = sorted((node for node in nodes if not is_deleting(node)), key=_age_order)
    wanted = at(pool, "spec.replicas", 0)
    actions: list[Action] = []
    for node in staying[wanted:][::-1]:
        actions.append(Delete(Key("nodes", "", name_of(node)), uid_of(node)))
    made = max(at(pool, "status.nodesMade", 0), 1 + max((number_of(node) for node in nodes), default=-1))
    if (missing := wanted - len(staying)) > 0:
        new = [node_of(pool, number, index, now)
               for number, index in zip(range(made, made + missing), free, strict=False)]
        made += len(new)
        actions += [Create(node) for node in new]
        if len(new) < missing:
            actions.append(Tell(pool, "Warning", "NoAddresses",
                                f"There are addresses for {MOST_NODES} nodes; {missing - len(new)} more are wanted"))
    if actions:
        actions.append(Tell(pool, "Normal", "Resizing", f"Pool [{name_of(pool)}] will be resized to {wanted}."))
    status = {"replicas": len(staying), "readyReplicas": sum(is_true(node, "Ready") for node in staying),
              "nodesMade": made, "selector": f"{POOL_LABEL}={name_of(pool)}"}
    if pool.get("status") != status:
        actions.append(SetStatus(Key(POOLS, "", name_of(pool)), uid_of(pool), status))
    return actions


def _age_order(node: Obj) -> tuple[int, str]:
    return number_of(node), name_of(node)


def number_of(node: Obj) -> int:
    number = annotations_of(node).get(NUMBER, "")
    return int(number) if number.isdigit() else 0


# ------------------------------------------------------------------ names and addresses


def node_name(pool: Obj, number: int) -> str:
    stem = hashlib.sha256(uid_of(pool).encode()).hexdigest()[:8]
    return f"muster-{name_of(pool)[:LONGEST_POOL_IN_NAME].rstrip('-.')}-{stem}-{suffix(uid_of(pool), number)}"


def suffix(pool_uid: str, number: int) -> str:
    """Four characters that look drawn by lot, another for each number: a bijection of all there are.

    Multiplying by a number that 3 does not divide (there are 27 characters) and adding one keeps numbers apart,
    and so does reading the digits backwards.
    """
    mixed = number % SUFFIXES
    for factor, start in _mixers(pool_uid):
        mixed = (mixed * factor + start) % SUFFIXES
        mixed = _backwards(mixed)
    return "".join(NAME_ALPHABET[digit] for digit in _digits(mixed))


@lru_cache(maxsize=1024)
def _mixers(pool_uid: str) -> tuple[tuple[int, int], ...]:
    digest = hashlib.sha256(f"suffix/{pool_uid}".encode()).digest()
    draws = [int.from_bytes(digest[place:place + 8], "big") for place in (0, 8, 16, 24)]
    return tuple((draw % SUFFIXES * 3 + 1, start) for draw, start in (draws[:2], draws[2:]))


def _digits(number: int) -> list[int]:
    digits = []
    for _ in range(SUFFIX_LENGTH):
        number, digit = divmod(number, len(NAME_ALPHABET))
        digits.append(digit)
    return digits


def _backwards(number: int) -> int:
    result = 0
    for digit in _digits(number):
        result = result * len(NAME_ALPHABET) + digit
    return result


def pod_cidr(index: int) -> str:
    assert 0 <= index < MOST_NODES, "the plan keeps to the nodes there is room for"
    return f"10.{FIRST_POD_OCTET + index // 256}.{index % 256}.0/24"


@lru_cache(maxsize=32768)
def index_of(cidr: str) -> int | None:
    """The index a podCIDR was made from; None for one of another range."""
    first, second, third, *rest = [*cidr.split("."), "", "", ""][:4]
    if first != "10" or rest != ["0/24"] or not (second.isdigit() and third.isdigit()):
        return None
    index = (int(second) - FIRST_POD_OCTET) * 256 + int(third)
    return index if 0 <= index < MOST_NODES else None


def internal_ip(index: int) -> str:
    place = index + 2  # .0 is the network, .1 the gateway
    return f"10.{128 + (place >> 16)}.{(place >> 8) & 255}.{place & 255}"


def external_ip(index: int) -> str:
    place = (index * 2_654_435_761 + 1_234_567) & 0x3FFFFF  # an odd factor: no two alike in 22 bits
    return f"34.{64 + (place >> 16)}.{(place >> 8) & 255}.{place & 255}"


# ------------------------------------------------------------------ the node


def node_of(pool: Obj, number: int, index: int, now: float) -> Obj:
    template = at(pool, "spec.template", {})
    name, zones = node_name(pool, number), template.get("zones") or DEFAULT_ZONES
    zone = zones[number % len(zones)]
    taints = [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}, *(template.get("taints") or ())]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": _labels(pool, template, name, zone),
            "annotations": {**(template.get("annotations") or {}), NUMBER: str(number)},
            "ownerReferences": [controller_reference(pool)],
        },
        "spec": {"podCIDR": pod_cidr(index), "podCIDRs": [pod_cidr(index)],
                 "providerID": f"muster://{zone}/{name}", "taints": taints},
        "status": _status(template, name, index, now),
    }


def _labels(pool: Obj, template: Obj, name: str, zone: str) -> dict[str, str]:
    machine_type = template.get("machineType") or "e2-standard-4"
    region = zone.rpartition("-")[0] or zone
    labels = {
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
        "beta.kubernetes.io/instance-type": machine_type, "node.kubernetes.io/instance-type": machine_type,
        "topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone,
    }
    labels |= {f"node-role.kubernetes.io/{role}": "" for role in template.get("roles") or ()}
    labels |= template.get("labels") or {}
    return labels | {"kubernetes.io/hostname": name, POOL_LABEL: name_of(pool)}


def _status(template: Obj, name: str, index: int, now: float) -> Obj:
    stamp = to_time(now)
    status: Obj = {
        "addresses": [{"type": "InternalIP", "address": internal_ip(index)},
                      {"type": "ExternalIP", "address": external_ip(index)},
                      {"type": "Hostname", "address": name}],
        "conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady",
                        "message": "the node's agent has not registered yet",
                        "lastHeartbeatTime": stamp, "lastTransitionTime": stamp}],
        "nodeInfo": {"kubeletVersion": template.get("version") or "v1.32.4"},
    }
    if capacity := template.get("capacity"):
        status["capacity"] = capacity
        status["allocatable"] = capacity
    return status


controller = Controller("node-pool-controller", ("nodes", POOLS), wakes, observe, plan, workers=1)
