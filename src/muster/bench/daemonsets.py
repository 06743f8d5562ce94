"""A DaemonSet on every node: created, rolled to another image, left alone, deleted.

It tolerates every taint, so it lands on all nodes of whatever server is measured.  A roll replaces a tenth of the
pods at a time.  Done is what the set's status says: every node has an available pod of today's template.
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from ..api.errors import Internal
from ..api.objects import Key, Obj, at
from .arena import NAMESPACE, Arena
from .figures import Figures
from .workload import image_patch, observed, prepare, template, until, until_no_pods

AGENT = Key("daemonsets.apps", NAMESPACE, "agent")
LABELS = {"app": "agent"}
MAX_UNAVAILABLE = "10%"
IDLE_AT_LEAST_S = 1.0


def daemonset(image: str) -> Obj:
    pods = template(LABELS, image)
    pods["spec"]["tolerations"] = [{"operator": "Exists"}]
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": AGENT.name, "namespace": NAMESPACE},
            "spec": {"selector": {"matchLabels": LABELS}, "template": pods,
                     "updateStrategy": {"type": "RollingUpdate",
                                        "rollingUpdate": {"maxUnavailable": MAX_UNAVAILABLE}}}}


def share_landed(obj: Obj) -> float:
    """1 once its status is of today's spec, and every node has an available pod of today's template."""
    wanted = at(obj, "status.desiredNumberScheduled", 0)
    if not wanted or not observed(obj):
        return 0.0
    return min(at(obj, f"status.{name}", 0) for name in (
        "currentNumberScheduled", "updatedNumberScheduled", "numberReady", "numberAvailable")) / wanted


async def land(arena: Arena, bench: str = "ds-create") -> Figures:
    figures = await until(arena, bench, AGENT, lambda: arena.client.create(daemonset("registry.example/agent:1")),
                          share_landed)
    wanted = at(await arena.client.get(AGENT), "status.desiredNumberScheduled")
    if arena.server is not None and wanted != arena.nodes:
        raise Internal(f"the DaemonSet is wanted on {wanted} of {arena.nodes} nodes")
    return {**figures, "nodes": wanted}


async def run(arena: Arena, benches: Sequence[str]) -> AsyncGenerator[Figures, None]:
    client = arena.client
    await prepare(arena)
    created = await land(arena)
    if "ds-create" in benches:
        yield created
    if "ds-roll" in benches:
        patch = image_patch("registry.example/agent:2")
        yield await until(arena, "ds-roll", AGENT, lambda: client.patch(AGENT, patch, how="strategic"), share_landed)
    if "ds-idle" in benches:
        yield await idle(arena)
    if "ds-delete" in benches:
        yield await until_no_pods(arena, "ds-delete", lambda: client.delete(AGENT, propagation="Background"))


async def idle(arena: Arena) -> Figures:
    """What a cluster costs on which nothing is done."""
    async def rest() -> Figures:
        await asyncio.sleep(max(arena.seconds, IDLE_AT_LEAST_S))
        return {}

    figures = await arena.measure("ds-idle", rest)
    if "server_cpu_s" in figures:
        figures["server_cpu_s_per_minute"] = figures["server_cpu_s"] * 60 / figures["wall_s"]
    return figures
