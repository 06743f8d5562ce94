"""PodDisruptionBudgets: how many pods of an application may be taken away at a time by those who can wait.

The number itself is worked out by controllers/disruption.py and spent by server/evictions.py.
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-budgets
https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""
from __future__ import annotations

from typing import Any

from .. import names
from ..causes import Cause, not_supported, shown
from ..objects import Obj, at, to_time, with_condition
from ..tables import AGE, NAME
from ..validation.conditions import validate_conditions
from ..validation.int_or_percent import validate_at_most_all, validate_not_negative
from ..validation.metadata import (
    not_negative,
    validate_label_selector,
    validate_metadata,
    validate_metadata_update,
)
from .kind import STATUS, Column, Kind

NO_STATUS = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
NUMBERS = tuple(NO_STATUS)
ALWAYS_ALLOW, IF_HEALTHY_BUDGET = "AlwaysAllow", "IfHealthyBudget"
UNHEALTHY_POLICIES = (ALWAYS_ALLOW, IF_HEALTHY_BUDGET)
DISRUPTION_ALLOWED = "DisruptionAllowed"
NOT_SAID = "N/A"


def prepare_create(budget: Obj) -> Obj:
    return {**budget, "status": NO_STATUS}


def prepare_update(new: Obj, old: Obj) -> Obj:
    return {**new, "status": old.get("status") or NO_STATUS}


def validate(budget: Obj) -> list[Cause]:
    wrong = validate_metadata(budget, namespaced=True, name=names.is_path_segment)
    spec = budget.get("spec") or {}
    limits = [field for field in ("minAvailable", "maxUnavailable") if spec.get(field) is not None]
    if len(limits) > 1:
        # Upstream prints its own memory's addresses here.
        wrong.append(Cause("FieldValueInvalid", "spec", f"Invalid value: {shown(spec)}: "
                           "minAvailable and maxUnavailable cannot be both set"))
    for field in limits:
        validate_not_negative(spec[field], f"spec.{field}", wrong)
        validate_at_most_all(spec[field], f"spec.{field}", wrong)
    validate_label_selector(spec.get("selector"), "spec.selector", wrong)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in UNHEALTHY_POLICIES:
        wrong.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, UNHEALTHY_POLICIES))
    return wrong


def validate_status_update(new: Obj, old: Obj) -> list[Cause]:
    status = new.get("status") or {}
    wrong = validate_metadata_update(new, old)
    wrong += validate_conditions(status.get("conditions") or (), "status.conditions")
    for field in NUMBERS:
        wrong += not_negative(status.get(field), f"status.{field}")
    return wrong


def with_allowed_condition(status: Obj, now: float) -> Obj:
    """The status with a condition that says what its number of allowed disruptions means."""
    allowed = (status.get("disruptionsAllowed") or 0) > 0
    return with_disruption_allowed(status, allowed, "SufficientPods" if allowed else "InsufficientPods", "", now)


def with_disruption_allowed(status: Obj, allowed: bool, reason: str, message: str, now: float) -> Obj:
    said: Obj = {"type": DISRUPTION_ALLOWED, "status": "True" if allowed else "False", "reason": reason,
                 "message": message, "lastTransitionTime": to_time(now)}
    if status.get("observedGeneration"):
        said["observedGeneration"] = status["observedGeneration"]
    return {**status, "conditions": with_condition(status.get("conditions") or (), said)}


def _limit(field: str) -> Any:
    def cell(budget: Obj, now: float) -> str:
        value = at(budget, f"spec.{field}")
        return NOT_SAID if value is None else str(value)
    return cell


POD_DISRUPTION_BUDGET = Kind(
    group="policy", version="v1", name="PodDisruptionBudget", plural="poddisruptionbudgets",
    singular="poddisruptionbudget", namespaced=True,
    definition="io.k8s.api.policy.v1.PodDisruptionBudget",
    short_names=("pdb",),
    subresources=(STATUS,),
    columns=(
        NAME,
        Column("Min Available", _limit("minAvailable"), description="Pods that must stay available."),
        Column("Max Unavailable", _limit("maxUnavailable"), description="Pods that may be unavailable."),
        Column("Allowed Disruptions", lambda budget, now: at(budget, "status.disruptionsAllowed", 0), "integer",
               description="Pods that may be evicted right now."),
        AGE,
    ),
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_metadata_update,
    validate_status_update=validate_status_update,
)
