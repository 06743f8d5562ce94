"""The `muster up` that is measured: a process of its own, as users start it, and what it has cost so far.

CPU and memory are read from outside (/proc, so on Linux alone), writes and decisions are asked of the server: the
revision counts writes, /metrics tells what each controller did.  Of another server than ours only what it says is
known; the rest is left out of the figures.
"""
from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

from ..api.errors import Unavailable
from ..api.objects import Key, Obj, at, name_of, namespace_of
from ..client.client import Client
from ..client.remote import RemoteClient

NO_DELAYS = ("--pull", "0s", "--start", "0s", "--ready", "0s", "--stop", "0s")
NO_LONGER_THAN_S = 900.0
STOP_WITHIN_S = 15.0
POOL = Key("nodepools.muster.dev", "", "default-pool")
QUIET_S, QUIET_CPU = 0.5, 0.15  # settled: so long at less than this share of one core
QUIET_UNSEEN_S = 1.0  # instead, where its CPU time can not be seen
_COUNTED = re.compile(r'^muster_controller_(\w+)_total\{controller="([^"]+)"\} (\S+)$', re.MULTILINE)

Tallies = dict[str, dict[str, int]]  # controller -> what -> how often


class Process:
    """What an operating system's process takes."""

    def __init__(self, pid: int):
        self._folder = Path("/proc") / str(pid)

    def cpu_s(self) -> float | None:
        """User and system time, of all its threads."""
        try:
            after_name = (self._folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, what: str = "VmHWM") -> float | None:
        """VmHWM is the most it ever had, VmRSS what it has now."""
        try:
            lines = (self._folder / "status").read_text().splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(what + ":")), None)

    async def settled(self) -> None:
        """Until it has nothing more to do but heartbeats."""
        if self.cpu_s() is None:
            await asyncio.sleep(QUIET_UNSEEN_S)
            return
        async with asyncio.timeout(NO_LONGER_THAN_S):
            quiet_since, spent = time.perf_counter(), self.cpu_s() or 0.0
            while (now := time.perf_counter()) - quiet_since < QUIET_S:
                await asyncio.sleep(0.1)
                if (self.cpu_s() or 0.0) - spent > QUIET_CPU * QUIET_S:
                    quiet_since, spent = now, self.cpu_s() or 0.0


async def tallies(client: RemoteClient) -> Tallies:
    """What each controller has done so far; empty where /metrics does not say."""
    status, _, body = await client.request("GET", "/metrics")
    found: Tallies = {}
    if status == 200:
        for what, controller, count in _COUNTED.findall(body.decode()):
            found.setdefault(controller, {})[what] = int(float(count))
    return found


async def nodes_ready(client: Client, count: int) -> None:
    async with asyncio.timeout(NO_LONGER_THAN_S):
        async for pool in states(client, POOL):
            if at(pool or {}, "status.readyReplicas", 0) >= count:
                return


async def states(client: Client, key: Key) -> AsyncIterator[Obj | None]:
    """The object as it is, and at each change that the watch tells of; None while it is not there."""
    listing = await client.list(key.resource)
    yield next((item for item in listing.items if (namespace_of(item), name_of(item)) == key[1:]), None)
    async for changes in client.follow(key.resource, listing.revision):
        for change in changes:
            if change.key == key:
                yield change.value


@contextlib.contextmanager
def data_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def serving(data: Path, arguments: Iterable[str]) -> Iterator[subprocess.Popen[str]]:
    """A server that has said that it is ready; it is stopped at the end."""
    process = subprocess.Popen([sys.executable, "-m", "muster", "up", "--data-dir", str(data), *arguments],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=as_installed())
    try:
        assert process.stdout is not None
        if "muster is ready" not in process.stdout.readline():
            raise Unavailable("the server that was to be measured did not start; what it said is above")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def as_installed() -> dict[str, str]:
    """The environment, but modules are compiled once: an installer does that, and a checkout should here."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
