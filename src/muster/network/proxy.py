"""What one service adds to the rules of one node: packets for its addresses go to its endpoints (pure).

    services     address . protocol . port -> a chain         (cluster IP, external IPs, load balancer)
    node_ports   protocol . port -> a chain                   (on the node's own address)
    cluster/...  local/...      one endpoint by chance, or the one that the client was given before (ClientIP)
    external/... from outside: by externalTrafficPolicy, masqueraded where another node answers
    endpoint/... to one address and port; a pod that comes back to itself is masqueraded
    unserved_... who has no endpoint is refused at once; who has none in reach is not answered

The frame looks up both maps before routing (packets of pods and of strangers) and on output (of the node itself).
https://kubernetes.io/docs/reference/networking/virtual-ips/#proxy-mode-nftables
"""
from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..api.objects import Obj, at, name_of, namespace_of
from .backends import Backend, Backends, Here, backends
from .directory import cluster_ips
from .nft_table import Element, Part

TABLE = "muster"
MASQUERADE = "0x4000"  # the mark of packets whose sender is to be hidden
USUAL_AFFINITY_S = 10800
LOCAL = "Local"


def frame(here: Here, service_cidr: str) -> str:
    """What stands in every node's table, whatever services there are."""
    to_service = "ip daddr . meta l4proto . th dport vmap"
    to_node = f"ip daddr {here.address} meta l4proto . th dport vmap"
    key, port = "ipv4_addr . inet_proto . inet_service", "inet_proto . inet_service"
    return f"""\
  set cluster_addresses {{ type ipv4_addr; }}
  map services {{ type {key} : verdict; }}
  map node_ports {{ type {port} : verdict; }}
  map guarded {{ type {key} : verdict; }}
  map unserved_services {{ type {key} : verdict; }}
  map unserved_node_ports {{ type {port} : verdict; }}
  chain masquerade_later {{
    meta mark set meta mark or {MASQUERADE}
  }}
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject
  }}
  chain look_up {{
    ip saddr != {here.cluster_cidr} ip daddr @cluster_addresses jump masquerade_later
    {to_service} @services
    {to_node} @node_ports
  }}
  chain look_up_stray {{
    {to_service} @unserved_services
    {to_node} @unserved_node_ports
    ip daddr @cluster_addresses goto refuse
    ip daddr {service_cidr} drop
  }}
  chain guard {{
    type filter hook prerouting priority -110;
    ct state new {to_service} @guarded
  }}
  chain prerouting {{
    type nat hook prerouting priority -100;
    jump look_up
  }}
  chain output {{
    type nat hook output priority -100;
    jump look_up
  }}
  chain postrouting {{
    type nat hook postrouting priority 100;
    meta mark and {MASQUERADE} == {MASQUERADE} meta mark set meta mark xor {MASQUERADE} masquerade
  }}
  chain stray_input {{
    type filter hook input priority -10;
    ct state new jump look_up_stray
  }}
  chain stray_forward {{
    type filter hook forward priority -10;
    ct state new jump look_up_stray
  }}
  chain stray_output {{
    type filter hook output priority -10;
    ct state new jump look_up_stray
  }}
"""


@dataclass(slots=True)
class _Draft:
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    elements: dict[Element, str] = field(default_factory=dict)


def part(service: Obj, slices: Iterable[Obj], here: Here) -> Part | None:
    """None for a service that has no address."""
    ips = [ip for ip in cluster_ips(service) if _is_v4(ip)]
    if not ips:
        return None
    draft, slices = _Draft(), list(slices)
    for ip in ips:
        draft.elements["cluster_addresses", ip] = ""
    for port in at(service, "spec.ports", ()):
        _Port(service, port, here, draft).route(ips, slices)
    return Part(draft.chains, draft.sets, draft.elements)


class _Port:
    """One port of a service, while its rules are written."""

    def __init__(self, service: Obj, port: Obj, here: Here, draft: _Draft):
        self.spec, self.port, self.here, self.draft = service["spec"], port, here, draft
        self.status = service.get("status") or {}
        self.protocol = (port.get("protocol") or "TCP").lower()
        self.stem = f"{namespace_of(service)}/{name_of(service)}/{self.protocol}/{port['port']}"
        self.outside = [ip for ip in self.spec.get("externalIPs") or () if _is_v4(ip)]
        self.balanced = [one["ip"] for one in at(self.status, "loadBalancer.ingress") or ()
                         if _is_v4(one.get("ip", "")) and one.get("ipMode", "VIP") == "VIP"]
        self.node_port = port.get("nodePort") or 0
        self.is_external = bool(self.node_port or self.outside or self.balanced)
        self.inside_local = self.spec.get("internalTrafficPolicy") == LOCAL
        self.outside_local = self.is_external and self.spec.get("externalTrafficPolicy") == LOCAL
        self.affinity_s = 0
        if self.spec.get("sessionAffinity") == "ClientIP":
            self.affinity_s = at(self.spec, "sessionAffinityConfig.clientIP.timeoutSeconds", USUAL_AFFINITY_S)

    def route(self, ips: list[str], slices: list[Obj]) -> None:
        # A pod of the cluster that asks an external address is not from outside, so it needs them all even so.
        found = backends(slices, self.port, self.here, cluster=not self.inside_local or self.is_external,
                         local=self.inside_local or self.outside_local)
        self._ways(found)
        inside = found.local if self.inside_local else found.everywhere
        for ip in ips:
            self._service(ip, f"goto {'local' if self.inside_local else 'cluster'}/{self.stem}", inside, found.are_any)
        way, outside = f"goto external/{self.stem}", found.local if self.outside_local else found.everywhere
        for ip in dict.fromkeys((*self.outside, *self.balanced)):
            self._service(ip, way, outside, found.are_any)
        if self.node_port:
            key = f"{self.protocol} . {self.node_port}"
            if found.are_any:
                self.draft.elements["node_ports", key] = way
            if not outside:
                self.draft.elements["unserved_node_ports", key] = _unserved(found.are_any)
        self._guard()

    def _service(self, ip: str, way: str, chosen: tuple[Backend, ...], are_any: bool) -> None:
        key = f"{ip} . {self.protocol} . {self.port['port']}"
        if chosen or way.startswith("goto external") and are_any:
            self.draft.elements["services", key] = way
        if not chosen:
            self.draft.elements["unserved_services", key] = _unserved(are_any)

    def _ways(self, found: Backends) -> None:
        """The chains from the service to its endpoints."""
        chains = self.draft.chains
        for backend in dict.fromkeys((*found.everywhere, *found.local)):
            chains[self._endpoint(backend)] = self._to(backend)
        if self.affinity_s:
            for backend in dict.fromkeys((*found.everywhere, *found.local)):
                self.draft.sets[self._affinity(backend)] = \
                    f"type ipv4_addr; flags dynamic,timeout; timeout {self.affinity_s}s;"
        if found.everywhere:
            chains[f"cluster/{self.stem}"] = self._one_of(found.everywhere)
        if found.local:
            chains[f"local/{self.stem}"] = self._one_of(found.local)
        if self.is_external and found.are_any:
            chains[f"external/{self.stem}"] = tuple(self._from_outside(found))

    def _from_outside(self, found: Backends) -> Iterable[str]:
        to_all = f"goto cluster/{self.stem}"
        if not self.outside_local:
            if found.everywhere:
                yield "jump masquerade_later"
                yield to_all
            return
        if found.everywhere:
            yield f"ip saddr {self.here.pod_cidr} {to_all}"
            yield "fib saddr type local jump masquerade_later"
            yield f"fib saddr type local {to_all}"
        if found.local:
            yield f"goto local/{self.stem}"

    def _one_of(self, chosen: tuple[Backend, ...]) -> tuple[str, ...]:
        bound = [f"ip saddr @{self._affinity(one)} goto {self._endpoint(one)}" for one in chosen if self.affinity_s]
        if len(chosen) == 1:
            last = f"goto {self._endpoint(chosen[0])}"
        else:
            drawn = ", ".join(f"{place} : goto {self._endpoint(one)}" for place, one in enumerate(chosen))
            last = f"numgen random mod {len(chosen)} vmap {{ {drawn} }}"
        return (*bound, last)

    def _to(self, backend: Backend) -> tuple[str, ...]:
        back = backend.address if self.here.sees_bridged or not backend.is_local else self.here.pod_cidr
        remembered = (f"update @{self._affinity(backend)} {{ ip saddr }}",) if self.affinity_s else ()
        return (f"ip saddr {back} jump masquerade_later", *remembered,
                f"meta l4proto {self.protocol} dnat to {backend.address}:{backend.port}")

    def _endpoint(self, backend: Backend) -> str:
        return f"endpoint/{self.stem}/{backend.address}/{backend.port}"

    def _affinity(self, backend: Backend) -> str:
        return f"affinity/{self.stem}/{backend.address}/{backend.port}/{self.affinity_s}s"

    def _guard(self) -> None:
        """https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer: who may ask it."""
        ranges = [one.strip() for one in self.spec.get("loadBalancerSourceRanges") or () if _is_v4(one.strip())]
        if not ranges or not self.balanced:
            return
        self.draft.chains[f"guard/{self.stem}"] = (f"ip saddr {{ {', '.join(ranges)} }} return", "drop")
        for ip in self.balanced:
            self.draft.elements["guarded", f"{ip} . {self.protocol} . {self.port['port']}"] = f"goto guard/{self.stem}"


def ended_flows(chains: Iterable[str]) -> list[tuple[str, int]]:
    """Of chains that go: the addresses and ports from which datagrams were answered.

    A flow of datagrams has no end: who keeps asking from one port would ask an endpoint that is gone for ever.
    """
    parts = [name.split("/") for name in chains if name.startswith("endpoint/")]
    return [(address, int(port)) for *_, protocol, _, address, port in parts if protocol == "udp"]


def _unserved(are_any: bool) -> str:
    return "drop" if are_any else "goto refuse"


def _is_v4(text: str) -> bool:
    try:
        return ipaddress.ip_interface(text).version == 4
    except ValueError:
        return False
