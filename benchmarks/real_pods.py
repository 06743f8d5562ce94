"""What a real node's agent adds to what its runtime takes.  Prints one JSON line a measurement.

    sudo python benchmarks/real_pods.py busybox.tar [--turns 20] [--burst 30] [--idle 60]

busybox.tar is made by tools/busybox_image.py.  One node, one server as users start it.  In turns, so that a busy
machine is as busy for both, each starts a pod: the bare calls (RunPodSandbox, CreateContainer, StartContainer) straight
to the node's containerd, and the agent, from the request that creates the pod until a watch says that it runs.  `ratio`
is the one over the other, turn by turn.  Then many pods at once; then nothing at all, with those pods and without.  CPU
time is that of the server's process, beside what containerd, its shims and the pods take (the node's control group).
"""
from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from muster.api.errors import NotFound
from muster.api.objects import Key, Obj
from muster.bench.server import Process, data_folder, serving
from muster.client.kubeconfig import read_kubeconfig
from muster.client.remote import RemoteClient
from muster.node import cgroups, pod_groups
from muster.node.cri import configs
from muster.node.cri.client import Runtime
from muster.node.dns_config import DnsConfig
from muster.node.local_nodes import STATE, tag_of

NODE, AT_ONCE, WAIT = "node-1", 4, ["sleep", "100000"]


class Cost(NamedTuple):
    wall_s: float
    server_s: float  # CPU time
    runtime_s: float


def pod(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": NODE, "terminationGracePeriodSeconds": 1, "containers": [
                {"name": "app", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": WAIT}]}}


class Bare:
    """The calls themselves, four sandboxes at a time, as the agent makes them."""

    def __init__(self, tag: str, folder: Path):
        self.runtime = Runtime(str(STATE / tag / NODE / "containerd.sock"))
        self._place = configs.Place(tag, NODE, folder / "bare-logs", 1 << 34, folder)
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._sandboxes: list[str] = []

    async def start(self, count: int) -> None:
        await asyncio.gather(*(self._start() for _ in range(count)))

    async def _start(self) -> None:
        uid = str(uuid.uuid4())
        one = pod(f"bare-{uid[:8]}")
        one["metadata"]["uid"] = uid
        configs.log_folder(self._place, one).mkdir(parents=True)
        sandbox = configs.sandbox(one, self._place, DnsConfig(("10.96.0.10",), ("svc.cluster.local",), ()), 0)
        async with self._at_once:
            made = await self.runtime.call("RunPodSandbox", config=sandbox)
        self._sandboxes.append(made.pod_sandbox_id)
        config = configs.container(one, one["spec"]["containers"][0], self._place, attempt=0, command=WAIT, args=(),
                                   env=(), image="docker.io/library/busybox:latest", mounts=())
        container = await self.runtime.call("CreateContainer", pod_sandbox_id=made.pod_sandbox_id, config=config,
                                            sandbox_config=sandbox)
        async with self._at_once:
            await self.runtime.call("StartContainer", container_id=container.container_id)

    async def end(self) -> None:
        for id_ in self._sandboxes:
            await self.runtime.call("StopPodSandbox", pod_sandbox_id=id_)
            await self.runtime.call("RemovePodSandbox", pod_sandbox_id=id_)
        self._sandboxes.clear()


class Agent:
    """Through the server, as everybody else."""

    def __init__(self, client: RemoteClient):
        self._client = client
        self._started = 0
        self._names: set[str] = set()
        self._awaited: set[str] = set()
        self._holds: Callable[[Obj | None], bool] = lambda seen: False
        self._done = asyncio.Event()

    async def follow(self) -> None:
        """One watch for all that comes."""
        async for changes in self._client.follow("pods", (await self._client.list("pods")).revision):
            for change in changes:
                if change.key.name in self._awaited and self._holds(change.value):
                    self._awaited.discard(change.key.name)
                    if not self._awaited:
                        self._done.set()

    async def start(self, count: int) -> None:
        names = {f"pod-{self._started + n}" for n in range(count)}
        self._started += count
        self._names |= names
        waiting = self._until(names, lambda seen: seen is not None and _runs(seen))
        await asyncio.gather(waiting, *(self._client.create(pod(name)) for name in sorted(names)))

    async def end(self) -> None:
        names, self._names = self._names, set()
        waiting = self._until(names, lambda seen: seen is None)
        await asyncio.gather(waiting, *(self._client.delete(Key("pods", "default", name)) for name in sorted(names)))

    def _until(self, names: set[str], holds: Callable[[Obj | None], bool]) -> Awaitable[Any]:
        self._awaited, self._holds = set(names), holds
        self._done.clear()
        return self._done.wait()


def _runs(seen: Obj) -> bool:
    return any("running" in one["state"] for one in seen.get("status", {}).get("containerStatuses", ()))


class Costs:
    def __init__(self, server: Process, group: str):
        self._server, self._group = server, group

    async def of(self, work: Callable[[], Awaitable[Any]]) -> Cost:
        before, began = self._look(), time.perf_counter()
        await work()
        took, after = time.perf_counter() - began, self._look()
        return Cost(took, after[0] - before[0], after[1] - before[1])

    def _look(self) -> tuple[float, float]:
        use = cgroups.here().use(self._group)
        return self._server.cpu_s() or 0.0, use.cpu_ns / 1e9 if use is not None else 0.0


async def measure(asked: argparse.Namespace, data: Path, server: Process) -> None:
    tag = tag_of(data)
    client = RemoteClient(read_kubeconfig(data / "kubeconfig"))
    bare, agent = Bare(tag, data), Agent(client)
    costs = Costs(server, pod_groups.of_node(tag, NODE))
    following = asyncio.create_task(agent.follow())
    await _account(client)
    for count, turns in ((1, asked.turns), (asked.burst, max(1, asked.turns // 5))):
        taken: dict[str, list[Cost]] = {"bare": [], "agent": []}
        for turn in range(turns + 1):
            for name, party in (("bare", bare), ("agent", agent)):
                taken[name].append(await costs.of(partial(party.start, count)))
                await party.end()
                await server.settled()
            if turn == 0:
                taken = {"bare": [], "agent": []}  # the first of all loads programs
        tell("start", pods=count, turns=turns, **figures(taken, count))
    empty = await costs.of(lambda: asyncio.sleep(asked.idle))
    await agent.start(asked.burst)
    await server.settled()
    full = await costs.of(lambda: asyncio.sleep(asked.idle))
    tell("idle", pods=asked.burst, seconds=asked.idle, server_share=full.server_s / full.wall_s,
         server_share_without_pods=empty.server_s / empty.wall_s, runtime_share=full.runtime_s / full.wall_s)
    await agent.end()
    following.cancel()
    await client.close()


async def _account(client: RemoteClient) -> None:
    """Pods wait for it."""
    while True:
        with contextlib.suppress(NotFound):
            await client.get(Key("serviceaccounts", "default", "default"))
            return
        await asyncio.sleep(0.05)


def figures(taken: dict[str, list[Cost]], count: int) -> dict[str, Any]:
    bare, agent = taken["bare"], taken["agent"]
    return {"bare_ms": 1e3 * statistics.median(one.wall_s for one in bare),
            "agent_ms": 1e3 * statistics.median(one.wall_s for one in agent),
            "ratio": statistics.median(ours.wall_s / theirs.wall_s for ours, theirs in zip(agent, bare, strict=True)),
            "server_cpu_ms_a_pod": 1e3 * statistics.mean(one.server_s for one in agent) / count,
            "runtime_cpu_ms_a_pod": {name: 1e3 * statistics.mean(one.runtime_s for one in costs) / count
                                     for name, costs in taken.items()}}


def tell(what: str, **figures: Any) -> None:
    print(json.dumps({"measured": what, **_short(figures)}), flush=True)


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    return {name: _short(one) for name, one in value.items()} if isinstance(value, dict) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--burst", type=int, default=30)
    parser.add_argument("--idle", type=float, default=60)
    asked = parser.parse_args()
    arguments = ("--runtime", "containers", "--nodes", "1", "--load-image", str(asked.image.absolute()))
    with data_folder() as data, serving(data, arguments) as process:
        asyncio.run(measure(asked, data, Process(process.pid)))


if __name__ == "__main__":
    main()
