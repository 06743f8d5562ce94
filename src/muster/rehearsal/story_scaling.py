"""The strand of a story in which an autoscaler keeps a workload of its own at what its load takes.

The load is given (`muster.dev/usage: load=...`) and shared by all ready pods, so what the autoscaler must come to is
known: invariants_scaling.py works it out a second time.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from ..api.objects import Key, Obj
from ..node.usage import ANNOTATION as USAGE
from .story_steps import SCALED, Edit, Make, Remove, Restart, Step, What

SHARE = .25  # of all stories
IMAGES = ("x:1", "x:2", "x:3")
KINDS = {"Deployment": "deployments.apps", "StatefulSet": "statefulsets.apps", "ReplicaSet": "replicasets.apps"}
AUTOSCALER = Key("horizontalpodautoscalers.autoscaling", "default", SCALED)
REQUEST_M = 100  # thousandths of a core that each of its pods requests
LOADS_M = (0, 40, 100, 170, 300, 420)


def scaling(seed: int, lasts_s: float) -> Iterator[Step]:
    """Steps of a story that lasts so long."""
    rng = Random(f"story {seed}: scaling")
    if rng.random() >= SHARE:
        return
    kind = rng.choice(("Deployment", "Deployment", "StatefulSet", "ReplicaSet"))
    at_s = rng.uniform(0.0, lasts_s / 2)
    yield Step(round(at_s, 3), _workload(rng, kind))
    yield Step(round(at_s + rng.choice((0.0, 5.0, 40.0)), 3), Make(_autoscaler(rng, kind)))
    for at_s in sorted(rng.uniform(at_s, lasts_s + 200.0) for _ in range(rng.randint(2, 7))):
        yield Step(round(at_s, 3), rng.choice(_DRAWS)(rng, kind))


def _load(rng: Random) -> Obj:
    return {"metadata": {"annotations": {USAGE: f"load={rng.choice(LOADS_M)}m"}}}


def _workload(rng: Random, kind: str) -> Make:
    labels = {"app": SCALED}
    container: Obj = {"name": "app", "image": IMAGES[0], "resources": {"requests": {"cpu": f"{REQUEST_M}m"}}}
    if rng.random() < .3:
        container["readinessProbe"] = {"tcpSocket": {"port": 80}, "initialDelaySeconds": 2}
    spec: Obj = {"replicas": rng.choice((1, 2, 4)), "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}
    if kind == "StatefulSet":
        spec["serviceName"] = SCALED
    metadata = {"name": SCALED, "namespace": "default", **_load(rng)["metadata"]}
    return Make({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec})


def _bounds(rng: Random) -> Obj:
    return {"minReplicas": rng.choice((1, 1, 2)), "maxReplicas": rng.choice((2, 4, 6))}


def _autoscaler(rng: Random, kind: str) -> Obj:
    target = rng.choice(({"type": "Utilization", "averageUtilization": rng.choice((50, 80, 120))},
                         {"type": "AverageValue", "averageValue": f"{rng.choice((50, 80))}m"}))
    spec: Obj = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": SCALED}, **_bounds(rng),
                 "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]}
    if rng.random() < .4:
        spec["behavior"] = {"scaleDown": {"stabilizationWindowSeconds": rng.choice((0, 30, 120))}}
        if rng.random() < .5:
            spec["behavior"]["scaleUp"] = {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}]}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": SCALED, "namespace": "default"}, "spec": spec}


def _target(kind: str) -> Key:
    return Key(KINDS[kind], "default", SCALED)


_DRAWS: tuple[Callable[[Random, str], What], ...] = (
    *[lambda rng, kind: Edit(_target(kind), _load(rng))] * 4,
    lambda rng, kind: Edit(AUTOSCALER, {"spec": _bounds(rng)}),
    lambda rng, kind: Edit(_target(kind), {"spec": {"replicas": rng.choice((0, 1, 3, 8))}}),
    lambda rng, kind: Edit(_target(kind), {"spec": {"template": {"spec": {"containers": [
        {"name": "app", "image": rng.choice(IMAGES)}]}}}}, "strategic"),
    lambda rng, kind: Make(_autoscaler(rng, kind)),
    lambda rng, kind: Remove(AUTOSCALER),
    lambda rng, kind: Restart("horizontal-pod-autoscaler"),
)
