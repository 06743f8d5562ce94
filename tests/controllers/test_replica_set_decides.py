"""What a ReplicaSet does, one row a decision."""
import pytest
from replica_set_cases import (
    NOW,
    a_deployment,
    a_pod,
    a_replica_set,
    a_replication_controller,
    a_template,
    said,
    status_in,
    summary,
)

from muster.api.objects import with_
from muster.control.plan import Create
from muster.controllers.replica_set import BURST, Observed, plan
from muster.controllers.replica_set_surplus import deletion_cost, surplus

OTHER = a_replica_set(name="other")


@pytest.mark.parametrize("replicas, pods, does", [
    pytest.param(3, [], "+3", id="none there"),
    pytest.param(2, [a_pod("a"), a_pod("b")], "", id="as asked for"),
    pytest.param(0, [a_pod("a"), a_pod("b")], "-a -b", id="none wanted"),
    pytest.param(1, [a_pod("a", phase="Failed")], "+1", id="a failed pod does not count"),
    pytest.param(1, [a_pod("a", phase="Succeeded")], "+1", id="nor one that succeeded"),
    pytest.param(1, [a_pod("a", going=True)], "+1", id="nor one that is going"),
    pytest.param(1, [a_pod("a", ready_for=None)], "", id="one that is not ready does"),
    pytest.param(1, [a_pod("a", orphan=True)], "adopt:a", id="adopts an orphan before it makes one"),
    pytest.param(1, [a_pod("a", labels={"app": "x"})], "release:a", id="releases what no longer matches"),
    pytest.param(1, [a_pod("a", OTHER)], "+1", id="another set's pod is not touched"),
    pytest.param(0, [a_pod("a", orphan=True, going=True)], "", id="an orphan that is going is not adopted"),
    pytest.param(BURST + 7, [], f"+{BURST}", id="no more than a burst at a look"),
])
def test_decides(replicas, pods, does):
    assert summary(plan(Observed(a_replica_set(replicas), pods), NOW)) == does


@pytest.mark.parametrize("first, second", [
    pytest.param({"node": None, "cost": "5"}, {"phase": "Pending"}, id="without a node"),
    pytest.param({"phase": "Pending", "cost": "5"}, {"ready_for": None}, id="pending"),
    pytest.param({"phase": "Unknown"}, {"ready_for": None}, id="unknown"),
    pytest.param({"ready_for": None, "cost": "5"}, {"cost": "-5"}, id="not ready"),
    pytest.param({"cost": "-1", "ready_for": 5000.0}, {"node": "crowded"}, id="cheap to delete"),
    pytest.param({"node": "crowded", "ready_for": 5000.0}, {}, id="on a crowded node"),
    pytest.param({"ready_for": 10.0}, {"ready_for": 100.0, "restarts": 5}, id="ready for a shorter time"),
    pytest.param({"restarts": 3}, {"restarts": 1, "age": 20.0}, id="restarted more often"),
    pytest.param({"age": 100.0}, {"age": 2000.0}, id="younger"),
])
def test_who_goes_first(first, second):
    """Whatever the order in which they are seen, and whatever chance (the uid) says."""
    siblings = [a_pod("other", OTHER, node="crowded")]
    for names in (("a", "b"), ("b", "a")):
        one, other = a_pod(names[0], **first), a_pod(names[1], **second)
        for seen in ([one, other], [other, one]):
            assert surplus(seen, [*seen, *siblings], 1, NOW) == [one]


def test_among_pods_of_about_the_same_age_chance_decides():
    pods = [a_pod("b", ready_for=1000.0), a_pod("a", ready_for=1010.0)]
    assert surplus(pods, pods, 1, NOW) == [pods[1]]


def test_siblings_are_the_pods_of_sets_with_the_same_owner():
    owner = a_deployment()
    mine = a_replica_set(1, owner=owner)
    pods = [a_pod("a", mine, node="n1", ready_for=9.0), a_pod("b", mine, node="n2", ready_for=900.0)]
    crowd = [a_pod("x", OTHER, node="n2")]
    assert summary(plan(Observed(mine, pods), NOW)) == "-a"
    assert summary(plan(Observed(mine, pods, crowd), NOW)) == "-b"
    assert summary(plan(Observed(mine, pods, [with_(crowd[0], "status.phase", "Failed")]), NOW)) == "-a"


@pytest.mark.parametrize("text, cost", [("7", 7), ("-7", -7), ("+7", 0), ("07", 0), ("", 0), ("9999999999", 0), ("x", 0)])
def test_the_cost_of_deletion(text, cost):
    assert deletion_cost(a_pod("a", cost=text)) == cost


def test_a_new_pod_is_the_template_with_an_owner():
    template = a_template(labels={"app": "web", "tier": "front"})
    template["metadata"]["annotations"] = {"why": "so"}
    (made,) = [action.obj for action in plan(Observed(a_replica_set(1, template=template), []), NOW).actions
               if isinstance(action, Create)]
    assert made["metadata"]["generateName"] == "web-"
    assert made["metadata"]["labels"] == {"app": "web", "tier": "front"}
    assert made["metadata"]["annotations"] == {"why": "so"}
    assert made["metadata"]["ownerReferences"][0] == {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "uid-web", "controller": True,
        "blockOwnerDeletion": True}
    assert made["spec"] is template["spec"], "pods share their template"


def test_status_counts():
    template = a_template(labels={"app": "web", "tier": "front"})
    replica_set = a_replica_set(4, template=template, minReadySeconds=30)
    pods = [a_pod("a", replica_set), a_pod("b", replica_set, ready_for=10.0), a_pod("c", replica_set, ready_for=None),
            a_pod("d", replica_set, labels={"app": "web"}), a_pod("e", replica_set, going=True)]
    decided = plan(Observed(replica_set, pods), NOW)
    assert status_in(decided) == {"replicas": 4, "fullyLabeledReplicas": 3, "readyReplicas": 3, "availableReplicas": 2,
                                  "observedGeneration": 1}
    assert decided.wake_at == NOW + 20, "when the pod that is ready for 10 s becomes available"
    assert plan(Observed({**replica_set, "status": status_in(decided)}, pods), NOW).actions == []


def test_a_failure_is_told_once_and_taken_back():
    replica_set = a_replica_set(1)
    first = plan(Observed(replica_set, []), NOW)
    (write,) = first.otherwise("no more than 0 pods")
    assert said(write.status, "ReplicaFailure") == "True FailedCreate"
    assert write.status["conditions"][0]["message"] == "no more than 0 pods"
    failing = {**replica_set, "status": write.status}
    again = plan(Observed(failing, []), NOW + 5)
    assert again.otherwise("no more than 0 pods") == [], "it stays as it was told"
    assert said(status_in(again), "ReplicaFailure") is None, "and goes once the pod could be made"


def test_a_failure_to_end_pods():
    (write,) = plan(Observed(a_replica_set(0), [a_pod("a")]), NOW).otherwise("no")
    assert said(write.status, "ReplicaFailure") == "True FailedDelete"


def test_nothing_to_refuse_nothing_to_tell():
    assert plan(Observed(a_replica_set(1), [a_pod("a")]), NOW).otherwise is None


@pytest.mark.parametrize("replicas, pods, does", [
    pytest.param(3, lambda rc: [a_pod("a", rc)], "+2", id="too few"),
    pytest.param(0, lambda rc: [a_pod("a", rc)], "-a", id="too many"),
    pytest.param(1, lambda rc: [a_pod("a", rc, orphan=True)], "adopt:a", id="adopts by its plain selector"),
    pytest.param(1, lambda rc: [a_pod("a", rc, labels={"app": "x"})], "release:a", id="releases"),
])
def test_a_replication_controller_decides_alike(replicas, pods, does):
    rc = a_replication_controller(replicas)
    assert summary(plan(Observed(rc, pods(rc)), NOW)) == does


def test_what_a_replication_controller_makes_is_its_own():
    rc = a_replication_controller(1)
    decided = plan(Observed(rc, []), NOW)
    (made,) = [action.obj for action in decided.actions if isinstance(action, Create)]
    assert made["metadata"]["ownerReferences"][0]["kind"] == "ReplicationController"
    (write,) = decided.otherwise("no")
    assert write.key.resource == "replicationcontrollers"
