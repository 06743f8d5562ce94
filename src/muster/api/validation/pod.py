"""Pods and templates of pods: the rules of the spec as a whole; its larger parts have modules of their own.

A template is held to a little less than a pod (an image may have blanks around it, host ports need not be
filled in yet), since the rules came later than the templates that break them.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, duplicate, forbidden, invalid, not_supported, required
from ..objects import Obj
from ..remembered import Proven
from .metadata import complain, validate_annotations, validate_label_name, validate_labels, validate_metadata
from .pod_containers import (
    Surroundings,
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
)
from .pod_fields import validate_choice
from .pod_placement import validate_affinity, validate_tolerations, validate_topology_spread
from .pod_resources import validate_resources
from .pod_security import validate_pod_security
from .pod_volumes import validate_volumes

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
MIRROR = "kubernetes.io/config.mirror"  # marks the copy of a pod that a node agent read from a file
_NAMESERVERS, _SEARCHES, _SEARCH_LENGTH = 3, 32, 2048  # what C libraries read of resolv.conf


def validate_pod(pod: Obj) -> list[Cause]:
    """What every pod must keep, new or changed."""
    wrong = validate_metadata(pod, namespaced=True)
    spec, metadata = pod.get("spec") or {}, pod["metadata"]
    annotations = metadata.get("annotations")
    if annotations and MIRROR in annotations and not spec.get("nodeName"):
        wrong.append(invalid(f"metadata.annotations[{MIRROR}]", annotations[MIRROR],
                             "must set spec.nodeName if mirror pod annotation is set"))
    validate_pod_spec(spec, "spec", wrong, pod_name=metadata.get("name") or "", in_pod=True)
    if not spec.get("serviceAccountName"):
        _tokens_need_an_account(spec, wrong)
    return wrong


def validate_new_pod(pod: Obj) -> list[Cause]:
    """What only a pod that is being created must keep."""
    spec, wrong = pod.get("spec") or {}, []
    if spec.get("ephemeralContainers"):
        wrong.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        wrong.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return wrong


def validate_pod_template(template: Obj, path: str, wrong: list[Cause]) -> None:
    metadata = template.get("metadata") or {}
    if labels := metadata.get("labels"):
        validate_labels(labels, f"{path}.labels", wrong)
    if annotations := metadata.get("annotations"):
        validate_annotations(annotations, f"{path}.annotations", wrong)
    spec = template.get("spec") or {}
    validate_pod_spec(spec, f"{path}.spec", wrong)
    if spec.get("ephemeralContainers"):
        wrong.append(forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))


def validate_pod_spec(spec: Obj, path: str, wrong: list[Cause], *, pod_name: str = "", in_pod: bool = False) -> None:
    get = spec.get
    grace = get("terminationGracePeriodSeconds")
    if grace is None:
        wrong.append(required(f"{path}.terminationGracePeriodSeconds"))
    _parts(spec, path, grace, pod_name, in_pod, wrong)
    if get("hostNetwork"):
        _host_network_ports(spec, path, in_pod, wrong)
    validate_choice(get("restartPolicy"), RESTART_POLICIES, f"{path}.restartPolicy", wrong)
    validate_choice(get("dnsPolicy"), DNS_POLICIES, f"{path}.dnsPolicy", wrong)
    if selector := get("nodeSelector"):
        validate_labels(selector, f"{path}.nodeSelector", wrong)
    validate_pod_security(spec, path, wrong)
    if affinity := get("affinity"):
        validate_affinity(affinity, f"{path}.affinity", wrong)
    if get("dnsConfig") is not None or get("dnsPolicy") == "None":
        _dns(get("dnsConfig"), get("dnsPolicy"), f"{path}.dnsConfig", wrong)
    for index, gate in enumerate(get("readinessGates") or ()):
        validate_label_name(gate.get("conditionType") or "", f"{path}.readinessGates[{index}].conditionType", wrong)
    if gates := get("schedulingGates"):
        _scheduling_gates(gates, f"{path}.schedulingGates", wrong)
    if spread := get("topologySpreadConstraints"):
        validate_topology_spread(spread, f"{path}.topologySpreadConstraints", wrong)
    _names(spec, path, wrong)
    if tolerations := get("tolerations"):
        validate_tolerations(tolerations, f"{path}.tolerations", wrong)
    if aliases := get("hostAliases"):
        _host_aliases(aliases, f"{path}.hostAliases", wrong)
    if (policy := get("preemptionPolicy")) is not None:
        validate_choice(policy, PREEMPTION_POLICIES, f"{path}.preemptionPolicy", wrong)
    if overhead := get("overhead"):
        validate_resources({"limits": overhead}, f"{path}.overhead", (), wrong)
    if (system := get("os")) is not None:
        _operating_system(system, f"{path}.os", wrong)


def _parts(spec: Obj, path: str, grace: int | None, pod_name: str, in_pod: bool, wrong: list[Cause]) -> None:
    """Containers and volumes, and what they say of each other.  Those of a template come again with each of its pods:
    lists that were found to be right stay so, but where a claim takes its name from the pod."""
    volumes, claims = spec.get("volumes"), spec.get("resourceClaims")
    main, first, late = spec.get("containers"), spec.get("initContainers"), spec.get("ephemeralContainers")
    # As they are: an empty list made here would be another each time.
    parts = volumes, claims, main, first, late, grace, spec.get("restartPolicy"), spec.get("hostUsers"), in_pod
    if _right.holds(*parts):
        return
    before = len(wrong)
    found = validate_volumes(volumes, f"{path}.volumes", pod_name, wrong) if volumes else {}
    claim_names = _resource_claims(claims, f"{path}.resourceClaims", wrong) if claims else frozenset[str]()
    around = Surroundings(found, claim_names, grace, spec.get("restartPolicy") or "",
                          spec.get("hostUsers") is not False, in_pod)
    validate_containers(main or [], around, f"{path}.containers", wrong)
    if first:
        validate_init_containers(first, main or [], around, f"{path}.initContainers", wrong)
    if late:
        others = [*(main or ()), *(first or ())]
        validate_ephemeral_containers(late, others, around, f"{path}.ephemeralContainers", wrong)
    if len(wrong) == before and not any(volume.get("ephemeral") for volume in volumes or ()):
        _right.add(*parts)


_right = Proven()


def _host_network_ports(spec: Obj, path: str, in_pod: bool, wrong: list[Cause]) -> None:
    for index, container in enumerate(spec.get("containers") or ()):
        for place, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort") or 0
            if (in_pod or host) and host != port.get("containerPort"):
                wrong.append(invalid(f"{path}.containers[{index}].ports[{place}].hostPort", host,
                                     "must match `containerPort` when `hostNetwork` is true"))


def _dns(config: Obj | None, policy: str | None, path: str, wrong: list[Cause]) -> None:
    config = config or {}
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if policy == "None" and not config:
        wrong.append(required(path, "must provide `dnsConfig` when `dnsPolicy` is None"))
        return
    if policy == "None" and not servers:
        wrong.append(required(f"{path}.nameservers",
                              "must provide at least one DNS nameserver when `dnsPolicy` is None"))
        return
    if len(servers) > _NAMESERVERS:
        wrong.append(invalid(f"{path}.nameservers", servers, f"must not have more than {_NAMESERVERS} nameservers"))
    for index, server in enumerate(servers):
        wrong += complain(f"{path}.nameservers[{index}]", server, names.is_ip(server))
    if len(searches) > _SEARCHES:
        wrong.append(invalid(f"{path}.searches", searches, f"must not have more than {_SEARCHES} search paths"))
    if len(" ".join(searches)) > _SEARCH_LENGTH:
        wrong.append(invalid(f"{path}.searches", searches, f"must not have more than {_SEARCH_LENGTH} characters "
                             "(including spaces) in the search list"))
    for index, search in enumerate(searches):
        domain = search.removesuffix(".")
        wrong += complain(f"{path}.searches[{index}]", domain, names.is_dns_subdomain(domain))
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            wrong.append(required(f"{path}.options[{index}]", "must not be empty"))


def _scheduling_gates(gates: list[Obj], path: str, wrong: list[Cause]) -> None:
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name") or ""
        validate_label_name(name, f"{path}[{index}]", wrong)
        if name in seen:
            wrong.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)


def _names(spec: Obj, path: str, wrong: list[Cause]) -> None:
    """The fields that name something else, and the deadline between them."""
    for field in ("serviceAccountName", "nodeName"):
        if (name := spec.get(field)) and (complaints := names.is_dns_subdomain(name)):
            wrong += complain(f"{path}.{field}", name, complaints)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= names.MAX_INT32:
        wrong.append(invalid(f"{path}.activeDeadlineSeconds", deadline, names.not_between(1, names.MAX_INT32)))
    for field in ("hostname", "subdomain"):
        if (name := spec.get(field)) and (complaints := names.is_dns_label(name)):
            wrong += complain(f"{path}.{field}", name, complaints)
    for field in ("priorityClassName", "runtimeClassName"):
        if (name := spec.get(field)) and (complaints := names.is_dns_subdomain(name)):
            wrong += complain(f"{path}.{field}", name, complaints)


def _host_aliases(aliases: list[Obj], path: str, wrong: list[Cause]) -> None:
    for index, alias in enumerate(aliases):
        address = alias.get("ip") or ""
        wrong += complain(f"{path}[{index}].ip", address, names.is_ip(address))
        for place, host in enumerate(alias.get("hostnames") or ()):
            wrong += complain(f"{path}[{index}].hostnames[{place}]", host, names.is_dns_subdomain(host))


def _operating_system(system: Obj, path: str, wrong: list[Cause]) -> None:
    name = system.get("name")
    if not name:
        wrong.append(required(f"{path}.name", "cannot be empty"))
    elif name not in ("linux", "windows"):
        wrong.append(not_supported(path, name, ("linux", "windows")))


def _resource_claims(claims: list[Obj], path: str, wrong: list[Cause]) -> frozenset[str]:
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        at, name = f"{path}[{index}]", claim.get("name") or ""
        if not name:
            wrong.append(required(f"{at}.name"))
        elif name in seen:
            wrong.append(duplicate(f"{at}.name", name))
        else:
            wrong += complain(f"{at}.name", name, names.is_dns_label(name))
        seen.add(name)
        direct, template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        if direct is not None and template is not None:
            wrong.append(invalid(at, claim, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may "
                                 "be specified"))
        if direct is None and template is None:
            wrong.append(invalid(at, claim, "must specify one of: `resourceClaimName`, "
                                 "`resourceClaimTemplateName`"))
    return frozenset(seen - {""})


def _tokens_need_an_account(spec: Obj, wrong: list[Cause]) -> None:
    for index, volume in enumerate(spec.get("volumes") or ()):
        for place, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if source.get("serviceAccountToken") is not None:
                wrong.append(forbidden(f"spec.volumes[{index}].projected.sources[{place}].serviceAccountToken",
                                       "must not be specified when serviceAccountName is not set"))
