"""What one object takes of a namespace's quotas, by the names that `spec.hard` may use.

    any kind        count/deployments.apps; the oldest ones also by their bare name: configmaps, secrets, ...
    pods            pods, cpu, requests.memory, limits.cpu, hugepages-2Mi, requests.example.com/gpu, ...
    services        services, services.nodeports, services.loadbalancers
    claims          persistentvolumeclaims, requests.storage, fast.storageclass.storage.k8s.io/requests.storage

A pod that ended takes nothing but its place in `count/pods`.  One that stays long after it was to be gone
(its node is lost) is treated alike from a moment that `counts_until` tells.
https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""
from __future__ import annotations

from collections.abc import Collection, Iterable

from .amounts import ONE, Amount, Amounts, amount, of_container, pod_limits, pod_requests
from .kinds.storage_class import class_of
from .objects import Obj, at, from_time, name_of

PODS, SERVICES, CLAIMS = "pods", "services", "persistentvolumeclaims"
COUNT, REQUESTS, LIMITS, HUGE = "count/", "requests.", "limits.", "hugepages-"
CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
NEVER_COUNTED = frozenset(("events", "events.events.k8s.io"))

BARE = frozenset(("configmaps", "resourcequotas", "replicationcontrollers", "secrets"))
OF_SERVICES = frozenset(("services", "services.nodeports", "services.loadbalancers"))
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
OF_PODS = frozenset((PODS, *_COMPUTE, *(REQUESTS + one for one in _COMPUTE), *(LIMITS + one for one in _COMPUTE)))
# Where a quota limits one of these, each container must say how much it takes.
_MUST_BE_SAID = frozenset(("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"))
_OUR_DOMAIN = "kubernetes.io/"


def resource_of(hard: str) -> str:
    """The API resource whose objects a name in `spec.hard` is about; "" where it is about none."""
    if hard.startswith(COUNT):
        return hard.removeprefix(COUNT)
    if hard in OF_PODS or hard.startswith((HUGE, REQUESTS + HUGE)):
        return PODS
    if hard in OF_SERVICES:
        return SERVICES
    if hard in (CLAIMS, REQUESTS + "storage") or CLASS_SUFFIX in hard:
        return CLAIMS
    if hard in BARE:
        return hard
    return PODS if hard.startswith(REQUESTS) and is_extended(hard.removeprefix(REQUESTS)) else ""


def is_extended(resource: str) -> bool:
    """A resource that a device or an operator brought: `example.com/gpu`."""
    return "/" in resource and _OUR_DOMAIN not in resource and not resource.startswith(REQUESTS)


def usage(resource: str, obj: Obj) -> Amounts:
    if resource in NEVER_COUNTED:
        return {}
    taken: Amounts = {COUNT + resource: ONE}
    if resource == PODS:
        if not has_ended(obj):
            spec = obj.get("spec") or {}
            taken |= compute(pod_requests(spec), pod_limits(spec))
    elif resource == SERVICES:
        taken |= _of_service(obj.get("spec") or {})
    elif resource == CLAIMS:
        taken |= _of_claim(obj)
    elif resource in BARE:
        taken[resource] = ONE
    return taken


def compute(requests: Amounts, limits: Amounts) -> Amounts:
    """By the names of quotas: requests go by two names, and those of devices by one only."""
    taken: Amounts = {PODS: ONE}
    for resource in _COMPUTE:
        if resource in requests:
            taken[resource] = taken[REQUESTS + resource] = requests[resource]
        if resource in limits:
            taken[LIMITS + resource] = limits[resource]
    for resource, one in requests.items():
        if resource.startswith(HUGE):
            taken[resource] = taken[REQUESTS + resource] = one
        elif is_extended(resource):
            taken[REQUESTS + resource] = one
    return taken


def _of_service(spec: Obj) -> Amounts:
    taken: Amounts = {SERVICES: ONE}
    ports = spec.get("ports") or ()
    if spec.get("type") == "NodePort":
        taken["services.nodeports"] = Amount(len(ports))
    elif spec.get("type") == "LoadBalancer":
        taken["services.loadbalancers"] = ONE
        if spec.get("allocateLoadBalancerNodePorts") is False:
            ports = [port for port in ports if port.get("nodePort")]
        taken["services.nodeports"] = Amount(len(ports))
    return taken


def _of_claim(claim: Obj) -> Amounts:
    taken: Amounts = {CLAIMS: ONE}
    storage = [amount(text) for text in (at(claim, "spec.resources.requests.storage"),
                                         at(claim, "status.allocatedResources.storage")) if text is not None]
    if storage:
        taken[REQUESTS + "storage"] = max(storage, key=lambda one: one.value)
    if class_name := class_of(claim):
        taken |= {f"{class_name}{CLASS_SUFFIX}{name}": one for name, one in taken.items()}
    return taken


def has_ended(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def counts_until(pod: Obj) -> float | None:
    """When a pod that is being deleted stops counting though it is still there; None for all others."""
    metadata = pod["metadata"]
    grace = metadata.get("deletionGracePeriodSeconds")
    if metadata.get("deletionTimestamp") is None or grace is None:
        return None
    return from_time(metadata["deletionTimestamp"]) + grace


def unsaid(names: Collection[str], pod: Obj) -> str:
    """What containers leave out although a quota limits it: "cpu for: app,web; limits.cpu for: app"."""
    wanted = sorted(_MUST_BE_SAID.intersection(names))
    if not wanted:
        return ""
    missing: dict[str, list[str]] = {}
    for container in _containers(pod):
        said = compute(of_container(container, "requests"), of_container(container, "limits"))
        for resource in wanted:
            if resource not in said:
                missing.setdefault(resource, []).append(name_of({"metadata": container}))
    return "; ".join(f"{resource} for: {','.join(sorted(set(missing[resource])))}" for resource in sorted(missing))


def _containers(pod: Obj) -> Iterable[Obj]:
    spec = pod.get("spec") or {}
    return (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
