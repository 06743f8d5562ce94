"""LimitRange: what one container, pod or claim of a namespace may ask for, and what it gets if it asks nothing.

https://kubernetes.io/docs/concepts/policy/limit-range/
"""
from __future__ import annotations

from fractions import Fraction

from .. import names, quantities
from ..causes import Cause, duplicate, forbidden, invalid, required
from ..defaults import each, inside
from ..objects import Obj, at
from ..tables import NAME
from ..validation.metadata import complain, validate_metadata, validate_metadata_update
from ..validation.pod_resources import OVERCOMMITTED, container_resource_complaints
from .kind import Column, Kind

_FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def defaults(limit_range: Obj) -> Obj:
    return inside(limit_range, "spec", lambda spec: each(spec, "limits", _item_defaults))


def _item_defaults(item: Obj) -> Obj:
    """For containers: the default limit is the maximum; the default request that limit, or else the minimum."""
    if item.get("type") != "Container":
        return item
    limit = {**(item.get("max") or {}), **(item.get("default") or {})}
    request = {**(item.get("min") or {}), **limit, **(item.get("defaultRequest") or {})}
    if limit and limit != item.get("default"):
        item = {**item, "default": limit}
    if request and request != item.get("defaultRequest"):
        item = {**item, "defaultRequest": request}
    return item


def validate(limit_range: Obj) -> list[Cause]:
    wrong = validate_metadata(limit_range, namespaced=True)
    seen: set[str] = set()
    for index, item in enumerate(at(limit_range, "spec.limits", ())):
        here, type_ = f"spec.limits[{index}]", item.get("type") or ""
        wrong += _type(type_, f"{here}.type")
        if type_ in seen:
            wrong.append(duplicate(f"{here}.type", type_))
        seen.add(type_)
        wrong += _item(item, type_, here)
    return wrong


def _type(type_: str, here: str) -> list[Cause]:
    if complaints := names.is_qualified_name(type_):
        return complain(here, type_, complaints)
    if "/" not in type_ and type_ not in ("Pod", "Container", "PersistentVolumeClaim"):
        return [invalid(here, type_, "must be a standard limit type or fully qualified")]
    return []


def _item(item: Obj, type_: str, here: str) -> list[Cause]:
    wrong: list[Cause] = []
    amounts = {field: item.get(field) or {} for field in _FIELDS}
    for field in ("default", "defaultRequest"):
        if type_ == "Pod" and amounts[field]:
            wrong.append(forbidden(f"{here}.{field}", "may not be specified when `type` is 'Pod'"))
    if type_ == "PersistentVolumeClaim" and "storage" not in amounts["min"] and "storage" not in amounts["max"]:
        wrong.append(required(f"{here}.limits",
                              "either minimum or maximum storage value is required, but neither was provided"))
    complaints = container_resource_complaints if type_ in ("Container", "Pod") else names.is_qualified_name
    for field, values in amounts.items():
        for resource in sorted(values):
            wrong += complain(f"{here}.{field}[{resource}]", resource, complaints(resource))
    for resource in sorted(set().union(*amounts.values())):
        wrong += _resource({field: values[resource] for field, values in amounts.items() if resource in values},
                           resource, type_, here)
    return wrong


_ORDERED = (  # (lower, its name, higher, its name): the lower may not be greater
    ("min", "min value", "max", "max value"),
    ("min", "min value", "defaultRequest", "default request value"),
    ("defaultRequest", "default request value", "max", "max value"),
    ("defaultRequest", "default request value", "default", "default limit value"),
    ("min", "min value", "default", "default value"),
    ("default", "default value", "max", "max value"),
)
_BLAMED = {("min", "max"): "min", ("min", "defaultRequest"): "defaultRequest",
           ("defaultRequest", "max"): "defaultRequest", ("defaultRequest", "default"): "defaultRequest",
           ("min", "default"): "default", ("default", "max"): "default"}


def _resource(found: dict[str, str], resource: str, type_: str, here: str) -> list[Cause]:
    wrong: list[Cause] = []
    if type_ == "Pod":
        found = {field: text for field, text in found.items() if not field.startswith("default")}
    for low, low_name, high, high_name in _ORDERED:
        if low in found and high in found and quantities.parse(found[low]) > quantities.parse(found[high]):
            field = _BLAMED[low, high]
            wrong.append(invalid(f"{here}.{field}[{resource}]", found[field],
                                 f"{low_name} {found[low]} is greater than {high_name} {found[high]}"))
    wrong += _ratio(found, f"{here}.maxLimitRequestRatio[{resource}]")
    limit, request = found.get("default"), found.get("defaultRequest")
    if resource not in OVERCOMMITTED and None not in (limit, request) and limit != request:
        wrong.append(invalid(f"{here}.defaultRequest[{resource}]", request,
                             f"default value {limit} must equal to defaultRequest value {request} in {resource}"))
    return wrong


def _ratio(found: dict[str, str], path: str) -> list[Cause]:
    text = found.get("maxLimitRequestRatio")
    if text is None:
        return []
    ratio, wrong = quantities.parse(text), list[Cause]()
    if ratio < 1:
        wrong.append(invalid(path, text, f"ratio {text} is less than 1"))
    least, most = (quantities.parse(found.get(field, "0")) for field in ("min", "max"))
    if "max" in found and least > 0 and ratio > most / Fraction(least):
        wrong.append(invalid(path, text, f"ratio {text} is greater than max/min = {float(most / Fraction(least)):f}"))
    return wrong


LIMIT_RANGE = Kind(
    group="", version="v1", name="LimitRange", plural="limitranges", singular="limitrange", namespaced=True,
    definition="io.k8s.api.core.v1.LimitRange", short_names=("limits",),
    columns=(NAME, Column("Created At", lambda obj, now: obj["metadata"].get("creationTimestamp", ""),
                          type="date", description="When it was created.")),
    generation_fields=(), defaults=defaults, validate=validate, validate_update=validate_metadata_update,
)
