"""Which fields of an object changed, and how that is said in a line."""
from __future__ import annotations

import pytest

from muster.api.differences import differences, summary


def pod(**more):
    return {"kind": "Pod", "metadata": {"name": "x", "resourceVersion": "1", "managedFields": [{"time": "a"}]}, **more}


@pytest.mark.parametrize("before, after, said", [
    pytest.param({}, {}, "", id="nothing"),
    pytest.param({"metadata": {"resourceVersion": "2"}}, {"metadata": {"managedFields": []}}, "", id="what the server counts"),
    pytest.param({"status": {"phase": "Pending"}}, {"status": {"phase": "Running"}}, "status.phase: Pending -> Running", id="changed"),
    pytest.param({"spec": {}}, {"spec": {"nodeName": "n1"}}, "spec.nodeName=n1", id="set"),
    pytest.param({"spec": {"nodeName": "n1"}}, {"spec": {}}, "spec.nodeName removed", id="removed"),
    pytest.param({"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y"}]}},
                 {"spec": {"containers": [{"name": "b", "image": "y"}, {"name": "a", "image": "x:2"}]}},
                 "spec.containers[a].image: x:1 -> x:2", id="by name, in any order"),
    pytest.param({"status": {"conditions": []}}, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
                 "status.conditions[Ready]=True", id="a condition is what it says"),
    pytest.param({"spec": {"args": ["a"]}}, {"spec": {"args": ["a", "b"]}}, "spec.args: [1] -> [2]", id="a list without names"),
    pytest.param({"spec": {"ports": [{"name": "a"}, {"name": "a"}]}}, {"spec": {"ports": [{"name": "a"}]}},
                 "spec.ports: [2] -> [1]", id="names that are not one each"),
    pytest.param({"spec": {"paused": False}}, {"spec": {"paused": True}}, "spec.paused: false -> true", id="as YAML says it"),
    pytest.param({"spec": {"x": {"a": 1}}}, {"spec": {"x": "b" * 50}}, f"spec.x: {{...}} -> {'b' * 37}...", id="short"),
    pytest.param({}, {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}, "a=1, b=2, c=3, and 2 more", id="not all of them"),
])
def test_a_change_in_a_line(before, after, said):
    assert summary(differences(pod() | before, pod() | after)) == said
