"""HorizontalPodAutoscalers: as many pods as their work takes.

Kept as autoscaling/v2; autoscaling/v1 is a second form of the same objects (autoscaler_forms.py), the one that
`kubectl autoscale` writes.
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""
from __future__ import annotations

from ..defaults import filled, inside, status_stays
from ..objects import Obj, at
from ..tables import AGE, NAME, NONE, UNKNOWN
from ..validation.horizontal_pod_autoscaler import validate_autoscaler, validate_autoscaler_status_update
from ..validation.metadata import validate_metadata_update
from .autoscaler_forms import from_stored, to_newer
from .kind import STATUS, Column, Kind

RESOURCE = "horizontalpodautoscalers.autoscaling"
DEFAULT_CPU_PERCENT = 80
MOST_TOLD = 2  # metrics in the TARGETS column

_UP = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
    {"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]}
_DOWN = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def defaults(autoscaler: Obj) -> Obj:
    return inside(autoscaler, "spec", _spec_defaults)


def _spec_defaults(spec: Obj) -> Obj:
    spec = filled(spec, minReplicas=1)
    if not spec.get("metrics"):
        spec = {**spec, "metrics": [{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": DEFAULT_CPU_PERCENT}}}]}
    return inside(spec, "behavior", lambda behavior: inside(inside(
        filled(behavior, scaleUp={}, scaleDown={}), "scaleUp", lambda rules: filled(rules, **_UP)),
        "scaleDown", lambda rules: filled(rules, **_DOWN)))


def prepare_create(autoscaler: Obj) -> Obj:
    return {**autoscaler, "status": {"currentMetrics": None, "desiredReplicas": 0}}


# ------------------------------------------------------------------ the older form

def older_defaults(autoscaler: Obj) -> Obj:
    return inside(autoscaler, "spec", lambda spec: filled(spec, minReplicas=1))


def to_stored(autoscaler: Obj) -> Obj:
    return defaults(to_newer(autoscaler))


def older_prepare_create(autoscaler: Obj) -> Obj:
    return {**autoscaler, "status": {"currentReplicas": 0, "desiredReplicas": 0}}


# ------------------------------------------------------------------ columns

def _reference(autoscaler: Obj, now: float) -> str:
    return f"{at(autoscaler, 'spec.scaleTargetRef.kind', '')}/{at(autoscaler, 'spec.scaleTargetRef.name', '')}"


def _targets(autoscaler: Obj, now: float) -> str:
    specs, told = at(autoscaler, "spec.metrics", []), at(autoscaler, "status.currentMetrics", [])
    if not specs:
        return NONE
    parts = [_target(spec, told[place] if place < len(told) else {}) for place, spec in enumerate(specs)]
    more = f" + {len(parts) - MOST_TOLD} more..." if len(parts) > MOST_TOLD else ""
    return ", ".join(parts[:MOST_TOLD]) + more


def _target(spec: Obj, told: Obj) -> str:
    match spec.get("type"):
        case "Resource":
            return _of_resource(spec["resource"], at(told, "resource.current", {}))
        case "ContainerResource":
            return _of_resource(spec["containerResource"], at(told, "containerResource.current", {}))
        case "Pods":
            return f"{at(told, 'pods.current.averageValue', UNKNOWN)}/{at(spec, 'pods.target.averageValue')}"
        case "Object" | "External" as type_:
            field = type_.lower()
            if (average := at(spec, f"{field}.target.averageValue")) is not None:
                return f"{at(told, f'{field}.current.averageValue', UNKNOWN)}/{average} (avg)"
            return f"{at(told, f'{field}.current.value', UNKNOWN)}/{at(spec, f'{field}.target.value')}"
    return "<unknown type>"


def _of_resource(source: Obj, current: Obj) -> str:
    target = source["target"]
    if target.get("averageValue") is not None:
        return f"{source['name']}: {current.get('averageValue', UNKNOWN)}/{target['averageValue']}"
    wanted = target.get("averageUtilization")
    share = current.get("averageUtilization")
    return (f"{source['name']}: {UNKNOWN if share is None else f'{share}%'}/"
            f"{'<auto>' if wanted is None else f'{wanted}%'}")


def _least(autoscaler: Obj, now: float) -> str:
    return str(at(autoscaler, "spec.minReplicas", "<unset>"))


COLUMNS = (
    NAME,
    Column("Reference", _reference, description="What it scales."),
    Column("Targets", _targets, description="Each metric as it is, and as it should be."),
    Column("MinPods", _least, description="The fewest pods it leaves."),
    Column("MaxPods", lambda one, now: at(one, "spec.maxReplicas", 0), "integer",
           description="The most pods it makes."),
    Column("Replicas", lambda one, now: at(one, "status.currentReplicas", 0), "integer",
           description="Pods that were asked for when it looked last."),
    AGE,
)

HORIZONTAL_POD_AUTOSCALER = Kind(
    group="autoscaling", version="v2", name="HorizontalPodAutoscaler", plural="horizontalpodautoscalers",
    singular="horizontalpodautoscaler", namespaced=True,
    definition="io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler", short_names=("hpa",), categories=("all",),
    subresources=(STATUS,), columns=COLUMNS, generation_fields=(), defaults=defaults, prepare_create=prepare_create,
    prepare_update=status_stays, validate=validate_autoscaler, validate_update=validate_metadata_update,
    validate_status_update=validate_autoscaler_status_update,
)

OLDER_HORIZONTAL_POD_AUTOSCALER = Kind(
    group="autoscaling", version="v1", name="HorizontalPodAutoscaler", plural="horizontalpodautoscalers",
    singular="horizontalpodautoscaler", namespaced=True,
    definition="io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler", short_names=("hpa",), categories=("all",),
    subresources=(STATUS,),
    columns=tuple(Column(one.name, lambda obj, now, cell=one.cell: cell(to_stored(obj), now), one.type,  # type: ignore[misc]
                         one.format, one.description, one.priority) for one in COLUMNS),
    generation_fields=(), stored_as=RESOURCE, to_stored=to_stored, from_stored=from_stored, defaults=older_defaults,
    prepare_create=older_prepare_create, prepare_update=status_stays,
    validate=lambda autoscaler: validate_autoscaler(to_stored(autoscaler)), validate_update=validate_metadata_update,
    validate_status_update=lambda new, old: validate_autoscaler_status_update(to_stored(new), to_stored(old)),
)
