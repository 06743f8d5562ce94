"""What CRI is told of a pod and of a container: the pod's spec in the runtime's own words.

    sandbox(pod, place, attempt)          the network namespace, the cgroup, the names
    container(pod, spec, ...)             image, command, environment, mounts, limits, what it may

Numbers are the kubelet's: CPU shares and quota, the score by which the kernel chooses whom to kill, masked paths.
https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...api import quantities
from ...api.kinds.quality_of_service import qos_class
from ...api.objects import Obj, annotations_of, at, labels_of, name_of, namespace_of, uid_of
from ..cgroups import PERIOD_US
from ..dns_config import DnsConfig
from ..pod_groups import of_pod, quota_us, shares
from .client import m

POD_NAME, POD_NAMESPACE, POD_UID = "io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
LONGEST_HOSTNAME = 63
MASKED = ("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
          "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
          "/sys/devices/virtual/powercap")
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
GUARANTEED_SCORE, BEST_EFFORT_SCORE = -997, 1000
SYSTEM_CRITICAL = 2_000_000_000
_PROPAGATION = {"HostToContainer": 1, "Bidirectional": 2}


class Place(NamedTuple):
    """The node, as far as a pod's configuration depends on it."""

    tag: str
    node: str
    logs: Path  # /var/log/pods, of the node
    memory: int  # bytes of the node
    profiles: Path  # where Localhost seccomp profiles are
    is_unified: bool = False  # are its control groups those of version 2?


class Mounted(NamedTuple):
    path: str
    source: str
    read_only: bool = False
    propagation: str = ""


def log_folder(place: Place, pod: Obj) -> Path:
    return place.logs / f"{namespace_of(pod)}_{name_of(pod)}_{uid_of(pod)}"


def log_path(container: str, attempt: int) -> str:
    return f"{container}/{attempt}.log"


def hostname_of(pod: Obj) -> str:
    return str(at(pod, "spec.hostname") or name_of(pod))[:LONGEST_HOSTNAME].rstrip("-.")


def sandbox(pod: Obj, place: Place, dns: DnsConfig, attempt: int) -> Any:
    spec = pod["spec"]
    context = spec.get("securityContext") or {}
    on_host = spec.get("hostNetwork")
    ports = [m("PortMapping", protocol=port.get("protocol") or "TCP", container_port=port["containerPort"],
               host_port=port["hostPort"], host_ip=port.get("hostIP") or "")
             for container in _all_containers(spec) for port in container.get("ports") or ()
             if port.get("hostPort") and not on_host]
    return m(
        "PodSandboxConfig",
        metadata=m("PodSandboxMetadata", name=name_of(pod), uid=uid_of(pod), namespace=namespace_of(pod),
                   attempt=attempt),
        hostname="" if on_host else hostname_of(pod),
        log_directory=str(log_folder(place, pod)),
        dns_config=m("DNSConfig", servers=dns.servers, searches=dns.searches, options=dns.options),
        port_mappings=ports,
        labels={**labels_of(pod), POD_NAME: name_of(pod), POD_NAMESPACE: namespace_of(pod), POD_UID: uid_of(pod)},
        annotations=annotations_of(pod),
        linux=m("LinuxPodSandboxConfig",
                cgroup_parent=of_pod(place.tag, place.node, pod),
                sysctls={one["name"]: one["value"] for one in context.get("sysctls") or ()},
                security_context=m(
                    "LinuxSandboxSecurityContext", namespace_options=_namespaces(spec),
                    privileged=any(at(one, "securityContext.privileged") for one in _all_containers(spec)) or None,
                    run_as_user=_number(context.get("runAsUser")),
                    run_as_group=_number(context.get("runAsGroup")) if context.get("runAsUser") is not None else None,
                    supplemental_groups=_groups(context), seccomp=m("SecurityProfile", profile_type="RuntimeDefault"))),
    )


def container(pod: Obj, spec: Obj, place: Place, *, image: str, attempt: int, command: Sequence[str],
              args: Sequence[str], env: Iterable[tuple[str, str]], mounts: Iterable[Mounted],
              target_id: str = "") -> Any:
    name = spec["name"]
    return m(
        "ContainerConfig",
        metadata=m("ContainerMetadata", name=name, attempt=attempt),
        image=m("ImageSpec", image=image),
        command=command, args=args, working_dir=spec.get("workingDir") or "",
        envs=[m("KeyValue", key=key, value=value) for key, value in env],
        mounts=[m("Mount", container_path=one.path, host_path=one.source, readonly=one.read_only,
                  propagation=_PROPAGATION.get(one.propagation, 0)) for one in mounts],
        labels={CONTAINER_NAME: name, POD_NAME: name_of(pod), POD_NAMESPACE: namespace_of(pod), POD_UID: uid_of(pod)},
        annotations={"io.kubernetes.container.restartCount": str(attempt)},
        log_path=log_path(name, attempt),
        stdin=spec.get("stdin") or None, stdin_once=spec.get("stdinOnce") or None, tty=spec.get("tty") or None,
        linux=m("LinuxContainerConfig", resources=resources(pod, spec, place),
                security_context=_security(pod, spec, place, target_id)),
    )


# ------------------------------------------------------------------ what it gets


def resources(pod: Obj, spec: Obj, place: Place) -> Any:
    requests, limits = at(spec, "resources.requests") or {}, at(spec, "resources.limits") or {}
    cpu_limit = quantities.milli(limits["cpu"]) if "cpu" in limits else 0
    cpu = quantities.milli(requests["cpu"]) if "cpu" in requests else cpu_limit
    return m("LinuxContainerResources", cpu_shares=shares(cpu),
             cpu_period=PERIOD_US if cpu_limit else None, cpu_quota=quota_us(cpu_limit) if cpu_limit else None,
             memory_limit_in_bytes=quantities.whole(limits["memory"]) if limits.get("memory") else None,
             oom_score_adj=oom_score(pod, requests, limits, place.memory),
             # Of version 2: a container that runs out of memory is killed whole.
             unified={"memory.oom.group": "1"} if place.is_unified else None)


def oom_score(pod: Obj, requests: Mapping[str, str], limits: Mapping[str, str], node_memory: int) -> int:
    qos = qos_class(pod)
    if qos == "Guaranteed" or (at(pod, "spec.priority") or 0) >= SYSTEM_CRITICAL:
        return GUARANTEED_SCORE
    if qos == "BestEffort":
        return BEST_EFFORT_SCORE
    memory = quantities.whole(requests.get("memory") or limits.get("memory") or 0)
    score = 1000 - 1000 * memory // max(1, node_memory)
    return min(BEST_EFFORT_SCORE - 1, max(1000 + GUARANTEED_SCORE, score))


# ------------------------------------------------------------------ what it may


def _security(pod: Obj, spec: Obj, place: Place, target_id: str) -> Any:
    of_pod, own = at(pod, "spec.securityContext") or {}, spec.get("securityContext") or {}
    privileged = bool(own.get("privileged"))
    user, group = _said(own, of_pod, "runAsUser"), _said(own, of_pod, "runAsGroup")
    added, dropped = at(own, "capabilities.add") or [], at(own, "capabilities.drop") or []
    unmasked = privileged or own.get("procMount") == "Unmasked"
    return m(
        "LinuxContainerSecurityContext",
        capabilities=m("Capability", add_capabilities=added, drop_capabilities=dropped),
        privileged=privileged, namespace_options=_namespaces(pod["spec"], target_id),
        run_as_user=_number(user), run_as_group=_number(group) if user is not None else None,
        supplemental_groups=_groups(of_pod), readonly_rootfs=bool(own.get("readOnlyRootFilesystem")),
        no_new_privs=own.get("allowPrivilegeEscalation") is False and not privileged and "SYS_ADMIN" not in added,
        masked_paths=() if unmasked else MASKED, readonly_paths=() if unmasked else READ_ONLY,
        seccomp=_seccomp(_said(own, of_pod, "seccompProfile"), privileged, place),
    )


def _said(own: Mapping[str, Any], of_pod: Mapping[str, Any], field: str) -> Any:
    """What the container says wins."""
    return own[field] if own.get(field) is not None else of_pod.get(field)


def _seccomp(profile: Obj | None, privileged: bool, place: Place) -> Any:
    """Without a word about it there is none, as with the kubelet's own default."""
    type_ = (profile or {}).get("type") or "Unconfined"
    if privileged or type_ == "Unconfined":
        return m("SecurityProfile", profile_type="Unconfined")
    if type_ == "Localhost":
        assert profile is not None, "it has a type"
        return m("SecurityProfile", profile_type="Localhost",
                 localhost_ref=str(place.profiles / str(profile.get("localhostProfile", "")).lstrip("/")))
    return m("SecurityProfile", profile_type="RuntimeDefault")


def _namespaces(spec: Obj, target_id: str = "") -> Any:
    pid = "NODE" if spec.get("hostPID") else "POD" if spec.get("shareProcessNamespace") else "CONTAINER"
    return m("NamespaceOption", network="NODE" if spec.get("hostNetwork") else "POD",
             ipc="NODE" if spec.get("hostIPC") else "POD", pid="TARGET" if target_id else pid, target_id=target_id)


def _groups(context: Mapping[str, Any]) -> list[int]:
    groups = list(context.get("supplementalGroups") or ())
    return [*groups, context["fsGroup"]] if context.get("fsGroup") is not None else groups


def _number(value: int | None) -> Any:
    return m("Int64Value", value=value) if value is not None else None


def _all_containers(spec: Obj) -> list[Obj]:
    return [*(spec.get("initContainers") or ()), *spec["containers"], *(spec.get("ephemeralContainers") or ())]


def root_refusal(pod: Obj, spec: Obj, image_uid: int | None, image_user: str) -> str:
    """Why a container that must not run as root can not be made; "" where it can."""
    of_pod, own = at(pod, "spec.securityContext") or {}, spec.get("securityContext") or {}
    if _said(own, of_pod, "runAsNonRoot") is not True:
        return ""
    user = _said(own, of_pod, "runAsUser")
    who = f'(pod: "{name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})", container: {spec["name"]})'
    if user is not None:
        return f"container's runAsUser breaks non-root policy {who}" if user == 0 else ""
    if image_user:
        return (f"container has runAsNonRoot and image has non-numeric user ({image_user}), "
                f"cannot verify user is non-root {who}")
    return f"container has runAsNonRoot and image will run as root {who}" if not image_uid else ""
