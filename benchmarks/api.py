"""How much the API serves: over TLS, from a client in a process of its own.

    python benchmarks/api.py [--seconds 1] [--connections 32] [--pods 1000] [--watchers 1000] [--events 10]

One JSON line a measure: requests a second, how long one took (p50, p99 in ms), and the CPU seconds that server
and client spent.  `server_cpu_us` is what one request (one event of a watch) costs the server; where `client_share`
(of one core) is near 1 the client is what was measured, not the server: on a small machine the two also take each
other's time.  ConfigMaps of about 1 KB are created, read and replaced; a LIST is of --pods pods, whole; for the
fan-out each of --watchers connections watches ConfigMaps of one namespace, and each is told of every change.
"""
from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop
from measured.server import NO_DELAYS, NO_LONGER_THAN_S, Server, objects, say, serving

from muster.api.objects import Key, Obj, at
from muster.client.connections import Pool
from muster.client.kubeconfig import read_kubeconfig

SPACE = "/api/v1/namespaces/default/configmaps"
JSON = {"accept": "application/json", "content-type": "application/json"}
DATA = {f"setting-{number}": f"value number {number} of this map" for number in range(24)}
CONNECT_TOGETHER = 50


def config_map(name: str, **more: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
            "data": {**DATA, **more}}


def daemonset_of(name: str) -> Obj:
    """Pods to list, and nothing else to do."""
    labels = {"app": name}
    container = {"name": "agent", "image": "registry.example/agent:1.2.3",
                 "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": {"memory": "200Mi"}}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}}


class Load:
    """Asks from several connections at once, each one request after another."""

    def __init__(self, server: Server, connections: int, seconds: float):
        self._server, self._connections, self._seconds = server, connections, seconds

    async def measure(self, bench: str, ask: Callable[[int, int], Awaitable[int]], **more: Any) -> None:
        """`ask(connection, turn)` makes one request and returns the status."""
        taken: list[float] = []
        server_cpu_s, client_cpu_s = self._server.cpu_s(), time.process_time()
        began = time.perf_counter()

        async def one(connection: int) -> None:
            turn = 0
            while (asked := time.perf_counter()) < began + self._seconds:
                status = await ask(connection, turn)
                if status >= 300:
                    raise SystemExit(f"{bench}: the server answered {status}")
                taken.append(time.perf_counter() - asked)
                turn += 1

        await asyncio.gather(*(one(number) for number in range(self._connections)))
        wall_s = time.perf_counter() - began
        taken.sort()
        server_cpu_s = self._server.cpu_s() - server_cpu_s
        say(bench=bench, connections=self._connections, requests=len(taken), per_s=round(len(taken) / wall_s),
            p50_ms=taken[len(taken) // 2] * 1e3, p99_ms=taken[int(len(taken) * 0.99)] * 1e3,
            server_cpu_us=round(server_cpu_s / len(taken) * 1e6), server_share=server_cpu_s / wall_s,
            client_share=(time.process_time() - client_cpu_s) / wall_s, **more)


async def config_maps(server: Server, load: Load) -> None:
    ask = server.client.request

    async def create(connection: int, turn: int) -> int:
        body = orjson.dumps(config_map(f"map-{connection}-{turn}"))
        return (await ask("POST", SPACE, body, JSON))[0]

    async def read(connection: int, turn: int) -> int:
        return (await ask("GET", f"{SPACE}/map-{connection}-0", b"", JSON))[0]

    async def replace(connection: int, turn: int) -> int:
        body = orjson.dumps(config_map(f"map-{connection}-0", turn=str(turn)))
        return (await ask("PUT", f"{SPACE}/map-{connection}-0", body, JSON))[0]

    await load.measure("api create configmap", create)
    await load.measure("api get configmap", read)
    await load.measure("api update configmap", replace)


async def lists(server: Server, load: Load, pods: int) -> None:
    client = server.client
    key = Key("daemonsets.apps", "default", "listed")
    await server.nodes_ready(pods)
    await client.create(daemonset_of(key.name))
    async for found in objects(client, key):
        if at(found or {}, "status.numberAvailable", 0) == pods:
            break
    await server.settled()
    size = len((await client.request("GET", "/api/v1/pods", b"", JSON))[2])

    async def whole(connection: int, turn: int) -> int:
        return (await client.request("GET", "/api/v1/pods", b"", JSON))[0]

    await load.measure("api list pods", whole, pods=pods, answer_kb=size >> 10)


async def fan_out(server: Server, watchers: int, events: int) -> None:
    """Every watcher is told of every change; measured from the write to the last watcher's hearing of it."""
    client, connections = server.client, Pool(read_kubeconfig(server.data / "kubeconfig"))
    heard, all_heard = 0, asyncio.Event()
    late: list[float] = []
    written_at = 0.0
    listing = await client.list("configmaps", "default")
    watching = asyncio.Semaphore(CONNECT_TOGETHER)
    target = f"{SPACE}?watch=1&resourceVersion={listing.revision}"

    async def watch(ready: asyncio.Event) -> None:
        nonlocal heard
        async with watching:
            _, chunks = await connections.stream("GET", target, JSON)
        ready.set()
        async for chunk in chunks:
            count = chunk.count(b"\n")
            heard += count
            late.append(time.perf_counter() - written_at)
            if heard >= watchers:
                all_heard.set()

    stands = [asyncio.Event() for _ in range(watchers)]
    tasks = [asyncio.create_task(watch(ready)) for ready in stands]
    async with asyncio.timeout(NO_LONGER_THAN_S):
        await asyncio.gather(*(ready.wait() for ready in stands))
        await server.settled()
        server_cpu_s, client_cpu_s, began = server.cpu_s(), time.process_time(), time.perf_counter()
        for number in range(events):
            heard = 0
            all_heard.clear()
            written_at = time.perf_counter()
            await client.create(config_map(f"told-{number}"))
            await all_heard.wait()
    wall_s, told = time.perf_counter() - began, watchers * events
    server_cpu_s = server.cpu_s() - server_cpu_s
    late.sort()
    say(bench="api watch fan-out", watchers=watchers, events=told, per_s=round(told / wall_s),
        p50_ms=late[len(late) // 2] * 1e3, p99_ms=late[int(len(late) * 0.99)] * 1e3,
        server_cpu_us=round(server_cpu_s / told * 1e6), server_share=server_cpu_s / wall_s,
        client_share=(time.process_time() - client_cpu_s) / wall_s, memory_mb=server.memory_mb("VmRSS"))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await connections.close()


async def run(chosen: argparse.Namespace) -> None:
    arguments = ("--nodes", str(chosen.pods), *NO_DELAYS)
    async with serving(*arguments, directory=chosen.directory) as server:
        await server.nodes_ready(chosen.pods)
        await server.settled()
        load = Load(server, chosen.connections, chosen.seconds)
        await config_maps(server, load)
        await lists(server, load, chosen.pods)
        await fan_out(server, chosen.watchers, chosen.events)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1, help="of each kind of request")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--events", type=int, default=10)
    parser.add_argument("--directory", type=Path, help="where the store lies: the disk is part of the figures")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
