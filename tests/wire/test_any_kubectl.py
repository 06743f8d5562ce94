"""The main job by a kubectl of any age: what a user of Debian's own package can do."""
import pytest
from conftest import daemonset

pytestmark = pytest.mark.any_kubectl


def test_a_daemonset_from_first_to_last(space):
    space.apply(daemonset("agent", "agent:1"))
    assert "successfully rolled out" in space.rolled_out("agent").stdout
    [row] = space.kubectl("get", "ds").table
    assert row["NAME"] == "agent" and row["DESIRED"] == row["READY"] == "4"
    assert "Created pod: agent-" in space.kubectl("describe", "ds", "agent").stdout
    assert space.kubectl("set", "image", "ds", "agent", "main=agent:2").lines == ["daemonset.apps/agent image updated"]
    space.rolled_out("agent")
    history = space.kubectl("rollout", "history", "ds", "agent").lines
    assert [line.split()[0] for line in history[-2:]] == ["1", "2"]
    assert space.kubectl("rollout", "undo", "ds", "agent").lines == ["daemonset.apps/agent rolled back"]
    space.rolled_out("agent")
    images = space.kubectl("get", "pods", "-o", "custom-columns=IMAGE:spec.containers[0].image", "--no-headers").lines
    assert set(images) == {"agent:1"}
    assert space.kubectl("delete", "ds", "agent").lines == ['daemonset.apps "agent" deleted']


def test_nodes_and_namespaces(cluster, space):
    nodes = cluster.kubectl("get", "nodes").table
    assert len(nodes) >= 4 and {row["STATUS"] for row in nodes} == {"Ready"}
    assert cluster.kubectl("get", "ns", space.name).table[0]["STATUS"] == "Active"
    missing = space.kubectl("get", "ds", "nope", fails=True)
    assert 'daemonsets.apps "nope" not found' in missing.stderr
