"""Plays a story on a whole cluster in virtual time, and writes down what `muster why` says of it.

Steps apply objects (a Pod may be given in short: `pods: {name: spec}`), patch them, delete, or let a node fall silent;
`ask` names the targets, as they are typed.
"""
from __future__ import annotations

import asyncio
import json
from typing import Any

from muster.api.errors import ApiError
from muster.api.objects import Key
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.cli.why import answer_of
from muster.clock import Clock, run_virtual
from muster.store.memory import MemoryStore
from muster.why.answer import text
from muster.why.target import Target

NODE = {"pull": "1s..1s", "start": "1s..1s", "stop": "1s..1s", "missingImages": ["*:404"]}


def play(story: dict[str, Any]) -> list[dict[str, Any]]:
    async def told(clock: Clock) -> list[dict[str, Any]]:
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            for name, given in story["nodes"].items():
                await cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {
                    "name": name, "labels": {"kubernetes.io/hostname": name, **given.get("labels", {})}, "annotations": {
                        "muster.dev/simulated": "true", "muster.dev/behaviour": json.dumps(NODE)}},
                    "spec": given.get("spec", {})})
            await asyncio.sleep(5)
            return [await _step(cluster, step) for step in story["steps"]]

    return run_virtual(told, seed=story["about"])


async def _step(cluster: Cluster, step: dict[str, Any]) -> dict[str, Any]:
    client = cluster.client("kubernetes-admin")
    for obj in step.get("apply", ()):
        space = {} if obj["kind"] == "PriorityClass" else {"namespace": "default"}
        await cluster.apply({**obj, "metadata": {**space, **obj["metadata"]}})
    for name, given in step.get("pods", {}).items():
        metadata = {"name": name, "namespace": "default", **given.get("metadata", {})}
        container = {"name": "app", "image": "web:1", **given.get("container", {})}
        await cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
                             "spec": {"containers": [container], **given.get("spec", {})}})
    for one in step.get("patch", ()):
        await client.patch(_key(one["of"]), one["with"])
    for one in step.get("delete", ()):
        await client.delete(_key(one))
    await asyncio.sleep(step.get("for", 20))
    return {**step, "says": {target: (await _asked(cluster, target)).split("\n") for target in step["ask"]}}


def _key(name: str) -> Key:
    resource, _, name = name.partition("/")
    return Key(resource, "" if resource == "nodes" else "default", name)


async def _asked(cluster: Cluster, target: str) -> str:
    try:
        return text(await answer_of(Target.parse(target), "default", cluster.client("kubernetes-admin"),
                                    cluster.clock.now()))
    except ApiError as error:
        return f"error: {error}"
