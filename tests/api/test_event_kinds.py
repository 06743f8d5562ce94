"""Event in both its forms."""
import pytest

from muster.api.kinds.event import EVENT, NEWER_EVENT
from muster.api.tables import table

T0, T30, T45 = "1970-01-01T00:00:00Z", "1970-01-01T00:00:30Z", "1970-01-01T00:00:45.000000Z"


def told(causes):
    return [str(cause) for cause in causes]


def event(**fields):
    return {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "a.1", "namespace": "logging"},
            "involvedObject": {"kind": "DaemonSet", "namespace": "logging", "name": "agent"},
            "reason": "SuccessfulCreate", "message": "Created pod: agent-x\n", "type": "Normal",
            "source": {"component": "daemonset-controller"}, **fields}


def newer(**fields):
    return {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "a.1", "namespace": "logging"},
            "regarding": {"kind": "Pod", "namespace": "logging", "name": "p"}, "reason": "Scheduled",
            "note": "Assigned", "type": "Normal", "eventTime": T45, "action": "Binding",
            "reportingController": "default-scheduler", "reportingInstance": "default-scheduler-0", **fields}


def cells(obj, now, kind=EVENT):
    shown = table(kind, [obj], now)
    return dict(zip((one["name"] for one in shown["columnDefinitions"]), shown["rows"][0]["cells"], strict=True))


def test_columns():
    shown = cells(event(firstTimestamp=T0, lastTimestamp=T30, count=4), 60)
    assert shown == {
        "Last Seen": "30s", "Type": "Normal", "Reason": "SuccessfulCreate", "Object": "daemonset/agent",
        "Subobject": "", "Source": "daemonset-controller", "Message": "Created pod: agent-x", "First Seen": "60s",
        "Count": 4, "Name": "a.1"}


@pytest.mark.parametrize(("fields", "column", "cell"), [
    pytest.param({}, "Last Seen", "<unknown>", id="no time at all"),
    pytest.param({"firstTimestamp": T0}, "Last Seen", "60s", id="seen once"),
    pytest.param({"eventTime": T45}, "First Seen", "15s", id="the newer time"),
    pytest.param({"eventTime": T0, "series": {"count": 3, "lastObservedTime": T45}}, "Last Seen", "15s", id="series"),
    pytest.param({"eventTime": T0, "series": {"count": 3, "lastObservedTime": T45}}, "Count", 3, id="series count"),
    pytest.param({}, "Count", 1, id="at least once"),
    pytest.param({"source": {"component": "kubelet", "host": "n1"}}, "Source", "kubelet, n1", id="component and host"),
    pytest.param({"source": {}, "reportingComponent": "c", "reportingInstance": "i"}, "Source", "c, i", id="reporter"),
    pytest.param({"involvedObject": {"kind": "Node"}}, "Object", "node", id="no name"),
])
def test_cells(fields, column, cell):
    assert cells(event(**fields), 60)[column] == cell


def test_the_two_forms_are_one_event():
    both = newer(deprecatedCount=2, deprecatedFirstTimestamp=T0, deprecatedSource={"component": "x"})
    stored = NEWER_EVENT.to_stored(both)
    assert stored["apiVersion"] == "v1"
    assert stored["involvedObject"] == both["regarding"] and stored["message"] == both["note"]
    assert stored["reportingComponent"] == "default-scheduler"
    assert (stored["count"], stored["firstTimestamp"], stored["source"]) == (2, T0, {"component": "x"})
    assert NEWER_EVENT.from_stored(stored) == both
    assert cells(both, 60, NEWER_EVENT) == cells(stored, 60)
    assert NEWER_EVENT.key("logging", "a.1") == EVENT.key("logging", "a.1")


@pytest.mark.parametrize(("obj", "wrong"), [
    (event(), []),
    (event(involvedObject={"kind": "Pod", "namespace": "other", "name": "p"}), [
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace']),
    (event(involvedObject={"kind": "Node", "name": "n"}), [
        'involvedObject.namespace: Invalid value: "": does not match event.namespace']),
    (event(involvedObject={"kind": "Node", "name": "n"}, metadata={"name": "a", "namespace": "default"}), []),
    (event(eventTime=T45, action="a", reportingComponent="c"), ["reportingInstance: Required value"]),
])
def test_the_stored_form(obj, wrong):
    assert told(EVENT.validate(obj)) == wrong


@pytest.mark.parametrize(("obj", "wrong"), [
    (newer(), []),
    (newer(eventTime=None), ["eventTime: Required value"]),
    (newer(action="", reportingInstance=""), ["reportingInstance: Required value", "action: Required value"]),
    (newer(type="Info"), ['type: Invalid value: "": has invalid value: Info']),
    (newer(note="x" * 1025), ['message: Invalid value: "": can have at most 1024 characters']),
    (newer(series={"count": 1, "lastObservedTime": T45}), ['series.count: Invalid value: "": should be at least 2']),
])
def test_the_newer_form(obj, wrong):
    assert told(NEWER_EVENT.validate(obj)) == wrong


def test_only_the_series_of_the_newer_form_goes_on():
    series = {"count": 2, "lastObservedTime": T45}
    assert told(NEWER_EVENT.validate_update(newer(series=series), newer())) == []
    assert told(NEWER_EVENT.validate_update(newer(reason="Other"), newer())) == [
        'reason: Invalid value: "Other": field is immutable']


def test_what_events_are_selected_by():
    assert EVENT.selectable["involvedObject.name"](event()) == "agent"
    assert EVENT.selectable["source"](event(source={}, reportingComponent="c")) == "c"
    assert EVENT.selectable["involvedObject.uid"](event()) == ""
    assert NEWER_EVENT.selectable["regarding.kind"](newer()) == "Pod"
