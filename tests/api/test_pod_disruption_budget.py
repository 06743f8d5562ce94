"""PodDisruptionBudgets: what they may say, what is printed of them, and what a status may hold."""
import pytest

from muster.api.kinds.pod_disruption_budget import NO_STATUS, POD_DISRUPTION_BUDGET
from muster.api.tables import table

NOT_A_PERCENTAGE = ("a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
                    "regex used for validation is '[0-9]+%')")


def budget(name="web", status=None, **spec):
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec, "status": status or NO_STATUS}


def told(causes):
    return [str(cause) for cause in causes]


@pytest.mark.parametrize(("spec", "wrong"), [
    pytest.param({}, [], id="nothing has to be said"),
    pytest.param({"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}, [], id="a number"),
    pytest.param({"maxUnavailable": "30%", "selector": {}}, [], id="a share"),
    pytest.param({"minAvailable": 0}, [], id="none"),
    pytest.param({"minAvailable": 1, "maxUnavailable": 1}, [
        'spec: Invalid value: {"maxUnavailable":1,"minAvailable":1}: '
        "minAvailable and maxUnavailable cannot be both set"], id="both"),
    pytest.param({"minAvailable": -1}, [
        "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"], id="below zero"),
    pytest.param({"maxUnavailable": "half"}, [
        f'spec.maxUnavailable: Invalid value: intstr.IntOrString{{Type:1, IntVal:0, StrVal:"half"}}: {NOT_A_PERCENTAGE}'], id="no share"),
    pytest.param({"maxUnavailable": "101%"}, [
        'spec.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:"101%"}: '
        "must not be greater than 100%"], id="more than all"),
    pytest.param({"selector": {"matchExpressions": [{"key": "app", "operator": "In"}]}}, [
        "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or "
        "'NotIn'"], id="a selector without values"),
    pytest.param({"unhealthyPodEvictionPolicy": "AlwaysAllow"}, [], id="a policy"),
    pytest.param({"unhealthyPodEvictionPolicy": "Never"}, [
        'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", '
        '"IfHealthyBudget"'], id="no such policy"),
])
def test_what_a_budget_may_say(spec, wrong):
    assert told(POD_DISRUPTION_BUDGET.validate(budget(**spec))) == wrong


@pytest.mark.parametrize(("name", "wrong"), [
    pytest.param("Web_1", [], id="any part of a path"),
    pytest.param("..", ["metadata.name: Invalid value: \"..\": may not be '..'"], id="two dots"),
    pytest.param("a/b%", ["metadata.name: Invalid value: \"a/b%\": may not contain '/'",
                          "metadata.name: Invalid value: \"a/b%\": may not contain '%'"], id="a path"),
])
def test_its_name(name, wrong):
    assert told(POD_DISRUPTION_BUDGET.validate(budget(name))) == wrong


def condition(**changes):
    return {"type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z", **changes}


@pytest.mark.parametrize(("status", "wrong"), [
    pytest.param({"conditions": [condition()]}, [], id="fine"),
    pytest.param({"disruptionsAllowed": -1, "expectedPods": -2}, [
        "status.disruptionsAllowed: Invalid value: -1: must be greater than or equal to 0",
        "status.expectedPods: Invalid value: -2: must be greater than or equal to 0"], id="below zero"),
    pytest.param({"conditions": [condition(), condition()]}, [
        'status.conditions[1].type: Duplicate value: "DisruptionAllowed"'], id="twice"),
    pytest.param({"conditions": [condition(status="Maybe", reason="", lastTransitionTime=None)]}, [
        'status.conditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
        "status.conditions[0].lastTransitionTime: Required value: must be set",
        "status.conditions[0].reason: Required value: must be set"], id="half a condition"),
    pytest.param({"conditions": [condition(message="x" * 40_000, observedGeneration=-1)]}, [
        "status.conditions[0].observedGeneration: Invalid value: -1: must be greater than or equal to zero",
        "status.conditions[0].message: Too long: may not be more than 32768 bytes"], id="a long story"),
])
def test_what_a_status_may_hold(status, wrong):
    old = budget()
    assert told(POD_DISRUPTION_BUDGET.validate_status_update({**old, "status": {**NO_STATUS, **status}}, old)) == wrong


def test_a_reason_is_one_word():
    old = budget()
    new = {**old, "status": {"conditions": [condition(reason="no such thing")]}}
    assert "a condition reason must start with alphabetic" in told(
        POD_DISRUPTION_BUDGET.validate_status_update(new, old))[0]


@pytest.mark.parametrize(("spec", "cells"), [
    ({"minAvailable": 2}, ["2", "N/A", 3]),
    ({"maxUnavailable": "50%"}, ["N/A", "50%", 3]),
    ({"minAvailable": 0}, ["0", "N/A", 3]),
])
def test_its_columns(spec, cells):
    shown = table(POD_DISRUPTION_BUDGET, [budget(status={"disruptionsAllowed": 3}, **spec)], 0)
    assert [one["name"] for one in shown["columnDefinitions"]] == [
        "Name", "Min Available", "Max Unavailable", "Allowed Disruptions", "Age"]
    assert shown["rows"][0]["cells"] == ["web", *cells, "<unknown>"]


def test_nobody_brings_a_status_along():
    made = POD_DISRUPTION_BUDGET.prepare_create(budget(status={"disruptionsAllowed": 9}))
    assert made["status"] == NO_STATUS
    old = budget(status={**NO_STATUS, "disruptionsAllowed": 1})
    assert POD_DISRUPTION_BUDGET.prepare_update(budget(status={"disruptionsAllowed": 9}), old)["status"] is old["status"]
