"""Endpoints: the addresses behind a service, the older form (EndpointSlice is the one that scales).

https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoints-v1/
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, required
from ..defaults import each, filled
from ..objects import Obj
from ..tables import AGE, NAME, NONE
from ..validation.metadata import complain, validate_metadata, validate_metadata_update
from ..validation.service import not_special, validate_port
from .kind import Column, Kind

SHOWN = 3  # addresses in the column, before "+ N more..."


def defaults(endpoints: Obj) -> Obj:
    return each(endpoints, "subsets", lambda subset: each(
        subset, "ports", lambda port: filled(port, protocol="TCP")))


def validate(endpoints: Obj) -> list[Cause]:
    wrong = validate_metadata(endpoints, namespaced=True)
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        wrong += _subset(subset, f"subsets[{index}]")
    return wrong


def _subset(subset: Obj, here: str) -> list[Cause]:
    wrong: list[Cause] = []
    ready, not_ready = subset.get("addresses") or [], subset.get("notReadyAddresses") or []
    if not ready and not not_ready:
        wrong.append(required(here, "must specify `addresses` or `notReadyAddresses`"))
    for field, addresses in (("addresses", ready), ("notReadyAddresses", not_ready)):
        for index, address in enumerate(addresses):
            wrong += _address(address, f"{here}.{field}[{index}]")
    ports = subset.get("ports") or []
    for index, port in enumerate(ports):
        wrong += validate_port(port, f"{here}.ports[{index}]", name_needed=len(ports) > 1)
    return wrong


def _address(address: Obj, here: str) -> list[Cause]:
    ip = address.get("ip", "")
    wrong = complain(f"{here}.ip", ip, names.is_ip(ip) or not_special(ip))
    if host := address.get("hostname"):
        wrong += complain(f"{here}.hostname", host, names.is_dns_label(host))
    if node := address.get("nodeName"):
        wrong += complain(f"{here}.nodeName", node, names.is_dns_subdomain(node))
    return wrong


def first_few(items: list[str], none: str) -> str:
    """`a,b,c + 2 more...`"""
    shown = ",".join(items[:SHOWN])
    return f"{shown} + {len(items) - SHOWN} more..." if len(items) > SHOWN else shown or none


def _host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _cell(endpoints: Obj, now: float) -> str:
    listed: list[str] = []
    for subset in endpoints.get("subsets") or ():
        addresses = [one.get("ip", "") for one in subset.get("addresses") or ()]
        if ports := subset.get("ports"):
            listed += [_host_port(ip, port.get("port", 0)) for port in ports for ip in addresses]
        else:
            listed += addresses
    return first_few(listed, NONE)


ENDPOINTS = Kind(
    group="", version="v1", name="Endpoints", plural="endpoints", singular="endpoints", namespaced=True,
    definition="io.k8s.api.core.v1.Endpoints", short_names=("ep",),
    columns=(NAME, Column("Endpoints", _cell, description="Addresses and ports that are ready."), AGE),
    generation_fields=(), defaults=defaults, validate=validate, validate_update=validate_metadata_update,
)
