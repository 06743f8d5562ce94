"""The laws of autoscalers: what they ask for, when, and what it comes to."""
from __future__ import annotations

import pytest
from tale import DEPLOY, RS, Tale, pod, workload

from muster.api.objects import with_

HPA, SCALER = "horizontalpodautoscalers.autoscaling", "horizontal-pod-autoscaler"
BOUNDS, NEAR, SETTLED = ("autoscalers keep to their bounds", "what is used as it should be is not scaled",
                         "autoscalers settle")


def autoscaler(least=1, most=4, target=None):
    target = target or {"type": "Utilization", "averageUtilization": 50}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "w", "namespace": "default", "uid": "hpa"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}, "minReplicas": least,
                     "maxReplicas": most, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]}}


def scaled(replicas, load="load=100m", generation=1):
    one = workload("Deployment", replicas=replicas, generation=generation, strategy={"type": "RollingUpdate"})
    one["metadata"]["annotations"] = {"muster.dev/usage": load}
    one["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    return one


def at_rest(replicas=2, load="load=100m", ready=None, **asked):
    """So many pods that share a load, for six minutes."""
    tale, one = Tale(), scaled(replicas, load)
    pods = workload("ReplicaSet", "set", one, replicas=replicas)
    tale.put(DEPLOY, one).put(HPA, autoscaler(**asked)).by("deployment-controller").put(RS, pods)
    for number in range(replicas):
        tale.by("replicaset-controller").put("pods", pod(f"p{number}", pods, ready=number < (
            replicas if ready is None else ready)))
    return tale.after(360)


@pytest.mark.parametrize(("before", "after", "broken"), [
    (2, 4, []), (2, 1, []), (2, 5, [BOUNDS]), (2, 0, [BOUNDS]), (6, 4, []), (6, 5, [BOUNDS])])
def test_an_autoscaler_keeps_to_its_bounds(before, after, broken):
    tale = at_rest(before, load="load=900m").by(SCALER)
    assert tale.put(DEPLOY, scaled(after, "load=900m", generation=2)).laws_broken() == broken


def test_bounds_that_were_changed_just_now_may_not_be_known():
    for lag_s, broken in ((1.0, []), (0.0, [BOUNDS])):
        tale = at_rest(load="load=900m")
        tale.laws.seen_until = lambda tale=tale, lag_s=lag_s: tale.now - lag_s
        tale.by("kubernetes-admin").put(HPA, autoscaler(most=3)).after(.5)
        assert tale.by(SCALER).put(DEPLOY, scaled(4, "load=900m", generation=2)).laws_broken() == broken


@pytest.mark.parametrize(("load", "broken"), [
    ("load=100m", [NEAR]), ("load=108m", [NEAR]), ("load=92m", [NEAR]), ("load=110m", []), ("load=112m", []), ("load=80m", []),
    ("cpu=1m..9m", [])])
def test_what_is_used_as_it_should_be_is_left_alone(load, broken):
    """Two pods of 100m each, of which half should be used."""
    assert at_rest(load=load).by(SCALER).put(DEPLOY, scaled(3, load, generation=2)).laws_broken() == broken


@pytest.mark.parametrize("change", [
    lambda tale: tale.put(HPA, autoscaler(most=5)),
    lambda tale: tale.put(DEPLOY, scaled(2, "load=104m", generation=2)),
    lambda tale: tale.put("pods", pod("p0", workload("ReplicaSet", "set"), ready=False)).put(
        "pods", pod("p0", workload("ReplicaSet", "set"))),
], ids=["the autoscaler", "the load", "a pod"])
def test_what_changed_a_while_ago_still_counts(change):
    tale = at_rest()
    change(tale.by("kubernetes-admin"))
    assert tale.after(100).by(SCALER).put(DEPLOY, scaled(3, generation=3)).laws_broken() in ([], ["generations count changes"])


def test_what_people_scale_is_not_held_against_the_autoscaler():
    assert at_rest().by("kubernetes-admin").put(DEPLOY, scaled(9, generation=2)).laws_broken() == []


@pytest.mark.parametrize(("replicas", "load", "broken"), [
    pytest.param(2, "load=100m", [], id="as it should be"),
    pytest.param(2, "load=110m", [], id="near enough"),
    pytest.param(2, "load=112m", [SETTLED], id="a third is needed"),
    pytest.param(3, "load=90m", [SETTLED], id="two would do"),
    pytest.param(2, "load=60m", [], id="one would not do"),
    pytest.param(4, "load=900m", [], id="there may be no more"),
    pytest.param(1, "load=0m", [], id="there may be no fewer"),
    pytest.param(2, "cpu=1m..9m", [], id="nobody knows"),
])
def test_in_the_end_there_are_as_many_as_the_load_takes(replicas, load, broken):
    tale = at_rest(replicas, load)
    tale.laws.scaling.check_settled()
    assert tale.laws_broken() == broken


@pytest.mark.parametrize(("target", "broken"), [
    ({"type": "AverageValue", "averageValue": "50m"}, []), ({"type": "AverageValue", "averageValue": "40m"}, [SETTLED]),
    ({"type": "AverageValue", "averageValue": "1"}, [])])
def test_a_target_in_thousandths_of_a_core(target, broken):
    tale = at_rest(target=target)
    tale.laws.scaling.check_settled()
    assert tale.laws_broken() == broken


def test_while_a_pod_is_not_ready_nothing_is_known():
    tale = at_rest(load="load=300m", ready=1)
    tale.laws.scaling.check_settled()
    assert tale.laws_broken() == []


def test_the_number_of_a_target_that_is_out_of_bounds_is_wrong_whatever_it_uses():
    tale = at_rest(6, load="cpu=1m..9m")
    tale.laws.scaling.check_settled()
    assert tale.laws_broken() == [SETTLED]


def test_an_annotation_of_a_deployment_counts_as_a_change_of_it():
    tale = Tale().put(DEPLOY, scaled(2))
    tale.put(DEPLOY, with_(scaled(2, "load=7m"), "metadata.generation", 2)).by("deployment-controller")
    assert tale.put(DEPLOY, with_(scaled(2, "load=8m"), "metadata.generation", 2)).laws_broken() == []
    assert tale.by("kubernetes-admin").put(DEPLOY, with_(scaled(2, "load=9m"), "metadata.generation", 2)).laws_broken() == [
        "generations count changes"]


@pytest.mark.parametrize(("window_s", "most", "writes"), [(None, 4, 0), (30, 4, 0), (0, 4, 8 * 4 * 12), (0, 1, 8 * 12)])
def test_only_an_autoscaler_that_scales_down_at_once_may_go_up_and_down_for_ever(window_s, most, writes):
    behavior = {"scaleDown": {"stabilizationWindowSeconds": window_s}} if window_s is not None else {}
    tale = Tale().put(HPA, with_(autoscaler(most=most), "spec.behavior", behavior))
    assert tale.laws.scaling.most_writes_in(120.0) == writes
