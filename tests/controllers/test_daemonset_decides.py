"""What the DaemonSet controller decides, case by case."""
from __future__ import annotations

import pytest
from daemonset_cases import (
    APP,
    NEW,
    NOW,
    OLD,
    OLDER,
    a_node,
    a_pod,
    a_revision,
    a_set,
    a_taint,
    a_template,
    down,
    hash_of,
    seen,
    status_in,
    summary,
)

from muster.api.objects import at, labels_of, with_, without_
from muster.control.plan import Create, Delete, Patch, SetStatus, Tell
from muster.controllers.daemonset import Memory, decide, plan
from muster.controllers.daemonset_places import Failure

SSD = {"disk": "ssd"}
ON_SSD = a_template(nodeSelector=SSD)
HAS_GPU = {"requiredDuringSchedulingIgnoredDuringExecution": {
    "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]}}
LIKES_GPU = {"preferredDuringSchedulingIgnoredDuringExecution": [
    {"weight": 1, "preference": {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}}]}
NAMED_N2 = {"requiredDuringSchedulingIgnoredDuringExecution": {
    "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]}}


def tainted(effect, key="dedicated", value="db"):
    return a_node("n1", taints=[a_taint(key, effect, value)])


WHERE = [
    pytest.param(["n1", "n2"], NEW, "+n1 +n2", id="every node"),
    pytest.param([], NEW, "", id="no node at all"),
    pytest.param([a_node("n1", SSD), a_node("n2")], ON_SSD, "+n1", id="nodeSelector"),
    pytest.param([a_node("n1", {"disk": "hdd"})], ON_SSD, "", id="nodeSelector with another value"),
    pytest.param(["n1", a_node("n2", {"gpu": ""})], a_template(affinity={"nodeAffinity": HAS_GPU}), "+n2",
                 id="required affinity"),
    pytest.param(["n1", a_node("n2", {"gpu": ""})], a_template(affinity={"nodeAffinity": LIKES_GPU}), "+n1 +n2",
                 id="preferred affinity has no say"),
    pytest.param(["n1", "n2"], a_template(affinity={"nodeAffinity": NAMED_N2}), "+n2", id="matchFields"),
    pytest.param(["n1", "n2"], a_template(nodeName="n2"), "+n2", id="nodeName"),
    pytest.param([tainted("NoSchedule"), "n2"], NEW, "+n2", id="NoSchedule taint"),
    pytest.param([tainted("NoExecute"), "n2"], NEW, "+n2", id="NoExecute taint"),
    pytest.param([tainted("PreferNoSchedule")], NEW, "+n1", id="PreferNoSchedule taint has no say"),
    pytest.param([tainted("NoSchedule", "node-role.kubernetes.io/master", "")],
                 a_template(tolerations=[{"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"}]),
                 "+n1", id="tolerated without operator"),
    pytest.param([tainted("NoExecute", "app", "fluentd-logging")],
                 a_template(tolerations=[{"key": "app", "value": "fluentd-logging", "operator": "Equal",
                                          "effect": "NoExecute"}]),
                 "+n1", id="tolerated by value"),
    *(pytest.param([tainted(effect, f"node.kubernetes.io/{name}", "")], NEW, "+n1", id=f"tolerates {name}")
      for name, effect in [("not-ready", "NoExecute"), ("unreachable", "NoExecute"),
                           ("disk-pressure", "NoSchedule"), ("memory-pressure", "NoSchedule"),
                           ("pid-pressure", "NoSchedule"), ("unschedulable", "NoSchedule")]),
    pytest.param([tainted("NoSchedule", "node.kubernetes.io/network-unavailable", "")], NEW, "",
                 id="network-unavailable keeps others off"),
    pytest.param([tainted("NoSchedule", "node.kubernetes.io/network-unavailable", "")],
                 a_template(hostNetwork=True), "+n1", id="network-unavailable lets the host network in"),
]


@pytest.mark.parametrize("nodes, template, does", WHERE)
def test_where_pods_are_started(nodes, template, does):
    it = seen(nodes, daemonset=a_set(template), revisions=[a_revision(template, 1)])
    assert summary(plan(it, NOW)) == does


ON_NODES = [
    pytest.param(["n1"], [a_pod("n1")], "", id="one there"),
    pytest.param(["n1"], [down("n1", bound=False, phase="Pending")], "", id="one on its way there"),
    pytest.param(["n1"], [a_pod("n1", going=True)], "", id="waits for the old one to end"),
    pytest.param(["n1"], [a_pod("n1", name="b", age=5), a_pod("n1", name="a", age=9)], "-b",
                 id="surplus: the oldest stays"),
    pytest.param(["n1"], [a_pod("n1", name="a", age=9), a_pod("n1", name="b", age=9)], "-b", id="surplus: by name"),
    pytest.param(["n1"], [down("n1", name="a", age=9, bound=False), a_pod("n1", name="b", age=5)], "-a",
                 id="surplus: a bound one stays"),
    pytest.param(["n1"], [a_pod("n1"), a_pod("n1", name="b", going=True)], "", id="surplus: one is going already"),
    pytest.param([tainted("NoExecute")], [a_pod("n1")], "-n1-2", id="NoExecute ends a running one"),
    pytest.param([tainted("NoSchedule")], [a_pod("n1")], "", id="NoSchedule leaves a running one"),
    pytest.param([tainted("NoExecute")], [a_pod("n1", going=True)], "", id="unwanted and going already"),
    pytest.param(["n1"], [a_pod("n1"), down("n9", bound=False)], "-n9-2", id="waits for a node that is gone"),
    pytest.param(["n1"], [a_pod("n1"), a_pod("n9")], "", id="bound to a node that is gone: pod garbage collection"),
    pytest.param(["n1"], [down("n1", phase="Failed")], "!FailedDaemonPod -n1-2", id="failed"),
    pytest.param(["n1"], [down("n1", phase="Succeeded")], "!SucceededDaemonPod -n1-2", id="succeeded"),
    pytest.param(["n1"], [down("n1", phase="Failed", going=True, finalizer=True)], "+n1",
                 id="failed and going: nobody waits for its finalizers"),
    pytest.param(["n1"], [a_pod("n1", uid_of_owner="other-set")], "+n1", id="one of another set does not count"),
    pytest.param(["n1", "n2"], [a_pod("n1", OLD), down("n2", phase="Failed")], "!FailedDaemonPod -n2-2",
                 id="a failed one counts as down"),
]


@pytest.mark.parametrize("nodes, pods, does", ON_NODES)
def test_what_each_node_needs(nodes, pods, does):
    assert summary(plan(seen(nodes, pods), NOW)) == does


def test_a_label_change_moves_the_pods():
    it = seen([a_node("n1"), a_node("n2", SSD)], [a_pod("n1", ON_SSD)], a_set(ON_SSD), [a_revision(ON_SSD, 1)])
    assert summary(plan(it, NOW)) == "+n2 -n1-1"


ALL_OLD = [a_pod(n, OLD) for n in ("n1", "n2", "n3", "n4")]
FOUR = ["n1", "n2", "n3", "n4"]

ROLLS = [
    pytest.param(FOUR, ALL_OLD, {}, "-n1-1", id="one at a time"),
    pytest.param(FOUR, ALL_OLD, {"maxUnavailable": 2}, "-n1-1 -n2-1", id="two at a time"),
    pytest.param(FOUR, ALL_OLD, {"maxUnavailable": "30%"}, "-n1-1 -n2-1", id="30% of four, rounded up"),
    pytest.param(FOUR, ALL_OLD, {"maxUnavailable": "100%"}, "-n1-1 -n2-1 -n3-1 -n4-1", id="all at once"),
    pytest.param(FOUR, ALL_OLD, {"maxUnavailable": 0}, "-n1-1", id="neither allowed: one at a time"),
    pytest.param(["n1", "n2"], [a_pod("n1", OLD), down("n2")], {}, "", id="a new one is down"),
    pytest.param(["n1", "n2"], [a_pod("n1", OLD)], {}, "+n2", id="one is missing"),
    pytest.param(["n1", "n2"], [a_pod("n1", OLD), a_pod("n2", OLD, going=True)], {}, "", id="one is going"),
    pytest.param(["n1", "n2"], [down("n1", OLD), a_pod("n2", OLD)], {}, "-n1-1", id="a broken old one goes first"),
    pytest.param(FOUR, [down("n1", OLD), down("n2", OLD), a_pod("n3", OLD), a_pod("n4", OLD)], {},
                 "-n1-1 -n2-1", id="all broken old ones go at once"),
    pytest.param(FOUR, [down("n1", OLD), down("n2", OLDER), a_pod("n3", OLD), a_pod("n4", OLD)],
                 {"maxUnavailable": 3}, "-n1-1 -n2-0 -n3-1", id="broken ones count as down"),
    pytest.param(["n1", "n2"], [a_pod("n1"), a_pod("n2", OLD)], {}, "-n2-1", id="on to the next"),
    pytest.param(["n1", "n2"], [a_pod("n1"), a_pod("n2")], {}, "", id="done"),
    pytest.param([tainted("NoSchedule"), "n2"], [a_pod("n1", OLD), a_pod("n2")], {}, "-n1-1",
                 id="rolled off a node that keeps it"),
]


@pytest.mark.parametrize("nodes, pods, rolling, does", ROLLS)
def test_old_pods_give_way(nodes, pods, rolling, does):
    assert summary(plan(seen(nodes, pods, a_set(rolling=rolling)), NOW)) == does


SURGE = {"maxSurge": 1, "maxUnavailable": 0}
SURGES = [
    pytest.param(FOUR, ALL_OLD, SURGE, "+n1", id="one starts beside the old one"),
    pytest.param(FOUR, ALL_OLD, {"maxSurge": "30%", "maxUnavailable": 0}, "+n1 +n2", id="30% of four, rounded up"),
    pytest.param(["n1"], [a_pod("n1", OLD), down("n1")], SURGE, "", id="waits for the new one"),
    pytest.param(["n1"], [a_pod("n1", OLD), a_pod("n1", age=5)], SURGE, "-n1-1", id="the new one took over"),
    pytest.param(["n1"], [down("n1", OLD), down("n1", age=5)], SURGE, "-n1-1", id="the old one is not ready: it goes"),
    pytest.param(["n1", "n2"], [a_pod("n1", OLD), down("n1"), a_pod("n2", OLD)], SURGE, "", id="as many as allowed"),
    pytest.param(["n1", "n2"], [a_pod("n1", OLD), down("n1"), down("n2", OLD)], SURGE, "+n2",
                 id="a broken old one is joined outside the limit"),
    pytest.param(["n1"], [a_pod("n1", OLDER, age=9), a_pod("n1", OLD, age=5), down("n1")], SURGE, "-n1-1",
                 id="of two old ones the oldest stays"),
    pytest.param(["n1"], [a_pod("n1", OLD, going=True)], SURGE, "+n1", id="does not wait for one that is going"),
    pytest.param([tainted("NoSchedule"), "n2"], [a_pod("n1", OLD), down("n2")], SURGE, "",
                 id="a node that only keeps its pod, while others are down"),
    pytest.param([tainted("NoSchedule"), "n2"], [a_pod("n1", OLD), a_pod("n2")], SURGE, "-n1-1",
                 id="a node that only keeps its pod, once others are up"),
    pytest.param([tainted("NoSchedule"), "n2"], [down("n1", OLD), down("n2")], SURGE, "-n1-1",
                 id="a node that only keeps its pod, which is down"),
]


@pytest.mark.parametrize("nodes, pods, rolling, does", SURGES)
def test_surge(nodes, pods, rolling, does):
    assert summary(plan(seen(nodes, pods, a_set(rolling=rolling)), NOW)) == does


def test_on_delete_leaves_old_pods_to_the_user():
    it = seen(["n1", "n2"], [a_pod("n1", OLD)], a_set(strategy="OnDelete"))
    assert summary(plan(it, NOW)) == "+n2"


def test_paused_halts_the_rollout_but_nodes_still_get_pods():
    it = seen(["n1", "n2"], [a_pod("n1", OLD)], a_set(annotations={"muster.dev/paused": "true"},
                                                      rolling={"maxUnavailable": 2}))
    assert summary(plan(it, NOW)) == "+n2"


def test_waits_until_a_ready_pod_has_settled():
    pods = [a_pod("n1", ready_for=4), a_pod("n2", OLD)]
    it = seen(["n1", "n2"], pods, a_set(minReadySeconds=10))
    early = plan(it, NOW)
    assert (summary(early), early.wake_at) == ("", NOW + 6)
    assert summary(plan(it, NOW + 6)) == "-n2-1"


def test_an_empty_selector_is_refused_loudly():
    (only,) = plan(seen(["n1"], daemonset=a_set(selector={})), NOW).actions
    assert isinstance(only, Tell)
    assert (only.type, only.reason) == ("Warning", "SelectingAll")
    assert only.message == "This daemon set is selecting all pods. A non-empty selector is required."


# ------------------------------------------------------------------ pods that failed

def test_failed_pods_are_replaced_with_growing_patience():
    daemonset, memory, now = a_set(), Memory(), NOW
    waits = []
    for _ in range(12):
        it = seen(["n1"], [down("n1", phase="Failed")], daemonset, memory=memory)
        decision = decide(it, now)
        assert "-n1-2" in summary(decision.plan)
        again = decide(seen(["n1"], [down("n1", phase="Failed")], daemonset, memory=decision.memory), now)
        assert summary(again.plan) == ""
        waits.append(again.plan.wake_at - now)
        memory, now = decision.memory, again.plan.wake_at
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


@pytest.mark.parametrize("memory, does", [
    pytest.param(Memory(0, {"n2": Failure(NOW, 900)}), "!FailedDaemonPod -n1-2", id="each node for itself"),
    pytest.param(Memory(0, {"n1": Failure(NOW - 1801, 900)}), "!FailedDaemonPod -n1-2", id="long ago"),
    pytest.param(Memory(7, {"n1": Failure(NOW, 900)}), "!FailedDaemonPod -n1-2", id="of another generation"),
    pytest.param(Memory(0, {"n1": Failure(NOW, 900)}), "", id="just now"),
])
def test_what_patience_remembers(memory, does):
    assert summary(plan(seen(["n1"], [down("n1", phase="Failed")], memory=memory), NOW)) == does


def test_plan_keeps_the_memory_and_its_words():
    it = seen(["n1"], [down("n1", phase="Failed")])
    (told,) = [action for action in plan(it, NOW).actions if isinstance(action, Tell)]
    assert told.message == "Found failed daemon pod logging/n1-2 on node n1, will try to kill it"
    assert it.memories.of(it.daemonset).failures == {"n1": Failure(NOW, 1.0)}


# ------------------------------------------------------------------ adoption and history

def test_adopts_before_anything_else():
    it = seen(["n1", "n2"], [a_pod("n1", OLD, orphan=True)])
    decided = plan(it, NOW)
    assert summary(decided) == "adopt:n1-1"
    (patch,) = decided.actions
    assert isinstance(patch, Patch) and patch.uid == "n1-1"
    assert patch.patch["metadata"]["ownerReferences"][0]["controller"] is True


@pytest.mark.parametrize("pod, does", [
    pytest.param(a_pod("n1", labels={"app": "other"}), "release:n1-2", id="no longer matches"),
    pytest.param(a_pod("n1", labels={"app": "other"}, orphan=True), "+n1", id="orphan that does not match"),
    pytest.param(a_pod("n1", orphan=True, going=True), "+n1", id="orphan that is going"),
    pytest.param(a_pod("n1", uid_of_owner="other"), "+n1", id="somebody else's"),
])
def test_claims(pod, does):
    assert summary(plan(seen(["n1"], [pod]), NOW)) == does


def test_adopted_pods_of_another_template_are_rolled_though_their_generation_is_the_same():
    pod = a_pod("n1", OLD)
    assert labels_of(pod)["pod-template-generation"] == "2" == str(a_set()["metadata"]["generation"])
    assert summary(plan(seen(["n1"], [pod]), NOW)) == "-n1-1"


def test_a_pod_without_a_hash_is_judged_by_its_generation():
    labels = {**APP, "pod-template-generation": "2"}
    assert summary(plan(seen(["n1"], [a_pod("n1", OLD, labels=labels)]), NOW)) == ""
    assert summary(plan(seen(["n1"], [a_pod("n1", OLD, labels={**labels, "pod-template-generation": "1"})]),
                        NOW)) == "-n1-1"


@pytest.mark.parametrize("revisions, does", [
    pytest.param([], "+n1 +revision:1", id="the first"),
    pytest.param([a_revision(OLD, 1)], "+n1 +revision:2", id="the next"),
    pytest.param([a_revision(NEW, 1), a_revision(OLD, 2)], "+n1 patch:controllerrevisions", id="back to an old one"),
    pytest.param([a_revision(OLD, 1), a_revision(NEW, 2)], "+n1", id="the latest"),
])
def test_history(revisions, does):
    assert summary(plan(seen(["n1"], revisions=revisions), NOW)) == does


def test_the_revision_is_made_before_the_pods_that_name_it():
    first, second = [action for action in plan(seen(["n1"], revisions=[]), NOW).actions
                     if isinstance(action, Create)]
    assert (first.obj["kind"], second.obj["kind"]) == ("ControllerRevision", "Pod")
    assert labels_of(second.obj)["controller-revision-hash"] == first.obj["metadata"]["name"].split("-")[-1]


def test_rollback_leaves_pods_that_match_already():
    revisions = [a_revision(NEW, 1), a_revision(OLD, 2)]
    it = seen(["n1", "n2"], [a_pod("n1"), a_pod("n2", OLD)], revisions=revisions)
    assert summary(plan(it, NOW)) == "-n2-1 patch:controllerrevisions"


def test_history_beyond_the_limit_goes_oldest_first_but_none_that_is_in_use():
    revisions = [a_revision(OLDER, 1), a_revision(OLD, 2), a_revision(NEW, 3)]
    it = seen(["n1", "n2"], [down("n1", OLDER), a_pod("n2")], a_set(revisionHistoryLimit=0), revisions)
    assert summary(plan(it, NOW)) == f"-n1-0 -revision:agent-{hash_of(OLD)}"


def test_a_name_that_is_taken_is_counted_and_hashed_again():
    ours = a_set(status={"observedGeneration": 2})
    name = f"agent-{hash_of(NEW)}"
    stranger = with_(a_revision(OLD, 1, name=name), "metadata.ownerReferences", [
        {"kind": "DaemonSet", "name": "x", "uid": "x", "controller": True}])
    it = seen(["n1"], daemonset=ours, revisions=[stranger])
    (only,) = plan(it, NOW).actions
    assert isinstance(only, SetStatus) and only.status["collisionCount"] == 1
    again = seen(["n1"], daemonset={**ours, "status": only.status}, revisions=[stranger])
    (made, *_) = plan(again, NOW).actions
    assert made.obj["metadata"]["name"] != name


# ------------------------------------------------------------------ the pod, and the status

def test_the_pod():
    template = with_(a_template(affinity={"nodeAffinity": {**HAS_GPU, **LIKES_GPU}}, volumes=[{"name": "v"}]),
                     "metadata.annotations", {"a": "b"})
    daemonset = a_set(template)
    pods = [action.obj for action in plan(seen([a_node("n1", {"gpu": ""}), a_node("n2", {"gpu": ""})],
                                               daemonset=daemonset, revisions=[a_revision(template, 1)]),
                                          NOW).actions if isinstance(action, Create)]
    one, two = pods
    assert one["metadata"]["generateName"] == "agent-"
    assert one["metadata"]["annotations"] == {"a": "b"}
    assert labels_of(one) == {**APP, "controller-revision-hash": hash_of(template), "pod-template-generation": "2"}
    assert one["metadata"]["ownerReferences"] == [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "set-1", "controller": True,
         "blockOwnerDeletion": True}]
    affinity = one["spec"]["affinity"]["nodeAffinity"]
    assert affinity["requiredDuringSchedulingIgnoredDuringExecution"] == {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}
    assert affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert [(one["key"].partition("/")[2], one["effect"]) for one in one["spec"]["tolerations"]] == [
        ("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"), ("pid-pressure", "NoSchedule"), ("unschedulable", "NoSchedule")]
    for shared in ("containers", "volumes", "tolerations"):
        assert one["spec"][shared] is two["spec"][shared], f"{shared} is shared"
    assert one["spec"]["containers"] is template["spec"]["containers"]


def test_a_user_toleration_that_is_equal_is_not_doubled():
    mine = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
            "tolerationSeconds": 5}
    template = a_template(tolerations=[mine])
    (pod,) = [action.obj for action in plan(seen(["n1"], daemonset=a_set(template),
                                                 revisions=[a_revision(template, 1)]), NOW).actions
              if isinstance(action, Create)]
    assert len(pod["spec"]["tolerations"]) == 6
    assert pod["spec"]["tolerations"][0] == without_(mine, "tolerationSeconds")


def numbers(**given):
    return {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
            "observedGeneration": 2, **given}


@pytest.mark.parametrize("nodes, pods, more, status", [
    pytest.param([], [], {}, numbers(), id="no node: zeros, and the small ones left out"),
    pytest.param(["n1", "n2"], [], {}, numbers(desiredNumberScheduled=2, numberUnavailable=2), id="none there yet"),
    pytest.param(["n1", "n2"], [a_pod("n1"), down("n2", OLD)], {},
                 numbers(desiredNumberScheduled=2, currentNumberScheduled=2, numberReady=1, numberAvailable=1,
                         updatedNumberScheduled=1, numberUnavailable=1), id="one of two"),
    pytest.param([tainted("NoExecute")], [a_pod("n1")], {}, numbers(numberMisscheduled=1), id="misscheduled"),
    pytest.param(["n1"], [a_pod("n1", ready_for=3)], {"minReadySeconds": 10},
                 numbers(desiredNumberScheduled=1, currentNumberScheduled=1, numberReady=1,
                         updatedNumberScheduled=1, numberUnavailable=1), id="ready, not settled"),
    pytest.param(["n1"], [a_pod("n1", OLD), a_pod("n1", age=1)], {"rolling": SURGE},
                 numbers(desiredNumberScheduled=1, currentNumberScheduled=1, numberReady=1, numberAvailable=1),
                 id="the oldest speaks for its node"),
])
def test_status(nodes, pods, more, status):
    assert status_in(plan(seen(nodes, pods, a_set(**more)), NOW)) == status


def test_status_is_written_only_where_it_changed():
    it = seen(["n1"], [a_pod("n1")])
    status = status_in(plan(it, NOW))
    assert status is not None
    assert plan(seen(["n1"], [a_pod("n1")], a_set(status={**status, "collisionCount": 1})), NOW).actions == []


def test_pods_are_told_about():
    actions = plan(seen(["n1", "n2"], [down("n1", OLD)]), NOW).actions
    assert all(at(action.tell, "metadata.name") == "agent" for action in actions
               if isinstance(action, Create | Delete))
