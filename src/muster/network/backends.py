"""Which endpoints the traffic for one port of a service goes to, as seen from one node (pure).

    everywhere    ready ones; where there are none, those that are ending but still serve
    local         the same, of this node alone: for internalTrafficPolicy and externalTrafficPolicy Local

Where every ready endpoint names the zones that it is for, and one names this node's, only those of the zone are used.
https://kubernetes.io/docs/reference/networking/virtual-ips/#traffic-policies
https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1669-proxy-terminating-endpoints
https://kubernetes.io/docs/concepts/services-networking/topology-aware-routing/#safeguards
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ..api.objects import Obj, at, name_of


class Here(NamedTuple):
    """The node that the rules are for."""

    node: str
    address: str
    cluster_cidr: str  # of all pods and nodes
    pod_cidr: str  # of the pods of this node
    zone: str = ""
    sees_bridged: bool = True  # what goes from pod to pod over the node's bridge passes its rules


class Backend(NamedTuple):
    address: str
    port: int
    is_local: bool


@dataclass(frozen=True, slots=True)
class Backends:
    everywhere: tuple[Backend, ...] = ()
    local: tuple[Backend, ...] = ()
    are_any: bool = False  # somewhere: then nothing is refused, only dropped where none is in reach


class _Endpoint(NamedTuple):
    backend: Backend
    ready: bool
    ending: bool  # and still serving
    zones: tuple[str, ...]  # that it is meant for


def backends(slices: Iterable[Obj], port: Obj, here: Here, *, cluster: bool, local: bool) -> Backends:
    """`cluster` and `local`: which of the two the policies of the service ask for."""
    there = _endpoints(slices, port, here)
    ready = [one for one in there if one.ready]
    everywhere = _of_zone(ready, here.zone) or [one for one in there if one.ending] if cluster else []
    near: list[_Endpoint] = []
    if local:
        near = [one for one in ready if one.backend.is_local] \
            or [one for one in there if one.ending and one.backend.is_local]
    are_any = bool(everywhere) or local and any(one.ready or one.ending for one in there)
    return Backends(_sorted(everywhere), _sorted(near), are_any)


def _sorted(endpoints: list[_Endpoint]) -> tuple[Backend, ...]:
    return tuple(sorted(one.backend for one in endpoints))


def _endpoints(slices: Iterable[Obj], port: Obj, here: Here) -> list[_Endpoint]:
    """Each address and port once, by the first slice that has it."""
    wanted = (port.get("name") or "", port.get("protocol") or "TCP")
    found: dict[tuple[str, int], _Endpoint] = {}
    for slice_ in sorted(slices, key=name_of):
        number = next((one["port"] for one in slice_.get("ports") or ()
                       if (one.get("name") or "", one.get("protocol") or "TCP") == wanted and one.get("port")), None)
        if number is None or slice_.get("addressType") != "IPv4":
            continue
        for endpoint in slice_.get("endpoints") or ():
            one = _endpoint(endpoint, number, here)
            found.setdefault((one.backend.address, number), one)
    return list(found.values())


def _endpoint(endpoint: Obj, number: int, here: Here) -> _Endpoint:
    """A condition that is not there: ready and serving, not terminating."""
    told = endpoint.get("conditions") or {}
    ready, serving = told.get("ready") is not False, told.get("serving") is not False
    zones = tuple(one.get("name", "") for one in at(endpoint, "hints.forZones") or ())
    backend = Backend(endpoint["addresses"][0], number, endpoint.get("nodeName") == here.node)
    return _Endpoint(backend, ready, not ready and serving and bool(told.get("terminating")), zones)


def _of_zone(ready: list[_Endpoint], zone: str) -> list[_Endpoint]:
    if not zone or not all(one.zones for one in ready):
        return ready
    return [one for one in ready if zone in one.zones] or ready
