"""What the benches of all workloads share: a step, watched until the object says that it is done.

While the step goes on, one more client changes a ConfigMap some fifty times a second: how long its answers take
is what other users of the API feel of a rollout (p50, p90 and p99 of a workload bench).
"""
from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from ..api.errors import ApiError
from ..api.objects import Key, Obj, at, namespace_of
from .arena import NAMESPACE, Arena
from .figures import Figures, percentiles
from .server import states

PROBED_EVERY_S = 0.02
PROBE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe", "namespace": NAMESPACE}}

Do = Callable[[], Awaitable[Any]]


def observed(obj: Obj) -> bool:
    """Its status speaks of today's spec."""
    return at(obj, "status.observedGeneration") == at(obj, "metadata.generation")


def template(labels: Mapping[str, str], image: str) -> Obj:
    container = {"name": "agent", "image": image,
                 "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": {"memory": "200Mi"}},
                 "env": [{"name": "LEVEL", "value": "info"}]}
    return {"metadata": {"labels": dict(labels)}, "spec": {"containers": [container]}}


def image_patch(image: str) -> Obj:
    return {"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": image}]}}}}


async def until(arena: Arena, bench: str, key: Key, do: Do, share_done: Callable[[Obj], float]) -> Figures:
    """Measures from `do` to the moment at which the object of that key says that all is done."""

    async def work() -> Figures:
        async with _probing(arena) as figures:
            found = states(arena.client, key)
            await anext(found)  # the watch stands before anything begins
            await do()
            async for obj in found:
                share = share_done(obj) if obj is not None else 0.0
                arena.show(bench, share)
                if share >= 1:
                    break
            await found.aclose()  # type: ignore[attr-defined]
        return figures

    return await arena.measure(bench, work)


async def until_no_pods(arena: Arena, bench: str, do: Do) -> Figures:
    """Measures from `do` until the last pod of the namespace is gone."""

    async def work() -> Figures:
        async with _probing(arena) as figures:
            listing = await arena.client.list("pods")
            there = {pod["metadata"]["name"] for pod in listing.items if namespace_of(pod) == NAMESPACE}
            all_of_them = len(there) or 1
            await do()
            if there:
                async for changes in arena.client.follow("pods", listing.revision):
                    for change in changes:
                        if change.key.namespace == NAMESPACE and change.value is None:
                            there.discard(change.key.name)
                    arena.show(bench, 1 - len(there) / all_of_them)
                    if not there:
                        break
        return figures

    return await arena.measure(bench, work)


async def prepare(arena: Arena) -> None:
    """What is changed while a workload is at work."""
    await arena.client.create(PROBE)


@contextlib.asynccontextmanager
async def _probing(arena: Arena) -> AsyncIterator[Figures]:
    """Changes a ConfigMap all the while; the figures are there once the block has ended."""
    figures: Figures = {}
    taken_s: list[float] = []
    asked = 0

    async def probe() -> None:
        nonlocal asked
        while True:
            asked += 1
            asked_at = time.perf_counter()
            await arena.client.replace({**PROBE, "data": {"turn": str(asked)}})
            taken_s.append(time.perf_counter() - asked_at)
            await asyncio.sleep(PROBED_EVERY_S)

    probing = asyncio.create_task(probe())
    try:
        yield figures
    finally:
        probing.cancel()
        failed, = await asyncio.gather(probing, return_exceptions=True)
    if isinstance(failed, ApiError):
        raise failed
    figures |= {**percentiles(taken_s), "probes": asked, "own_writes": asked}
