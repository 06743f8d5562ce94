"""Who is told of which change, and who is spared it."""
from __future__ import annotations

import pytest

from muster.api.objects import Key, with_
from muster.client.listeners import Changes, Listeners
from muster.store.history import Change, Snapshot

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n", "uid": "u"},
       "spec": {"nodeName": "n1"}, "status": {"phase": "Pending"}}
KEY = Key("pods", "n", "p")


def owned(kind, obj=POD):
    return with_(obj, "metadata.ownerReferences", [{"kind": kind, "name": "o", "uid": "o", "controller": True}])


def change(before, after):
    old = Snapshot(with_(before, "metadata.resourceVersion", "1"), 1) if before is not None else None
    new = Snapshot(with_(after, "metadata.resourceVersion", "2"), 2) if after is not None else None
    return Change(2, KEY, new, old)


RUNS = with_(POD, "status.phase", "Running")


@pytest.mark.parametrize("heard, before, after, is_told", [
    pytest.param("pods", POD, RUNS, True, id="all changes of a resource"),
    pytest.param("nodes", POD, RUNS, False, id="of no other resource"),
    pytest.param(Changes("pods", concerning="services"), POD, RUNS, True, id="where there is whom it may concern"),
    pytest.param(Changes("pods", concerning="jobs"), POD, RUNS, False, id="where there is nobody"),
    pytest.param(Changes("pods", owned_by="Job"), owned("Job"), owned("Job", RUNS), True, id="of its own"),
    pytest.param(Changes("pods", owned_by="Job"), owned("Set"), owned("Set", RUNS), False, id="of others' own"),
    pytest.param(Changes("pods", owned_by="Job"), None, owned("Set"), False, id="of others' new ones"),
    pytest.param(Changes("pods", owned_by="Job"), owned("Set"), None, False, id="of others' that go"),
    pytest.param(Changes("pods", owned_by="Job"), owned("Job"), None, True, id="of its own that go"),
    pytest.param(Changes("pods", owned_by="Job"), POD, RUNS, True, id="of what nobody owns"),
    pytest.param(Changes("pods", owned_by="Job"), POD, owned("Set"), True, id="of what another adopts"),
    pytest.param(Changes("pods", owned_by="Job"), owned("Job"), POD, True, id="of what is released"),
    pytest.param(Changes("pods", owned_by="Job"), owned("Job"), owned("Set"), True, id="of what another takes"),
    pytest.param(Changes("pods", status_too=False), POD, RUNS, False, id="not of a status alone"),
    pytest.param(Changes("pods", status_too=False), None, POD, True, id="of what comes"),
    pytest.param(Changes("pods", status_too=False), POD, None, True, id="of what goes"),
    pytest.param(Changes("pods", status_too=False), POD, with_(RUNS, "spec.nodeName", "n2"), True,
                 id="of a specification with the status"),
    pytest.param(Changes("pods", status_too=False), POD, with_(RUNS, "metadata.labels", {"a": "b"}), True,
                 id="of labels with the status"),
    pytest.param(Changes("pods", status_too=False), POD, {**RUNS, "data": {}}, True, id="of a field that comes"),
    pytest.param(Changes("pods", status_too=False), {**POD, "data": {}}, RUNS, True, id="of a field that goes"),
])
def test_who_is_told(heard, before, after, is_told):
    listeners = Listeners({"pods": {("n", "p"): POD}, "nodes": {}, "services": {("n", "s"): {}}, "jobs": {}})
    listeners.add(print, heard)
    assert listeners.of(change(before, after)) == ((print,) if is_told else ())


def test_whoever_it_may_concern_is_told_from_the_first_to_the_last():
    there = {"pods": {("n", "p"): POD}, "services": {}}
    listeners = Listeners(there)
    listeners.add(print, Changes("pods", concerning="services"))
    service = Snapshot({"metadata": {"name": "s", "namespace": "n", "resourceVersion": "3"}}, 3)
    came, went = (Change(3, Key("services", "n", "s"), *both) for both in ((service, None), (None, service)))
    assert listeners.of(change(POD, RUNS)) == ()
    there["services"]["n", "s"] = service.value
    assert listeners.of(came) == () and listeners.of(change(POD, RUNS)) == (print,)
    there["services"].clear()
    assert listeners.of(went) == () and listeners.of(change(POD, RUNS)) == ()


def test_whoever_it_may_concern_is_told_as_soon_as_one_is_such():
    there = {"pods": {("n", "p"): POD}, "services": {("n", "s"): {"spec": {}}}}
    listeners = Listeners(there)
    listeners.add(print, Changes("pods", concerning="services", such=lambda service: bool(service["spec"])))
    assert listeners.of(change(POD, RUNS)) == ()
    before, after = ({"metadata": {"name": "s", "namespace": "n"}, "spec": spec} for spec in ({}, {"selector": 1}))
    there["services"]["n", "s"] = after
    assert listeners.of(Change(3, Key("services", "n", "s"), Snapshot(after, 3), Snapshot(before, 2))) == ()
    assert listeners.of(change(POD, RUNS)) == (print,)


def test_they_are_told_in_the_order_in_which_they_came_and_no_longer_once_they_left():
    listeners = Listeners({"pods": {("n", "p"): POD}})
    for one, heard in ((print, "pods"), (repr, Changes("pods", owned_by="Job")), (str, "pods")):
        listeners.add(one, heard)
    assert listeners.of(change(POD, RUNS)) == (print, repr, str)
    listeners.remove(print, "pods")
    assert listeners.of(change(POD, RUNS)) == (repr, str)
