"""Every node that joins has a network that nobody else has."""
from __future__ import annotations

import pytest

from muster.api.objects import to_time
from muster.control.plan import Patch, Tell
from muster.controllers.node_networks import FIRST, LAST, Observed, plan

NOW = 1_767_225_600.0


def node(name: str, cidr: str = "", *, joined: bool = True, age: float = 0.0, **metadata: str) -> dict:
    return {"metadata": {"name": name, "uid": name, "creationTimestamp": to_time(NOW - age),
                         "annotations": {"muster.dev/machine": "192.0.2.2"} if joined else {}, **metadata},
            "spec": {"podCIDR": cidr} if cidr else {}}


@pytest.mark.parametrize(("nodes", "given"), [
    pytest.param([node("a")], {"a": "10.88.51.0/24"}, id="the first"),
    pytest.param([node("a", "10.88.51.0/24"), node("b")], {"b": "10.88.52.0/24"}, id="the next"),
    pytest.param([node("b", age=1), node("a", age=1), node("c", age=2)],
                 {"c": "10.88.51.0/24", "a": "10.88.52.0/24", "b": "10.88.53.0/24"}, id="in the order they came"),
    pytest.param([node("b", "10.88.52.0/24"), node("c")], {"c": "10.88.51.0/24"}, id="one that was given back"),
    pytest.param([node("a", joined=False)], {}, id="those of the server's machine know theirs"),
    pytest.param([node("a", deletionTimestamp=to_time(NOW))], {}, id="one that goes"),
])
def test_networks(nodes, given):
    actions = plan(Observed("10.88", nodes), NOW).actions
    assert {one.key.name: one.patch["spec"]["podCIDR"] for one in actions} == given
    assert all(isinstance(one, Patch) and one.uid for one in actions)


def test_when_all_are_taken():
    full = [node(f"n{number}", f"10.88.{number}.0/24") for number in range(FIRST, LAST + 1)]
    action, = plan(Observed("10.88", [*full, node("late")]), NOW).actions
    assert isinstance(action, Tell) and action.reason == "CIDRNotAvailable"
