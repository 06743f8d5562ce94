"""A node's status as its kubelet (v1.32) registers and reports it.

What the cloud knows of the machine (addresses, capacity, version) is in the status the node was created with and
stays; the rest is filled in here.  A node somebody created by hand gets the usual machine of four processors.
https://kubernetes.io/docs/reference/node/node-status/
"""
from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator

from ..api import quantities
from ..api.objects import Obj, condition, labels_of, name_of, to_time, uid_of
from . import images

VERSION = "v1.32.4"
USUAL_CAPACITY = {"cpu": "4", "ephemeral-storage": "98831908Ki", "memory": "16Gi", "pods": "110"}
EVICTION_RESERVE_KI = 100 * 1024  # the kubelet's memory.available threshold: 100Mi
MOST_IMAGES = 50  # of a node's status, as upstream

SYSTEM, PROCESSOR = "linux", "amd64"
_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
_OURS = frozenset(one[0] for one in _HEALTHY)
_PRESSED = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
}


def _conditions(pressures: Collection[str]) -> Iterator[tuple[str, str, str, str]]:
    for healthy in _HEALTHY:
        yield (healthy[0], "True", *_PRESSED[healthy[0]]) if healthy[0] in pressures else healthy


def node_status(node: Obj, address: str, present: Iterable[str], now: float, pressures: Collection[str] = ()) -> Obj:
    """As it should read now.  `present`: full names of the images on the node; `pressures`: see pressure.py."""
    old = node.get("status") or {}
    capacity = old.get("capacity") or USUAL_CAPACITY
    stamp = to_time(now)
    ours = [{"lastHeartbeatTime": stamp, "lastTransitionTime": _since(node, type_, value) or stamp, "message": message,
             "reason": reason, "status": value, "type": type_}
            for type_, value, reason, message in _conditions(pressures)]
    others = [one for one in old.get("conditions") or () if one.get("type") not in _OURS]
    return {
        **old,
        "addresses": old.get("addresses") or [{"address": address, "type": "InternalIP"},
                                              {"address": name_of(node), "type": "Hostname"}],
        "allocatable": _allocatable(capacity),
        "capacity": capacity,
        "conditions": [*others, *ours],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "images": [{"names": [images.image_id(name), name], "sizeBytes": images.size_bytes(name)}
                   for name in sorted(present, key=images.size_bytes, reverse=True)[:MOST_IMAGES]],
        "nodeInfo": _node_info(node, old.get("nodeInfo") or {}),
    }


def missing_labels(node: Obj) -> dict[str, str]:
    """The labels that a kubelet gives to its node, so far as it has none of that name yet.

    https://kubernetes.io/docs/reference/node/node-labels/
    """
    wanted = {"beta.kubernetes.io/arch": PROCESSOR, "beta.kubernetes.io/os": SYSTEM, "kubernetes.io/arch": PROCESSOR,
              "kubernetes.io/hostname": name_of(node), "kubernetes.io/os": SYSTEM}
    return {label: value for label, value in wanted.items() if label not in labels_of(node)}


def is_registered(node: Obj, pressures: Collection[str] = ()) -> bool:
    """Does the status already say what its kubelet would say (but for the heartbeat)?"""
    status = node.get("status") or {}
    told = {(one.get("type"), one.get("status"), one.get("reason")) for one in status.get("conditions") or ()}
    return told.issuperset((type_, value, reason) for type_, value, reason, _ in _conditions(pressures)) and (
        "allocatable" in status and "addresses" in status and "machineID" in (status.get("nodeInfo") or {}))


def _since(node: Obj, type_: str, value: str) -> str | None:
    found = condition(node, type_)
    return found.get("lastTransitionTime") if found is not None and found.get("status") == value else None


def internal_ip(node: Obj) -> str:
    for one in (node.get("status") or {}).get("addresses") or ():
        if one.get("type") == "InternalIP":
            address: str = one["address"]
            return address
    return ""


def _allocatable(capacity: dict[str, str]) -> dict[str, str]:
    memory_ki = quantities.whole(capacity.get("memory", "0")) // 1024
    if memory_ki <= EVICTION_RESERVE_KI:
        return capacity
    return {**capacity, "memory": f"{memory_ki - EVICTION_RESERVE_KI}Ki"}


def _node_info(node: Obj, given: Obj) -> Obj:
    labels = labels_of(node)
    version = given.get("kubeletVersion") or VERSION
    return {
        "architecture": labels.get("kubernetes.io/arch", PROCESSOR),
        "bootID": _machine_uuid(node, "boot"),
        "containerRuntimeVersion": "containerd://1.7.27",
        "kernelVersion": "6.6.72+",
        "kubeProxyVersion": version,
        "kubeletVersion": version,
        "machineID": _machine_uuid(node, "machine").replace("-", ""),
        "operatingSystem": labels.get("kubernetes.io/os", SYSTEM),
        "osImage": "Container-Optimized OS from Google",
        "systemUUID": _machine_uuid(node, "machine"),
        **{name: value for name, value in given.items() if value},
    }


def _machine_uuid(node: Obj, what: str) -> str:
    digest = hashlib.sha256(f"{uid_of(node)}/{what}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
