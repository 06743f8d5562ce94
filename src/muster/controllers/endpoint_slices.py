"""The EndpointSlices of a service: who is behind it, in parts of at most 100.

    groups     pods that listen on the same ports share slices (a port name may mean another number in each pod)
    arrange    an endpoint stays in the slice it is in; newcomers go where something is written anyway, then
               where they all fit best, then into slices of their own: few writes for small changes
    plan       what differs is written; slices left empty are used again before new ones are made

A service nobody answers for keeps one slice without endpoints.  A pod that is ending stays listed (not ready,
perhaps still serving) until it is gone.
https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..api.objects import (
    Key,
    Obj,
    at,
    controller_of,
    controller_reference,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
    with_,
)
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.plan import Action, Create, Delete, Plan, Replace
from ..control.runtime import Controller
from ..store.history import Change
from .service_pods import (
    HEADLESS_LABEL,
    SERVICES,
    WEIGHT,
    ZONE,
    address_of,
    counts,
    has_address,
    hostname_in,
    is_fed,
    pods_of,
    ports_of,
    reference_to,
    woken,
)

RESOURCE = "endpointslices.discovery.k8s.io"
MOST = 100  # endpoints in a slice (--max-endpoints-per-slice)
SERVICE_LABEL, MANAGER_LABEL = "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
OWN_LABELS = (SERVICE_LABEL, MANAGER_LABEL, HEADLESS_LABEL)
LONGEST_STEM = 253 - len("-")

Endpoints = list[Obj]
Ports = frozenset[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Observed:
    service: Obj
    pods: Sequence[Obj]  # those its selector finds, by name
    slices: Sequence[Obj]  # those that are ours to write, by name
    zones: Mapping[str, str]  # of the nodes that exist: name -> zone, "" for none


# ------------------------------------------------------------------ when to look, and at what

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    if change.key.resource != RESOURCE:
        yield from woken(change, mirror)
        return
    for slice_ in (change.value, change.previous):
        if slice_ is not None and _is_ours(slice_):
            yield Key(SERVICES, change.key.namespace, labels_of(slice_)[SERVICE_LABEL])
            return


def _is_ours(slice_: Obj) -> bool:
    labels = labels_of(slice_)
    return labels.get(MANAGER_LABEL) == MANAGER and SERVICE_LABEL in labels


def observe(mirror: Mirror, key: Key) -> Observed | None:
    """None for a service that is gone (the garbage collector takes its slices) or that is fed by hand."""
    service = mirror.get(key)
    if service is None or not is_fed(service):
        return None
    pods = pods_of(mirror, service)
    nodes = {node: mirror.get(Key("nodes", "", node)) for pod in pods if (node := at(pod, "spec.nodeName"))}
    slices = [one for one in mirror.in_namespace(RESOURCE, key.namespace).values()
              if _is_ours(one) and labels_of(one)[SERVICE_LABEL] == key.name and not is_deleting(one)]
    return Observed(service, pods, sorted(slices, key=name_of),
                    {name: labels_of(node).get(ZONE, "") for name, node in nodes.items() if node is not None})


# ------------------------------------------------------------------ the decision

@dataclass(slots=True)
class Group:
    """The endpoints that listen on the same ports."""

    ports: list[Obj]
    wanted: dict[str, Obj] = field(default_factory=dict)  # pod uid -> endpoint


@dataclass(slots=True)
class Arrangement:
    placed: list[tuple[Obj, Endpoints]] = field(default_factory=list)  # what each slice should hold
    new: list[Endpoints] = field(default_factory=list)  # for slices that are not there yet
    spare: list[Obj] = field(default_factory=list)  # slices that are left empty


def plan(seen: Observed, now: float) -> Plan:
    service = seen.service
    groups = group(seen)
    actions: list[Action] = []
    spare: list[Obj] = []
    by_ports: dict[Ports, list[Obj]] = {}
    for slice_ in seen.slices:
        controller = controller_of(slice_)
        if controller is None or controller["uid"] != uid_of(service) or slice_.get("addressType") != "IPv4":
            actions.append(_end(slice_))
        elif (same := _as_key(slice_.get("ports") or ())) in groups:
            by_ports.setdefault(same, []).append(slice_)
        else:
            spare.append(slice_)
    new: list[tuple[list[Obj], Endpoints]] = []
    for same, one in groups.items():
        arrangement = arrange(by_ports.get(same, ()), one.wanted)
        for slice_, endpoints in arrangement.placed:
            actions += _written(slice_, made(service, one.ports, endpoints))
        new += [(one.ports, endpoints) for endpoints in arrangement.new]
        spare += arrangement.spare
    if not any(one.wanted for one in groups.values()):
        new = [([], [])]
        spare.sort(key=lambda slice_: bool(slice_.get("endpoints") or slice_.get("ports")))
    for ports, endpoints in new:
        wanted = made(service, ports, endpoints)
        actions += _written(spare.pop(0), wanted) if spare else [Create(wanted)]
    actions += [_end(slice_) for slice_ in spare]
    return Plan(actions, size=WEIGHT * len(seen.pods) + len(seen.slices) + 1)


def group(seen: Observed) -> dict[Ports, Group]:
    """By their ports, in order of their first pod."""
    groups: dict[Ports, Group] = {}
    for pod in seen.pods:
        if not counts(pod, ending_too=True):
            continue
        node = at(pod, "spec.nodeName", "")
        if node and node not in seen.zones and not at(seen.service, "spec.publishNotReadyAddresses", False):
            continue  # its node is gone: nothing answers there
        ports = ports_of(seen.service, pod)
        groups.setdefault(_as_key(ports), Group(ports)).wanted[uid_of(pod)] = endpoint(
            seen.service, pod, seen.zones.get(node, ""))
    return groups


def _as_key(ports: Iterable[Obj]) -> Ports:
    return frozenset((port.get("name", ""), port.get("protocol"), port.get("port"), port.get("appProtocol"))
                     for port in ports)


def endpoint(service: Obj, pod: Obj, zone: str) -> Obj:
    serving, ending = is_true(pod, "Ready"), is_deleting(pod)
    ready = serving and not ending or bool(at(service, "spec.publishNotReadyAddresses", False))
    about: Obj = {"addresses": [address_of(pod)],
                  "conditions": {"ready": ready, "serving": serving, "terminating": ending}}
    if hostname := hostname_in(service, pod):
        about["hostname"] = hostname
    if node := at(pod, "spec.nodeName"):
        about["nodeName"] = node
    about["targetRef"] = reference_to(pod)
    if zone:
        about["zone"] = zone
    return about


def arrange(slices: Sequence[Obj], wanted: Mapping[str, Obj]) -> Arrangement:
    """Each wanted endpoint in one slice, with as few slices written as can be."""
    left = dict(wanted)
    result = Arrangement()
    rewritten: list[Endpoints] = []
    unchanged: list[Endpoints] = []
    for slice_ in slices:
        before = slice_.get("endpoints") or []
        after = [left.pop(uid) for one in before[:MOST] if (uid := at(one, "targetRef.uid", "")) in left]
        if not after:
            result.spare.append(slice_)
            continue
        (unchanged if after == before else rewritten).append(after)
        result.placed.append((slice_, after))
    for endpoints in sorted(rewritten, key=len, reverse=True):
        _fill(endpoints, left)
    while left:
        room = [one for one in unchanged if len(one) + len(left) <= MOST]
        if room:
            _fill(max(room, key=len), left)
        else:
            result.new.append([])
            _fill(result.new[-1], left)
    return result


def _fill(endpoints: Endpoints, left: dict[str, Obj]) -> None:
    for uid in list(left)[:MOST - len(endpoints)]:
        endpoints.append(left.pop(uid))


def made(service: Obj, ports: list[Obj], endpoints: Endpoints) -> Obj:
    """A slice as it should be, but for its name."""
    labels = {key: value for key, value in labels_of(service).items() if key not in OWN_LABELS}
    labels |= {SERVICE_LABEL: name_of(service), MANAGER_LABEL: MANAGER}
    if not has_address(service):
        labels[HEADLESS_LABEL] = ""
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"generateName": f"{name_of(service)[:LONGEST_STEM]}-", "namespace": namespace_of(service),
                         "labels": labels, "ownerReferences": [controller_reference(service)]},
            "addressType": "IPv4", "endpoints": endpoints, "ports": ports}


def _written(slice_: Obj, wanted: Obj) -> list[Action]:
    """Nothing where the slice is so already."""
    labels, endpoints, ports = wanted["metadata"]["labels"], wanted["endpoints"], wanted["ports"]
    if labels_of(slice_) == labels and (slice_.get("endpoints") or []) == endpoints \
            and (slice_.get("ports") or []) == ports:
        return []
    return [Replace({**with_(slice_, "metadata.labels", labels), "endpoints": endpoints, "ports": ports})]


def _end(slice_: Obj) -> Delete:
    return Delete(Key(RESOURCE, namespace_of(slice_), name_of(slice_)), uid_of(slice_))


controller = Controller("endpoint-slice-controller", (
    SERVICES, RESOURCE, *(Changes(resource, concerning=SERVICES, such=is_fed) for resource in ("pods", "nodes"))),
    wakes, observe, plan, account="endpointslice-controller")
