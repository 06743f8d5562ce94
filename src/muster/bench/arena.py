"""Where a family of benches is measured: the server, the one client, and what is counted around a piece of work.

The server is one that was started for this (`server` is its process), or any other that a kubeconfig leads to.
Everything is made in a namespace of its own, which is deleted again where the server stays.
"""
from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..api.errors import AlreadyExists, BadRequest, NotFound
from ..api.objects import Key
from ..client.kubeconfig import Kubeconfig, read_kubeconfig
from ..client.remote import RemoteClient
from .figures import Figures
from .line import Place
from .server import (
    NO_DELAYS,
    NO_LONGER_THAN_S,
    Process,
    Tallies,
    data_folder,
    nodes_ready,
    serving,
    states,
    tallies,
)

NAMESPACE = "muster-bench"
# What a server puts into every new namespace, by and by.
FURNITURE = (Key("serviceaccounts", NAMESPACE, "default"), Key("configmaps", NAMESPACE, "kube-root-ca.crt"))
FURNISHED_WITHIN_S = 10.0
TOLD_EVERY_S = 0.1

Show = Callable[[str, float], None]  # what is being done, and how much of it is (0 to 1)


@dataclass(frozen=True, slots=True)
class _Look:
    at_s: float
    server_cpu_s: float | None
    client_cpu_s: float


@dataclass(frozen=True, slots=True)
class _Counts:
    writes: int  # ever: the revision
    tallies: Tallies


class Arena:
    def __init__(self, config: Kubeconfig, server: Process | None, *, nodes: int, connections: int, seconds: float,
                 show: Show):
        self.place = Place(config)
        self.client = RemoteClient(config)
        self.server, self.nodes, self.connections, self.seconds = server, nodes, connections, seconds
        self._show, self._shown_at = show, 0.0

    def show(self, what: str, share: float) -> None:
        if (now := time.perf_counter()) - self._shown_at >= TOLD_EVERY_S:
            self._shown_at = now
            self._show(what, min(share, 1.0))

    async def nodes_ready(self) -> None:
        await nodes_ready(self.client, self.nodes)

    async def settled(self) -> None:
        await (self.server or Process(-1)).settled()

    async def measure(self, bench: str, work: Callable[[], Awaitable[Figures]]) -> Figures:
        """What `work` took and cost, with what it tells itself; then, once the server is at rest again, what the
        events that describe it have cost as well (`settled_`).  `own_writes` that work tells of are not counted."""
        self._show(bench, 0.0)
        counted = await self._counts()
        began = self._look()
        async with asyncio.timeout(NO_LONGER_THAN_S):
            told = await work()
        ended = self._look()
        done = await self._counts()
        await self.settled()
        wall_s, client_cpu_s = ended.at_s - began.at_s, ended.client_cpu_s - began.client_cpu_s
        probes = told.pop("own_writes", 0)
        figures: Figures = {"bench": bench, "nodes": self.nodes, "wall_s": wall_s, **told}
        if began.server_cpu_s is not None and ended.server_cpu_s is not None:
            figures["server_cpu_s"] = ended.server_cpu_s - began.server_cpu_s
            figures["server_share"] = figures["server_cpu_s"] / wall_s
        figures |= {"client_cpu_s": client_cpu_s, "client_share": client_cpu_s / wall_s}
        if self.server is not None:
            if (peak := self.server.memory_mb()) is not None:
                figures["peak_rss_mb"] = peak
            figures["writes"] = done.writes - counted.writes - probes
            figures["settled_writes"] = (await self._counts()).writes - counted.writes - probes
            if began.server_cpu_s is not None:
                figures["settled_server_cpu_s"] = (self.server.cpu_s() or 0.0) - began.server_cpu_s
            figures |= _decided(counted.tallies, done.tallies)
        return figures

    def _look(self) -> _Look:
        return _Look(time.perf_counter(), self.server.cpu_s() if self.server else None, time.process_time())

    async def _counts(self) -> _Counts:
        """Nothing of a server that is not ours."""
        if self.server is None:
            return _Counts(0, {})
        return _Counts((await self.client.list("nodepools.muster.dev")).revision, await tallies(self.client))


def _decided(before: Tallies, after: Tallies) -> Figures:
    """How often controllers decided, and how many objects they looked at to do so."""
    did: dict[str, Mapping[str, int]] = {}
    for controller, counts in sorted(after.items()):
        since = {what: count - before.get(controller, {}).get(what, 0) for what, count in counts.items()}
        if any(since.values()):
            did[controller] = since
    return {"plans": sum(counts.get("plans", 0) for counts in did.values()),
            "examined": sum(counts.get("looked_at", 0) for counts in did.values()),
            "controllers": did}


def arena_of(data: Path, pid: int, *, nodes: int, connections: int, seconds: float, show: Show) -> Arena:
    """The server of that process, whose folder is `data`."""
    return Arena(read_kubeconfig(data / "kubeconfig"), Process(pid), nodes=nodes, connections=connections,
                 seconds=seconds, show=show)


@contextlib.asynccontextmanager
async def own_arena(*, nodes: int, connections: int, seconds: float, show: Show) -> AsyncIterator[Arena]:
    """A server of our own with that many nodes, ready and at rest."""
    show("starting a server", 0.0)
    with data_folder() as data, serving(data, ("--nodes", str(nodes), *NO_DELAYS)) as process:
        arena = arena_of(data, process.pid, nodes=nodes, connections=connections, seconds=seconds, show=show)
        show(f"waiting for {nodes} nodes", 0.0)
        await arena.nodes_ready()
        await open_namespace(arena.client)
        await arena.settled()
        yield arena
        await arena.client.close()


@contextlib.asynccontextmanager
async def other_arena(kubeconfig: Path, *, nodes: int, connections: int, seconds: float,
                      show: Show) -> AsyncIterator[Arena]:
    """The server that a kubeconfig leads to, with the nodes that it has."""
    config = read_kubeconfig(kubeconfig)
    arena = Arena(config, None, nodes=nodes, connections=connections, seconds=seconds, show=show)
    there = len((await arena.client.list("nodes")).items)
    if nodes not in (0, there):
        raise BadRequest(f"--nodes {nodes}: the server at {config.server} has {there} nodes, and only a server that "
                         "`muster bench` starts itself can be given others (by a NodePool)")
    arena.nodes = there
    try:
        await open_namespace(arena.client)
    except AlreadyExists:
        raise BadRequest(f"the server at {config.server} has a namespace {NAMESPACE} already: another bench is at "
                         f"work, or was interrupted; then delete it: kubectl delete ns {NAMESPACE}") from None
    try:
        yield arena
    finally:
        show("tidying up", 1.0)
        await _close_namespace(arena.client)
        await arena.client.close()


async def open_namespace(client: RemoteClient) -> None:
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FURNISHED_WITHIN_S):
            for key in FURNITURE:
                async for found in states(client, key):
                    if found is not None:
                        break


async def _close_namespace(client: RemoteClient) -> None:
    key = Key("namespaces", "", NAMESPACE)
    with contextlib.suppress(NotFound, TimeoutError):
        async with asyncio.timeout(NO_LONGER_THAN_S):
            await client.delete(key)
            async for found in states(client, key):
                if found is None:
                    break
