"""A `muster up` in a process of its own, and what it costs: CPU seconds, memory, writes, plans.

Benchmarks measure what users run: the real server over TLS, on SQLite in a temporary folder.  Costs are read
from outside (/proc, so Linux alone) or asked of the server (/metrics, and the revision, which counts writes).
"""
from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.api.objects import Key, Obj, at
from muster.client.kubeconfig import read_kubeconfig
from muster.client.remote import RemoteClient

NO_DELAYS = ("--pull", "0s", "--start", "0s", "--ready", "0s", "--stop", "0s")
NO_LONGER_THAN_S = 600.0
POOL = Key("nodepools.muster.dev", "", "default-pool")
QUIET_S, QUIET_CPU = 0.5, 0.15  # settled: so long at less than this share of one core
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def say(**figures: Any) -> None:
    """One line of JSON, the floats short."""
    print(json.dumps({name: round(value, 3) if isinstance(value, float) else value
                      for name, value in figures.items()}), flush=True)


def medians(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of like measurements: each figure's median; what is no number is as in the first."""
    return {name: statistics.median(run[name] for run in runs) if isinstance(first, int | float) else first
            for name, first in runs[0].items()}


@dataclass(frozen=True)
class Cost:
    at: float
    cpu_s: float
    writes: int  # changes of the store
    plans: int  # of the DaemonSet controller

    def until(self, later: Cost) -> dict[str, Any]:
        return {"wall_s": later.at - self.at, "cpu_s": later.cpu_s - self.cpu_s,
                "writes": later.writes - self.writes, "plans": later.plans - self.plans}


class Server:
    def __init__(self, process: subprocess.Popen[str], data: Path):
        self.process = process
        self.data = data
        self.client = RemoteClient(read_kubeconfig(data / "kubeconfig"))

    def cpu_s(self) -> float:
        """User and system time, of all its threads."""
        after_name = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) * _TICK_S

    def memory_mb(self, what: str = "VmHWM") -> int:
        """VmHWM is the most it ever had, VmRSS what it has now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) >> 10
        raise LookupError(what)

    async def cost(self) -> Cost:
        now, cpu_s = time.perf_counter(), self.cpu_s()
        revision = (await self.client.list(POOL.resource)).revision
        return Cost(now, cpu_s, revision, await self._plans())

    async def _plans(self) -> int:
        _, _, body = await self.client.request("GET", "/metrics")
        for line in body.decode().splitlines():
            if line.startswith('muster_controller_plans') and '"daemonset-controller"' in line:
                return int(float(line.split()[-1]))
        return 0

    async def settled(self) -> None:
        """Until it has nothing more to do but heartbeats.  (Outside of what is measured, so it may look again
        and again.)"""
        async with asyncio.timeout(NO_LONGER_THAN_S):
            quiet_since, spent = time.perf_counter(), self.cpu_s()
            while (now := time.perf_counter()) - quiet_since < QUIET_S:
                await asyncio.sleep(0.1)
                if self.cpu_s() - spent > QUIET_CPU * QUIET_S:
                    quiet_since, spent = now, self.cpu_s()

    async def nodes_ready(self, count: int) -> None:
        async for pool in objects(self.client, POOL):
            if pool is not None and at(pool, "status.readyReplicas", 0) >= count:
                return


async def objects(client: RemoteClient, key: Key) -> AsyncIterator[Obj | None]:
    """The object as it is, and at each change that the watch tells of; None while it is not there."""
    listing = await client.list(key.resource)
    first = [item for item in listing.items if item["metadata"]["name"] == key.name
             and item["metadata"].get("namespace", "") == key.namespace]
    yield first[0] if first else None
    async for changes in client.follow(key.resource, listing.revision):
        for change in changes:
            if change.key == key:
                yield change.value


@contextlib.contextmanager
def data_folder(directory: Path | None = None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="muster-bench-", dir=directory) as folder:
        yield Path(folder)


def as_installed() -> dict[str, str]:
    """The environment, but modules are compiled once: an installer does that, and a checkout should here."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def start(data: Path, arguments: Iterable[str]) -> Server:
    """Returns once it says that it is ready."""
    process = subprocess.Popen([sys.executable, "-m", "muster", "up", "--data-dir", str(data), *arguments],
                               stdout=subprocess.PIPE, text=True, env=as_installed())
    assert process.stdout is not None
    if "muster is ready" not in process.stdout.readline():
        process.wait()
        raise SystemExit("the server did not start")
    return Server(process, data)


def stop(server: Server) -> None:
    server.process.terminate()
    try:
        server.process.wait(15)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


@contextlib.asynccontextmanager
async def serving(*arguments: str, directory: Path | None = None) -> AsyncIterator[Server]:
    with data_folder(directory) as data:
        server = start(data, arguments)
        try:
            yield server
            await server.client.close()
        finally:
            stop(server)
