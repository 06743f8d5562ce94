"""A whole cluster in virtual time, and the few words that stories are told with.

Nothing but the time differs from the cluster that `muster up` serves.
"""
from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import orjson

from muster.api.objects import Key, Obj, is_true
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.client.client import Client
from muster.clock import Clock, run_virtual
from muster.store.memory import MemoryStore

T = TypeVar("T")
DAEMONSETS = "daemonsets.apps"
USUAL = {"missingImages": ["*:404"]}


class World(Cluster):
    @property
    def admin(self) -> Client:
        return self.client("kubernetes-admin")


@contextlib.asynccontextmanager
async def at_work(clock: Clock, store: MemoryStore | None = None) -> AsyncIterator[World]:
    """A world that has its first objects."""
    async with running(World(store or MemoryStore(), clock)) as world:
        await world.create_missing(first_objects("127.0.0.1", 6443))
        yield world


def told(story: Callable[[World], Awaitable[T]], seed: int | str = 0) -> T:
    """Runs a story on a new world, to its end."""
    async def main(clock: Clock) -> T:
        async with at_work(clock) as world:
            return await story(world)
    return run_virtual(main, seed=seed)


# ------------------------------------------------------------------ objects

def a_node(name: str, labels: dict[str, str] | None = None, **behaviour: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": name, "labels": labels or {}, "annotations": {
            "muster.dev/simulated": "true", "muster.dev/behaviour": json.dumps({**USUAL, **behaviour})}}}


def a_pod(name: str, namespace: str = "default", cpu: str = "", **spec: Any) -> Obj:
    container: Obj = {"name": "app", "image": "web:1"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
            "spec": {"containers": [container], **spec}}


def a_daemonset(name: str = "agent", namespace: str = "default", image: str = "agent:1", *, cpu: str = "",
                rolling: Obj | None = None, pod_spec: Obj | None = None, annotations: Obj | None = None,
                **spec: Any) -> Obj:
    container: Obj = {"name": "agent", "image": image}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    labels = {"app": name}
    strategy = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}} if rolling else {}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"matchLabels": labels}, **strategy, **spec,
                     "template": {"metadata": {"labels": labels, **({"annotations": annotations} if annotations else {})},
                                  "spec": {"containers": [container], **(pod_spec or {})}}}}


def image_patch(image: str) -> Obj:
    return {"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": image}]}}}}


# ------------------------------------------------------------------ questions

def key_of_set(name: str = "agent", namespace: str = "default") -> Key:
    return Key(DAEMONSETS, namespace, name)


def found(world: World, resource: str, namespace: str | None = None) -> list[Obj]:
    """What is in the store, in key order."""
    return [one.value for one in world.store.history.lane(resource).snapshots()
            if namespace is None or one.value["metadata"].get("namespace") == namespace]


def pods_on(world: World, node: str) -> list[Obj]:
    return [pod for pod in found(world, "pods") if pod["spec"].get("nodeName") == node]


def ready_pods(world: World) -> list[Obj]:
    return [pod for pod in found(world, "pods") if is_true(pod, "Ready")]


class Fingerprint:
    """The sha256 of a whole history: every change's revision, key and JSON, in order."""

    def __init__(self, store: MemoryStore):
        self._hash = hashlib.sha256()
        self.changes = 0
        store.history.on_append(self._hear)

    def _hear(self, changes) -> None:
        for change in changes:
            self.changes += 1
            line = b"%d %s %s\n" % (change.revision, str(change.key).encode(),
                                    orjson.dumps(change.value) if change.value is not None else b"-")
            self._hash.update(line)

    def __str__(self) -> str:
        return self._hash.hexdigest()
