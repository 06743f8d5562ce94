"""autoscaling/v1 and autoscaling/v2 are two forms of one HorizontalPodAutoscaler.

v1 has a field for one metric only, the cpu; what else there is stands as JSON in its annotations, in an older shape
of a metric (`targetAverageValue` beside the name, where v2 has a `target`).
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#api-object
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ..objects import Obj, annotations_of

_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, BEHAVIOR = _PREFIX + "metrics", _PREFIX + "behavior"
CURRENT_METRICS, CONDITIONS = _PREFIX + "current-metrics", _PREFIX + "conditions"
OURS = frozenset((METRICS, BEHAVIOR, CURRENT_METRICS, CONDITIONS))

_SAME_STATUS = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")


def from_stored(autoscaler: Obj) -> Obj:
    """v2 -> v1."""
    annotations = dict(annotations_of(autoscaler))
    spec, status = autoscaler.get("spec") or {}, autoscaler.get("status") or {}
    older = {field: spec[field] for field in ("maxReplicas", "minReplicas", "scaleTargetRef") if field in spec}
    others = []
    for metric in spec.get("metrics") or ():
        if _is_cpu_share(metric, "target"):
            older.setdefault("targetCPUUtilizationPercentage", metric["resource"]["target"]["averageUtilization"])
        else:
            others.append(_older_metric(metric, "target"))
    older_status = {field: status[field] for field in _SAME_STATUS if field in status}
    older_status.setdefault("currentReplicas", 0)
    others_told = []
    for metric in status.get("currentMetrics") or ():
        if _is_cpu_share(metric, "current"):
            older_status["currentCPUUtilizationPercentage"] = metric["resource"]["current"]["averageUtilization"]
        others_told.append(_older_metric(metric, "current"))
    for name, value in ((METRICS, others), (BEHAVIOR, spec.get("behavior")), (CURRENT_METRICS, others_told),
                        (CONDITIONS, status.get("conditions"))):
        if value:
            annotations[name] = orjson.dumps(value).decode()
    metadata = {name: value for name, value in autoscaler["metadata"].items() if name != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    return {**autoscaler, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": older, "status": older_status}


def to_newer(autoscaler: Obj) -> Obj:
    """v1 -> v2.  An annotation that can not be read is as if it were not there."""
    annotations = annotations_of(autoscaler)
    spec, status = autoscaler.get("spec") or {}, autoscaler.get("status") or {}
    newer = {field: value for field, value in spec.items() if field != "targetCPUUtilizationPercentage"}
    metrics = [_newer_metric(one, "target") for one in _read(annotations, METRICS, list)]
    if (share := spec.get("targetCPUUtilizationPercentage")) is not None:
        metrics.append({"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": share}}})
    if metrics:
        newer["metrics"] = metrics
    if behavior := _read(annotations, BEHAVIOR, dict):
        newer["behavior"] = behavior
    newer_status: Obj = {field: status[field] for field in _SAME_STATUS if field in status}
    newer_status["currentMetrics"] = [_newer_metric(one, "current")
                                      for one in _read(annotations, CURRENT_METRICS, list)] or None
    newer_status.setdefault("desiredReplicas", 0)
    if not newer_status.get("currentReplicas"):  # v1 always names it, v2 where there are any
        newer_status.pop("currentReplicas", None)
    if conditions := _read(annotations, CONDITIONS, list):
        newer_status["conditions"] = conditions
    left = {name: value for name, value in annotations.items() if name not in OURS}
    metadata = {name: value for name, value in autoscaler["metadata"].items() if name != "annotations"}
    if left:
        metadata["annotations"] = left
    return {**autoscaler, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": newer, "status": newer_status}


def _read(annotations: dict[str, str], name: str, wanted: type) -> Any:
    try:
        found = orjson.loads(annotations.get(name, "null"))
    except orjson.JSONDecodeError:
        found = None
    items = found if isinstance(found, list) else [found]
    return found if isinstance(found, wanted) and all(isinstance(one, dict) for one in items) else wanted()


def _is_cpu_share(metric: Obj, side: str) -> bool:
    resource = metric.get("resource") or {}
    return (metric.get("type") == "Resource" and resource.get("name") == "cpu"
            and (resource.get(side) or {}).get("averageUtilization") is not None)


# ------------------------------------------------------------------ one metric
# For each type, (v2's name, v1's name in a spec, v1's name in a status) of what v2 has below "target" or "current".

_Shape = tuple[tuple[str, str, str], ...]
_RESOURCE: _Shape = (("averageUtilization", "targetAverageUtilization", "currentAverageUtilization"),
                     ("averageValue", "targetAverageValue", "currentAverageValue"))
_SHAPES: dict[str, tuple[str, _Shape]] = {
    "Resource": ("resource", _RESOURCE),
    "ContainerResource": ("containerResource", _RESOURCE),
    "Pods": ("pods", (("averageValue", "targetAverageValue", "currentAverageValue"),)),
    "Object": ("object", (("value", "targetValue", "currentValue"), ("averageValue", "averageValue", "averageValue"))),
    "External": ("external", (("value", "targetValue", "currentValue"),
                              ("averageValue", "targetAverageValue", "currentAverageValue"))),
}
_PLAIN = ("name", "container")


def _converted(metric: Obj, change: Callable[[str, Obj, _Shape], Obj]) -> Obj:
    field, shape = _SHAPES.get(metric.get("type") or "", ("", ()))
    source = metric.get(field)
    if not isinstance(source, dict):
        return {"type": metric.get("type") or ""}
    return {"type": metric["type"], field: change(metric["type"], source, shape)}


def _older_metric(metric: Obj, side: str) -> Obj:
    place = 1 if side == "target" else 2

    def change(type_: str, source: Obj, shape: _Shape) -> Obj:
        older = {name: source[name] for name in _PLAIN if name in source}
        named = source.get("metric") or {}
        if named:
            older["metricName"] = named.get("name", "")
            if named.get("selector") is not None:
                older["metricSelector" if type_ == "External" else "selector"] = named["selector"]
        if "describedObject" in source:
            older["target"] = source["describedObject"]
        amounts = source.get(side) or {}
        return older | {names[place]: amounts[names[0]] for names in shape if amounts.get(names[0]) is not None}

    return _converted(metric, change)


def _newer_metric(metric: Obj, side: str) -> Obj:
    place = 1 if side == "target" else 2

    def change(type_: str, source: Obj, shape: _Shape) -> Obj:
        newer = {name: source[name] for name in _PLAIN if name in source}
        if "metricName" in source:
            selector = source.get("metricSelector" if type_ == "External" else "selector")
            newer["metric"] = {"name": source["metricName"], **({"selector": selector} if selector is not None else {})}
        if "target" in source:
            newer["describedObject"] = source["target"]
        amounts = {names[0]: source[names[place]] for names in shape if source.get(names[place]) is not None}
        if side == "target":
            kinds = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}
            # Where there are two an average wins, as upstream reads it.
            for name in ("averageUtilization", "averageValue", "value"):
                if name in amounts:
                    amounts = {"type": kinds[name], **amounts}
                    break
        return newer | {side: amounts}

    return _converted(metric, change)
