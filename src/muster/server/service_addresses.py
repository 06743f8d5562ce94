"""Gives services their cluster IP and node ports, each to one service only.

What is taken is what the stored services hold; a request that is under way reserves what it was given until
it is stored or fails, so two that run together never get the same.  Free ones are drawn from the upper part
of each range: the lower one is left to those who ask for a particular address.

https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport
"""
from __future__ import annotations

import ipaddress
import random
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..api.causes import Cause
from ..api.causes import invalid as invalid_value
from ..api.errors import Internal, invalid
from ..api.objects import Obj
from ..api.validation.service_addresses import validate_addresses, validate_served
from ..store.history import Change, History

RESOURCE = "services"
IP_RANGE = ipaddress.ip_network("10.96.0.0/16")
STATIC_IPS = 256  # the lower part of the range: min(max(16, size / 16), 256)
FIRST_PORT, LAST_PORT, STATIC_PORTS = 30000, 32767, 86  # min(max(16, size / 32), 128)
HEADLESS = "None"
_DRAWS = 64  # tries by chance before looking through the whole range

_FIRST_IP = int(IP_RANGE.network_address)


@dataclass
class Reservation:
    """What one request was given: let go when it ends (by then stored, or failed)."""

    ips: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)


class ServiceAddresses:
    def __init__(self, history: History, chance: random.Random):
        self._chance = chance
        self._ips: Counter[str] = Counter()
        self._ports: Counter[int] = Counter()
        for snapshot in history.lane(RESOURCE).snapshots():
            self._count(snapshot.value, 1)
        history.on_append(self._follow, RESOURCE)

    def assign(self, new: Obj, old: Obj | None, reservation: Reservation) -> Obj:
        """The service (as its kind prepared it: what it had is carried over) with the addresses it lacks.

        Raises Invalid for one that is taken or out of range.
        """
        spec = dict(new.get("spec") or {})
        before = (old or {}).get("spec") or {}
        if _wants_ip(spec):
            if wrong := validate_addresses(spec) or validate_served(spec):
                raise invalid("Service", "", new["metadata"].get("name", ""), wrong)
            self._assign_ip(new, spec, before, reservation)
        if _wants_ports(spec):
            self._assign_ports(new, spec, before, reservation)
        if _wants_health_check(spec) and not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = before.get("healthCheckNodePort") or self._free_port(reservation)
        return new if spec == new.get("spec") else {**new, "spec": spec}

    def release(self, reservation: Reservation) -> None:
        if reservation.ips or reservation.ports:
            self._ips.subtract(reservation.ips)
            self._ports.subtract(reservation.ports)

    # ---- addresses

    def _assign_ip(self, service: Obj, spec: Obj, before: Obj, reservation: Reservation) -> None:
        given = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if given != HEADLESS:
            if not given:
                given = self._free_ip(reservation)
            elif given != before.get("clusterIP"):
                self._take_ip(service, spec, given, reservation)
        spec["clusterIP"] = given
        spec["clusterIPs"] = spec.get("clusterIPs") or [given]

    def _take_ip(self, service: Obj, spec: Obj, ip: str, reservation: Reservation) -> None:
        if ipaddress.ip_address(ip) not in IP_RANGE:
            why = f"the provided IP ({ip}) is not in the valid range. The range of valid IPs is {IP_RANGE}"
        elif self._ips[ip] > 0:
            why = "provided IP is already allocated"
        else:
            self._reserve(self._ips, reservation.ips, ip)
            return
        shown = ", ".join(f'"{one}"' for one in spec.get("clusterIPs") or [ip])  # as Go prints a list
        raise _refused(service, Cause("FieldValueInvalid", "spec.clusterIPs",
                                      f"Invalid value: []string{{{shown}}}: failed to allocate IP {ip}: {why}"))

    def _free_ip(self, reservation: Reservation) -> str:
        size = IP_RANGE.num_addresses - 1  # not the broadcast address
        offset = self._free(lambda number: self._ips[_ip(number)] <= 0, 1, STATIC_IPS + 1, size)
        if offset is None:
            raise Internal("failed to allocate a serviceIP: range is full")
        return self._reserve(self._ips, reservation.ips, _ip(offset))

    # ---- ports

    def _assign_ports(self, service: Obj, spec: Obj, before: Obj, reservation: Reservation) -> None:
        own = {port.get("nodePort") for port in before.get("ports") or ()}
        ports: list[Obj] = []
        for index, port in enumerate(spec.get("ports") or ()):
            number = port.get("nodePort")
            if not number:
                # One number serves the same port under several protocols.
                number = next((one["nodePort"] for one in ports if one.get("port") == port.get("port")
                               and one.get("protocol") != port.get("protocol")), None) or self._free_port(reservation)
            elif number not in own and number not in reservation.ports:
                self._take_port(service, index, number, reservation)
            ports.append(port if port.get("nodePort") == number else {**port, "nodePort": number})
        if "ports" in spec:
            spec["ports"] = ports

    def _take_port(self, service: Obj, index: int, number: int, reservation: Reservation) -> None:
        if not FIRST_PORT <= number <= LAST_PORT:
            why = f"provided port is not in the valid range. The range of valid ports is {FIRST_PORT}-{LAST_PORT}"
        elif self._ports[number] > 0:
            why = "provided port is already allocated"
        else:
            self._reserve(self._ports, reservation.ports, number)
            return
        raise _refused(service, invalid_value(f"spec.ports[{index}].nodePort", number, why))

    def _free_port(self, reservation: Reservation) -> int:
        number = self._free(lambda one: self._ports[one] <= 0, FIRST_PORT, FIRST_PORT + STATIC_PORTS, LAST_PORT + 1)
        if number is None:
            raise Internal("failed to allocate a nodePort: range is full")
        return self._reserve(self._ports, reservation.ports, number)

    # ---- what is taken

    def _free(self, is_free: Any, first: int, dynamic: int, end: int) -> int | None:
        for _ in range(_DRAWS):
            if is_free(number := self._chance.randrange(dynamic, end)):
                return number
        return next((number for number in (*range(dynamic, end), *range(first, dynamic)) if is_free(number)), None)

    @staticmethod
    def _reserve(taken: Counter[Any], held: list[Any], what: Hashable) -> Any:
        taken[what] += 1
        held.append(what)
        return what

    def _follow(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.previous is not None:
                self._count(change.previous, -1)
            if change.value is not None:
                self._count(change.value, 1)

    def _count(self, service: Obj, by: int) -> None:
        spec = service.get("spec") or {}
        for ip in spec.get("clusterIPs") or ():
            if ip != HEADLESS:
                self._ips[ip] += by
        numbers = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
        if spec.get("healthCheckNodePort"):
            numbers.add(spec["healthCheckNodePort"])
        for number in numbers:
            self._ports[number] += by


def _ip(offset: int) -> str:
    return str(ipaddress.IPv4Address(_FIRST_IP + offset))


def _refused(service: Obj, cause: Cause) -> Exception:
    return invalid("Service", "", service["metadata"].get("name", ""), [cause])


def _type(spec: Obj) -> str:
    return spec.get("type") or "ClusterIP"


def _wants_ip(spec: Obj) -> bool:
    return _type(spec) != "ExternalName"


def _wants_ports(spec: Obj) -> bool:
    if _type(spec) == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False or any(
            port.get("nodePort") for port in spec.get("ports") or ())
    return _type(spec) == "NodePort"


def _wants_health_check(spec: Obj) -> bool:
    return _type(spec) == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
