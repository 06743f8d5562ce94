"""Which pods a ResourceQuota is about: its scopes, of which a pod must match every one.

    Terminating, NotTerminating     has a deadline, or none
    BestEffort, NotBestEffort       asks for nothing, or for something
    PriorityClass                   has one of these classes
    CrossNamespacePodAffinity       looks at pods of other namespaces to find its place

Other kinds have no scopes: a quota that names one counts pods alone.
https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes
"""
from __future__ import annotations

from collections.abc import Sequence

from .kinds.quality_of_service import qos_class
from .objects import Obj, at

SCOPES = ("BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass",
          "Terminating")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def selectors_of(quota: Obj) -> list[Obj]:
    """The scopes of both fields, as requirements."""
    return [*({"scopeName": scope, "operator": "Exists"} for scope in at(quota, "spec.scopes", ())),
            *at(quota, "spec.scopeSelector.matchExpressions", ())]


def matches_scopes(selectors: Sequence[Obj], resource: str, obj: Obj) -> bool:
    if not selectors:
        return True
    return resource == "pods" and all(_matches(selector, obj) for selector in selectors)


def _matches(selector: Obj, pod: Obj) -> bool:
    spec = pod.get("spec") or {}
    match selector.get("scopeName"):
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return qos_class(pod) == "BestEffort"
        case "NotBestEffort":
            return qos_class(pod) != "BestEffort"
        case "PriorityClass":
            return _matches_class(selector, spec.get("priorityClassName") or "")
        case "CrossNamespacePodAffinity":
            return _looks_elsewhere(spec.get("affinity") or {})
    return False


def _matches_class(selector: Obj, name: str) -> bool:
    values = selector.get("values") or ()
    match selector.get("operator"):
        case "Exists":
            return bool(name)
        case "DoesNotExist":
            return not name
        case "In":
            return bool(name) and name in values
        case "NotIn":
            return not name or name not in values
    return False


def _looks_elsewhere(affinity: Obj) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = [*(rules.get(_REQUIRED) or ()),
                 *(one.get("podAffinityTerm") or {} for one in rules.get(_PREFERRED) or ())]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False
