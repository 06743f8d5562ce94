"""Deployments: the selector, the template it must match, and how one template follows the other.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy
"""
from __future__ import annotations

from ..causes import Cause, forbidden, invalid, not_supported, required
from ..go_text import syntax_of_strategy
from ..objects import Obj
from .int_or_percent import is_zero, refused, validate_at_most_all, validate_not_negative
from .metadata import not_negative, validate_metadata, validate_metadata_update
from .replicated import validate_counts, validate_selector_and_template

STATUS_NUMBERS = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
                  "unavailableReplicas", "collisionCount")
PARTS = ("updatedReplicas", "readyReplicas", "availableReplicas")


def validate_deployment(deployment: Obj) -> list[Cause]:
    wrong = validate_metadata(deployment, namespaced=True)
    spec = deployment.get("spec") or {}
    wrong += not_negative(spec.get("replicas"), "spec.replicas")
    validate_selector_and_template(spec, wrong)
    _strategy(spec.get("strategy") or {}, wrong)
    wrong += not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds")
    wrong += not_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        wrong += not_negative(deadline, "spec.progressDeadlineSeconds")
        if deadline <= (spec.get("minReadySeconds") or 0):
            wrong.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return wrong


def _strategy(strategy: Obj, wrong: list[Cause]) -> None:
    path = "spec.strategy"
    rolling = strategy.get("rollingUpdate")
    match strategy.get("type"):
        case "Recreate":
            if rolling is not None:
                wrong.append(forbidden(f"{path}.rollingUpdate",
                                       "may not be specified when strategy `type` is 'Recreate'"))
        case "RollingUpdate":
            if rolling is None:
                wrong.append(required(f"{path}.rollingUpdate", "this should be defaulted and never be nil"))
            else:
                _rolling(rolling, f"{path}.rollingUpdate", wrong)
        case _:
            said = syntax_of_strategy("apps.DeploymentStrategy", strategy, "apps.RollingUpdateDeployment")
            wrong.append(not_supported(path, said, ("Recreate", "RollingUpdate")))


def _rolling(rolling: Obj, path: str, wrong: list[Cause]) -> None:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    validate_not_negative(unavailable, f"{path}.maxUnavailable", wrong)
    validate_not_negative(surge, f"{path}.maxSurge", wrong)
    if is_zero(unavailable) and is_zero(surge):
        wrong.append(refused(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"))
    validate_at_most_all(unavailable, f"{path}.maxUnavailable", wrong)


def validate_deployment_status_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    after, before = new.get("status") or {}, old.get("status") or {}
    wrong += validate_counts(after, STATUS_NUMBERS, PARTS)
    count, counted = after.get("collisionCount"), before.get("collisionCount")
    if counted is not None and (count is None or count < counted):
        wrong.append(invalid("status.collisionCount", count or 0, "cannot be decremented"))
    return wrong
