"""PriorityClasses (and RuntimeClasses, as small): values, reserved names, what may not change."""
import pytest

from muster.api.kinds.priority_class import PRIORITY_CLASS, system_classes
from muster.api.kinds.runtime_class import RUNTIME_CLASS


def priority(name="high", value=100000, **fields):
    return PRIORITY_CLASS.defaults({"metadata": {"name": name}, "value": value, **fields})


RESERVED = ("metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. "
            "error: ")


@pytest.mark.parametrize("given, expected", [
    pytest.param({}, [], id="fine"),
    pytest.param({"value": -2147483648}, [], id="least"),
    pytest.param({"value": 1_000_000_000}, [], id="most"),
    pytest.param({"value": 1_000_000_001}, [
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"], id="too much"),
    pytest.param({"name": "system-mine"}, [RESERVED + "system-mine is not a known system priority class"],
                 id="reserved"),
    pytest.param({"name": "system-node-critical"}, [
        RESERVED + "value of system-node-critical PriorityClass must be 2000001000"], id="another value"),
    pytest.param({"preemptionPolicy": "Sometimes"}, [
        'preemptionPolicy: Unsupported value: "Sometimes": supported values: "PreemptLowerPriority", "Never"'],
        id="policy"),
])
def test_validation(given, expected):
    assert [str(cause) for cause in PRIORITY_CLASS.validate(priority(**given))] == expected


def test_the_system_classes_are_fine():
    assert [PRIORITY_CLASS.validate(one) for one in system_classes()] == [[], []]
    assert {one["metadata"]["name"]: one["value"] for one in system_classes()} == {
        "system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def test_what_stays():
    found = PRIORITY_CLASS.validate_update(priority(value=5, preemptionPolicy="Never"), priority())
    assert [str(cause) for cause in found] == [
        "value: Forbidden: may not be changed in an update.",
        'preemptionPolicy: Invalid value: "Never": field is immutable']
    assert PRIORITY_CLASS.validate_update(priority(description="new", globalDefault=True), priority()) == []


def test_columns():
    found = priority()
    assert [column.name for column in PRIORITY_CLASS.columns] == [
        "Name", "Value", "Global-Default", "Age", "PreemptionPolicy"]
    assert [column.cell(found, 0) for column in PRIORITY_CLASS.columns] == [
        "high", 100000, False, "<unknown>", "PreemptLowerPriority"]


@pytest.mark.parametrize("given, expected", [
    pytest.param({"handler": "kata", "overhead": {"podFixed": {"cpu": "250m"}}}, [], id="fine"),
    pytest.param({}, ["handler: Required value"], id="no handler"),
    pytest.param({"handler": "a.b"}, ['handler: Invalid value: "a.b": must not contain dots'], id="handler"),
    pytest.param({"handler": "a", "scheduling": {"tolerations": [{"operator": "Exists"}] * 2}},
                 ['scheduling.tolerations[1]: Duplicate value: core.Toleration{Key:"", Operator:"Exists", Value:"", Effect:"", '
                  "TolerationSeconds:(*int64)(nil)}"], id="twice tolerated"),
])
def test_runtime_classes(given, expected):
    found = RUNTIME_CLASS.defaults({"metadata": {"name": "r"}, **given})
    assert [str(cause) for cause in RUNTIME_CLASS.validate(found)] == expected


def test_a_runtime_class_keeps_its_handler():
    new, old = ({"metadata": {"name": "r"}, "handler": handler} for handler in ("a", "b"))
    assert [str(cause) for cause in RUNTIME_CLASS.validate_update(new, old)] == [
        'handler: Invalid value: "a": field is immutable']
