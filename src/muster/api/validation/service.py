"""What a Service may say.  Each type of service has fields of its own, and fields it must not have.

https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/
"""
from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from .. import names
from ..causes import Cause, duplicate, forbidden, invalid, not_supported, required
from ..go_text import syntax_of_port
from ..objects import Obj, at
from .metadata import complain, validate_labels, validate_metadata, validate_metadata_update
from .service_addresses import HEADLESS, SET_ONCE, validate_address_update, validate_addresses, validate_none

CLUSTER_IP, NODE_PORT, LOAD_BALANCER, EXTERNAL_NAME = "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"
TYPES = (CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT)
PROTOCOLS = ("SCTP", "TCP", "UDP")
POLICIES = ("Cluster", "Local")
LONGEST_AFFINITY_S = 86400
NODE_AGENT_PORT = 10250


def is_reachable_from_outside(spec: Obj) -> bool:
    """May the outside reach it, so that externalTrafficPolicy means something?"""
    type_ = spec.get("type")
    return type_ in (NODE_PORT, LOAD_BALANCER) or (type_ == CLUSTER_IP and bool(spec.get("externalIPs")))


def validate(service: Obj) -> list[Cause]:
    spec = service.get("spec") or {}
    type_, headless = spec.get("type") or "", spec.get("clusterIP") == HEADLESS
    wrong = validate_metadata(service, namespaced=True, name=names.is_dns_1035_label)
    ports = spec.get("ports") or []
    if not ports and not headless and type_ != EXTERNAL_NAME:
        wrong.append(required("spec.ports"))
    wrong += _type_rules(spec, type_, headless, ports)
    for index, port in enumerate(ports):
        wrong += _port(port, f"spec.ports[{index}]", name_needed=len(ports) > 1)
    wrong += _repeated(ports)
    if selector := spec.get("selector"):
        validate_labels(selector, "spec.selector", wrong)
    wrong += _affinity(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        wrong += _outside_address(address, f"spec.externalIPs[{index}]")
    if not type_:
        wrong.append(required("spec.type"))
    elif type_ not in TYPES:
        wrong.append(not_supported("spec.type", type_, TYPES))
    return wrong + _node_ports(type_, ports) + _traffic(spec) + _load_balancer(spec) + (
        [] if type_ == EXTERNAL_NAME else validate_addresses(spec))


def _type_rules(spec: Obj, type_: str, headless: bool, ports: Sequence[Obj]) -> list[Cause]:
    wrong: list[Cause] = []
    if type_ == LOAD_BALANCER:
        wrong += [invalid(f"spec.ports[{index}]", port["port"],
                          f"may not expose port {NODE_AGENT_PORT} externally since it is used by kubelet")
                  for index, port in enumerate(ports) if port.get("port") == NODE_AGENT_PORT]
    if headless and type_ in (LOAD_BALANCER, NODE_PORT):
        wrong.append(invalid("spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {type_} services"))
    if type_ == EXTERNAL_NAME:
        wrong += validate_none(spec)
        target = (spec.get("externalName") or "").removesuffix(".")
        wrong += complain("spec.externalName", target, names.is_dns_subdomain(target)) if target else [
            required("spec.externalName")]
    return wrong


def validate_port(port: Obj, here: str, *, name_needed: bool) -> list[Cause]:
    """What service ports and endpoint ports have in common."""
    wrong: list[Cause] = []
    if name := port.get("name"):
        wrong += complain(f"{here}.name", name, names.is_dns_label(name))
    elif name_needed:
        wrong.append(required(f"{here}.name"))
    wrong += complain(f"{here}.port", port.get("port", 0), names.is_port_number(port.get("port", 0)))
    if not port.get("protocol"):
        wrong.append(required(f"{here}.protocol"))
    elif port["protocol"] not in PROTOCOLS:
        wrong.append(not_supported(f"{here}.protocol", port["protocol"], PROTOCOLS))
    return wrong


def _port(port: Obj, here: str, *, name_needed: bool) -> list[Cause]:
    wrong = validate_port(port, here, name_needed=name_needed)
    target = port.get("targetPort") or port.get("port", 0)
    check = names.is_port_name(target) if isinstance(target, str) else names.is_port_number(target)
    wrong += complain(f"{here}.targetPort", target, check)
    if protocol := port.get("appProtocol"):
        wrong += complain(f"{here}.appProtocol", protocol, names.is_qualified_name(protocol))
    return wrong


def _repeated(ports: Sequence[Obj]) -> list[Cause]:
    wrong: list[Cause] = []
    seen_names: set[str] = set()
    for index, port in enumerate(ports):
        if (name := port.get("name")) and name in seen_names:
            wrong.append(duplicate(f"spec.ports[{index}].name", name))
        seen_names.add(name or "")
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        told_apart = (port.get("protocol", ""), port.get("port", 0))
        if told_apart in seen:
            wrong.append(duplicate(f"spec.ports[{index}]", syntax_of_port(*told_apart)))
        seen.add(told_apart)
    return wrong


def _affinity(spec: Obj) -> list[Cause]:
    kind = spec.get("sessionAffinity") or ""
    if not kind:
        return [required("spec.sessionAffinity")]
    if kind not in ("ClientIP", "None"):
        return [not_supported("spec.sessionAffinity", kind, ("ClientIP", "None"))]
    config = spec.get("sessionAffinityConfig")
    if kind == "None":
        return [forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")
                ] if config is not None else []
    here = "spec.sessionAffinityConfig.clientIP"
    timeout = at(config or {}, "clientIP.timeoutSeconds")
    if timeout is None:
        return [required(here, "when session affinity type is ClientIP")]
    if not 0 < timeout <= LONGEST_AFFINITY_S:
        return [invalid(f"{here}.timeoutSeconds", timeout,
                        f"must be greater than 0 and less than {LONGEST_AFFINITY_S}")]
    return []


def _outside_address(address: str, here: str) -> list[Cause]:
    if complaints := names.is_ip(address):
        return complain(here, address, complaints)
    return complain(here, address, not_special(address))


def not_special(address: str) -> tuple[str, ...]:
    """Addresses that mean something to a machine itself can not be an endpoint's or a service's."""
    ip = ipaddress.ip_address(address)
    found = []
    if ip.is_unspecified:
        found.append(f"may not be unspecified ({address})")
    if ip.is_loopback:
        found.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if ip.is_link_local:
        found.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if ip.is_multicast and str(ip).startswith(("224.0.0.", "ff02:")):
        found.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return tuple(found)


def _node_ports(type_: str, ports: Sequence[Obj]) -> list[Cause]:
    wrong: list[Cause] = []
    if type_ == CLUSTER_IP:
        wrong += [forbidden(f"spec.ports[{index}].nodePort", "may not be used when `type` is 'ClusterIP'")
                  for index, port in enumerate(ports) if port.get("nodePort")]
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        if not (number := port.get("nodePort")):
            continue
        if (port.get("protocol", ""), number) in seen:
            wrong.append(duplicate(f"spec.ports[{index}].nodePort", number))
        seen.add((port.get("protocol", ""), number))
    return wrong


def _traffic(spec: Obj) -> list[Cause]:
    wrong: list[Cause] = []
    if inside := spec.get("internalTrafficPolicy"):
        if inside not in POLICIES:
            wrong.append(not_supported("spec.internalTrafficPolicy", inside, POLICIES))
    elif spec.get("type") in (CLUSTER_IP, NODE_PORT, LOAD_BALANCER):
        wrong.append(required("spec.internalTrafficPolicy"))
    outside = spec.get("externalTrafficPolicy")
    if not is_reachable_from_outside(spec):
        if outside:
            wrong.append(invalid("spec.externalTrafficPolicy", outside,
                                 "may only be set for externally-accessible services"))
    elif not outside:
        wrong.append(required("spec.externalTrafficPolicy"))
    elif outside not in POLICIES:
        wrong.append(not_supported("spec.externalTrafficPolicy", outside, POLICIES))
    if (spread := spec.get("trafficDistribution")) is not None and spread != "PreferClose":
        wrong.append(not_supported("spec.trafficDistribution", spread, ("PreferClose",)))
    return wrong


def _load_balancer(spec: Obj) -> list[Cause]:
    type_ = spec.get("type")
    wrong: list[Cause] = []
    if health := spec.get("healthCheckNodePort"):
        if health < 0:
            wrong.append(invalid("spec.healthCheckNodePort", health, "must be greater than or equal to 0"))
        elif type_ != LOAD_BALANCER or spec.get("externalTrafficPolicy") != "Local":
            wrong.append(invalid("spec.healthCheckNodePort", health, "may only be set when `type` is 'LoadBalancer' "
                                 "and `externalTrafficPolicy` is 'Local'"))
    if (ranges := spec.get("loadBalancerSourceRanges")) and type_ != LOAD_BALANCER:
        wrong.append(forbidden("spec.LoadBalancerSourceRanges",
                               "may only be used when `type` is 'LoadBalancer'"))
    for index, cidr in enumerate(ranges or ()):
        wrong += complain(f"spec.LoadBalancerSourceRanges[{index}]", cidr, names.is_cidr(cidr.strip()))
    for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(field) is not None and type_ != LOAD_BALANCER:
            wrong.append(forbidden(f"spec.{field}", "may only be used when `type` is 'LoadBalancer'"))
    if (class_ := spec.get("loadBalancerClass")) is not None:
        wrong += complain("spec.loadBalancerClass", class_, names.is_qualified_name(class_))
    return wrong


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if EXTERNAL_NAME not in (before.get("type"), after.get("type")):
        wrong += validate_address_update(after, before)
    if before.get("type") == after.get("type") == LOAD_BALANCER \
            and before.get("loadBalancerClass") != after.get("loadBalancerClass"):
        wrong.append(invalid("spec.loadBalancerClass", after.get("loadBalancerClass"), SET_ONCE))
    return wrong
