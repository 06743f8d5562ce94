"""What the cluster's names stand for, kept so that one question costs one look.

Fed with changes of namespaces, services and EndpointSlices (by a mirror, or by hand in a test), it finds a
service by name or cluster IP and the endpoints of a service by its name or their address.  `serial` grows with
what it has heard: it is the serial number of the zone.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.objects import Obj, at, labels_of
from ..store.history import Change

NAMESPACES, SERVICES, SLICES = "namespaces", "services", "endpointslices.discovery.k8s.io"
RESOURCES = (NAMESPACES, SERVICES, SLICES)
SERVICE_LABEL = "kubernetes.io/service-name"

Place = tuple[str, str]  # (namespace, name)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A ready one, as its slice tells it."""

    address: str
    hostname: str  # the one it asked for, else one made of its address: "10-244-1-7"
    ports: tuple[tuple[str, str, int], ...]  # (name, protocol, number), of those that have a number


class Directory:
    def __init__(self) -> None:
        self.serial = 0
        self._namespaces: set[str] = set()
        self._services: dict[Place, Obj] = {}
        self._by_ip: dict[str, set[Place]] = {}
        self._slices: dict[Place, dict[str, list[Endpoint]]] = {}  # of a service: slice name -> its ready endpoints
        self._ready: dict[Place, list[Endpoint]] = {}  # of a service, from all its slices: made when asked for
        self._by_endpoint: dict[str, dict[Place, Place]] = {}  # address -> slice -> service

    # ---- what is asked

    def has_namespace(self, name: str) -> bool:
        return name in self._namespaces

    def service(self, namespace: str, name: str) -> Obj | None:
        return self._services.get((namespace, name))

    def endpoints(self, namespace: str, name: str) -> list[Endpoint]:
        """The ready ones of a service, each once, by slice."""
        ready = self._ready.get((namespace, name))
        if ready is None:
            slices = self._slices.get((namespace, name))
            if slices is None:
                return []
            ready = list(dict.fromkeys(one for slice_ in sorted(slices) for one in slices[slice_]))
            self._ready[namespace, name] = ready
        return ready

    def services_at(self, ip: str) -> list[Place]:
        """The services that have this cluster IP: none or one, but for the moment in which it changes hands."""
        return sorted(self._by_ip.get(ip, ()))

    def services_reaching(self, ip: str) -> list[Place]:
        """The services that have a ready endpoint at this address."""
        return sorted(set(self._by_endpoint.get(ip, {}).values()))

    # ---- what is heard

    def hear(self, change: Change) -> None:
        self.serial = max(self.serial, change.revision)
        place = (change.key.namespace, change.key.name)
        match change.key.resource:
            case "namespaces":
                (self._namespaces.discard if change.value is None else self._namespaces.add)(change.key.name)
            case "services":
                self._service_changed(place, change.value)
            case "endpointslices.discovery.k8s.io":
                self._forget_slice(place, change.previous)
                self._note_slice(place, change.value)

    def _service_changed(self, place: Place, service: Obj | None) -> None:
        for ip in cluster_ips(self._services.pop(place, None)):
            _drop(self._by_ip, ip, place)
        if service is not None:
            self._services[place] = service
            for ip in cluster_ips(service):
                self._by_ip.setdefault(ip, set()).add(place)

    def _note_slice(self, place: Place, slice_: Obj | None) -> None:
        service = _service_of(place, slice_)
        if slice_ is None or service is None:
            return
        ready = list(ready_endpoints(slice_))
        self._ready.pop(service, None)
        self._slices.setdefault(service, {})[place[1]] = ready
        for one in ready:
            self._by_endpoint.setdefault(one.address, {})[place] = service

    def _forget_slice(self, place: Place, slice_: Obj | None) -> None:
        service = _service_of(place, slice_)
        if service is None:
            return
        self._ready.pop(service, None)
        slices = self._slices.get(service, {})
        for one in slices.pop(place[1], ()):
            there = self._by_endpoint.get(one.address, {})
            there.pop(place, None)
            if not there:
                self._by_endpoint.pop(one.address, None)
        if not slices:
            self._slices.pop(service, None)


def cluster_ips(service: Obj | None) -> list[str]:
    """Its addresses; none for a headless one and for a name for somewhere else."""
    spec: Obj = (service or {}).get("spec") or {}
    if spec.get("type") == "ExternalName":
        return []
    listed = at(spec, "clusterIPs") or [at(spec, "clusterIP", "")]
    return [ip for ip in listed if ip and ip != "None"]


def ready_endpoints(slice_: Obj) -> Iterable[Endpoint]:
    """Ready unless it says otherwise: a slice written by hand may leave that open."""
    if slice_.get("addressType") == "FQDN":
        return
    ports = tuple((port.get("name") or "", port.get("protocol") or "TCP", port["port"])
                  for port in slice_.get("ports") or () if port.get("port") is not None)
    for endpoint in slice_.get("endpoints") or ():
        if at(endpoint, "conditions.ready", True):
            for address in endpoint["addresses"]:
                dashed = address.replace(".", "-").replace(":", "-")
                yield Endpoint(address, (endpoint.get("hostname") or dashed).lower(), ports)


def _service_of(place: Place, slice_: Obj | None) -> Place | None:
    name = labels_of(slice_).get(SERVICE_LABEL) if slice_ is not None else None
    return (place[0], name) if name else None


def _drop(index: dict[str, set[Place]], key: str, place: Place) -> None:
    there = index.get(key, set())
    there.discard(place)
    if not there:
        index.pop(key, None)
