"""What one DaemonSet on many nodes costs: created, rolled to another image, deleted, and then idle.

    python benchmarks/daemonset.py [--nodes 1000] [--runs 1] [--idle-s 10] [--max-unavailable 10%]

The real server runs beside this (TLS, SQLite, simulated nodes without delays); examples/filebeat-ds.yaml goes
through the client, and the DaemonSet is watched until its status says what is waited for.  One JSON line a
phase: `wall_s`, the server's `cpu_s`, store `writes` and DaemonSet `plans` up to that moment; `settled_cpu_s`
and `settled_writes` once the events that describe it are written as well; `peak_mb` of memory so far.
With --runs, a last line a phase has the medians.
"""
from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml
from measured.server import NO_DELAYS, NO_LONGER_THAN_S, Server, medians, objects, say, serving

from muster.api.objects import Key, Obj, at

MANIFEST = Path(__file__).parents[1] / "examples" / "filebeat-ds.yaml"
AGENT = Key("daemonsets.apps", "kube-system", "filebeat-ds")
NEXT_IMAGE = "docker.elastic.co/beats/filebeat:6.8.12"


def has_landed(daemonset: Obj | None, nodes: int) -> bool:
    """Its status is of today's spec, and every node has an available pod of today's template."""
    if daemonset is None:
        return False
    status = at(daemonset, "status", {})
    counts = [status.get(name, 0) for name in
              ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady",
               "numberAvailable")]
    return counts == [nodes] * 5 and status.get("observedGeneration") == daemonset["metadata"]["generation"]


async def until_landed(server: Server, nodes: int, do: Callable[[], Awaitable[Any]]) -> None:
    async for daemonset in first_then(do, objects(server.client, AGENT)):
        if has_landed(daemonset, nodes):
            return


async def first_then(do: Callable[[], Awaitable[Any]], found: AsyncIterator[Obj | None]) -> AsyncIterator[Obj | None]:
    """What is found after `do`: the watch stands before it begins."""
    await anext(found)
    await do()
    async for obj in found:
        yield obj


async def until_gone(server: Server) -> None:
    listing = await server.client.list("pods")
    left = {item["metadata"]["name"] for item in listing.items}
    await server.client.delete(AGENT, propagation="Background")
    async for changes in server.client.follow("pods", listing.revision):
        left.difference_update(change.key.name for change in changes if change.value is None)
        if not left:
            return


async def measure(server: Server, phase: str, nodes: int, work: Awaitable[None]) -> dict[str, Any]:
    before = await server.cost()
    async with asyncio.timeout(NO_LONGER_THAN_S):
        await work
    done = await server.cost()
    await server.settled()
    settled = before.until(await server.cost())
    figures = {"bench": f"daemonset {phase}", "nodes": nodes, **before.until(done),
               "settled_cpu_s": settled["cpu_s"], "settled_writes": settled["writes"],
               "peak_mb": server.memory_mb()}
    say(**figures)
    return figures


async def idle(server: Server, nodes: int, seconds: float) -> dict[str, Any]:
    before = await server.cost()
    await asyncio.sleep(seconds)
    spent = before.until(await server.cost())
    figures = {"bench": "daemonset idle", "nodes": nodes, "wall_s": spent["wall_s"],
               "cpu_s_per_minute": spent["cpu_s"] * 60 / spent["wall_s"],
               "writes_per_minute": round(spent["writes"] * 60 / spent["wall_s"]),
               "memory_mb": server.memory_mb("VmRSS")}
    say(**figures)
    return figures


async def run(nodes: int, idle_s: float, max_unavailable: str, directory: Path | None) -> list[dict[str, Any]]:
    manifest = yaml.safe_load(MANIFEST.read_text())
    manifest["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": max_unavailable}}
    image = {"spec": {"template": {"spec": {"containers": [{"name": "filebeat", "image": NEXT_IMAGE}]}}}}
    async with serving("--nodes", str(nodes), *NO_DELAYS, directory=directory) as server:
        client = server.client
        await server.nodes_ready(nodes)
        await server.settled()
        figures = [
            await measure(server, "created", nodes, until_landed(server, nodes, lambda: client.create(manifest))),
            await measure(server, "rolled", nodes,
                          until_landed(server, nodes, lambda: client.patch(AGENT, image, how="strategic")))]
        if idle_s:
            figures.append(await idle(server, nodes, idle_s))
        figures.append(await measure(server, "deleted", nodes, until_gone(server)))
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1000])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--idle-s", type=float, default=5, help="how long to watch it doing nothing; 0: not at all")
    parser.add_argument("--max-unavailable", default="10%")
    parser.add_argument("--directory", type=Path, help="where the store lies: the disk is part of the figures")
    chosen = parser.parse_args()
    for nodes in chosen.nodes:
        runs = [asyncio.run(run(nodes, chosen.idle_s, chosen.max_unavailable, chosen.directory))
                for _ in range(chosen.runs)]
        if chosen.runs > 1:
            for phase in zip(*runs, strict=True):
                say(**medians(phase), median_of=chosen.runs)


if __name__ == "__main__":
    main()
