"""The Endpoints object of a service: the older list of who is behind it, of the service's own name.

It says less than the slices do: an address is ready or it is not, one that is ending is not listed, and
beyond 1,000 it is cut short and says so in an annotation.  An address that listens on the same ports as
another shares its subset.  The object goes with its service.

https://kubernetes.io/docs/concepts/services-networking/service/#endpoints
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..api.objects import Key, Obj, annotations_of, at, is_true, labels_of, name_of, namespace_of, uid_of, without_
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Create, Delete, Plan, Replace
from ..control.runtime import Controller
from ..store.history import Change
from .service_pods import (
    HEADLESS_LABEL,
    SERVICES,
    WEIGHT,
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

RESOURCE = "endpoints"
MOST = 1000  # addresses in all subsets
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
READY, NOT_READY = "addresses", "notReadyAddresses"


@dataclass(frozen=True, slots=True)
class Observed:
    service: Obj | None  # None: it is gone
    pods: Sequence[Obj]
    endpoints: Obj | None


# ------------------------------------------------------------------ when to look, and at what

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    """What was written by hand for a service yet to come wakes nobody, so it is left alone."""
    if change.key.resource != RESOURCE:
        yield from woken(change, mirror)
    elif change.value is None or _names_a_pod(change.value):
        yield Key(SERVICES, change.key.namespace, change.key.name)


def _names_a_pod(endpoints: Obj) -> bool:
    return any(at(address, "targetRef.kind") == "Pod" for subset in endpoints.get("subsets") or ()
               for address in (*(subset.get(READY) or ())[:1], *(subset.get(NOT_READY) or ())[:1]))


def observe(mirror: Mirror, key: Key) -> Observed | None:
    service, endpoints = mirror.get(key), mirror.get(Key(RESOURCE, key.namespace, key.name))
    if service is None:
        return Observed(None, (), endpoints)
    return Observed(service, pods_of(mirror, service), endpoints) if is_fed(service) else None


# ------------------------------------------------------------------ the decision

def plan(seen: Observed, now: float) -> Plan:
    service, before = seen.service, seen.endpoints
    if service is None:
        if before is None:
            return NOTHING
        return Plan([Delete(Key(RESOURCE, namespace_of(before), name_of(before)), uid_of(before))])
    subsets, is_cut = cut(subsets_of(service, seen.pods))
    after = _made(service, before, subsets, is_cut)
    size = WEIGHT * len(seen.pods) + 1
    if before is None:
        return Plan([Create(after)], size=size)
    if labels_of(before) == labels_of(after) and annotations_of(before) == annotations_of(after) \
            and (before.get("subsets") or []) == subsets:
        return Plan(size=size)
    return Plan([Replace(after)], size=size)


def _made(service: Obj, before: Obj | None, subsets: list[Obj], is_cut: bool) -> Obj:
    labels = {key: value for key, value in labels_of(service).items() if key != HEADLESS_LABEL}
    if not has_address(service):
        labels[HEADLESS_LABEL] = ""
    annotations = without_(annotations_of(before) if before else {}, (OVER_CAPACITY,))
    if is_cut:
        annotations = {**annotations, OVER_CAPACITY: "truncated"}
    metadata = dict(before["metadata"]) if before else {"name": name_of(service), "namespace": namespace_of(service)}
    for field, value in (("labels", labels), ("annotations", annotations)):
        metadata.pop(field, None)
        if value:
            metadata[field] = value
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, **({"subsets": subsets} if subsets else {})}


def subsets_of(service: Obj, pods: Iterable[Obj]) -> list[Obj]:
    """One for each set of ports, addresses in the order of their numbers."""
    any_state = bool(at(service, "spec.publishNotReadyAddresses", False))
    found: dict[str, Obj] = {}
    for pod in pods:
        if not counts(pod, ending_too=any_state):
            continue
        ports = [port if port["name"] else without_(port, "name") for port in ports_of(service, pod)]
        if not ports and (at(service, "spec.ports") or has_address(service)):
            continue  # it listens on none of them
        subset = found.setdefault(str(ports), {READY: [], NOT_READY: [], "ports": ports})
        subset[READY if any_state or is_true(pod, "Ready") else NOT_READY].append(_address(service, pod))
    return [_tidy(found[text]) for text in sorted(found)]


def _address(service: Obj, pod: Obj) -> Obj:
    about: Obj = {"ip": address_of(pod)}
    if hostname := hostname_in(service, pod):
        about["hostname"] = hostname
    if node := at(pod, "spec.nodeName"):
        about["nodeName"] = node
    return {**about, "targetRef": reference_to(pod)}


def _tidy(subset: Obj) -> Obj:
    ordered = {field: sorted(subset[field], key=_place) for field in (READY, NOT_READY)}
    return {field: value for field, value in (*ordered.items(), ("ports", subset["ports"])) if value}


def _place(address: Obj) -> tuple[list[int], str]:
    return [int(part) for part in address["ip"].split(".") if part.isdigit()], address["targetRef"]["uid"]


def cut(subsets: list[Obj]) -> tuple[list[Obj], bool]:
    """At most 1,000 addresses, ready ones first, each subset in proportion; and whether any were left out."""
    ready, not_ready = (sum(len(subset.get(field, ())) for subset in subsets) for field in (READY, NOT_READY))
    if ready + not_ready <= MOST:
        return subsets, False
    result = subsets
    for field, total, room in ((READY, ready, min(ready, MOST)), (NOT_READY, not_ready, max(0, MOST - ready))):
        result = list(_shortened(result, field, total, room))
    return [subset for subset in result if subset.get(READY) or subset.get(NOT_READY)], True


def _shortened(subsets: Iterable[Obj], field: str, total: int, room: int) -> Iterable[Obj]:
    left = room
    for subset in subsets:
        addresses = subset.get(field, ())
        share = min(left, math.ceil(len(addresses) * room / total)) if total else 0
        left -= share
        yield {**subset, field: addresses[:share]} if share else without_(subset, field)


controller = Controller("endpoint-controller", (SERVICES, Changes("pods", concerning=SERVICES, such=is_fed), RESOURCE),
                        wakes, observe, plan)
