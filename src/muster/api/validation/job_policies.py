"""Jobs: what a pod's failure means (podFailurePolicy), and when enough has succeeded (successPolicy).

https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
https://kubernetes.io/docs/concepts/workloads/controllers/job/#success-policy
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, duplicate, invalid, not_supported, required, too_long, too_many
from ..indexes import read_indexes
from ..objects import Obj, at
from .metadata import complain, not_negative

ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS = ("In", "NotIn")
CONDITION_STATUSES = ("False", "True", "Unknown")
MOST_RULES, MOST_EXIT_CODES, MOST_CONDITIONS = 20, 255, 20
LONGEST_INDEXES = 64 * 1024


def validate_pod_failure_policy(spec: Obj, policy: Obj, path: str, wrong: list[Cause]) -> None:
    rules = policy.get("rules") or []
    if len(rules) > MOST_RULES:
        wrong.append(too_many(f"{path}.rules", len(rules), MOST_RULES))
    pod = at(spec, "template.spec", {})
    containers = {one.get("name") for field in ("containers", "initContainers") for one in pod.get(field) or ()}
    for index, rule in enumerate(rules):
        _rule(rule, spec, containers, f"{path}.rules[{index}]", wrong)


def _rule(rule: Obj, spec: Obj, containers: set[str | None], path: str, wrong: list[Cause]) -> None:
    action = rule.get("action") or ""
    if not action:
        wrong.append(required(f"{path}.action", "valid values: " + _quoted(ACTIONS)))
    elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        wrong.append(invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set"))
    elif action not in ACTIONS:
        wrong.append(not_supported(f"{path}.action", action, ACTIONS))
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or []
    if codes is not None:
        _exit_codes(codes, containers, f"{path}.onExitCodes", wrong)
    if conditions:
        _conditions(conditions, f"{path}.onPodConditions", wrong)
    if codes is not None and conditions:
        wrong.append(_without_value(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not conditions:
        wrong.append(_without_value(path, "specifying one of OnExitCodes and OnPodConditions is required"))


def _exit_codes(codes: Obj, containers: set[str | None], path: str, wrong: list[Cause]) -> None:
    operator = codes.get("operator") or ""
    if not operator:
        wrong.append(required(f"{path}.operator", "valid values: " + _quoted(OPERATORS)))
    elif operator not in OPERATORS:
        wrong.append(not_supported(f"{path}.operator", operator, OPERATORS))
    name = codes.get("containerName")
    if name is not None and name not in containers:
        wrong.append(invalid(f"{path}.containerName", name,
                             "must be one of the container or initContainer names in the pod template"))
    values = codes.get("values") or []
    if not values:
        wrong.append(invalid(f"{path}.values", values, "at least one value is required"))
    elif len(values) > MOST_EXIT_CODES:
        wrong.append(too_many(f"{path}.values", len(values), MOST_EXIT_CODES))
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            wrong.append(invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator"))
        if value in values[:index]:
            wrong.append(duplicate(f"{path}.values[{index}]", value))
    if values != sorted(values):
        wrong.append(invalid(f"{path}.values", values, "must be ordered"))


def _conditions(conditions: list[Obj], path: str, wrong: list[Cause]) -> None:
    if len(conditions) > MOST_CONDITIONS:
        wrong.append(too_many(path, len(conditions), MOST_CONDITIONS))
    for index, pattern in enumerate(conditions):
        at_, type_, status = f"{path}[{index}]", pattern.get("type") or "", pattern.get("status") or ""
        wrong += complain(f"{at_}.type", type_, names.is_qualified_name(type_))
        if not status:
            wrong.append(required(f"{at_}.status", "valid values: " + _quoted(CONDITION_STATUSES)))
        elif status not in CONDITION_STATUSES:
            wrong.append(not_supported(f"{at_}.status", status, CONDITION_STATUSES))


def validate_success_policy(policy: Obj, completions: int, path: str, wrong: list[Cause]) -> None:
    rules = policy.get("rules") or []
    if not rules:
        wrong.append(required(f"{path}.rules", "at least one rules must be specified when the successPolicy is "
                              "specified"))
    elif len(rules) > MOST_RULES:
        wrong.append(too_many(f"{path}.rules", len(rules), MOST_RULES))
    for index, rule in enumerate(rules):
        _success_rule(rule, completions, f"{path}.rules[{index}]", wrong)


def _success_rule(rule: Obj, completions: int, path: str, wrong: list[Cause]) -> None:
    count, text = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and text is None:
        wrong.append(required(path, "at least one of succeededCount or succeededIndexes must be specified"))
    named = 0
    if text is not None:
        if len(text) > LONGEST_INDEXES:
            wrong.append(too_long(f"{path}.succeededIndexes", LONGEST_INDEXES))
        try:
            named = len(read_indexes(text, completions))
        except ValueError as complaint:
            wrong.append(invalid(f"{path}.succeededIndexes", text, f"error parsing succeededIndexes: {complaint}"))
    if count is None:
        return
    wrong += not_negative(count, f"{path}.succeededCount")
    if count > completions:
        wrong.append(invalid(f"{path}.succeededCount", count, f"must be less than or equal to {completions} (the "
                             "number of specified completions)"))
    if text is not None and count > named:
        wrong.append(invalid(f"{path}.succeededCount", count, f"must be less than or equal to {named} (the number of "
                             "indexes in the specified succeededIndexes field)"))


def _quoted(words: tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{word}"' for word in words) + "]"


def _without_value(path: str, detail: str) -> Cause:
    return Cause("FieldValueInvalid", path, f"Invalid value: {detail}")
