"""What a name of the cluster resolves to: a pure function of services and EndpointSlices.

    web.default.svc.cluster.local              the service's address; of a headless one, every ready endpoint's
    web-0.nginx.default.svc.cluster.local      one endpoint, by its hostname or its address with dashes
    _http._tcp.web.default.svc.cluster.local   SRV: the port's number and where it is
    7.1.244.10.in-addr.arpa                    PTR: who has this address
    10-244-1-7.default.pod.cluster.local       the address that the name spells

A name that does not exist is NXDOMAIN; one that has no record of the type asked for is an answer without
records.  Both come with the zone's SOA, so that they can be remembered for a moment.  Names compare without
regard to case and are given back as they were asked.  Names of other zones are refused; dns_server.py may ask
others for them.

https://github.com/kubernetes/dns/blob/master/docs/specification.md and
https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""
from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ..api.objects import Obj, at
from .directory import Directory, Endpoint, Place, cluster_ips

ZONE = "cluster.local"
REVERSE = ("in-addr.arpa", "ip6.arpa")
TTL_S = 5
SCHEMA_VERSION, SCHEMA_TTL_S = "1.1.0", 28800
MOST_STEPS = 8  # from one ExternalName to the next
REFRESH_S, RETRY_S, EXPIRE_S = 7200, 1800, 86400
NOERROR, NXDOMAIN, REFUSED = "NOERROR", "NXDOMAIN", "REFUSED"


class Record(NamedTuple):
    """`value`: an address, a name without its final dot, a text; for SRV (priority, weight, port, target);
    for SOA (server, mailbox, (serial, refresh, retry, expire, minimum))."""

    name: str
    type: str
    value: object
    ttl_s: int = TTL_S


@dataclass(frozen=True, slots=True)
class Answer:
    code: str = NOERROR
    records: list[Record] = field(default_factory=list)
    authority: list[Record] = field(default_factory=list)
    additional: list[Record] = field(default_factory=list)


Records = list[Record]


def answer(seen: Directory, name: str, type_: str) -> Answer:
    """`name` without its final dot."""
    asked = name.lower()
    zone = _zone_of(asked)
    if zone is None:
        return Answer(REFUSED)
    there = _reverse(seen, asked, zone) if zone in REVERSE else _forward(seen, asked, type_)
    negative = [_start_of(zone, seen.serial)]
    if there is None:
        return Answer(NXDOMAIN, authority=negative)
    if type_ != "CNAME" and (alias := next((one for one in there if one.type == "CNAME"), None)):
        return _followed(seen, alias._replace(name=name), type_)
    records = [one._replace(name=name) for one in there if one.type == type_]
    if not records:
        return Answer(authority=negative)
    return Answer(records=records, additional=_addresses(seen, records) if type_ == "SRV" else [])


def is_ours(name: str) -> bool:
    return _zone_of(name.lower()) is not None


def _zone_of(name: str) -> str | None:
    return next((zone for zone in (ZONE, *REVERSE) if name == zone or name.endswith(f".{zone}")), None)


def _followed(seen: Directory, alias: Record, type_: str) -> Answer:
    """The alias, and as much of what it leads to as is known here."""
    chain, target = [alias], str(alias.value)
    for _ in range(MOST_STEPS):
        there = _forward(seen, target.lower(), type_) if target.lower().endswith(f".{ZONE}") else None
        if not there:
            break
        chain += [one._replace(name=target) for one in there if one.type in (type_, "CNAME")]
        if chain[-1].type != "CNAME" or str(chain[-1].value) == target:
            break
        target = str(chain[-1].value)
    return Answer(records=list(dict.fromkeys(chain)))


def _addresses(seen: Directory, records: Records) -> Records:
    """Of the targets of SRV records, each once; they all belong to one service."""
    targets = dict.fromkeys(str(one.value[3]) for one in records if isinstance(one.value, tuple))
    *_, service, namespace, _ = next(iter(targets)).removesuffix(f".{ZONE}").split(".")
    ips = cluster_ips(seen.service(namespace, service))
    if ips:
        return [_address(target, ip) for target in targets for ip in ips]
    home = f"{service}.{namespace}.svc.{ZONE}"
    return [_address(target, one.address) for one in seen.endpoints(namespace, service)
            if (target := f"{one.hostname}.{home}") in targets]


def _start_of(zone: str, serial: int) -> Record:
    return Record(zone, "SOA", (f"ns.dns.{ZONE}", f"hostmaster.{ZONE}",
                                (serial % 2**32, REFRESH_S, RETRY_S, EXPIRE_S, TTL_S)))


# ------------------------------------------------------------------ names -> records; None: no such name

def _forward(seen: Directory, name: str, type_: str) -> Records | None:
    """`type_`: what is asked for; what would be long and is not asked for is left out."""
    if name == ZONE:
        return [_start_of(ZONE, seen.serial), Record(name, "NS", f"ns.dns.{ZONE}")]
    labels = name.removesuffix(f".{ZONE}").split(".")
    match labels:
        case ["dns-version"]:
            return [Record(name, "TXT", SCHEMA_VERSION, SCHEMA_TTL_S)]
        case ["svc"] | ["pod"]:
            return []
        case [namespace, "svc" | "pod"]:
            return [] if seen.has_namespace(namespace) else None
        case [address, namespace, "pod"]:
            return _spelled(name, address) if seen.has_namespace(namespace) else None
        case [*more, service, namespace, "svc"] if len(more) <= 2:
            found = seen.service(namespace, service)
            return None if found is None else _service(seen, name, type_, found, (namespace, service), more)
    return None


def _service(seen: Directory, name: str, type_: str, service: Obj, place: Place, more: list[str]) -> Records | None:
    home = f"{place[1]}.{place[0]}.svc.{ZONE}"
    if at(service, "spec.type") == "ExternalName":
        return None if more else [Record(name, "CNAME", at(service, "spec.externalName", "").rstrip("."))]
    ips = cluster_ips(service)
    endpoints = [] if ips else seen.endpoints(*place)
    if not ips and not endpoints:
        return None  # as the specification has it for a headless service that nobody answers for
    match more:
        case []:
            if type_ == "SRV":
                return _ports(name, _targets(service, home, ips, endpoints))
            return [_address(name, ip) for ip in ips or dict.fromkeys(one.address for one in endpoints)]
        case [protocol] if protocol in ("_tcp", "_udp", "_sctp"):
            has = any(f"_{found.lower()}" == protocol for _, found, *_ in _targets(service, home, ips, endpoints))
            return [] if has else None
        case [hostname]:
            return [_address(name, one.address) for one in endpoints if one.hostname == hostname] or None
        case [port, protocol] if port.startswith("_") and protocol.startswith("_"):
            meant = [one for one in _targets(service, home, ips, endpoints)
                     if (f"_{one[0]}".lower(), f"_{one[1]}".lower()) == (port, protocol)]
            return _ports(name, meant) or None
    return None


Target = tuple[str, str, int, str]  # port name, protocol, number, where


def _targets(service: Obj, home: str, ips: list[str], endpoints: Iterable[Endpoint]) -> list[Target]:
    """Every named port, at the service's own name or, of a headless one, at each endpoint's."""
    if ips:
        return [(port["name"], port.get("protocol", "TCP"), port["port"], home)
                for port in at(service, "spec.ports", ()) if port.get("name")]
    return [(*port, f"{one.hostname}.{home}") for one in endpoints for port in one.ports if port[0]]


def _ports(name: str, targets: Iterable[Target]) -> Records:
    places = list(dict.fromkeys((number, where) for _, _, number, where in targets))
    weight = max(1, 100 // len(places)) if places else 0
    return [Record(name, "SRV", (0, weight, number, where)) for number, where in places]


def _address(name: str, ip: str) -> Record:
    return Record(name, "AAAA" if ":" in ip else "A", ip)


def _spelled(name: str, dashed: str) -> Records | None:
    for separator in ".", ":":
        try:
            return [_address(name, str(ipaddress.ip_address(dashed.replace("-", separator))))]
        except ValueError:
            continue
    return None


# ------------------------------------------------------------------ addresses -> names

def _reverse(seen: Directory, name: str, zone: str) -> Records | None:
    if name == zone:
        return [_start_of(zone, seen.serial), Record(name, "NS", f"ns.dns.{ZONE}")]
    labels = name.removesuffix(f".{zone}").split(".")
    whole = 4 if zone == "in-addr.arpa" else 32
    ip = _address_of(labels, zone) if len(labels) == whole else None
    if ip is None:
        return None
    names = [f"{service}.{namespace}.svc.{ZONE}" for namespace, service in seen.services_at(ip)]
    for namespace, service in () if names else seen.services_reaching(ip):
        if (found := seen.service(namespace, service)) is not None and not cluster_ips(found):
            names += [f"{one.hostname}.{service}.{namespace}.svc.{ZONE}"
                      for one in seen.endpoints(namespace, service) if one.address == ip]
    return [Record(name, "PTR", one) for one in dict.fromkeys(names)] or None


def _address_of(labels: list[str], zone: str) -> str | None:
    digits = labels[::-1]
    text = ".".join(digits) if zone == "in-addr.arpa" else ":".join(
        "".join(digits[start:start + 4]) for start in range(0, len(digits), 4))
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
