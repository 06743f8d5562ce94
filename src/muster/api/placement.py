"""Where a pod may run, and what it takes there: taints, node affinity, requests, host ports.

The scheduler, the DaemonSet controller and the node agent all ask here, so they cannot disagree.

    tolerations     tolerates, untolerated          and the seven every daemon pod has
    affinity        matches_required_affinity       nodeSelector and required node affinity together
    one node        pin_to_node, pinned_node        how a DaemonSet says which node a pod is for
    amounts         requests_of, host_ports_of

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations
"""
from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from . import quantities
from .amounts import together
from .objects import Obj, at, name_of, with_

NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "PreferNoSchedule", "NoExecute"
HARD_EFFECTS = (NO_SCHEDULE, NO_EXECUTE)

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
DISK_PRESSURE = "node.kubernetes.io/disk-pressure"
MEMORY_PRESSURE = "node.kubernetes.io/memory-pressure"
PID_PRESSURE = "node.kubernetes.io/pid-pressure"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable"

# ------------------------------------------------------------------ taints and tolerations


def tolerates_one(toleration: Obj, taint: Obj) -> bool:
    """An empty effect or key in the toleration stands for every effect or key."""
    if (effect := toleration.get("effect")) and effect != taint.get("effect"):
        return False
    if (key := toleration.get("key")) and key != taint.get("key"):
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            return (toleration.get("value") or "") == (taint.get("value") or "")
    return False


def tolerates(tolerations: Iterable[Obj] | None, taint: Obj) -> bool:
    return any(tolerates_one(toleration, taint) for toleration in tolerations or ())


def untolerated(tolerations: Sequence[Obj] | None, taints: Iterable[Obj] | None,
                effects: Collection[str] = HARD_EFFECTS) -> Obj | None:
    """The first taint with one of these effects that nothing tolerates."""
    for taint in taints or ():
        if taint.get("effect") in effects and not tolerates(tolerations, taint):
            return taint
    return None


def _exists(key: str, effect: str) -> Obj:
    return {"key": key, "operator": "Exists", "effect": effect}


_DAEMON_TOLERATIONS = (
    _exists(NOT_READY, NO_EXECUTE),
    _exists(UNREACHABLE, NO_EXECUTE),
    _exists(DISK_PRESSURE, NO_SCHEDULE),
    _exists(MEMORY_PRESSURE, NO_SCHEDULE),
    _exists(PID_PRESSURE, NO_SCHEDULE),
    _exists(UNSCHEDULABLE, NO_SCHEDULE),
)
_HOST_NETWORK_TOLERATION = _exists(NETWORK_UNAVAILABLE, NO_SCHEDULE)


def daemon_tolerations(host_network: bool) -> list[Obj]:
    """What every daemon pod tolerates, in the order the DaemonSet controller adds it."""
    return [*_DAEMON_TOLERATIONS, _HOST_NETWORK_TOLERATION] if host_network else list(_DAEMON_TOLERATIONS)


def add_tolerations(tolerations: Sequence[Obj] | None, more: Iterable[Obj]) -> list[Obj]:
    """With `more` added: one equal in key, operator, value and effect is replaced in its place, not doubled."""
    result = list(tolerations or ())
    for toleration in more:
        same = [i for i, old in enumerate(result) if _identity(old) == _identity(toleration)]
        for index in same:
            result[index] = toleration
        if not same:
            result.append(toleration)
    return result


def _identity(toleration: Obj) -> tuple[str, str, str, str]:
    return (toleration.get("key") or "", toleration.get("operator") or "", toleration.get("value") or "",
            toleration.get("effect") or "")


# ------------------------------------------------------------------ node affinity

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


def expression_holds(requirement: Obj, found: str | None) -> bool:
    """One expression of a node selector against the node's value (None: the node has no such label)."""
    values: list[str] = requirement.get("values") or []
    match requirement.get("operator"):
        case "In":
            return found is not None and found in values
        case "NotIn":
            return found is None or found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case "Gt" | "Lt" as operator if len(values) == 1 and found is not None:
            if not (_INTEGER.fullmatch(found) and _INTEGER.fullmatch(values[0])):
                return False
            return int(found) > int(values[0]) if operator == "Gt" else int(found) < int(values[0])
    return False


def matches_node_selector_term(term: Obj, node: Obj) -> bool:
    """All expressions of the term hold.  A term without any matches no node."""
    expressions, fields = term.get("matchExpressions"), term.get("matchFields")
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels") or {}
    return (all(expression_holds(one, labels.get(one.get("key"))) for one in expressions or ())
            and all(one.get("key") == "metadata.name" and one.get("operator") in ("In", "NotIn")
                    and expression_holds(one, name_of(node)) for one in fields or ()))


def matches_node_selector(selector: Obj, node: Obj) -> bool:
    """A core/v1 NodeSelector: any of its terms matches.  Without terms it matches no node."""
    return any(matches_node_selector_term(term, node) for term in selector.get("nodeSelectorTerms") or ())


def matches_required_affinity(pod_spec: Obj, node: Obj) -> bool:
    """Does the node carry all of nodeSelector and meet the required node affinity?"""
    if wanted := pod_spec.get("nodeSelector"):
        labels = node["metadata"].get("labels") or {}
        if any(labels.get(key) != value for key, value in wanted.items()):
            return False
    required = _required(pod_spec)
    return required is None or matches_node_selector(required, node)


def preference_weight(pod_spec: Obj, node: Obj) -> int:
    """The sum of the weights of the preferred terms that the node matches."""
    return sum(one.get("weight", 0)
               for one in at(pod_spec, "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution", ())
               if matches_node_selector_term(one.get("preference") or {}, node))


def _required(pod_spec: Obj) -> Obj | None:
    affinity = pod_spec.get("affinity")
    node_affinity = affinity.get("nodeAffinity") if affinity else None
    return node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") if node_affinity else None


def pin_to_node(pod_spec: Obj, node_name: str) -> Obj:
    """The spec with its required node affinity naming this one node, in place of all required terms it had.

    The DaemonSet controller has checked those terms before it decides on the node; preferred ones stay.
    """
    name_is = {"key": "metadata.name", "operator": "In", "values": [node_name]}
    required = {**(_required(pod_spec) or {}), "nodeSelectorTerms": [{"matchFields": [name_is]}]}
    return with_(pod_spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution", required)


def pinned_node(pod_spec: Obj) -> str | None:
    """The one node that the required node affinity names, if it is pinned so."""
    required = _required(pod_spec)
    terms = required.get("nodeSelectorTerms") if required else None
    if not terms or len(terms) != 1:
        return None
    for one in terms[0].get("matchFields") or ():
        if one.get("key") == "metadata.name" and one.get("operator") == "In" and len(one["values"]) == 1:
            return one["values"][0]
    return None


# ------------------------------------------------------------------ what it takes there

Amounts = dict[str, int]  # cpu in thousandths, everything else in whole units


def amounts_of(resources: Mapping[str, str] | None) -> Amounts:
    """A ResourceList as numbers: cpu in thousandths, everything else in whole units, rounded up."""
    return {name: quantities.milli(amount) if name == "cpu" else quantities.whole(amount)
            for name, amount in resources.items()} if resources else {}


def _requested(container: Obj, unasked: Amounts | None) -> Amounts:
    resources = container.get("resources")
    asked = amounts_of(resources.get("requests")) if resources else {}
    return {**unasked, **asked} if unasked else asked


def requests_of(pod_spec: Obj, unasked: Amounts | None = None) -> Amounts:
    """What the scheduler must find free for the pod; `unasked` is what a container takes that does not say.

    Plain numbers: the scheduler reads every pod it meets."""
    total = together(pod_spec, lambda container: _requested(container, unasked), _add, _raise_to)
    _add(total, amounts_of(pod_spec.get("overhead")))
    return total


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise_to(total: Amounts, least: Amounts) -> None:
    for name, amount in least.items():
        if amount > total.get(name, 0):
            total[name] = amount


class HostPort(NamedTuple):
    protocol: str
    ip: str  # "0.0.0.0": on every address
    port: int


EVERY_IP = "0.0.0.0"


def host_ports_of(pod_spec: Obj) -> list[HostPort]:
    """The ports of the node that the pod takes (its containers and sidecars), in order."""
    sidecars = [one for one in pod_spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    return [HostPort(port.get("protocol") or "TCP", port.get("hostIP") or EVERY_IP, port["hostPort"])
            for container in (*(pod_spec.get("containers") or ()), *sidecars)
            for port in container.get("ports") or () if port.get("hostPort")]


def taken_port(wanted: Iterable[HostPort], used: Collection[HostPort]) -> HostPort | None:
    """The first wanted port that is in use: same protocol and number, and the same address or every address."""
    for port in wanted:
        for other in used:
            if (port.port == other.port and port.protocol == other.protocol
                    and (port.ip == other.ip or EVERY_IP in (port.ip, other.ip))):
                return port
    return None
