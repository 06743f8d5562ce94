"""What a container asks for and may use: names of resources, amounts, and requests within limits.

https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
https://kubernetes.io/docs/tasks/manage-hugepages/scheduling-hugepages/
"""
from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache

from .. import names
from ..causes import Cause, duplicate, forbidden, invalid, required
from ..objects import Obj
from ..quantities import Number, canonical, parse
from .metadata import NOT_NEGATIVE, complain

HUGE = "hugepages-"
OVERCOMMITTED = frozenset(["cpu", "memory", "ephemeral-storage"])  # may be limited above what is requested
_STANDARD = frozenset([*OVERCOMMITTED, "storage", "pods", "services", "replicationcontrollers", "resourcequotas",
                       "secrets", "configmaps", "persistentvolumeclaims", "services.nodeports",
                       "services.loadbalancers"])
_NOT_WHOLE = "must be an integer"
_NAMELESS = "doesn't follow extended resource name standard"


def validate_resources(resources: Obj, path: str, claims: Collection[str], wrong: list[Cause]) -> None:
    limits: Mapping[str, str] = resources.get("limits") or {}
    requests: Mapping[str, str] = resources.get("requests") or {}
    caps: dict[str, Number] = {}
    for resource, text in limits.items():
        amount = _amount(resource, text, f"{path}.limits[{resource}]", path, wrong)
        if amount is not None:
            caps[resource] = amount
    for resource, text in requests.items():
        amount = _amount(resource, text, f"{path}.requests[{resource}]", path, wrong)
        if amount is None:
            continue
        if resource in caps:
            if resource not in OVERCOMMITTED and amount != caps[resource]:
                wrong.append(invalid(f"{path}.requests", canonical(text),
                                     f"must be equal to {resource} limit of {canonical(limits[resource])}"))
            elif amount > caps[resource]:
                wrong.append(invalid(f"{path}.requests", canonical(text),
                                     f"must be less than or equal to {resource} limit of "
                                     f"{canonical(limits[resource])}"))
        elif resource not in OVERCOMMITTED and resource not in limits:
            wrong.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
    named = limits.keys() | requests.keys()
    if any(one.startswith(HUGE) for one in named) and not named & {"cpu", "memory"}:
        wrong.append(forbidden(path, "HugePages require cpu or memory"))
    if resources.get("claims"):
        _claims(resources["claims"], f"{path}.claims", claims, wrong)


def _amount(resource: str, text: str, at: str, path: str, wrong: list[Cause]) -> Number | None:
    if complaints := container_resource_complaints(resource):
        wrong += complain(at, resource, complaints)
    try:
        amount = parse(text)
    except ValueError as complaint:
        wrong.append(invalid(at, text, str(complaint)))
        return None
    if amount < 0:
        wrong.append(invalid(at, canonical(text), NOT_NEGATIVE))
    if resource not in OVERCOMMITTED:
        if resource.startswith(HUGE):
            page = _page(resource)
            if amount <= 0 or not page or amount % page:
                wrong.append(invalid(path, canonical(text),
                                     f"{canonical(text)} is not positive integer multiple of {resource}"))
        elif is_extended(resource) and amount % 1:
            wrong.append(invalid(at, canonical(text), _NOT_WHOLE))
    return amount


@lru_cache(maxsize=4096)
def container_resource_complaints(resource: str) -> names.Complaints:
    """May a container name this resource?"""
    if complaints := names.is_qualified_name(resource):
        return complaints
    if "/" not in resource:
        if resource in OVERCOMMITTED or resource.startswith(HUGE):
            return names.FINE
        found = ["must be a standard resource for containers"]
        if resource not in _STANDARD:
            found.insert(0, "must be a standard resource type or fully qualified")
        return tuple(found)
    return names.FINE if is_native(resource) or is_extended(resource) else (_NAMELESS,)


def is_native(resource: str) -> bool:
    return "/" not in resource or resource.partition("/")[0].endswith("kubernetes.io")


def is_extended(resource: str) -> bool:
    """`example.com/gpu`: counted in whole pieces, offered by device plugins."""
    return (not is_native(resource) and not resource.startswith("requests.")
            and not names.is_qualified_name(f"requests.{resource}"))


@lru_cache(maxsize=64)
def _page(resource: str) -> Number:
    try:
        return parse(resource.removeprefix(HUGE))
    except ValueError:
        return 0


def _claims(claims: list[Obj], path: str, known: Collection[str], wrong: list[Cause]) -> None:
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        at, name = f"{path}[{index}]", claim.get("name") or ""
        if not name:
            wrong.append(required(at))
            continue
        key = f"{name}/{claim['request']}" if claim.get("request") else name
        if name in seen or key in seen:
            wrong.append(duplicate(at, key))
        seen.add(key)
        if name not in known:
            listed = f": {', '.join(sorted(known))}" if known else " which is empty"
            wrong.append(Cause("FieldValueNotFound", at, f'Not found: "{name}": must be one of the names in '
                               f"pod.spec.resourceClaims{listed}"))
