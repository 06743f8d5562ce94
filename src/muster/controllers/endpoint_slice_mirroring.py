"""Slices for Endpoints that somebody wrote by hand, so that readers of slices find them too.

Only for a service without a selector: all others have slices of their own.  Addresses that listen on the same
ports and are of one family share a slice; a slice that holds the right ones is left alone.  The slices belong
to their Endpoints, whose labels and annotations they carry.  The label `endpointslice.kubernetes.io/skip-mirror`
says that somebody else makes the slices.

https://kubernetes.io/docs/concepts/services-networking/service/#endpointslice-mirroring
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    controller_reference,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from ..client.mirror import Mirror
from ..control.plan import Action, Create, Delete, Plan, Replace
from ..control.runtime import Controller
from ..store.history import Change
from .endpoint_slices import LONGEST_STEM, MANAGER_LABEL, SERVICE_LABEL
from .endpoint_slices import RESOURCE as SLICES
from .endpoints import RESOURCE
from .service_pods import SERVICES

MANAGER = "endpointslicemirroring-controller.k8s.io"
MOST = 1000  # addresses of a subset that are taken over (--mirroring-max-endpoints-per-subset)
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"  # an old lock, and no list of addresses
_NOT_CARRIED = ("endpoints.kubernetes.io/last-change-trigger-time",
                "kubectl.kubernetes.io/last-applied-configuration")


@dataclass(frozen=True, slots=True)
class Observed:
    endpoints: Obj
    by_hand: bool  # there is a service that nobody else makes slices for
    slices: Sequence[Obj]  # those that were made here, by name


def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    resource, namespace, name = change.key
    if resource in (RESOURCE, SERVICES):
        yield Key(RESOURCE, namespace, name)
        return
    for slice_ in (change.value, change.previous):
        if slice_ is not None and _was_made_here(slice_):
            yield Key(RESOURCE, namespace, labels_of(slice_).get(SERVICE_LABEL, ""))
            return


def observe(mirror: Mirror, key: Key) -> Observed | None:
    """None where the Endpoints are gone: the garbage collector takes their slices."""
    endpoints, service = mirror.get(key), mirror.get(Key(SERVICES, key.namespace, key.name))
    if endpoints is None or is_deleting(endpoints):
        return None
    by_hand = (service is not None and not at(service, "spec.selector")
               and labels_of(endpoints).get(SKIP_LABEL) != "true" and LEADER not in annotations_of(endpoints))
    slices = [one for place, one in mirror.dependents(uid_of(endpoints)).items()
              if place.resource == SLICES and _was_made_here(one) and not is_deleting(one)]
    return Observed(endpoints, by_hand, sorted(slices, key=name_of)) if by_hand or slices else None


def _was_made_here(slice_: Obj) -> bool:
    return labels_of(slice_).get(MANAGER_LABEL) == MANAGER


# ------------------------------------------------------------------ the decision

def plan(seen: Observed, now: float) -> Plan:
    left, actions = list(seen.slices), list[Action]()
    wanted = mirrored(seen.endpoints) if seen.by_hand else []
    for one in wanted:
        same = next((slice_ for slice_ in left if _place(slice_) == _place(one)), None)
        if same is None:
            actions.append(Create(one))
            continue
        left.remove(same)
        if (after := _changed(same, one)) != same:
            actions.append(Replace(after))
    actions += [Delete(Key(SLICES, namespace_of(slice_), name_of(slice_)), uid_of(slice_)) for slice_ in left]
    return Plan(actions, size=1 + len(wanted) + len(seen.slices))


def _place(slice_: Obj) -> tuple[str, list[Obj]]:
    return slice_.get("addressType", ""), slice_.get("ports") or []


def _changed(slice_: Obj, wanted: Obj) -> Obj:
    carried = ("labels", "annotations")
    metadata = {field: value for field, value in slice_["metadata"].items() if field not in carried}
    metadata |= {field: wanted["metadata"][field] for field in carried if field in wanted["metadata"]}
    return {**slice_, "metadata": metadata, "endpoints": wanted["endpoints"]}


def mirrored(endpoints: Obj) -> list[Obj]:
    """The slices as they should be: one for each family and set of ports, in order of their first address."""
    found: dict[tuple[str, str], Obj] = {}
    for subset in endpoints.get("subsets") or ():
        ports = [{"name": port.get("name", ""), **port} for port in subset.get("ports") or ()]
        room = MOST
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in (subset.get(field) or ())[:room]:
                room -= 1
                family = "IPv6" if ":" in address["ip"] else "IPv4"
                slice_ = found.setdefault((family, str(ports)), _empty(endpoints, family, ports))
                slice_["endpoints"].append(_endpoint(address, ready))
    return list(found.values())


def _empty(endpoints: Obj, family: str, ports: list[Obj]) -> Obj:
    name = name_of(endpoints)
    metadata: Obj = {
        "generateName": f"{name[:LONGEST_STEM]}-", "namespace": namespace_of(endpoints),
        "labels": {**labels_of(endpoints), SERVICE_LABEL: name, MANAGER_LABEL: MANAGER},
        "ownerReferences": [controller_reference({"apiVersion": "v1", "kind": "Endpoints", **endpoints})]}
    if carried := {key: value for key, value in annotations_of(endpoints).items() if key not in _NOT_CARRIED}:
        metadata["annotations"] = carried
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata,
            "addressType": family, "endpoints": [], "ports": ports}


def _endpoint(address: Obj, ready: bool) -> Obj:
    about: Obj = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for field in ("hostname", "nodeName", "targetRef"):
        if at(address, field):
            about[field] = address[field]
    return about


controller = Controller("endpoint-slice-mirroring-controller", (SERVICES, RESOURCE, SLICES), wakes, observe, plan,
                        account="endpointslicemirroring-controller")
