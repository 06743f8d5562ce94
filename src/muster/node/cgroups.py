"""The control groups of real pods, in both versions of them: where they are, who is in them, and their removal.

    /muster-<tag>/<node>/kubepods/<quality of service>/pod<uid>

runc makes them as containers start and leaves the pod's own; they go when the pod, or the cluster, does.
https://kubernetes.io/docs/concepts/architecture/cgroups/
"""
from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

TRIES, RETRY_S = 20, 0.05


@lru_cache(maxsize=1)
def roots() -> tuple[Path, ...]:
    """Where each hierarchy is mounted."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split(" ")[0] in ("cgroup", "cgroup2"):
            found.append(Path(before.split(" ")[4]))
    return tuple(found)


def is_unified() -> bool:
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def of_pod(tag: str, node: str, qos: str, uid: str) -> str:
    """The parent of a pod's containers; guaranteed pods are at the top, as the kubelet has them."""
    middle = "" if qos == "Guaranteed" else f"/{qos.lower()}"
    return f"/muster-{tag}/{node}/kubepods{middle}/pod{uid}"


def processes(name: str) -> list[int]:
    found: set[int] = set()
    for folder in _all(name):
        with contextlib.suppress(OSError, ValueError):
            found.update(int(word) for word in (folder / "cgroup.procs").read_text().split())
    return sorted(found)


async def remove(name: str) -> bool:
    """Takes the group and those within away; False where processes hold it."""
    for _ in range(TRIES):
        left = [folder for folder in _all(name) if not _removed(folder)]
        if not left:
            return True
        await asyncio.sleep(RETRY_S)
    return False


def _all(name: str) -> Iterator[Path]:
    """The innermost first."""
    for root in roots():
        top = root / name.strip("/")
        if top.is_dir():
            for folder, _, _ in os.walk(top, topdown=False):
                yield Path(folder)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
