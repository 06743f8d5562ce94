"""A real registry over the memory store, with the namespaces and accounts that a test needs."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.kinds.kind import Kind
from muster.api.objects import Obj
from muster.api.schema import Schema
from muster.clock import Clock, run_virtual
from muster.server.identity import component
from muster.server.registry import DeleteOptions, PatchBody, Registry, WriteOptions, Written
from muster.store.memory import MemoryStore
from muster.store.store import Store

T = TypeVar("T")
SCHEMA = Schema.load()
TESTER = component("tester")
OPTIONS = WriteOptions(TESTER)


class Cluster:
    def __init__(self, clock: Clock, keep: int = 1000):
        self.clock = clock
        self.use(MemoryStore(keep=keep))

    def use(self, store: Store) -> None:
        self.store = store
        self.registry = Registry(store, Kinds(BUILT_IN), SCHEMA, self.clock)

    def kind(self, resource: str) -> Kind:
        return self.registry.kinds.resource(resource)

    async def create(self, obj: Obj, **options: Any) -> Obj:
        return (await self.written(obj, **options)).snapshot.value

    async def written(self, obj: Obj, **options: Any) -> Written:
        kind = self.registry.kinds.named(obj["apiVersion"], obj["kind"])
        assert kind is not None
        namespace = obj["metadata"].get("namespace", "default") if kind.namespaced else ""
        return await self.registry.create(kind, namespace, obj, WriteOptions(TESTER, **options))

    async def update(self, resource: str, obj: Obj, subresource: str = "", **options: Any) -> Obj:
        meta = obj["metadata"]
        written = await self.registry.update(self.kind(resource), meta.get("namespace", ""), meta["name"], obj,
                                             WriteOptions(TESTER, **options), subresource)
        return written.snapshot.value

    async def patch(self, resource: str, name: str, body: Any, how: Any = "merge", subresource: str = "",
                    **options: Any) -> Obj:
        kind = self.kind(resource)
        written = await self.registry.patch(kind, "default" if kind.namespaced else "", name, PatchBody(how, body),
                                            WriteOptions(TESTER, **options), subresource)
        return written.snapshot.value

    async def delete(self, resource: str, name: str, **options: Any) -> Any:
        kind = self.kind(resource)
        return await self.registry.delete(kind, "default" if kind.namespaced else "", name, DeleteOptions(**options),
                                          TESTER)

    def get(self, resource: str, name: str, namespace: str = "default") -> Obj | None:
        found = self.store.get(self.kind(resource).key(namespace, name))
        return found.value if found is not None else None


def in_cluster(test: Callable[[Cluster], Awaitable[T]], *, keep: int = 1000) -> T:
    """Runs `test(cluster)` in virtual time, with the namespace "default" and its account."""
    async def main(clock: Clock) -> T:
        cluster = Cluster(clock, keep)
        await cluster.create(namespace("default"))
        await cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
        return await test(cluster)
    return run_virtual(main)


def namespace(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config(name: str, namespace: str = "default", **metadata: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, **metadata}, "data": {"a": "1"}}


def pod(name: str = "web", *, node: str = "", **spec: Any) -> Obj:
    bound = {"nodeName": node} if node else {}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}], **bound, **spec}}


def daemonset(name: str = "agent", **metadata: Any) -> Obj:
    return {"apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": name, "namespace": "default", **metadata},
            "spec": {"selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}}}
