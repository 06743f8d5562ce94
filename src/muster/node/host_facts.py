"""What the machine under a real node is: how much it has, and what it calls itself.

https://kubernetes.io/docs/reference/node/node-status/
"""
from __future__ import annotations

import os
import platform
from pathlib import Path

from ..api.objects import Obj
from . import status

REPORTED_DISK = "ephemeral-storage"


def memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def capacity(folder: Path, most_pods: int) -> dict[str, str]:
    """`folder`: on the node's disk."""
    disk = os.statvfs(folder)
    return {"cpu": str(os.cpu_count() or 1), "memory": f"{memory() // 1024}Ki", "pods": str(most_pods),
            REPORTED_DISK: f"{disk.f_blocks * disk.f_frsize // 1024}Ki"}


def node_info(runtime_version: str) -> Obj:
    return {
        "architecture": "amd64", "operatingSystem": "linux",
        "bootID": line("/proc/sys/kernel/random/boot_id"), "machineID": line("/etc/machine-id"),
        "systemUUID": line("/sys/class/dmi/id/product_uuid") or line("/etc/machine-id"),
        "kernelVersion": platform.release(), "osImage": _os_name(),
        "containerRuntimeVersion": f"containerd://{runtime_version}", "kubeletVersion": status.VERSION,
        "kubeProxyVersion": status.VERSION,
    }


def line(path: str) -> str:
    """The only one of a file; "" where there is none."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
