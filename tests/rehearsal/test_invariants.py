"""The laws themselves: histories written by hand, what breaks a law and what does not."""
from __future__ import annotations

import pytest
from tale import DEPLOY, DS, JOB, NOON, RS, STS, Tale, going, node, pod, workload

from muster.api.objects import Key, with_
from muster.rehearsal.invariants import IN_A_ROW, Laws
from muster.rehearsal.invariants_scene import Standing, daemon_fits, share_of

# ------------------------------------------------------------------ DaemonSets

def daemons(tale, count=3, most=1, surge=0, lag=0.0):
    daemonset = workload("DaemonSet", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {
        "maxUnavailable": most, "maxSurge": surge}})
    tale.put(DS, daemonset)
    for number in range(count):
        tale.put("nodes", node(f"n{number}"))
        tale.by("daemonset-controller").put("pods", pod(f"d{number}", daemonset, f"n{number}"))
    return daemonset, tale.after(10)


def test_one_daemon_may_be_taken_down_and_not_a_second():
    daemonset, tale = daemons(Tale())
    tale.put("pods", going(pod("d0", daemonset, "n0")))
    assert tale.laws_broken() == []
    tale.put("pods", going(pod("d1", daemonset, "n1")))
    assert tale.laws_broken() == ["never more than maxUnavailable down"]
    assert "2 nodes without their daemon (n1, n0), 1 allowed" in tale.laws.broken[0].text


def test_a_node_that_was_down_before_counts_and_one_that_fell_just_now_does_not():
    daemonset, tale = daemons(Tale())
    tale.by("node").put("pods", pod("d0", daemonset, "n0", ready=False))
    tale.by("daemonset-controller").put("pods", going(pod("d1", daemonset, "n1")))
    assert tale.laws_broken() == [], "nobody could know"
    daemonset, tale = daemons(Tale())
    tale.by("node").put("pods", pod("d0", daemonset, "n0", ready=False)).after(1)
    tale.by("daemonset-controller").put("pods", going(pod("d1", daemonset, "n1")))
    assert tale.laws_broken() == ["never more than maxUnavailable down"]


def test_what_people_and_other_controllers_take_down_is_not_held_against_the_rollout():
    daemonset, tale = daemons(Tale())
    for number in range(3):
        tale.by("taint-eviction-controller").put("pods", going(pod(f"d{number}", daemonset, f"n{number}")))
    assert tale.laws_broken() == []


def test_a_daemon_that_is_down_may_always_go():
    daemonset, tale = daemons(Tale(), most=1)
    for number in range(3):
        tale.by("node").put("pods", pod(f"d{number}", daemonset, f"n{number}", ready=False))
    tale.after(5).by("daemonset-controller")
    for number in range(3):
        tale.put("pods", going(pod(f"d{number}", daemonset, f"n{number}", ready=False)))
    assert tale.laws_broken() == []


@pytest.mark.parametrize(("surge", "broken"), [(0, ["one daemon a node"]), (1, [])])
def test_two_daemons_of_a_set_are_on_a_node_only_in_a_surge(surge, broken):
    daemonset, tale = daemons(Tale(), most=0 if surge else 1, surge=surge)
    tale.put("pods", pod("second", daemonset, "n0", labels={"controller-revision-hash": "new"}))
    assert tale.laws_broken() == broken


@pytest.mark.parametrize(("spec", "told", "fits"), [
    ({}, {}, "run"),
    ({}, {"taints": [{"key": "mine", "effect": "NoSchedule"}]}, "keep"),
    ({}, {"taints": [{"key": "mine", "effect": "NoExecute"}]}, "leave"),
    ({}, {"taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}, "run"),
    ({"tolerations": [{"operator": "Exists"}]}, {"taints": [{"key": "mine", "effect": "NoExecute"}]}, "run"),
    ({"tolerations": [{"key": "mine", "value": "a"}]}, {"taints": [{"key": "mine", "value": "b", "effect": "NoSchedule"}]}, "keep"),
    ({"nodeSelector": {"disk": "ssd"}}, {}, "leave"),
    ({"affinity": {"nodeAffinity": {}}}, {}, "unsure"),
])
def test_where_a_daemon_belongs(spec, told, fits):
    daemonset = workload("DaemonSet")
    daemonset["spec"]["template"]["spec"].update(spec)
    assert daemon_fits(daemonset, node("n1", **told)) == fits


# ------------------------------------------------------------------ ReplicaSets and Deployments

def rollout(tale, replicas=4, most=1, surge=1):
    deployment = workload("Deployment", replicas=replicas, strategy={"type": "RollingUpdate", "rollingUpdate": {
        "maxUnavailable": most, "maxSurge": surge}})
    old = workload("ReplicaSet", "old", deployment, replicas=replicas)
    tale.put(DEPLOY, deployment).by("deployment-controller").put(RS, old)
    for number in range(replicas):
        tale.by("replicaset-controller").put("pods", pod(f"p{number}", old))
    return deployment, old, tale.after(60)


def test_a_replica_set_makes_no_more_pods_than_asked_for():
    _, old, tale = rollout(Tale())
    tale.put("pods", pod("more", old))
    assert tale.laws_broken() == ["a ReplicaSet makes no more pods than asked for"]


def test_a_replica_set_ends_no_pod_that_it_needs():
    _, old, tale = rollout(Tale())
    tale.put("pods", going(pod("p0", old)))
    assert "a ReplicaSet ends no pod that it needs" in tale.laws_broken()


def test_all_sets_together_are_asked_for_no_more_than_the_surge():
    deployment, old, tale = rollout(Tale())
    new = workload("ReplicaSet", "new", deployment, replicas=0)
    tale.by("deployment-controller").put(RS, new).put(RS, with_(with_(new, "spec.replicas", 1), "metadata.generation", 2))
    assert tale.laws_broken() == []
    tale.put(RS, with_(with_(new, "spec.replicas", 2), "metadata.generation", 3))
    assert tale.laws_broken() == ["never more pods than the rollout allows"]


@pytest.mark.parametrize("begins_late", [False, True])
def test_a_rollout_leaves_as_many_available_as_it_promises(begins_late):
    _, old, tale = rollout(Tale())
    tale = tale.taken_over() if begins_late else tale
    tale.by("deployment-controller").put(RS, with_(with_(old, "spec.replicas", 2), "metadata.generation", 2)).after(10)
    tale.by("replicaset-controller").put("pods", going(pod("p0", old)))
    assert tale.laws_broken() == []
    tale.put("pods", going(pod("p1", old)))
    assert tale.laws_broken() == ["never fewer available than the rollout promises"]


# ------------------------------------------------------------------ StatefulSets

def ordered(tale, replicas=3, ready=(True, True, True), **spec):
    stateful_set = workload("StatefulSet", replicas=replicas, **spec)
    tale.put(STS, stateful_set).after(5).by("statefulset-controller")
    for ordinal, one in enumerate(ready):
        tale.put("pods", pod(f"w-{ordinal}", stateful_set, ready=one)).after(5)
    return stateful_set, tale


@pytest.mark.parametrize(("ready", "spec", "broken"), [
    ((True, True), {}, []),
    ((True, False), {}, ["StatefulSets start in order"]),
    ((True, False), {"podManagementPolicy": "Parallel"}, []),
])
def test_the_third_starts_once_the_second_is_ready(ready, spec, broken):
    stateful_set, tale = ordered(Tale(), ready=ready, **spec)
    tale.put("pods", pod("w-2", stateful_set))
    assert tale.laws_broken() == broken


@pytest.mark.parametrize(("who", "how", "lag_s", "broken"), [
    ("pod-garbage-collector", "gone", 1, []),
    ("node", "unready", 1, []),
    ("pod-garbage-collector", "gone", 0, ["StatefulSets start in order"]),
    ("statefulset-controller", "gone", 1, ["StatefulSets update in order", "StatefulSets start in order"]),
])
def test_the_third_starts_though_the_second_went_once_the_controller_had_looked(who, how, lag_s, broken):
    stateful_set, tale = ordered(Tale(lag_s), ready=(True, True))
    second = pod("w-1", stateful_set)
    tale.by(who).put("pods", going(second) if how == "gone" else pod("w-1", stateful_set, ready=False))
    if how == "gone":
        tale.gone("pods", "w-1")
    tale.after(0.5).by("statefulset-controller").put("pods", pod("w-2", stateful_set))
    assert tale.laws_broken() == broken


@pytest.mark.parametrize(("stood_still_s", "broken"), [(12, []), (5, ["StatefulSets start in order"])])
def test_while_watches_stand_still_a_pod_that_was_ready_becomes_available(stood_still_s, broken):
    """In the eyes of a controller that could not hear that it is not ready any more."""
    stateful_set, tale = ordered(Tale(20), ready=(True,), minReadySeconds=10)
    tale.after(30).by("node").put("pods", pod("w-1", stateful_set, since=tale.now))
    for ready in (False, True, False):
        tale.after(1).put("pods", pod("w-1", stateful_set, ready=ready, since=tale.now))
    tale.after(stood_still_s - 3).by("statefulset-controller").put("pods", pod("w-2", stateful_set))
    assert tale.laws_broken() == broken


@pytest.mark.parametrize(("name", "partition", "ready", "broken"), [
    ("w-2", 0, (True, True, True), []),
    ("w-1", 0, (True, True, False), ["StatefulSets update in order"]),
    ("w-1", 2, (True, True, True), ["StatefulSets update in order"]),
    ("w-1", 0, (True, False, False), []),
])
def test_the_highest_makes_way_first(name, partition, ready, broken):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    stateful_set, tale = ordered(Tale(), ready=(), updateStrategy=strategy, podManagementPolicy="OrderedReady")
    for ordinal, one in enumerate(ready):
        tale.by("kubernetes-admin").put("pods", pod(f"w-{ordinal}", stateful_set, ready=one))
    tale.after(5).by("statefulset-controller")
    tale.put("pods", going(pod(name, stateful_set, ready=ready[int(name[-1])])))
    assert tale.laws_broken() == broken


def test_the_highest_stops_first():
    stateful_set, tale = ordered(Tale())
    tale.by("kubernetes-admin").put(STS, with_(with_(stateful_set, "spec.replicas", 1), "metadata.generation", 2)).after(5)
    tale.by("statefulset-controller").put("pods", going(pod("w-1", stateful_set)))
    assert tale.laws_broken() == ["StatefulSets stop in order"]


# ------------------------------------------------------------------ Jobs

def job(tale, **spec):
    one = workload("Job", completions=2, parallelism=1, **spec)
    tale.put(JOB, one).after(5).by("job-controller")
    return one, tale


def test_a_job_counts_what_ended_and_no_more():
    one, tale = job(Tale())
    tale.put("pods", pod("a", one)).put("pods", pod("a", one, phase="Succeeded"))
    tale.put(JOB, {**one, "status": {"succeeded": 1}})
    assert tale.laws_broken() == []
    tale.put(JOB, {**one, "status": {"succeeded": 2}})
    assert "Jobs count each pod once" in tale.laws_broken()


def test_what_a_job_has_counted_stays_counted():
    one, tale = job(Tale())
    tale.put("pods", pod("a", one)).put("pods", pod("a", one, phase="Failed"))
    tale.put(JOB, {**one, "status": {"failed": 1}}).put(JOB, {**one, "status": {}})
    assert tale.laws_broken() == ["Jobs count each pod once"]


def test_a_job_runs_no_more_than_its_parallelism_and_completions():
    one, tale = job(Tale())
    tale.put("pods", pod("a", one)).put("pods", pod("b", one))
    assert tale.laws_broken() == ["a Job runs no more pods than its parallelism"]
    one, tale = job(Tale())
    for name in "ab":
        tale.put("pods", pod(name, one)).put("pods", pod(name, one, phase="Succeeded"))
    tale.put(JOB, {**one, "status": {"succeeded": 2}}).put("pods", pod("c", one))
    assert tale.laws_broken() == ["a Job runs no more pods than its completions"]


def test_a_job_that_is_over_stays_over():
    one, tale = job(Tale())
    over = {**one, "status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    tale.put(JOB, over).put("pods", pod("a", one))
    assert tale.laws_broken() == ["a Job that is over stays over"]


# ------------------------------------------------------------------ every object

def test_pods_do_not_outlive_their_owner():
    daemonset, tale = daemons(Tale(), count=1)
    tale.by("kubernetes-admin").gone(DS, "w").after(80)
    assert tale.laws_broken() == []
    tale.after(20)
    assert tale.laws_broken() == ["pods do not outlive their owner"]


def test_on_a_silent_node_and_just_after_it_they_may():
    daemonset, tale = daemons(Tale(), count=1)
    silent = node("n0", ready="Unknown", taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}])
    tale.put("nodes", silent).gone(DS, "w").after(1000)
    assert tale.laws_broken() == []
    tale.put("nodes", node("n0")).after(80)
    assert tale.laws_broken() == []
    tale.after(100)
    assert tale.laws_broken() == ["pods do not outlive their owner"]


def test_on_a_bad_line_and_just_after_it_they_may():
    daemonset, tale = daemons(Tale(), count=1)
    tale.laws.good_since = lambda: tale.now
    tale.put("nodes", node("n0", ready="Unknown")).gone(DS, "w").after(1000)
    assert tale.laws_broken() == []
    mended_at = tale.now
    tale.laws.good_since = lambda: mended_at
    tale.after(80)
    assert tale.laws_broken() == []
    tale.after(100)
    assert tale.laws_broken() == ["pods do not outlive their owner"]


def test_an_object_that_becomes_another_one_is_noticed():
    tale = Tale().put(DS, workload("DaemonSet"))
    tale.put(DS, with_(workload("DaemonSet"), "metadata.uid", "other"))
    assert tale.laws_broken() == ["an object stays itself"]


def test_a_generation_counts_changes_of_the_spec_and_of_nothing_else():
    tale = Tale().put(DS, workload("DaemonSet")).put(DS, workload("DaemonSet", generation=2))
    assert tale.laws_broken() == ["generations count changes"]
    tale = Tale().put(DS, workload("DaemonSet"))
    tale.put(DS, {**workload("DaemonSet"), "status": {"observedGeneration": 5}})
    assert tale.laws_broken() == ["generations count changes"]


def test_a_value_that_is_changed_in_place_is_noticed():
    tale = Tale().put("nodes", node("n1"))
    tale.store.get(Key("nodes", "", "n1")).value["spec"]["podCIDR"] = "10.0.0.0/24"
    tale.laws.check_values()
    assert tale.laws_broken() == ["stored values stay"]


def test_a_write_that_was_answered_and_is_not_there_is_noticed():
    tale = Tale().put("nodes", node("n1"))
    tale.laws.acknowledged(Key("nodes", "", "n1"), 1)
    assert tale.laws_broken() == []
    tale.laws.acknowledged(Key("nodes", "", "n2"), 7)
    assert tale.laws_broken() == ["acknowledged writes are kept"]


def test_a_loop_is_noticed_and_steady_work_is_not():
    tale = Tale()
    for number in range(IN_A_ROW):
        tale.after(.01).put(DS, {**workload("DaemonSet"), "status": {"numberReady": number % 2}})
    assert tale.laws_broken() == ["nothing loops"]
    tale = Tale()
    for number in range(3 * IN_A_ROW):
        tale.after(.01).put(DS, {**workload("DaemonSet", f"w{number % 4}"), "status": {"numberReady": number}})
    assert tale.laws_broken() == []


def test_laws_that_come_later_know_what_is_there():
    daemonset, tale = daemons(Tale())
    tale.laws = Laws(tale.store.history, lambda: tale.now, who=lambda: tale.who)
    tale.after(5)
    for number in range(2):
        tale.put("pods", going(pod(f"d{number}", daemonset, f"n{number}")))
    assert tale.laws_broken() == ["never more than maxUnavailable down"]


def test_a_breach_tells_what_happened_before():
    tale = Tale()
    tale.laws.say("somebody touches it")
    tale.put(DS, workload("DaemonSet")).put(DS, workload("DaemonSet", generation=4))
    (broken,) = tale.laws.broken
    assert broken.at == NOON and str(broken).startswith("generations count changes: daemonsets.apps/default/w: 1 -> 4")
    assert broken.before[-1].endswith("somebody touches it")


# ------------------------------------------------------------------ what is counted along

def test_standing_counts_what_is_up_as_time_passes():
    standing = Standing()
    standing.put("a", 5, 0)
    standing.put("b", float("-inf"), 0)
    standing.put("c", float("inf"), 0)
    assert (standing.up(0), list(standing.down(0))) == (1, ["a", "c"])
    assert (standing.up(5), standing.is_up("a", 5)) == (2, True)
    standing.put("a", 9, 6)
    assert standing.up(8) == 1 and standing.up(9) == 2
    standing.drop("b")
    assert standing.up(9) == 1


@pytest.mark.parametrize(("value", "total", "up", "of"), [
    (2, 10, True, 2), ("25%", 10, True, 3), ("25%", 10, False, 2), ("100%", 3, False, 3), ("0%", 3, True, 0),
])
def test_shares(value, total, up, of):
    assert share_of(value, total, up=up) == of
