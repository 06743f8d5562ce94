"""A Deployment with as many replicas as there are nodes: created, then rolled to another image.

The roll is the default one: at most a quarter is missing and at most a quarter is too many.  Done is what
`kubectl rollout status` waits for: all replicas are of today's template and available, and none is left over.
"""
from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from ..api.objects import Key, Obj, at
from .arena import NAMESPACE, Arena
from .figures import Figures
from .workload import image_patch, observed, prepare, template, until

WEB = Key("deployments.apps", NAMESPACE, "web")
LABELS = {"app": "web"}


def deployment(replicas: int, image: str) -> Obj:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": WEB.name, "namespace": NAMESPACE},
            "spec": {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template(LABELS, image)}}


def share_landed(obj: Obj) -> float:
    wanted = at(obj, "spec.replicas", 1)
    if not observed(obj) or at(obj, "status.replicas", 0) > wanted:
        return 0.0
    return min(at(obj, f"status.{name}", 0) for name in ("updatedReplicas", "availableReplicas")) / wanted


async def run(arena: Arena, benches: Sequence[str]) -> AsyncGenerator[Figures, None]:
    await prepare(arena)
    first = deployment(arena.nodes, "registry.example/web:1")
    created = await until(arena, "deploy-create", WEB, lambda: arena.client.create(first), share_landed)
    if "deploy-create" in benches:
        yield {**created, "replicas": arena.nodes}
    if "deploy-roll" in benches:
        patch = image_patch("registry.example/web:2")
        rolled = await until(arena, "deploy-roll", WEB, lambda: arena.client.patch(WEB, patch, how="strategic"),
                             share_landed)
        yield {**rolled, "replicas": arena.nodes}
