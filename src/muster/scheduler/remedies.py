"""For each thing a node can say against a pod: what was found, and the smallest change that would make it say nothing.

    NodeUnschedulable    uncordon it                       NodeAffinity        a label for the node, or one expression
    TaintToleration      one toleration, or no taint       NodePorts           a host port that is free there
    NodeResourcesFit     ask for what is free, or free the rest, each resource by itself

What other pods mean for a place is in remedies_pods.py.  A change comes with the pod or the node as it would be then
(`Obstacle.after`), so that it can be tried: the tests do, and so does barrier.py before it goes on.
"""
from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from math import floor
from typing import Any

from ..api import quantities
from ..api.objects import Obj, at, condition, labels_of, name_of, with_, without_
from ..api.placement import (
    EVERY_IP,
    HARD_EFFECTS,
    HostPort,
    amounts_of,
    expression_holds,
    matches_node_selector,
    pinned_node,
    requests_of,
    taken_port,
    tolerates_one,
    untolerated,
)
from .fit import Refusal
from .obstacle import NODE, Around, Case, Obstacle
from .remedies_pods import apart_from_others, spread_evenly
from .topology import INTER_POD, SPREAD
from .volumes import PLUGIN as VOLUMES
from .volumes import VolumeNeeds

# What a node is, and nobody labels it to be.
OWN_LABELS = {"kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "node.kubernetes.io/instance-type"}
CONDITIONS = {"node.kubernetes.io/not-ready": ("Ready", "until the node is ready"),
              "node.kubernetes.io/unreachable": ("Ready", "until the node is heard of again"),
              "node.kubernetes.io/memory-pressure": ("MemoryPressure", "until its memory pressure is over"),
              "node.kubernetes.io/disk-pressure": ("DiskPressure", "until its disk pressure is over"),
              "node.kubernetes.io/pid-pressure": ("PIDPressure", "until its PID pressure is over"),
              "node.kubernetes.io/network-unavailable": ("NetworkUnavailable", "until its network is there")}
BYTES = ("memory", "ephemeral-storage", "storage", "hugepages-")
MIB = 1 << 20
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def remedies(why: Refusal, case: Case, around: Around | None, volumes: VolumeNeeds | None) -> list[Obstacle]:
    """At least one; only the last may be without `after`."""
    match why.plugin:
        case "NodeUnschedulable":
            return [_uncordon(why, case)]
        case "TaintToleration":
            return [_tolerate(why, case)]
        case "NodeAffinity":
            return [_belong(why, case)]
        case "NodePorts":
            return [_move_port(why, case)]
        case "NodeResourcesFit":
            return _ask_for_less(why, case)
    if why.plugin == SPREAD and around is not None:
        return [spread_evenly(why, case, around(case.needs.wishes))]
    if why.plugin == INTER_POD and around is not None:
        return [apart_from_others(why, case, around(case.needs.wishes))]
    if why.plugin == VOLUMES and volumes is not None:
        return [_reach_volumes(why, case, volumes)]
    return [Obstacle(why, ", ".join(why.reasons))]


# ------------------------------------------------------------------ cordons and taints

def _uncordon(why: Refusal, case: Case) -> Obstacle:
    node = case.room.node
    taints = [one for one in at(node, "spec.taints", []) if one["key"] != "node.kubernetes.io/unschedulable"]
    free = with_(without_(node, "spec.unschedulable"), "spec.taints", taints)
    return Obstacle(why, "it is cordoned (spec.unschedulable: true)", f"`kubectl uncordon {NODE}`",
                    after=case.with_node(free), cost=1)


def _tolerate(why: Refusal, case: Case) -> Obstacle:
    spec, node = case.pod["spec"], case.room.node
    taint = untolerated(spec.get("tolerations"), at(node, "spec.taints"), HARD_EFFECTS)
    assert taint is not None, "the node has refused the pod for one"
    key, value, effect = taint["key"], taint.get("value") or "", taint["effect"]
    toleration = {"key": key, "operator": "Equal", "value": value, "effect": effect} if value else \
        {"key": key, "operator": "Exists", "effect": effect}
    assert tolerates_one(toleration, taint)
    shown = f"{key}={value}:{effect}" if value else f"{key}:{effect}"
    after = case._replace(pod=with_(case.pod, "spec.tolerations", [*(spec.get("tolerations") or ()), toleration]))
    state = CONDITIONS.get(key)
    if key == "node.kubernetes.io/unschedulable":
        instead = f"`kubectl uncordon {NODE}`"
    elif state is not None:
        instead = f"wait {state[1]}{_said(node, state[0])}"
    else:
        instead = f"`kubectl taint node {NODE} {key}:{effect}-`"
    return Obstacle(why, f"taint {shown} is not tolerated", f"add this toleration: {json.dumps(toleration)}", instead,
                    after, cost=3 if state is None else 8)


def _said(node: Obj, type_: str) -> str:
    found = condition(node, type_)
    return f" ({found['message']})" if found is not None and found.get("message") else ""


# ------------------------------------------------------------------ labels

def _belong(why: Refusal, case: Case) -> Obstacle:
    spec, node = case.pod["spec"], case.room.node
    pinned = pinned_node(spec)
    if pinned is not None and pinned != name_of(node):
        return Obstacle(why, f"the pod is for node {pinned} alone", cost=99)
    labels = labels_of(node)
    for key, value in (spec.get("nodeSelector") or {}).items():
        if labels.get(key) != value:
            return _select(why, case, key, value)
    return _affine(why, case)


def _select(why: Refusal, case: Case, key: str, value: str) -> Obstacle:
    have = labels_of(case.room.node).get(key)
    found = f"nodeSelector asks for {key}={value}, {_has(key, have)}"
    if key not in OWN_LABELS:
        return _label(why, case, found, key, value)
    selector = {name: wanted for name, wanted in case.pod["spec"]["nodeSelector"].items() if name != key}
    change = f"leave {key} out of the nodeSelector"
    if have is not None:
        selector[key], change = have, f"ask for {key}={have}"
    return Obstacle(why, found, change, after=case.with_pod(with_(case.pod, "spec.nodeSelector", selector)), cost=2)


def _has(key: str, have: str | None) -> str:
    return f"the node has no label {key}" if have is None else f"the node has {key}={have}"


def _label(why: Refusal, case: Case, found: str, key: str, value: str | None) -> Obstacle:
    """With value None: the label goes."""
    node = case.room.node
    labels = {name: old for name, old in labels_of(node).items() if name != key}
    told = f"{key}-"
    if value is not None:
        told = f"{key}={value}{' --overwrite' if key in labels_of(node) else ''}"
        labels[key] = value
    return Obstacle(why, found, f"`kubectl label node {NODE} {told}`",
                    after=case.with_node(with_(node, "metadata.labels", labels)), cost=2)


def _affine(why: Refusal, case: Case) -> Obstacle:
    """The term that misses least, and the first expression of it that does not hold."""
    node = case.room.node
    required = at(case.pod, f"spec.affinity.nodeAffinity.{REQUIRED}", {})
    assert not matches_node_selector(required, node), "the node has refused the pod for it"
    terms = required.get("nodeSelectorTerms") or []
    missed = [(list(_misses(term, node)), number) for number, term in enumerate(terms)]
    likely = [(len(misses), number) for misses, number in missed if misses]
    if not likely:
        without = without_(case.pod, f"spec.affinity.nodeAffinity.{REQUIRED}")
        return Obstacle(why, "its required node affinity has no term that says anything, so no node matches",
                        "leave it out", after=case.with_pod(without), cost=2)
    _, number = min(likely)
    field, expression = missed[number][0][0]
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    have = labels_of(node).get(key)
    wants = f"{key} {operator} ({', '.join(values)})" if values else f"{key} {operator}"
    which = f" (term {number + 1} of {len(terms)} misses least)" if len(terms) > 1 else ""
    if field == "matchExpressions" and key not in OWN_LABELS:
        found = f"node affinity asks for {wants}, {_has(key, have)}{which}"
        if (value := _meets(operator, values)) is not False:
            return _label(why, case, found, key, value if isinstance(value, str) else None)
    found = f"node affinity asks for {wants}{which}"
    if field == "matchExpressions":
        found = f"node affinity asks for {wants}, {_has(key, have)}{which}"
    return Obstacle(why, found, f"leave {wants} out of the node affinity",
                    after=case.with_pod(_without(case.pod, required, number, field, expression)), cost=3)


def _misses(term: Obj, node: Obj) -> Iterable[tuple[str, Obj]]:
    labels = labels_of(node)
    for one in term.get("matchExpressions") or ():
        if not expression_holds(one, labels.get(one.get("key", ""))):
            yield "matchExpressions", one
    for one in term.get("matchFields") or ():
        if not expression_holds(one, name_of(node)):
            yield "matchFields", one


def _meets(operator: str, values: list[str]) -> str | None | bool:
    """A label's value that the expression holds for; None: there must be none; False: nothing does."""
    match operator:
        case "In":
            return values[0] if values else False
        case "NotIn" | "DoesNotExist":
            return None
        case "Exists":
            return "true"
        case "Gt" | "Lt":
            try:
                value = int(values[0]) + (1 if operator == "Gt" else -1)
            except (ValueError, IndexError):
                return False
            return str(value) if value >= 0 else False  # "-1" is no value of a label
    return False


def _without(pod: Obj, required: Obj, number: int, field: str, expression: Obj) -> Obj:
    """The pod without that expression; without the required affinity where nothing else is in the term."""
    term = required["nodeSelectorTerms"][number]
    left = {**term, field: [one for one in term[field] if one is not expression]}
    path = f"spec.affinity.nodeAffinity.{REQUIRED}"
    if not left.get("matchExpressions") and not left.get("matchFields"):
        return without_(pod, path)
    terms = [left if index == number else one for index, one in enumerate(required["nodeSelectorTerms"])]
    return with_(pod, path, {**required, "nodeSelectorTerms": terms})


# ------------------------------------------------------------------ ports

def _move_port(why: Refusal, case: Case) -> Obstacle:
    room = case.room
    port = taken_port(case.needs.ports, room.ports)
    assert port is not None, "the node has refused the pod for one"
    holders = sorted(key for key, other in room.pods.items() if taken_port((port,), other.ports) is not None)
    by = f" by pod {holders[0].namespace}/{holders[0].name}" if holders else ""
    free = next((number for number in range(port.port + 1, port.port + 2000) if number < 65536 and taken_port(
        (port._replace(port=number),), (*room.ports, *case.needs.ports)) is None), None)
    shown = f"{port.port}/{port.protocol}" + (f" of {port.ip}" if port.ip != EVERY_IP else "")
    found = f"host port {shown} is taken{by}"
    if free is None:
        return Obstacle(why, found, cost=4)
    after = case.with_pod(_with_port(case.pod, port, free))
    return Obstacle(why, found, f"take another host port ({free} is free there) or none",
                    f"end {'that pod' if by else 'it'}", after, cost=4)


def _with_port(pod: Obj, port: HostPort, number: int) -> Obj:
    def moved(one: Obj) -> Obj:
        same = (one.get("hostPort"), one.get("protocol") or "TCP", one.get("hostIP") or EVERY_IP) == \
            (port.port, port.protocol, port.ip)
        return {**one, "hostPort": number} if same else one

    spec = pod["spec"]
    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec = {**spec, field: [{**one, "ports": [moved(each) for each in one.get("ports") or ()]}
                                    for one in spec[field]]}
    return {**pod, "spec": spec}


# ------------------------------------------------------------------ resources

def _ask_for_less(why: Refusal, case: Case) -> list[Obstacle]:
    """One for each resource that is short."""
    found: list[Obstacle] = []
    room = case.room
    most = room.allocatable.get("pods", 0)
    if len(room.pods) + 1 > most:
        found.append(_too_many_pods(why, case, most))
        if found[0].after is None:
            return found
        case = found[0].after
    for name, amount in case.needs.amounts.items():
        taken, there = case.room.taken.get(name, 0), case.room.allocatable.get(name, 0)
        if amount and taken + amount > there:
            found.append(_short_of(why, case, name, amount, taken, there))
            after = found[-1].after
            assert after is not None, "to ask for less is always possible"
            case = after
    return found


def _too_many_pods(why: Refusal, case: Case, most: int) -> Obstacle:
    room = case.room
    if not most:
        return Obstacle(why, "the node takes no pods (status.allocatable.pods: 0)", cost=99)
    surplus = len(room.pods) + 1 - most
    left = room
    for key in sorted(room.pods)[:surplus]:
        left = left.without_pod(key)
    return Obstacle(why, f"{len(room.pods)} pods are there, of {most} at most",
                    "end one of them" if surplus == 1 else f"end {surplus} of them",
                    after=case._replace(room=left), cost=3)


def _short_of(why: Refusal, case: Case, name: str, amount: int, taken: int, there: int) -> Obstacle:
    free = _rounded(name, max(0, there - taken), down=True)
    after = case.with_pod(asking(case.pod, name, free))
    said = f"asks for {name} {shown(name, amount)}"
    if not there:
        return Obstacle(why, f"{said}, the node has none", f"do not ask for {name}", after=after, cost=6)
    change = f"ask for {shown(name, free)} at most" if free else "ask for none of it"
    if amount > there:
        return Obstacle(why, f"{said}, free {shown(name, free)} of {shown(name, there)} that it has in all", change,
                        after=after, cost=2 + 3 * (1 - free / amount))
    missing = _rounded(name, taken + amount - there, down=False)
    return Obstacle(why, f"{said}, free {shown(name, free)} of {shown(name, there)}", change,
                    f"free {shown(name, missing)}", after, cost=1 + 3 * (1 - free / amount))


def _rounded(name: str, amount: int, *, down: bool) -> int:
    """Of bytes, whole MiB as far as that is possible: nobody asks for 3784192313."""
    if not name.startswith(BYTES) or amount < MIB:
        return amount
    return amount // MIB * MIB if down else -(-amount // MIB) * MIB


def shown(name: str, amount: int) -> str:
    """As a quantity: 300m of cpu, 512Mi of memory."""
    if name == "cpu":
        return quantities.written(Fraction(amount, 1000) if amount % 1000 else amount // 1000)
    return quantities.written(amount, quantities.BINARY if name.startswith(BYTES) else quantities.DECIMAL)


def asking(pod: Obj, name: str, at_most: int) -> Obj:
    """The pod asking for no more of that resource, each container for its share of it."""
    spec = pod["spec"]
    overhead = amounts_of(spec.get("overhead")).get(name, 0)
    asked = requests_of(spec).get(name, 0) - overhead
    share = Fraction(max(0, at_most - overhead), asked) if asked > 0 else Fraction(0)
    if overhead > at_most:
        spec = with_(spec, ("overhead", name), "0")

    def less(container: Obj) -> Obj:
        old = at(container, "resources.requests", {}).get(name)
        if old is None:
            return container
        amount = floor(amounts_of({name: old})[name] * share)
        requests: dict[str, Any] = {**container["resources"]["requests"], name: shown(name, amount)}
        if not amount:
            del requests[name]
        return with_(container, "resources.requests", requests)

    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec = {**spec, field: [less(one) for one in spec[field]]}
    return {**pod, "spec": spec}


# ------------------------------------------------------------------ volumes

def _reach_volumes(why: Refusal, case: Case, volumes: VolumeNeeds) -> Obstacle:
    if volumes.lost:
        return Obstacle(why, "a volume that its claims are bound to is gone", cost=99)
    for one in volumes.affinities:
        if not matches_node_selector(one, case.room.node):
            return Obstacle(why, f"a volume of it can only be reached from nodes with {selector_text(one)}", cost=99)
    claim = why.found
    return Obstacle(why, f"claim {claim} finds no volume that suits it and can be reached from there", cost=20,
                    change=f"make a PersistentVolume for {claim} that the node can reach")


def selector_text(selector: Obj) -> str:
    """A NodeSelector in one line: "kubernetes.io/hostname In (n1)"."""
    terms = []
    for term in selector.get("nodeSelectorTerms") or ():
        parts = [f"{one['key']} {one['operator']} ({', '.join(one['values'])})" if one.get("values")
                 else f"{one['key']} {one['operator']}"
                 for one in (*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ()))]
        terms.append(" and ".join(parts))
    return ", or ".join(terms)
