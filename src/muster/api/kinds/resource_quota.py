"""ResourceQuota: what all objects of a namespace may take together.

https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""
from __future__ import annotations

from collections.abc import Callable

from .. import names, quantities
from ..causes import Cause, invalid, not_supported
from ..defaults import kept
from ..objects import Obj, at
from ..tables import AGE, NAME
from ..validation.metadata import complain, immutable, validate_metadata, validate_metadata_update
from .kind import Column, Kind, Subresource

_COMPUTE = {"cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory",
            "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage"}
_COUNTED = {"pods", "services", "services.nodeports", "services.loadbalancers", "replicationcontrollers",
            "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"}
STANDARD = _COMPUTE | _COUNTED | {"requests.storage"}
SCOPES = ("BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass",
          "Terminating")
_OPPOSITES = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})


def prepare_create(quota: Obj) -> Obj:
    return {**quota, "status": {}}


def prepare_update(new: Obj, old: Obj) -> Obj:
    return kept(new, old, "status")


def validate(quota: Obj) -> list[Cause]:
    wrong = validate_metadata(quota, namespaced=True) + _amounts(at(quota, "spec.hard", {}), "spec.hard")
    scopes = at(quota, "spec.scopes", [])
    for scope in scopes:
        if scope not in SCOPES and "/" not in scope:
            wrong.append(not_supported("spec.scopes", scope, SCOPES))
    if any(pair <= set(scopes) for pair in _OPPOSITES):
        wrong.append(invalid("spec.scopes", scopes, "conflicting scopes"))
    return wrong


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
