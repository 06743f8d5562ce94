"""The kernel's control groups in both versions: made, limited, measured and removed by name ("/muster-1a2b/node-1").

    version 1    one hierarchy for each controller (/sys/fs/cgroup/cpu, .../memory, ...), and a group in each
    version 2    one hierarchy; a group has the controllers that its parent hands down

Which group holds what is for pod_groups.py to say.
https://docs.kernel.org/admin-guide/cgroup-v2.html   https://docs.kernel.org/admin-guide/cgroup-v1/
"""
from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

TRIES, RETRY_S = 20, 0.05
PERIOD_US = 100_000
CPU, CPU_TIME, MEMORY, PROCESSES = "cpu", "cpuacct", "memory", "pids"
LIMITED = (CPU, MEMORY, PROCESSES)
MEASURED = (CPU_TIME, MEMORY, PROCESSES)
LEAST_SHARES, MOST_SHARES, MOST_WEIGHT = 2, 262_144, 10_000
UNLIMITED = -1


class Limits(NamedTuple):
    """What a group may take.  None: of that nothing is said."""

    cpu_shares: int | None = None
    cpu_quota_us: int | None = None  # in each period of 100 ms
    memory: int | None = None  # bytes
    processes: int | None = None


class GroupUse(NamedTuple):
    cpu_ns: int  # since the group was made
    memory: int  # bytes, without what of files can be dropped at once: the working set
    processes: int


class Cgroups:
    """`controllers`: where the hierarchy of each is mounted; `unified`: are they all one?"""

    def __init__(self, controllers: Mapping[str, Path], roots: tuple[Path, ...], unified: bool):
        self.controllers, self.roots, self.is_unified = controllers, roots, unified

    # ------------------------------------------------------------------ made and limited

    def make(self, name: str, limits: Limits = Limits()) -> None:
        """Raises OSError.  One that is there already is only limited."""
        if self.is_unified:
            self._hand_down(name)
        for root in self._of(*LIMITED, *MEASURED):
            _folder(root, name).mkdir(mode=0o755, parents=True, exist_ok=True)
        self.limit(name, limits)

    def limit(self, name: str, limits: Limits) -> None:
        """Raises OSError."""
        for controller, file, value in self._files(limits):
            root = self.controllers.get(controller)
            if root is not None:
                _write(_folder(root, name) / file, value)

    def _files(self, limits: Limits) -> Iterator[tuple[str, str, str]]:
        shares, quota, memory, processes = limits
        if self.is_unified:
            if shares is not None:
                yield CPU, "cpu.weight", str(weight(shares))
            if quota is not None:
                yield CPU, "cpu.max", f"{'max' if quota == UNLIMITED else quota} {PERIOD_US}"
            if memory is not None:
                yield MEMORY, "memory.max", "max" if memory == UNLIMITED else str(memory)
        else:
            if shares is not None:
                yield CPU, "cpu.shares", str(shares)
            if quota is not None:
                yield CPU, "cpu.cfs_period_us", str(PERIOD_US)
                yield CPU, "cpu.cfs_quota_us", str(quota)
            if memory is not None:
                yield MEMORY, "memory.limit_in_bytes", str(memory)
        if processes is not None:
            yield PROCESSES, "pids.max", "max" if processes == UNLIMITED else str(processes)

    def _hand_down(self, name: str) -> None:
        """Every group on the way to this one lets those below it have what it has."""
        folder = self.roots[0]
        for word in name.strip("/").split("/"):
            there = set((folder / "cgroup.controllers").read_text().split())
            given = set((folder / "cgroup.subtree_control").read_text().split())
            for one in sorted(there - given):
                try:
                    _write(folder / "cgroup.subtree_control", f"+{one}")
                except OSError:  # real-time processes, for one, keep a machine from handing all of them down
                    if one in LIMITED:
                        raise
            folder = folder / word
            folder.mkdir(mode=0o755, exist_ok=True)

    def join(self, name: str, pid: int) -> None:
        """The process, and whatever it starts from now on.  Raises OSError."""
        for root in self._of(*LIMITED, *MEASURED):
            _write(_folder(root, name) / "cgroup.procs", str(pid))

    # ------------------------------------------------------------------ looked at

    def exists(self, name: str) -> bool:
        return any(_folder(root, name).is_dir() for root in self.roots)

    def use(self, name: str) -> GroupUse | None:
        """None: it is not there."""
        try:
            if self.is_unified:
                folder = _folder(self.roots[0], name)
                cpu_ns = 1000 * _field(folder / "cpu.stat", "usage_usec")
                memory = _number(folder / "memory.current") - _field(folder / "memory.stat", "inactive_file")
                return GroupUse(cpu_ns, max(0, memory), _number(folder / "pids.current"))
            cpu, held = self._at(CPU_TIME, name), self._at(MEMORY, name)
            memory = _number(held / "memory.usage_in_bytes") - _field(held / "memory.stat", "total_inactive_file")
            there = _number(self._at(PROCESSES, name) / "pids.current") if PROCESSES in self.controllers else 0
            return GroupUse(_number(cpu / "cpuacct.usage"), max(0, memory), there)
        except (OSError, KeyError, ValueError):
            return None

    def _at(self, controller: str, name: str) -> Path:
        return _folder(self.controllers[controller], name)

    def below(self, name: str) -> list[str]:
        """The names of the groups in it."""
        found: set[str] = set()
        for root in self.roots:
            with contextlib.suppress(OSError):
                found.update(entry.name for entry in os.scandir(_folder(root, name)) if entry.is_dir())
        return sorted(found)

    def processes(self, name: str) -> list[int]:
        found: set[int] = set()
        for folder in self._all(name):
            with contextlib.suppress(OSError, ValueError):
                found.update(int(word) for word in (folder / "cgroup.procs").read_text().split())
        return sorted(found)

    # ------------------------------------------------------------------ removed

    async def remove(self, name: str) -> bool:
        """Takes the group and those within away; False where processes hold it."""
        for _ in range(TRIES):
            left = [folder for folder in self._all(name) if not _removed(folder)]
            if not left:
                return True
            await asyncio.sleep(RETRY_S)
        return False

    def _all(self, name: str) -> Iterator[Path]:
        """The innermost first."""
        for root in self.roots:
            top = _folder(root, name)
            if top.is_dir():
                for folder, _, _ in os.walk(top, topdown=False):
                    yield Path(folder)

    def _of(self, *controllers: str) -> list[Path]:
        """Their hierarchies, each once."""
        return list(dict.fromkeys(self.controllers[one] for one in controllers if one in self.controllers))


@lru_cache(maxsize=1)
def here() -> Cgroups:
    """Of this machine."""
    return mounted(Path("/proc/self/mountinfo").read_text())


def mounted(mountinfo: str) -> Cgroups:
    """As the kernel lists what is mounted.  Both versions side by side: the controllers are those of the first."""
    controllers: dict[str, Path] = {}
    roots: list[Path] = []
    unified: Path | None = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        root, (kind, _, options) = Path(before.split(" ")[4]), after.split(" ", 2)
        if kind == "cgroup":
            roots.append(root)
            controllers.update((option, root) for option in options.split(",") if "=" not in option)
        elif kind == "cgroup2":
            roots.append(root)
            unified = root
    if MEMORY not in controllers and unified is not None:
        return Cgroups(dict.fromkeys((CPU, CPU_TIME, MEMORY, PROCESSES), unified), (unified,), True)
    return Cgroups(controllers, tuple(roots), False)


def weight(shares: int) -> int:
    """Of version 2: 2..262144 shares are 1..10000."""
    return 1 + (shares - LEAST_SHARES) * (MOST_WEIGHT - 1) // (MOST_SHARES - LEAST_SHARES)


def _folder(root: Path, name: str) -> Path:
    return root / name.strip("/")


def _write(file: Path, value: str) -> None:
    if _reads(file) != value:
        file.write_text(value)


def _reads(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _number(file: Path) -> int:
    return int(file.read_text())


def _field(file: Path, name: str) -> int:
    """Of a file of lines, each a name and a number."""
    for line in file.read_text().splitlines():
        if line.startswith(f"{name} "):
            return int(line[len(name) + 1:])
    raise KeyError(name)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
