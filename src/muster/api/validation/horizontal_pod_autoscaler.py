"""HorizontalPodAutoscalers: bounds, the target, metrics and their targets, and how fast it may go.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/
"""
from __future__ import annotations

from collections.abc import Iterable

from .. import names, quantities
from ..causes import Cause, forbidden, invalid, not_supported, required
from ..objects import Obj
from .metadata import complain, not_negative, validate_metadata, validate_metadata_update

SOURCES = {"Object": "object", "Pods": "pods", "Resource": "resource", "ContainerResource": "containerResource",
           "External": "external"}
LONGEST_WINDOW_S, LONGEST_PERIOD_S = 3600, 1800


def validate_autoscaler(autoscaler: Obj) -> list[Cause]:
    wrong = validate_metadata(autoscaler, namespaced=True)
    spec = autoscaler.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if least is not None and least < 1:
        wrong.append(invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most < 1:
        wrong.append(invalid("spec.maxReplicas", most, "must be greater than 0"))
    if least is not None and most < least:
        wrong.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    wrong += _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for number, metric in enumerate(spec.get("metrics") or ()):
        wrong += _metric(metric, f"spec.metrics[{number}]")
    behavior = spec.get("behavior") or {}
    for way in ("scaleUp", "scaleDown"):
        if way in behavior:
            wrong += _rules(behavior[way], f"spec.behavior.{way}")
    return wrong


def validate_autoscaler_status_update(new: Obj, old: Obj) -> list[Cause]:
    status = new.get("status") or {}
    wrong = validate_metadata_update(new, old)
    for field in ("currentReplicas", "desiredReplicas"):
        wrong += not_negative(status.get(field), f"status.{field}")
    return wrong


def _reference(reference: Obj, path: str) -> list[Cause]:
    wrong: list[Cause] = []
    for field in ("kind", "name"):
        said = reference.get(field)
        wrong += complain(f"{path}.{field}", said, names.is_path_segment(said)) if said else [
            required(f"{path}.{field}")]
    return wrong


def _metric(metric: Obj, path: str) -> list[Cause]:
    type_ = metric.get("type")
    if not type_:
        return [required(f"{path}.type", "must specify a metric source type")]
    if type_ not in SOURCES:
        return [not_supported(f"{path}.type", type_, set(SOURCES))]
    wrong: list[Cause] = []
    if metric.get(SOURCES[type_]) is None:
        wrong.append(required(f"{path}.{SOURCES[type_]}", "must populate information for the given metric source"))
    wrong += [forbidden(f"{path}.{field}", "must populate the given metric source only")
              for field in SOURCES.values() if field != SOURCES[type_] and metric.get(field) is not None]
    for type_, field in SOURCES.items():
        if metric.get(field) is not None:
            wrong += _CHECKS[type_](metric[field], f"{path}.{field}")
    return wrong


def _object(source: Obj, path: str) -> list[Cause]:
    wrong = _reference(source.get("describedObject") or {}, f"{path}.describedObject")
    wrong += _identifier(source.get("metric") or {}, f"{path}.metric")
    target = source.get("target") or {}
    wrong += _target(target, f"{path}.target")
    if target.get("value") is None and target.get("averageValue") is None:
        wrong.append(required(f"{path}.target.averageValue", "must set either a target value or averageValue"))
    return wrong


def _external(source: Obj, path: str) -> list[Cause]:
    wrong = _identifier(source.get("metric") or {}, f"{path}.metric")
    target = source.get("target") or {}
    wrong += _target(target, f"{path}.target")
    return wrong + _exactly_one(target, f"{path}.target", "averageValue", "value",
                                "a target value for metric {} a per-pod target")


def _pods(source: Obj, path: str) -> list[Cause]:
    wrong = _identifier(source.get("metric") or {}, f"{path}.metric")
    target = source.get("target") or {}
    wrong += _target(target, f"{path}.target")
    if target.get("averageValue") is None or not _is_positive(target["averageValue"]):
        wrong.append(required(f"{path}.target.averageValue", "must specify a positive target averageValue"))
    return wrong


def _resource(source: Obj, path: str) -> list[Cause]:
    wrong = [] if source.get("name") else [required(f"{path}.name", "must specify a resource name")]
    target = source.get("target") or {}
    wrong += _target(target, f"{path}.target")
    return wrong + _exactly_one(target, f"{path}.target", "averageUtilization", "averageValue",
                                "a target raw value {} a target utilization")


def _container_resource(source: Obj, path: str) -> list[Cause]:
    wrong = _resource(source, path)
    if not source.get("container"):
        wrong.insert(0 if source.get("name") else 1, required(f"{path}.container", "must specify a container"))
    return wrong


_CHECKS = {"Object": _object, "Pods": _pods, "Resource": _resource, "ContainerResource": _container_resource,
           "External": _external}


def _exactly_one(target: Obj, path: str, usual: str, other: str, which: str) -> list[Cause]:
    match target.get(usual) is not None, target.get(other) is not None:
        case False, False:
            return [required(f"{path}.{usual}", f"must set either {which.format('or')}")]
        case True, True:
            return [forbidden(f"{path}.{other}", f"may not set both {which.format('and')}")]
    return []


def _identifier(metric: Obj, path: str) -> list[Cause]:
    name = metric.get("name")
    if not name:
        return [required(f"{path}.name", "must specify a metric name")]
    return complain(f"{path}.name", name, names.is_path_segment(name))


def _target(target: Obj, path: str) -> list[Cause]:
    wrong: list[Cause] = []
    type_ = target.get("type")
    if not type_:
        wrong.append(required(f"{path}.type", "must specify a metric target type"))
    elif type_ not in ("Utilization", "Value", "AverageValue"):
        wrong.append(invalid(f"{path}.type", type_, "must be either Utilization, Value, or AverageValue"))
    wrong += [invalid(f"{path}.{field}", target[field], "must be positive") for field in ("value", "averageValue")
              if target.get(field) is not None and not _is_positive(target[field])]
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        wrong.append(invalid(f"{path}.averageUtilization", share, "must be greater than 0"))
    return wrong


def _is_positive(amount: str) -> bool:
    return quantities.parse(amount) > 0


def _rules(rules: Obj, path: str) -> list[Cause]:
    wrong: list[Cause] = []
    window_s = rules.get("stabilizationWindowSeconds")
    if window_s is not None and window_s < 0:
        wrong.append(invalid(f"{path}.stabilizationWindowSeconds", window_s, "must be greater than or equal to zero"))
    if window_s is not None and window_s > LONGEST_WINDOW_S:
        wrong.append(invalid(f"{path}.stabilizationWindowSeconds", window_s,
                             f"must be less than or equal to {LONGEST_WINDOW_S}"))
    if rules.get("selectPolicy") is not None:
        wrong += _one_of(rules["selectPolicy"], ("Disabled", "Max", "Min"), f"{path}.selectPolicy")
    policies = rules.get("policies") or ()
    if not policies:
        wrong.append(required(f"{path}.policies", "must specify at least one Policy"))
    for number, policy in enumerate(policies):
        wrong += _policy(policy, f"{path}.policies[{number}]")
    return wrong


def _policy(policy: Obj, path: str) -> list[Cause]:
    wrong = _one_of(policy.get("type") or "", ("Percent", "Pods"), f"{path}.type")
    value, period_s = policy.get("value") or 0, policy.get("periodSeconds") or 0
    if value <= 0:
        wrong.append(invalid(f"{path}.value", value, "must be greater than zero"))
    if period_s <= 0:
        wrong.append(invalid(f"{path}.periodSeconds", period_s, "must be greater than zero"))
    if period_s > LONGEST_PERIOD_S:
        wrong.append(invalid(f"{path}.periodSeconds", period_s, f"must be less than or equal to {LONGEST_PERIOD_S}"))
    return wrong


def _one_of(value: str, allowed: Iterable[str], path: str) -> list[Cause]:
    return [] if value in allowed else [not_supported(path, value, list(allowed))]
