"""What the machine under a real node is: how much it has, and what it calls itself.

https://kubernetes.io/docs/reference/node/node-status/
"""
from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple

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


class Room(NamedTuple):
    """What a file system has, in bytes and in inodes."""

    available: int
    capacity: int
    free_inodes: int
    inodes: int


def room(folder: Path) -> Room:
    disk = os.statvfs(folder)
    return Room(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize, disk.f_favail, disk.f_files)


def free_memory() -> int:
    """Bytes that could be had at once: also what of files can be dropped."""
    found = {name: int(rest.split()[0]) * 1024 for name, _, rest in
             (text.partition(":") for text in Path("/proc/meminfo").read_text().splitlines())}
    return found["MemFree"] + found["Inactive(file)"]


def process_room() -> tuple[int, int]:
    """How many more processes (and threads) there can be, and how many in all."""
    most = min(int(line("/proc/sys/kernel/pid_max") or 0), int(line("/proc/sys/kernel/threads-max") or 0))
    there = int(line("/proc/loadavg").split()[3].rpartition("/")[2])
    return most - there, most


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
