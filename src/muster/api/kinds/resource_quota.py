"""ResourceQuota: what all objects of a namespace may take together.

https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""
from __future__ import annotations

from collections.abc import Callable

from .. import names, quantities
from ..causes import Cause, invalid, required
from ..defaults import kept
from ..go_text import syntax_of_scope_selector, syntax_of_scopes
from ..objects import Obj, at
from ..quota_scopes import SCOPES
from ..quota_usage import BARE, CLAIMS, OF_PODS, OF_SERVICES
from ..tables import AGE, NAME
from ..validation.metadata import complain, immutable, validate_metadata, validate_metadata_update
from .kind import Column, Kind, Subresource

STANDARD = OF_PODS | OF_SERVICES | BARE | {CLAIMS, "requests.storage"}
_COUNTED = OF_SERVICES | BARE | {"pods", CLAIMS}
_OF_BEST_EFFORT = frozenset(("pods",))
_OF_SCOPES = frozenset(("pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"))
_WITHOUT_VALUES = frozenset(SCOPES) - {"PriorityClass"}
_OPPOSITES = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})


def prepare_create(quota: Obj) -> Obj:
    return {**quota, "status": {}}


def prepare_update(new: Obj, old: Obj) -> Obj:
    return kept(new, old, "status")


def validate(quota: Obj) -> list[Cause]:
    hard = at(quota, "spec.hard", {})
    return (validate_metadata(quota, namespaced=True) + _amounts(hard, "spec.hard")
            + _scopes(at(quota, "spec.scopes", []), sorted(hard)) + _scope_selector(quota, sorted(hard)))


def _scopes(scopes: list[str], hard: list[str]) -> list[Cause]:
    wrong: list[Cause] = []
    for scope in scopes:
        if scope not in SCOPES:
            wrong.append(invalid("spec.scopes", syntax_of_scopes(scopes), "unsupported scope"))
        wrong += [invalid("spec.scopes", syntax_of_scopes(scopes), "unsupported scope applied to resource")
                  for name in hard if not _may_be_scoped(scope, name)]
    return wrong + _conflicts(set(scopes), scopes, "spec.scopes")


def _conflicts(found: set[str], scopes: list[str] | None, path: str) -> list[Cause]:
    return [invalid(path, syntax_of_scopes(scopes), "conflicting scopes") for pair in _OPPOSITES if pair <= found]


def _may_be_scoped(scope: str, name: str) -> bool:
    if name not in STANDARD or scope not in SCOPES:
        return True
    return name in (_OF_BEST_EFFORT if scope == "BestEffort" else _OF_SCOPES)


def _scope_selector(quota: Obj, hard: list[str]) -> list[Cause]:
    selector, wrong = at(quota, "spec.scopeSelector"), list[Cause]()
    path = "spec.scopeSelector.matchExpressions"
    if selector is None:
        return wrong
    rules = selector.get("matchExpressions") or ()
    for rule in rules:
        scope, operator = rule.get("scopeName") or "", rule.get("operator") or ""
        values: list[str] = rule.get("values") or []
        if scope not in SCOPES:
            wrong.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        wrong += [invalid(path, syntax_of_scope_selector(selector), "unsupported scope applied to resource")
                  for name in hard if not _may_be_scoped(scope, name)]
        if scope in _WITHOUT_VALUES and operator != "Exists":
            wrong.append(invalid(f"{path}.operator", operator, _ONLY_EXISTS))
        if operator in ("In", "NotIn"):
            if not values:
                wrong.append(required(f"{path}.values", "must be at least one value when `operator` is 'In' or "
                                                        "'NotIn' for scope selector"))
        elif operator not in ("Exists", "DoesNotExist"):
            wrong.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
        elif values:
            wrong.append(invalid(f"{path}.values", values, "must be no value when `operator` is 'Exist' or "
                                                           "'DoesNotExist' for scope selector"))
    return wrong + _conflicts({rule.get("scopeName") for rule in rules}, at(quota, "spec.scopes"), path)


_ONLY_EXISTS = ("must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
                "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                "ResourceQuotaScopeCrossNamespacePodAffinity")


def _amounts(hard: Obj, path: str) -> list[Cause]:
    wrong: list[Cause] = []
    for resource, amount in hard.items():
        here = f"{path}[{resource}]"
        wrong += complain(here, resource, names.is_qualified_name(resource))
        if "/" not in resource and resource not in STANDARD and not resource.startswith("hugepages-"):
            wrong.append(invalid(here, resource, "must be a standard resource for quota"))
        if quantities.parse(amount) < 0:
            wrong.append(invalid(here, amount, "must be greater than or equal to 0"))
        if (resource in _COUNTED or resource.startswith("count/")) and quantities.milli(amount) % 1000:
            wrong.append(invalid(here, amount, "must be an integer"))
    return wrong


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    return validate_metadata_update(new, old) + immutable(
        sorted(at(new, "spec.scopes", [])), sorted(at(old, "spec.scopes", [])), "spec.scopes")


def validate_status_update(new: Obj, old: Obj) -> list[Cause]:
    return (_amounts(at(new, "status.hard", {}), "status.hard")
            + _amounts(at(new, "status.used", {}), "status.used"))


def _used_of_hard(limits: bool) -> Callable[[Obj, float], str]:
    def cell(quota: Obj, now: float) -> str:
        used = at(quota, "status.used", {})
        return ", ".join(f"{resource}: {used.get(resource, '0')}/{hard}"
                         for resource, hard in sorted(at(quota, "status.hard", {}).items())
                         if resource.startswith("limits.") == limits)
    return cell


RESOURCE_QUOTA = Kind(
    group="", version="v1", name="ResourceQuota", plural="resourcequotas", singular="resourcequota",
    namespaced=True, definition="io.k8s.api.core.v1.ResourceQuota", short_names=("quota",),
    subresources=(Subresource("status", fields=("status",)),),
    columns=(
        NAME,
        Column("Request", _used_of_hard(False), description="Used of what may be requested."),
        Column("Limit", _used_of_hard(True), description="Used of what limits may sum up to."),
        AGE,
    ),
    generation_fields=(), prepare_create=prepare_create, prepare_update=prepare_update,
    validate=validate, validate_update=validate_update, validate_status_update=validate_status_update,
)
