"""What a rehearsal measures, on stories small enough to be worked out by hand."""
from __future__ import annotations

import pytest
from rehearsed import ONE_S, a_daemonset, seen

from muster.api.objects import Key, to_time
from muster.rehearsal.availability import Availability
from muster.rehearsal.outcome import FINISHED, STUCK
from muster.rehearsal.stage import USUAL_START
from muster.rehearsal.tracked import Tracked, Workload

SLACK_S = 0.2  # for a step: controllers rest a moment between two looks


@pytest.mark.parametrize(("at_once", "worst", "rounds"), [
    pytest.param(1, 1, 6, id="one at a time"),
    pytest.param("50%", 3, 2, id="half of them"),
    pytest.param("100%", 6, 1, id="all at once"),
])
def test_a_rollout_takes_its_rounds(tmp_path, at_once, worst, rounds) -> None:
    found = seen(tmp_path, [a_daemonset("agent:2", rolling={"maxUnavailable": at_once})], [a_daemonset()], nodes=6)
    (work,) = found.workloads
    assert found.verdict == FINISHED
    assert work.worst_unavailable == worst
    assert found.finished_s == work.finished_s == pytest.approx(rounds * ONE_S, abs=rounds * SLACK_S)
    assert work.unavailable_s == pytest.approx(6 * ONE_S, abs=6 * SLACK_S), "each node is down once"
    assert found.replaced == {"ds/default/agent": 6}
    assert not found.endings


def test_a_surge_keeps_every_node_served(tmp_path) -> None:
    rolling = {"maxUnavailable": 0, "maxSurge": 2}
    found = seen(tmp_path, [a_daemonset("agent:2", rolling=rolling)], [a_daemonset()], nodes=6)
    (work,) = found.workloads
    assert work.worst_unavailable == 0
    assert work.unavailable_s == 0


def test_an_image_that_is_missing_stops_the_rollout_at_its_budget(tmp_path) -> None:
    rolling = {"maxUnavailable": 2}
    found = seen(tmp_path, [a_daemonset("agent:404", rolling=rolling)], [a_daemonset()], nodes=6)
    (work,) = found.workloads
    assert found.verdict == STUCK
    assert found.finished_s is None
    assert (work.worst_unavailable, work.available) == (2, 4)
    assert "ErrImagePull" in work.stuck or "ImagePullBackOff" in work.stuck
    (without,) = found.without_daemon
    assert (len(without.nodes), without.wanted) == (2, True)


def test_nodes_that_are_kept_away_say_why(tmp_path) -> None:
    found = seen(tmp_path, [a_daemonset(nodeSelector={"kind": "fast"})], pools=["a=2,kind=fast", "b=3", "c=1,kind=fast,taint=gpu:NoSchedule"])
    assert {one.why: (len(one.nodes), one.wanted) for one in found.without_daemon} == {
        "node(s) didn't match Pod's node affinity/selector": (3, False),
        "node(s) had untolerated taint {gpu: }": (1, False)}
    assert found.verdict == FINISHED


def test_settling_counts_as_down(tmp_path) -> None:
    """A pod is available once it was ready for minReadySeconds."""
    found = seen(tmp_path, [a_daemonset("agent:2", spec={"minReadySeconds": 30})], [a_daemonset()], nodes=2)
    (work,) = found.workloads
    assert work.unavailable_s == pytest.approx(2 * (ONE_S + 30), abs=3)
    assert found.finished_s == pytest.approx(2 * (ONE_S + 30), abs=3)


def test_the_timeline_of_a_node(tmp_path) -> None:
    found = seen(tmp_path, [a_daemonset("agent:2")], [a_daemonset()], nodes=1, lengths={
        "pull": "10s", "start": "2s", "ready": "5s", "stop": "4s"})
    ((spans,),) = [rows.values() for rows in found.timelines.values()]
    assert [(span.state, round(span.start)) for span in spans] == [
        ("stopping", 0), ("pulling", 4), ("starting", 14), ("not-ready", 16), ("ready-new", 21)]


def test_a_pull_that_takes_longer_than_anybody_waits_is_waited_for(tmp_path) -> None:
    found = seen(tmp_path, [a_daemonset("agent:2")], [a_daemonset()], nodes=2, lengths={
        "pull": "3h", "start": "0s", "ready": "0s", "stop": "1h"})
    assert found.verdict == FINISHED
    assert found.finished_s == pytest.approx(2 * (3 * 3600 + 30), abs=5), "a pod is given 30 s to stop"


def test_who_had_to_leave_and_for_whom(tmp_path) -> None:
    vip = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "vip"}, "value": 1000}
    requests = [{"name": "agent", "image": "agent:1", "resources": {"requests": {"cpu": "3"}}}]
    small = a_daemonset(name="small", containers=requests)
    great = a_daemonset(name="great", containers=requests, priorityClassName="vip")
    found = seen(tmp_path, [vip, great], [small], nodes=3)
    assert [(one.how, one.why) for one in found.endings] == [("preempted", "a pod of higher priority")] * 3
    assert all(one.by.startswith("default/great-") and one.pod.startswith("default/small-") for one in found.endings)
    (verdict,) = found.without_daemon
    assert verdict.workload == "ds/default/small" and "Insufficient cpu" in verdict.why and len(verdict.nodes) == 3


def test_a_node_that_is_lost_and_comes_back(tmp_path) -> None:
    """Its pods leave after the 40 to 50 s in which it is missed and the 300 s that they tolerate it."""
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "default"},
              "spec": {"minAvailable": 4, "selector": {"matchLabels": {"app": "web"}}}}
    found = seen(tmp_path, before=[web(), budget], nodes=4, kill_node=["1@1m,for=15m"])
    assert {(one.how, one.why) for one in found.endings} <= {("evicted", "taint node.kubernetes.io/unreachable:NoExecute")}
    (work,) = found.workloads
    if found.endings:
        assert all(60 + 340 <= one.at_s <= 60 + 352 for one in found.endings)
        assert work.worst_unavailable == len(found.endings)
        assert found.broken_budgets and "budget default/web: 3 healthy pods at worst" in found.broken_budgets[0]
    assert [what.rpartition(" ")[2] for _, what in found.strikes] == ["silent", "back"]


def web(replicas: int = 4, image: str = "web:1", **spec):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, **spec, "template": {
                "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}}}


def test_nodes_that_are_lost_on_the_way_are_down_until_they_are_back(tmp_path) -> None:
    """Although the DaemonSet no longer asks for a daemon on a node that is unreachable."""
    found = seen(tmp_path, before=[a_daemonset()], nodes=5, kill_node=["2@1m,for=5m"])
    (work,) = found.workloads
    assert (work.wanted, work.worst_unavailable) == (5, 2)
    assert work.unavailable_s == pytest.approx(2 * 255, abs=12), "from when they are missed, after 40 to 50 s"
    steps = found.down["ds/default/agent"]
    assert [down for _, down in steps] == [0, 1, 2, 1, 0] or [down for _, down in steps] == [0, 1, 2, 0]
    assert max(down for _, down in steps) == work.worst_unavailable


def test_what_is_missing_of_a_deployment_is_what_it_asks_for_and_not_who_comes_besides(tmp_path) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}
    found = seen(tmp_path, [web(image="web:2", strategy=strategy)], [web(strategy=strategy)], nodes=3)
    assert found.down == {"deploy/default/web": [(0.0, 0)]}
    found = seen(tmp_path, [web(6)], [web()], nodes=3)
    (first, *_, last) = found.down["deploy/default/web"]
    assert (first, last[1]) == ((0.0, 2), 0)


def test_a_pod_whose_node_is_down_is_drawn_so_whatever_it_was_doing(tmp_path) -> None:
    found = seen(tmp_path, [web(image="web:2")], [web()], nodes=2, kill_node=["1@5s,for=3m"],
                 lengths={"pull": "100s", "start": "0s", "ready": "0s", "stop": "1s"})
    rows = found.timelines["deploy/default/web"].values()
    down = [span.start for spans in rows for span in spans if span.state == "node-down"]
    assert down and all(40 <= start <= 56 for start in down)
    assert any([one.state for one in spans][:2] == ["pulling", "node-down"] for spans in rows)


def test_a_pod_that_changes_while_it_settles_counts_once():
    began = USUAL_START
    pod = {"metadata": {"name": "web-1", "uid": "1"}, "spec": {}, "status": {"conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": to_time(began)}]}}
    workload = Workload(Key("deployments.apps", "default", "web"),
                        {"metadata": {"name": "web", "uid": "2"}, "spec": {"replicas": 2, "minReadySeconds": 10}})
    tracked = Tracked(Key("pods", "default", "web-1"), pod)
    tracked.owner = workload
    availability = Availability()
    availability.begin([workload], {}, began)
    for later_s in (1, 2):
        availability.of(tracked, began + later_s)
    availability.mature(began + 9)
    assert (workload.available, workload.down) == (0, 2)
    availability.mature(began + 11)
    assert (workload.available, workload.down) == (1, 1)
    availability.leave(tracked, began + 12)
    assert (workload.available, workload.down) == (0, 2)
