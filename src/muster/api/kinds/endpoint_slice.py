"""EndpointSlice: a part of the addresses behind a service, at most 1,000 each.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, duplicate, invalid, not_supported, required, too_many
from ..defaults import each, filled
from ..objects import Obj
from ..tables import AGE, NAME, path_cell
from ..validation.metadata import complain, immutable, validate_metadata, validate_metadata_update
from ..validation.service import PROTOCOLS, not_special
from .endpoints import first_few
from .kind import Column, Kind

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
MOST_ENDPOINTS, MOST_ADDRESSES, MOST_PORTS = 1000, 100, 20000
UNSET = "<unset>"


def defaults(slice_: Obj) -> Obj:
    return each(slice_, "ports", lambda port: filled(port, name="", protocol="TCP"))


def validate(slice_: Obj) -> list[Cause]:
    wrong = validate_metadata(slice_, namespaced=True)
    type_ = slice_.get("addressType") or ""
    if not type_:
        wrong.append(required("addressType"))
    elif type_ not in ADDRESS_TYPES:
        wrong.append(not_supported("addressType", type_, ADDRESS_TYPES))
    endpoints = slice_.get("endpoints") or []
    if len(endpoints) > MOST_ENDPOINTS:
        return [*wrong, too_many("endpoints", len(endpoints), MOST_ENDPOINTS)]
    for index, endpoint in enumerate(endpoints):
        wrong += _endpoint(endpoint, type_, f"endpoints[{index}]")
    return wrong + _ports(slice_.get("ports") or [])


def _endpoint(endpoint: Obj, type_: str, here: str) -> list[Cause]:
    addresses = endpoint.get("addresses") or []
    if not addresses:
        return [required(f"{here}.addresses", "must contain at least 1 address")]
    if len(addresses) > MOST_ADDRESSES:
        return [too_many(f"{here}.addresses", len(addresses), MOST_ADDRESSES)]
    wrong: list[Cause] = []
    for index, address in enumerate(addresses):
        wrong += complain(f"{here}.addresses[{index}]", address, _address(address, type_))
    if host := endpoint.get("hostname"):
        wrong += complain(f"{here}.hostname", host, names.is_dns_label(host))
    if node := endpoint.get("nodeName"):
        wrong += complain(f"{here}.nodeName", node, names.is_dns_subdomain(node))
    return wrong


def _address(address: str, type_: str) -> tuple[str, ...]:
    match type_:
        case "IPv4" | "IPv6":
            if names.is_ip(address) or (":" in address) != (type_ == "IPv6"):
                return (f"must be a valid {type_} address",)
            return not_special(address)
        case "FQDN":
            return names.is_dns_subdomain(address)
    return ()


def _ports(ports: list[Obj]) -> list[Cause]:
    if len(ports) > MOST_PORTS:
        return [too_many("ports", len(ports), MOST_PORTS)]
    wrong: list[Cause] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        here, name = f"ports[{index}]", port.get("name") or ""
        if name:
            wrong += complain(f"{here}.name", name, names.is_dns_label(name))
        if name in seen:
            wrong.append(duplicate(f"{here}.name", name))
        seen.add(name)
        if (protocol := port.get("protocol") or "") not in PROTOCOLS:
            wrong.append(not_supported(f"{here}.protocol", protocol, PROTOCOLS) if protocol
                         else required(f"{here}.protocol"))
        number = port.get("port")
        if number is not None and not 0 <= number <= 65535:
            wrong.append(invalid(f"{here}.port", number, "must be between 1 and 65535, inclusive"))
    return wrong


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    return validate_metadata_update(new, old) + immutable(
        new.get("addressType"), old.get("addressType"), "addressType")


def _ports_cell(slice_: Obj, now: float) -> str:
    return first_few([str(port["port"]) if port.get("port") is not None else "*"
                      for port in slice_.get("ports") or ()], UNSET)


def _endpoints_cell(slice_: Obj, now: float) -> str:
    return first_few([address for endpoint in slice_.get("endpoints") or ()
                      for address in endpoint.get("addresses") or ()], UNSET)


ENDPOINT_SLICE = Kind(
    group="discovery.k8s.io", version="v1", name="EndpointSlice", plural="endpointslices",
    singular="endpointslice", namespaced=True, definition="io.k8s.api.discovery.v1.EndpointSlice",
    columns=(
        NAME,
        Column("AddressType", path_cell("addressType"), description="What kind of addresses it holds."),
        Column("Ports", _ports_cell, description="The ports of every endpoint in it."),
        Column("Endpoints", _endpoints_cell, description="The addresses in it."),
        AGE,
    ),
    generation_fields=("addressType", "endpoints", "ports"),
    defaults=defaults, validate=validate, validate_update=validate_update,
)
