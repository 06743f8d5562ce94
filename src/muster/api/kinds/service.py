"""Service: one name, and mostly one address, for the pods a selector finds.

Cluster IPs and node ports are drawn by the server (`server/service_addresses.py`), since they must differ
between services; what was drawn stays with the service through updates that do not mention it.
https://kubernetes.io/docs/concepts/services-networking/service/
"""
from __future__ import annotations

from collections.abc import Mapping

from ..defaults import each, filled, inside, kept, put, within
from ..objects import Obj, at, with_, without_
from ..tables import AGE, NAME, NONE, UNKNOWN, path_cell
from ..validation import service as rules
from ..validation.service import CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT
from ..validation.service_addresses import with_families
from .kind import Column, Kind, Subresource
from .workload_columns import labels_text

AFFINITY_TIMEOUT_S = 10800
SHOWN_ADDRESS_CHARACTERS = 16  # of a load balancer's, without -o wide

# ------------------------------------------------------------------ defaults


def defaults(service: Obj) -> Obj:
    return within(service, "spec", _spec_defaults)


def _spec_defaults(spec: Obj) -> Obj:
    spec = filled(spec, sessionAffinity="None", type=CLUSTER_IP)
    if spec["sessionAffinity"] == "None":
        spec = without_(spec, "sessionAffinityConfig")
    elif spec["sessionAffinity"] == "ClientIP" and at(spec, "sessionAffinityConfig.clientIP.timeoutSeconds") is None:
        spec = with_(spec, "sessionAffinityConfig.clientIP.timeoutSeconds", AFFINITY_TIMEOUT_S)
    spec = each(spec, "ports", _port_defaults)
    if rules.is_reachable_from_outside(spec):
        spec = filled(spec, externalTrafficPolicy="Cluster")
    if spec["type"] in (CLUSTER_IP, NODE_PORT, LOAD_BALANCER):
        spec = filled(spec, internalTrafficPolicy="Cluster")
    if spec["type"] == LOAD_BALANCER:
        spec = filled(spec, allocateLoadBalancerNodePorts=True)
    return spec


def _port_defaults(port: Obj) -> Obj:
    port = filled(port, protocol="TCP")
    return port if port.get("targetPort") else put(port, "targetPort", port.get("port", 0))


def prepare_create(service: Obj) -> Obj:
    return {**_with_families(_with_all_addresses(service)), "status": {"loadBalancer": {}}}


def prepare_update(new: Obj, old: Obj) -> Obj:
    """Carries over what the server gave out where the new object leaves it open, drops what its type lost."""
    new = kept(_without_lost(new, old), old, "status")
    if _has_address(new) and _has_address(old):
        new = inside(new, "spec", lambda spec: _with_former_address(spec, old["spec"]))
        if policy := old["spec"].get("ipFamilyPolicy"):
            new = inside(new, "spec", lambda spec: filled(spec, ipFamilyPolicy=policy))
    if _takes_node_ports(new) and _takes_node_ports(old):
        given = {(port.get("port"), port.get("protocol")): port["nodePort"]
                 for port in at(old, "spec.ports", ()) if port.get("nodePort")}
        new = inside(new, "spec", lambda spec: each(spec, "ports", lambda port: _carried(port, given)))
    return _with_families(_with_all_addresses(new))


def _with_former_address(spec: Obj, before: Obj) -> Obj:
    """`clusterIP` and `clusterIPs` say the same: the one that was changed decides, the former one fills in."""
    former, all_former = before.get("clusterIP"), before.get("clusterIPs")
    if not former:
        return spec
    if (spec.get("clusterIP") or former) != former and spec.get("clusterIPs") in (None, [], all_former):
        return {**spec, "clusterIPs": [spec["clusterIP"]]}
    if not spec.get("clusterIP"):
        spec = {**spec, "clusterIP": former}
    return spec if spec.get("clusterIPs") else {**spec, "clusterIPs": all_former or [former]}


def _carried(port: Obj, given: Mapping[tuple[int | None, str | None], int]) -> Obj:
    number = given.get((port.get("port"), port.get("protocol")))
    return port if port.get("nodePort") or number is None else {**port, "nodePort": number}


def _without_lost(new: Obj, old: Obj) -> Obj:
    """Fields that only the former type had, where the user sent them back unchanged."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after.get("type") == before.get("type"):
        return new
    if not _has_address(new) and after.get("clusterIPs", []) == before.get("clusterIPs", []):
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            after = without_(after, field)
    if not _takes_node_ports(new):
        same = [port.get("nodePort") for port in before.get("ports") or ()]
        if [port.get("nodePort") for port in after.get("ports") or ()] == same:
            after = each(after, "ports", lambda port: without_(port, "nodePort"))
    if not rules.is_reachable_from_outside(after) \
            and after.get("externalTrafficPolicy") == before.get("externalTrafficPolicy"):
        after = without_(after, "externalTrafficPolicy")
    if after.get("type") != LOAD_BALANCER:
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if after.get(field) == before.get(field):
                after = without_(after, field)
    if after.get("type") != EXTERNAL_NAME and after.get("externalName") == before.get("externalName"):
        after = without_(after, "externalName")
    return put(new, "spec", after)


# ------------------------------------------------------------------ addresses and node ports


def _has_address(service: Obj) -> bool:
    return at(service, "spec.type") in (CLUSTER_IP, NODE_PORT, LOAD_BALANCER)


def _with_all_addresses(service: Obj) -> Obj:
    """`clusterIPs` follows `clusterIP` where only that is given."""
    first = at(service, "spec.clusterIP")
    if first and not at(service, "spec.clusterIPs"):
        return with_(service, "spec.clusterIPs", [first])
    return service


def _with_families(service: Obj) -> Obj:
    return inside(service, "spec", with_families) if _has_address(service) else service


def _takes_node_ports(service: Obj) -> bool:
    type_ = at(service, "spec.type")
    return type_ == NODE_PORT or (type_ == LOAD_BALANCER
                                  and at(service, "spec.allocateLoadBalancerNodePorts", True))


# ------------------------------------------------------------------ columns


def _external_ip(service: Obj, now: float) -> str:
    spec = service.get("spec") or {}
    outside = spec.get("externalIPs") or []
    match spec.get("type"):
        case "ClusterIP" | "NodePort":
            return ",".join(outside) or NONE
        case "LoadBalancer":
            given = [one.get("ip") or one.get("hostname") or ""
                     for one in at(service, "status.loadBalancer.ingress", ())]
            text = ",".join(given)
            if len(text) > SHOWN_ADDRESS_CHARACTERS:
                text = text[:SHOWN_ADDRESS_CHARACTERS - 3] + "..."
            return ",".join(filter(None, [text, *outside])) or "<pending>"
        case "ExternalName":
            return spec.get("externalName") or NONE
    return UNKNOWN


def _ports(service: Obj, now: float) -> str:
    return ",".join(
        f"{port['port']}:{port['nodePort']}/{port.get('protocol', 'TCP')}" if port.get("nodePort")
        else f"{port['port']}/{port.get('protocol', 'TCP')}"
        for port in at(service, "spec.ports", ())) or NONE


SERVICE = Kind(
    group="", version="v1", name="Service", plural="services", singular="service", namespaced=True,
    definition="io.k8s.api.core.v1.Service", short_names=("svc",), categories=("all",),
    subresources=(Subresource("status", fields=("status",)),),
    columns=(
        NAME,
        Column("Type", path_cell("spec.type", UNKNOWN), description="How it is reached."),
        Column("Cluster-IP", path_cell("spec.clusterIP", NONE), description="Its address inside the cluster."),
        Column("External-IP", _external_ip, description="Its addresses outside the cluster."),
        Column("Port(s)", _ports, description="The ports it listens on."),
        AGE,
        Column("Selector", lambda service, now: labels_text(at(service, "spec.selector")), priority=1,
               description="The labels of the pods behind it."),
    ),
    selectable={"spec.clusterIP": lambda service: at(service, "spec.clusterIP", ""),
                "spec.type": lambda service: at(service, "spec.type", "")},
    generation_fields=(),
    defaults=defaults, prepare_create=prepare_create, prepare_update=prepare_update,
    validate=rules.validate, validate_update=rules.validate_update,
)
