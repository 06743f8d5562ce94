"""A fleet in virtual time over the real registry, and what is seen of its pods: what the tests of its parts stand on."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Key, Obj, at
from muster.api.schema import Schema
from muster.bootstrap import NAMESPACES
from muster.client.local import LocalClient
from muster.client.mirror import Mirror
from muster.clock import Clock, run_virtual
from muster.control.plan import Tell
from muster.control.runtime import Runtime
from muster.controllers import node_pool
from muster.node.fleet import Fleet
from muster.server.registry import Registry
from muster.store.memory import MemoryStore

POOLS = "nodepools.muster.dev"
SCHEMA = Schema.load()
INSTANT = {"pull": "0s", "start": "0s", "ready": "0s", "stop": "0s", "missingImages": []}


@dataclass
class World:
    """A cluster without a scheduler: the pods of these tests name their node."""

    clock: Clock
    store: MemoryStore = field(default_factory=MemoryStore)
    told: list[Tell] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # what `kubectl get pods -w` would be woken by

    phases: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kinds = Kinds(BUILT_IN)
        self.registry = Registry(self.store, self.kinds, SCHEMA, self.clock)
        self.client = LocalClient(self.registry, "system:muster")
        self.begin()

    def begin(self) -> None:
        """A new process over the same store."""
        self.mirror = Mirror(self.client, ["nodes", "pods", POOLS, "leases.coordination.k8s.io"])
        self.fleet = Fleet(self.client, self.mirror, self.clock, self.told.append)
        self.pools = Runtime(node_pool.controller, self.mirror, self.client, self.clock, self.kinds, self.told.append)
        self.mirror.on_change(self._note)
        self.tasks = [asyncio.create_task(part.run()) for part in (self.mirror, self.pools, self.fleet)]

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _note(self, change) -> None:  # type: ignore[no-untyped-def]
        if change.key.resource == "pods":
            self.lines.append(seen(change.value) if change.value is not None else "gone")
            self.phases.append(change.value["status"]["phase"] if change.value is not None else "gone")

    async def pool(self, replicas: int, behaviour: Obj = INSTANT, name: str = "default-pool") -> Sequence[Obj]:
        await self.client.create({"apiVersion": "muster.dev/v1alpha1", "kind": "NodePool", "metadata": {"name": name},
                                  "spec": {"replicas": replicas, "behaviour": behaviour}})
        await asyncio.sleep(5)
        return (await self.client.list("nodes")).items

    async def pod(self, name: str, node: str, *, spec: Obj | None = None, annotations: Obj | None = None,
                  container: Obj | None = None) -> Key:
        await self.client.create({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "annotations": annotations or {}},
            "spec": {"nodeName": node, "containers": [{"name": "app", "image": "nginx:1.27", **(container or {})}],
                     **(spec or {})}})
        return Key("pods", "default", name)

    def get(self, key: Key) -> Obj:
        found = self.mirror.get(key)
        assert found is not None, f"{key} is gone"
        return found

    def events(self) -> list[str]:
        return [f"{tell.reason}: {tell.message}" for tell in self.told]


def seen(pod: Obj) -> str:
    """READY and STATUS, roughly as kubectl prints them."""
    statuses = at(pod, "status.containerStatuses", [])
    ready = f"{sum(one['ready'] for one in statuses)}/{len(pod['spec']['containers'])}"
    state = statuses[0]["state"] if statuses else {}
    reason = next((one.get("reason") for one in state.values() if one.get("reason")), None)
    text = reason or at(pod, "status.reason") or at(pod, "status.phase")
    if pod["metadata"].get("deletionTimestamp") and at(pod, "status.phase") not in ("Succeeded", "Failed"):
        text = "Terminating"
    return f"{ready} {text}"


def story(tell: Callable[[World], Awaitable[None]], seed: int = 0) -> None:
    async def main(clock: Clock) -> None:
        world = World(clock)
        for name in NAMESPACES:
            await world.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for name in ("default", "kube-node-lease"):
            await world.client.create({"apiVersion": "v1", "kind": "ServiceAccount",
                                       "metadata": {"name": "default", "namespace": name}})
        try:
            await tell(world)
        finally:
            await world.end()
    run_virtual(main, seed=seed)
