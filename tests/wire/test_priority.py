"""Priority classes, and what they do when there is not room for all."""
import re

import pytest
from conftest import EXAMPLES, daemonset

from rows import rows


@pytest.fixture
def high_priority(cluster):
    """The class of our example."""
    made = cluster.kubectl("apply", "-f", EXAMPLES / "high-priority.yaml")
    yield made
    cluster.kubectl("delete", "-f", EXAMPLES / "high-priority.yaml", "--ignore-not-found")


def classed(name, value, **more):
    return {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value, **more}


def hungry(cpu):
    return {"resources": {"requests": {"cpu": cpu}}}


def hog(name, cpu, space, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"nodeSelector": {"test": space.name}, **spec,
                     "containers": [{"name": "main", "image": "hog:1", **hungry(cpu)}]}}


@rows(114, 116)
def test_a_priority_class_is_made_and_shown(cluster, space, high_priority):
    assert high_priority.lines == ["priorityclass.scheduling.k8s.io/high-priority created"]
    for spelling in ("priorityClass", "PriorityClass", "priorityclasses", "pc"):
        row, = (row for row in cluster.kubectl("get", spelling).table if row["NAME"] == "high-priority")
        assert (row["VALUE"], row["GLOBAL-DEFAULT"]) == ("100000", "false")
        assert re.fullmatch(r"\d+s", row["AGE"]) and row["PREEMPTIONPOLICY"] == "PreemptLowerPriority"
    said = [line.split(maxsplit=1) for line in cluster.kubectl("describe", "priorityclass", "high-priority").lines]
    assert [line for line in said if line[0] != "Annotations:"] == [
        ["Name:", "high-priority"], ["Value:", "100000"], ["GlobalDefault:", "false"],
        ["PreemptionPolicy:", "PreemptLowerPriority"], ["Description:", "daemonset priority class"], ["Events:", "<none>"]]
    listed = cluster.kubectl("api-resources", "--api-group=scheduling.k8s.io", "--no-headers").lines
    assert [line.split() for line in listed] == [
        ["priorityclasses", "pc", "scheduling.k8s.io/v1", "false", "PriorityClass"]]


@rows(115)
@pytest.mark.parametrize(("value", "complaint"), [
    pytest.param(1_000_000_000, None, id="a billion"),
    pytest.param(-2_147_483_648, None, id="the least"),
    pytest.param(1_000_000_001, 'The PriorityClass "some" is invalid: value: Forbidden: maximum allowed value of a user '
                 "defined priority is 1000000000", id="more than a billion"),
    pytest.param(2_147_483_648, "cannot be handled as a PriorityClass", id="no 32-bit integer"),
])
def test_what_value_a_class_may_have(cluster, value, complaint):
    said = cluster.kubectl("create", "--dry-run=server", "-f", "-", given=classed("some", value), fails=complaint is not None)
    assert complaint is None or complaint in said.stderr


@rows(115)
def test_the_value_of_a_class_stays(cluster, high_priority):
    said = cluster.kubectl("patch", "pc", "high-priority", "--type=merge", "-p", '{"value":5}', fails=True).stderr
    assert said.strip() == 'The PriorityClass "high-priority" is invalid: value: Forbidden: may not be changed in an update.'


@rows(117)
def test_the_system_classes_are_there_and_stay(cluster, space, pool):
    values = {row["NAME"]: row["VALUE"] for row in cluster.kubectl("get", "priorityclasses").table}
    assert (values["system-cluster-critical"], values["system-node-critical"]) == ("2000000000", "2000001000")
    said = cluster.kubectl("create", "-f", "-", given=classed("system-own", 5), fails=True).stderr
    assert "priority class names with 'system-' prefix are reserved for system use only" in said
    node, = pool(1)
    space.apply(daemonset("kube-proxy", nodeSelector={"test": space.name}, priorityClassName="system-node-critical"))
    space.on_nodes("app=kube-proxy", node)
    proxy = space.pods("app=kube-proxy")[node]
    assert proxy["spec"]["priority"] == 2000001000
    said = space.kubectl("describe", "pod", proxy["metadata"]["name"]).lines
    assert "Priority:             2000001000" in said and "Priority Class Name:  system-node-critical" in said


@rows(108, 114)
def test_a_daemon_gets_the_number_of_its_class(space, pool, high_priority):
    node, = pool(1)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}, priorityClassName="high-priority"),
                daemonset("usual", nodeSelector={"test": space.name}))
    space.on_nodes("app=agent", node)
    space.on_nodes("app=usual", node)
    assert space.pods("app=agent")[node]["spec"]["priority"] == 100000
    assert space.pods("app=agent")[node]["spec"]["preemptionPolicy"] == "PreemptLowerPriority"
    assert space.pods("app=usual")[node]["spec"]["priority"] == 0


@rows(113, 118)
def test_an_important_daemon_makes_room_for_itself(space, pool, high_priority):
    """It evicts as few and as unimportant pods as it needs, and only on its own node."""
    node, = pool(1, capacity={"cpu": "2"})
    space.apply(hog("small", "500m", space), hog("large", "1500m", space))
    space.on_nodes("app=small", node)
    space.on_nodes("app=large", node)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}, priorityClassName="high-priority", container=hungry("400m")))
    space.on_nodes("app=agent", node)
    space.settled("agent", 1)
    agent = space.pods("app=agent")[node]
    preempted = [one for one in space.get("events")["items"] if one["reason"] == "Preempted"]
    assert [(one["involvedObject"]["name"], one["message"]) for one in preempted] == [
        (preempted[0]["involvedObject"]["name"], f"Preempted by pod {agent['metadata']['uid']} on node {node}")]
    assert {one["metadata"]["name"] for one in space.get("pods", "-l", "app in (small,large)")["items"]} == (
        {"small", "large"} - {preempted[0]["involvedObject"]["name"]})
    message, = space.events("FailedScheduling", "agent-")
    assert re.fullmatch(r"0/\d+ nodes are available: 1 Insufficient cpu, \d+ node\(s\) didn't satisfy plugin\(s\) "
                        r"\[NodeAffinity\]\.", message), message


@rows(118, 119)
def test_a_daemon_is_not_evicted_for_what_is_less_important(cluster, space, pool):
    """The tutorial's practice: daemons at 10000.  Others, below that, wait, and so does one that may not preempt."""
    classes = [classed(f"{space.name}-daemon", 10000), classed(f"{space.name}-lower", 9999),
               classed(f"{space.name}-polite", 20000, preemptionPolicy="Never")]
    for one in classes:
        cluster.kubectl("create", "-f", "-", given=one)
    try:
        node, = pool(1, capacity={"cpu": "1"})
        space.apply(daemonset("agent", nodeSelector={"test": space.name}, priorityClassName=f"{space.name}-daemon",
                              container=hungry("800m")))
        space.on_nodes("app=agent", node)
        before = space.pods("app=agent")[node]["metadata"]["uid"]
        space.apply(hog("lower", "500m", space, priorityClassName=f"{space.name}-lower"),
                    hog("polite", "500m", space, priorityClassName=f"{space.name}-polite"))
        def told(there):
            return {one["involvedObject"]["name"] for one in there.values()
                    if one["reason"] == "FailedScheduling"} >= {"lower", "polite"}
        space.until("events", told)
        assert "No preemption victims found for incoming pod" in space.events("FailedScheduling", "lower")[-1]
        assert "preemption: not eligible due to preemptionPolicy=Never." in space.events("FailedScheduling", "polite")[-1]
        assert space.kubectl("get", "pods", "lower", "polite", "--no-headers", "-o", "custom-columns=S:.status.phase").lines == [
            "Pending", "Pending"]
        space.on_nodes("app=agent", node)
        assert space.pods("app=agent")[node]["metadata"]["uid"] == before
        assert space.events("Preempted") == []
    finally:
        cluster.kubectl("delete", "pc", *(one["metadata"]["name"] for one in classes))
