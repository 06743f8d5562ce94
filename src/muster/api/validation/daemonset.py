"""DaemonSets: the selector, the template it must match, and how updates roll.

https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/
"""
from __future__ import annotations

from ..causes import Cause, invalid, not_supported, required
from ..go_text import syntax_of_strategy
from ..objects import Obj
from .int_or_percent import is_zero, refused, validate_at_most_all, validate_not_negative
from .metadata import (
    NOT_NEGATIVE,
    immutable,
    not_negative,
    validate_metadata,
    validate_metadata_update,
)
from .pod import validate_pod_template
from .selected_template import validate_lasting, validate_selector

STATUS_NUMBERS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
                  "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable")


def validate_daemonset(daemonset: Obj) -> list[Cause]:
    wrong = validate_metadata(daemonset, namespaced=True)
    spec = daemonset.get("spec") or {}
    _selector(spec, wrong)
    template = spec.get("template") or {}
    validate_pod_template(template, "spec.template", wrong)
    validate_lasting(template, "DaemonSet", wrong)
    wrong += not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds")
    _strategy(spec.get("updateStrategy") or {}, wrong)
    wrong += not_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit")
    return wrong


def _selector(spec: Obj, wrong: list[Cause]) -> None:
    validate_selector(spec, wrong)
    selector = spec.get("selector")
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        wrong.append(invalid("spec.selector", selector, "empty selector is invalid for daemonset"))


def _strategy(strategy: Obj, wrong: list[Cause]) -> None:
    path = "spec.updateStrategy"
    match strategy.get("type"):
        case "OnDelete":
            return
        case "RollingUpdate":
            rolling = strategy.get("rollingUpdate")
            if rolling is None:
                wrong.append(required(f"{path}.rollingUpdate"))
            else:
                _rolling(rolling, f"{path}.rollingUpdate", wrong)
        case _:
            said = syntax_of_strategy("apps.DaemonSetUpdateStrategy", strategy, "apps.RollingUpdateDaemonSet")
            wrong.append(not_supported(path, said, ("RollingUpdate", "OnDelete")))


def _rolling(rolling: Obj, path: str, wrong: list[Cause]) -> None:
    """Exactly one of the two is in use: pods go before their successors come, or the other way round."""
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    for field, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        validate_not_negative(value, f"{path}.{field}", wrong)
    for field, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        validate_at_most_all(value, f"{path}.{field}", wrong)
    if is_zero(unavailable) and is_zero(surge):
        wrong.append(required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    elif not is_zero(unavailable) and not is_zero(surge):
        wrong.append(refused(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))


def validate_daemonset_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is not before:
        wrong += immutable(after.get("selector"), before.get("selector"), "spec.selector")
    return wrong


def validate_daemonset_status_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    after, before = new.get("status") or {}, old.get("status") or {}
    for field in STATUS_NUMBERS:
        if (after.get(field) or 0) < 0:
            wrong.append(invalid(f"status.{field}", after[field], NOT_NEGATIVE))
    count, counted = after.get("collisionCount"), before.get("collisionCount")
    if count is not None:
        wrong += not_negative(count, "status.collisionCount")
    if counted is not None and (count is None or count < counted):
        wrong.append(invalid("status.collisionCount", count or 0, "cannot be decremented"))
    return wrong
