"""How many replicas an autoscaler asks for: of one metric, of several, and as fast as it may."""
from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api.kinds.horizontal_pod_autoscaler import defaults
from muster.api.objects import Key, condition, to_time
from muster.api.samples import PodSample, Used
from muster.control.plan import Patch, SetStatus, Tell
from muster.controllers.horizontal_pod_autoscaler import Observed, decide, plan
from muster.controllers.scaling_metrics import Look, Unknown, propose
from muster.controllers.scaling_pace import Bounds, Memory, Once, limit

NOON = 1_767_225_600.0
CPU_50 = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "100Mi"}}}
SIDE_50 = {"type": "ContainerResource", "containerResource": {
    "container": "side", "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}


def pod(number: int, *, ready: bool = True, phase: str = "Running", since: float = NOON - 3600, changed: float | None = None,
        request: str | None = "1", deleting: bool = False, side: bool = False):
    resources = {"requests": {"cpu": request}} if request else {}
    containers = [{"name": "app", "resources": resources}, *([{"name": "side", "resources": resources}] if side else [])]
    metadata = {"name": f"p{number}", "namespace": "default", **({"deletionTimestamp": to_time(NOON)} if deleting else {})}
    return {"metadata": metadata, "spec": {"containers": containers}, "status": {
        "phase": phase, "startTime": to_time(since), "conditions": [
            {"type": "Ready", "status": str(ready), "lastTransitionTime": to_time(changed or since + 5)}]}}


def sample(millis: int, memory_mi: int = 10, side: int | None = None):
    used = {"app": Used(millis * 1_000_000, memory_mi * 2**20, 0)}
    return PodSample(int(NOON), 15.0, used if side is None else used | {"side": Used(side * 1_000_000, 0, 0)})


def look(pods, samples, current: int | None = None):
    return Look(len(pods) if current is None else current, pods, {f"p{n}": one for n, one in enumerate(samples) if one})


YOUNG = {"since": NOON - 60}


@pytest.mark.parametrize(("metric", "seen", "replicas"), [
    pytest.param(CPU_50, look([pod(0)], [sample(500)]), 1, id="as wanted"),
    pytest.param(CPU_50, look([pod(0)], [sample(540)]), 1, id="within the tolerance"),
    pytest.param(CPU_50, look([pod(0)], [sample(550)]), 2, id="a tenth beyond it, as floats have it"),
    pytest.param(CPU_50, look([pod(n) for n in range(4)], [sample(100)] * 4), 1, id="down"),
    pytest.param(CPU_50, look([pod(n) for n in range(4)], [sample(0)] * 4), 0, id="idle"),
    pytest.param(MEMORY, look([pod(0), pod(1)], [sample(0, 200), sample(0, 100)]), 3, id="memory, by value"),
    pytest.param(SIDE_50, look([pod(0, side=True)], [sample(900, side=500)]), 1, id="one container of two"),
    pytest.param(CPU_50, look([pod(0, side=True)], [sample(900, side=700)]), 2, id="both containers"),
    pytest.param(CPU_50, look([pod(0), pod(1)], [sample(1000), None]), 2, id="up: what is not measured uses nothing"),
    pytest.param(CPU_50, look([pod(0), pod(1)], [sample(100), None]), 2, id="down: what is not measured uses all"),
    pytest.param(CPU_50, look([pod(0), pod(1), pod(2)], [sample(1500), None, None]), 3, id="up, damped to nothing"),
    pytest.param(CPU_50, look([pod(0), pod(1, phase="Pending")], [sample(1000), None]), 2, id="up: pending uses nothing"),
    pytest.param(CPU_50, look([pod(0), pod(1, phase="Pending")], [sample(2000), None]), 4, id="up, still"),
    pytest.param(CPU_50, look([pod(0), pod(1, phase="Pending")], [sample(200), None]), 1, id="down: pending does not count"),
    pytest.param(CPU_50, look([pod(n) for n in range(4)], [sample(100)] * 3 + [None]), 3, id="down, damped"),
    pytest.param(CPU_50, look([pod(0), pod(1, phase="Pending", request="3")], [sample(2000), None]), 2,
                 id="up: what is pending has room for all of it"),
    pytest.param(CPU_50, look([pod(0), pod(1, phase="Failed")], [sample(1000), sample(1000)], 1), 2, id="failed is left out"),
    pytest.param(CPU_50, look([pod(0), pod(1, deleting=True)], [sample(1000), sample(1000)], 1), 2, id="deleted is left out"),
    pytest.param(CPU_50, look([pod(0), pod(1, ready=False, **YOUNG)], [sample(1000), sample(1000)]), 2,
                 id="starting: its cpu says nothing"),
    pytest.param(CPU_50, look([pod(0), pod(1, **YOUNG, changed=NOON - 10)], [sample(1000), sample(1000)]), 2,
                 id="just ready: the window began before"),
    pytest.param(CPU_50, look([pod(0), pod(1, **YOUNG, changed=NOON - 15)], [sample(1000), sample(1000)]), 4,
                 id="ready for a window"),
    pytest.param(CPU_50, look([pod(0), pod(1, ready=False)], [sample(1000), sample(1000)]), 2, id="old, never ready"),
    pytest.param(CPU_50, look([pod(0), pod(1, ready=False, changed=NOON - 60)], [sample(1000), sample(1000)]), 4,
                 id="old, was ready"),
    pytest.param(MEMORY, look([pod(0), pod(1, ready=False, **YOUNG)], [sample(0, 200), sample(0, 200)]), 4,
                 id="starting: its memory counts"),
])
def test_proposals(metric, seen, replicas):
    assert propose(metric, seen, "default", NOON).replicas == replicas


@pytest.mark.parametrize(("metric", "seen", "reason", "why"), [
    pytest.param(CPU_50, look([pod(0)], [None]), "FailedGetResourceMetric", "failed to get cpu utilization: unable to get "
                 "metrics for resource cpu: no metrics returned from resource metrics API", id="no samples"),
    pytest.param(CPU_50, look([pod(0, request=None)], [sample(1)]), "FailedGetResourceMetric",
                 "failed to get cpu utilization: missing request for cpu in container app of Pod p0", id="no request"),
    pytest.param(CPU_50, look([pod(0, ready=False, **YOUNG)], [sample(1)]), "FailedGetResourceMetric",
                 "failed to get cpu utilization: did not receive metrics for targeted pods (pods might be unready)", id="unready"),
    pytest.param(SIDE_50, look([pod(0)], [sample(1)]), "FailedGetContainerResourceMetric", "failed to get cpu utilization: "
                 "unable to get metrics for resource cpu: container side not present in metrics for pod default/p0",
                 id="no such container"),
    pytest.param({"type": "Object", "object": {"metric": {"name": "hits"}, "describedObject": {"kind": "Service", "name": "s"}}},
                 look([], []), "FailedGetObjectMetric", "unable to get metric hits: Service on default s/unable to fetch metrics "
                 "from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered", id="object"),
    pytest.param({"type": "External", "external": {"metric": {"name": "q", "selector": {"matchLabels": {"a": "b"}}}}},
                 look([], []), "FailedGetExternalMetric", "unable to get external metric default/q/&LabelSelector{MatchLabels:"
                 "map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}: unable to fetch metrics from external "
                 "metrics API: the server could not find the requested resource (get q.external.metrics.k8s.io)", id="external"),
])
def test_what_can_not_be_said(metric, seen, reason, why):
    with pytest.raises(Unknown) as found:
        propose(metric, seen, "default", NOON)
    assert (found.value.reason, found.value.why) == (reason, why)


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_assumptions_never_turn_a_change_round(pods):
    """Pods that are not measured or pending make a change smaller, never larger and never the other way."""
    seen = [pod(n, phase="Pending" if pending else "Running") for n, (_, pending, _) in enumerate(pods)]
    samples = [sample(millis) if measured and not pending else None for millis, pending, measured in pods]
    try:
        found = propose(CPU_50, look(seen, samples), "default", NOON)
    except Unknown:
        return
    known = [one.containers["app"].cpu_n // 1_000_000 for one in samples if one is not None]
    share = sum(known) * 100 // (1000 * len(known))
    if found.replicas > len(pods):
        assert share > 50
    if found.replicas < len(pods):
        assert share < 50 or len(known) < len(pods)


# ------------------------------------------------------------------ how fast

TEN = Bounds(1, 10)
RULES = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def behavior(up=None, down=None):
    return {"scaleUp": {"stabilizationWindowSeconds": 0, **RULES, **(up or {})}, "scaleDown": {**RULES, **(down or {})}}


def past(*pairs):
    return tuple(Once(NOON - ago, number) for ago, number in pairs)


@pytest.mark.parametrize(("rules", "memory", "current", "wanted", "replicas", "able", "why"), [
    pytest.param(None, Memory(), 3, 3, 3, "ReadyForNewScale", "DesiredWithinRange", id="as it is"),
    pytest.param(None, Memory(), 1, 9, 4, "ReadyForNewScale", "ScaleUpLimit", id="four at least"),
    pytest.param(None, Memory(), 3, 9, 6, "ReadyForNewScale", "ScaleUpLimit", id="twice as many"),
    pytest.param(None, Memory(), 6, 12, 10, "ReadyForNewScale", "TooManyReplicas", id="the most"),
    pytest.param(None, Memory(), 6, 0, 1, "ReadyForNewScale", "TooFewReplicas", id="the fewest"),
    pytest.param(None, Memory(recommendations=past((299, 5))), 6, 2, 5, "ScaleDownStabilized", "DesiredWithinRange", id="steady"),
    pytest.param(None, Memory(recommendations=past((301, 5))), 6, 2, 2, "ReadyForNewScale", "DesiredWithinRange", id="forgotten"),
    pytest.param(behavior(up={"stabilizationWindowSeconds": 60}), Memory(recommendations=past((30, 4), (90, 1))), 3, 8, 4,
                 "ScaleUpStabilized", "DesiredWithinRange", id="up by the lowest"),
    pytest.param(behavior(down={"stabilizationWindowSeconds": 60}), Memory(recommendations=past((30, 4), (90, 9))), 8, 2, 4,
                 "ScaleDownStabilized", "DesiredWithinRange", id="down to the highest"),
    pytest.param(behavior(up={"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}), Memory(ups=past((59, 1))), 3, 9,
                 4, "ReadyForNewScale", "ScaleUpLimit", id="what is left of the period"),
    pytest.param(behavior(up={"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}), Memory(downs=past((10, 2))), 3,
                 9, 7, "ReadyForNewScale", "ScaleUpLimit", id="what was taken may come back"),
    pytest.param(behavior(up={"selectPolicy": "Min", "policies": [
        {"type": "Pods", "value": 1, "periodSeconds": 60}, {"type": "Percent", "value": 100, "periodSeconds": 60}]}), Memory(),
        3, 9, 4, "ReadyForNewScale", "ScaleUpLimit", id="the slower of two"),
    pytest.param(behavior(up={"selectPolicy": "Disabled"}), Memory(), 3, 9, 3, "ReadyForNewScale", "ScaleUpLimit", id="not up"),
    pytest.param(behavior(down={"selectPolicy": "Disabled"}), Memory(), 3, 1, 3, "ReadyForNewScale", "ScaleDownLimit",
                 id="not down"),
    pytest.param(behavior(down={"policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}]}), Memory(), 9, 1, 8,
                 "ReadyForNewScale", "ScaleDownLimit", id="down by a tenth"),
])
def test_pace(rules, memory, current, wanted, replicas, able, why):
    found = limit(rules, memory, current, wanted, TEN, NOON)
    assert (found.replicas, found.able[2], found.limited[2]) == (replicas, able, why)
    assert (found.limited[1] == "True") == (why != "DesiredWithinRange")


POLICY = st.fixed_dictionaries({"type": st.sampled_from(["Pods", "Percent"]), "value": st.integers(1, 200),
                                "periodSeconds": st.integers(1, 600)})
RULE = st.fixed_dictionaries({"stabilizationWindowSeconds": st.integers(0, 600), "policies": st.lists(POLICY, min_size=1),
                              "selectPolicy": st.sampled_from(["Max", "Min", "Disabled"])})


@given(st.none() | st.fixed_dictionaries({"scaleUp": RULE, "scaleDown": RULE}),
       st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 5), st.integers(0, 10))
def test_within_the_bounds_and_never_the_wrong_way(rules, wishes, least, room):
    bounds, memory, current = Bounds(least, least + room), Memory(), least
    for turn, wanted in enumerate(wishes):
        now = NOON + 15 * turn
        found = limit(rules, memory, current, wanted, bounds, now)
        assert bounds.least <= found.replicas <= bounds.most
        seen = [wanted, *(one.number for one in memory.recommendations)]
        assert found.replicas <= max(current, *seen) and found.replicas >= min(current, *seen, bounds.most)
        memory = memory.recommended(now, wanted)
        if found.replicas != current:
            memory = memory.scaled(now, current, found.replicas)
        current = found.replicas


class Timeline:
    """What the number was when: a second opinion on how much a policy leaves of its period."""

    def __init__(self, number: int):
        self.numbers = [(0.0, number)]
        self.recommended: list[tuple[float, int]] = []

    def at(self, moment: float) -> int:
        return [number for when, number in self.numbers if when <= moment][-1]

    def since(self, moment: float) -> list[int]:
        return [number for when, number in self.recommended if when > moment]

    def furthest(self, rules, now: float, sign: int) -> int:
        """How far its policies let it go, up (1) or down (-1)."""
        reached = []
        for policy in rules["policies"]:
            start, value = self.at(now - policy["periodSeconds"]), policy["value"]
            step = value if policy["type"] == "Pods" else math.ceil(start * value / 100)
            reached.append(step * sign + start)
        furthest, nearest = (max, min) if sign > 0 else (min, max)
        return nearest(reached) if rules["selectPolicy"] == "Min" else furthest(reached)


def any_rules(rng: random.Random):
    policies = [{"type": rng.choice(["Pods", "Percent"]), "value": rng.randint(1, 150), "periodSeconds": rng.randint(1, 300)}
                for _ in range(rng.randint(1, 3))]
    return {"stabilizationWindowSeconds": rng.choice([0, 30, 300]), "policies": policies,
            "selectPolicy": rng.choice(["Max", "Max", "Min", "Disabled"])}


@pytest.mark.parametrize("seed", range(150))
def test_within_the_pace_of_its_policies_and_as_steady_as_asked_for(seed):
    rng = random.Random(seed)
    rules = {"scaleUp": any_rules(rng), "scaleDown": any_rules(rng)}
    wishes = [rng.randint(0, 30) for _ in range(60)]
    current = rng.randint(1, 20)
    bounds, memory, timeline = Bounds(1, 30), Memory(), Timeline(current)
    for turn, wanted in enumerate(wishes):
        now = NOON + 15 * turn
        found = limit(rules, memory, current, wanted, bounds, now).replicas
        timeline.recommended.append((now, wanted))
        if found != current:
            up = found > current
            way = rules["scaleUp" if up else "scaleDown"]
            assert way["selectPolicy"] != "Disabled"
            furthest = timeline.furthest(way, now, 1 if up else -1)
            window = [wanted, *timeline.since(now - way["stabilizationWindowSeconds"])]
            if up:
                assert found <= furthest + 1, "as fast as it may (rounded up as floats have it)"
                assert found <= min(window), "up by the lowest of late"
            else:
                assert found >= furthest - 1
                assert found >= max(window), "down to the highest of late"
            memory = memory.scaled(now, current, found)
            timeline.numbers.append((now, found))
        memory = memory.recommended(now, wanted)
        current = found


# ------------------------------------------------------------------ a whole look

def autoscaler(**spec):
    return defaults({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {
        "name": "web", "namespace": "default", "uid": "a", "creationTimestamp": to_time(NOON - 600)}, "spec": {
            "maxReplicas": 10, "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "metrics": [CPU_50], **spec},
        "status": {"currentMetrics": None, "desiredReplicas": 0}})


def seen(of, pods=(), samples=(), current: int | None = None, **more) -> Observed:
    replicas = len(pods) if current is None else current
    scale = {"metadata": {"uid": "d"}, "spec": {"replicas": replicas}, "status": {"selector": "app=web"}}
    return Observed(of, Key("deployments.apps", "default", "web"), scale, "", look(list(pods), samples, replicas), **more)


def done(decision):
    scale = [one.patch["spec"]["replicas"] for one in decision.plan.actions if isinstance(one, Patch)]
    status = next((one.status for one in decision.plan.actions if isinstance(one, SetStatus)), {})
    conditions = {one["type"]: f"{one['status']} {one['reason']}" for one in status.get("conditions", ())}
    return scale, conditions, [one.reason for one in decision.plan.actions if isinstance(one, Tell)]


@pytest.mark.parametrize(("given_", "scale", "conditions", "events"), [
    pytest.param(Observed(autoscaler(), wrong='deployments/scale.apps "web" not found'), [],
                 {"AbleToScale": "False FailedGetScale"}, ["FailedGetScale"], id="no target"),
    pytest.param(seen(autoscaler(minReplicas=3), [pod(0)], [sample(1)]), [3], {"AbleToScale": "True SucceededRescale"},
                 ["SuccessfulRescale"], id="below the fewest"),
    pytest.param(seen(autoscaler(), current=0), [], {"AbleToScale": "True SucceededGetScale",
                                                     "ScalingActive": "False ScalingDisabled"}, [], id="of none"),
    pytest.param(seen(autoscaler(metrics=[CPU_50, MEMORY]), [pod(0)], [sample(1000, 300)]), [3], {
        "AbleToScale": "True SucceededRescale", "ScalingActive": "True ValidMetricFound",
        "ScalingLimited": "False DesiredWithinRange"}, ["SuccessfulRescale"], id="the largest of two"),
    pytest.param(seen(autoscaler(metrics=[CPU_50, SIDE_50]), [pod(0)], [sample(1000)]), [2], {
        "AbleToScale": "True SucceededRescale", "ScalingActive": "True ValidMetricFound",
        "ScalingLimited": "False DesiredWithinRange"}, ["FailedGetContainerResourceMetric", "SuccessfulRescale"],
        id="up although one is unknown"),
    pytest.param(seen(autoscaler(metrics=[CPU_50, SIDE_50]), [pod(0), pod(1)], [sample(1)] * 2), [], {
        "AbleToScale": "True SucceededGetScale", "ScalingActive": "False FailedGetContainerResourceMetric"},
        ["FailedGetContainerResourceMetric", "FailedComputeMetricsReplicas"], id="not down while one is unknown"),
    pytest.param(seen(autoscaler(), [pod(0)], [sample(1000)], rivals=("default/a", "default/web")), [], {
        "AbleToScale": "True SucceededGetScale", "ScalingActive": "False AmbiguousSelector"},
        ["AmbiguousSelector", "FailedComputeMetricsReplicas"], id="two for one"),
])
def test_decisions(given_, scale, conditions, events):
    assert done(decide(given_, NOON)) == (scale, conditions, events)


def test_a_target_that_may_not_be_scaled():
    """The status keeps the number that was asked for before, and what is remembered has no change of it."""
    given_ = seen(autoscaler(behavior={}), [pod(0)], [sample(1000)])
    found = plan(given_, NOON)
    assert given_.memories["a"].ups
    assert found.otherwise is not None
    instead = found.otherwise("no")
    assert not given_.memories["a"].ups and given_.memories["a"].recommendations
    assert [(one.reason, one.message) for one in instead if isinstance(one, Tell)] == [
        ("FailedRescale", "New size: 2; reason: cpu resource utilization (percentage of request) above target; error: no")]
    (status,) = [one.status for one in instead if isinstance(one, SetStatus)]
    able = condition({"status": status}, "AbleToScale")
    assert (able["status"], able["reason"], able["message"]) == (
        "False", "FailedUpdateScale", "the HPA controller was unable to update the target scale: no")
    assert (status["currentReplicas"], status["desiredReplicas"]) == (1, 0) and "lastScaleTime" not in status
    assert not any(isinstance(one, Patch) for one in instead)


def test_it_looks_every_fifteen_seconds_and_first_after_as_long():
    young = autoscaler()
    young["metadata"]["creationTimestamp"] = to_time(NOON)
    waits = decide(seen(young, [pod(0)], [sample(1000)]), NOON + 3)
    assert not waits.plan.actions and waits.plan.wake_at == NOON + 15
    looks = decide(seen(young, [pod(0)], [sample(1000)], memory=waits.memory), NOON + 15)
    assert looks.plan.actions and looks.plan.wake_at == NOON + 30
    assert not decide(seen(young, [pod(0)], [sample(1000)], memory=looks.memory), NOON + 20).plan.actions


def test_a_status_that_says_the_same_is_not_written_again():
    first = decide(seen(autoscaler(), [pod(0)], [sample(500)]), NOON)
    (written,) = first.plan.actions
    again = decide(seen({**autoscaler(), "status": written.status}, [pod(0)], [sample(500)], memory=first.memory), NOON + 15)
    assert again.plan.actions == []


@pytest.mark.parametrize("seed", range(30))
def test_without_rules_it_doubles_at_most_and_goes_down_to_the_highest_of_five_minutes(seed):
    rng = random.Random(seed)
    memory, current, recommended = Memory(), rng.randint(1, 20), []
    for turn in range(60):
        wanted = rng.randint(0, 30)
        found = limit(None, memory, current, wanted, Bounds(1, 30), NOON + 15 * turn).replicas
        recommended.append(wanted)
        assert 1 <= found <= max(2 * current, 4)
        assert found >= min(2 * current, max(recommended[-20:]), 30), "no sooner down"
        memory = memory.recommended(NOON + 15 * turn, wanted)
        current = found


@pytest.mark.parametrize("seed", range(40))
def test_a_load_that_hardly_changes_brings_the_number_to_rest(seed):
    """Work that is spread evenly over the pods there are, a few thousandths more or less at each look."""
    rng = random.Random(seed)
    pods, load = rng.randint(1, 9), rng.randint(0, 4000)
    memory, numbers = Memory(), [pods]
    for turn in range(60):
        each = round(load * rng.uniform(0.996, 1.004) / pods)
        decision = decide(seen(autoscaler(), [pod(n) for n in range(pods)], [sample(each)] * pods, memory=memory), NOON + 15 * turn)
        memory = decision.memory
        scale, _, _ = done(decision)
        pods = scale[0] if scale else pods
        numbers.append(pods)
    moves = [later - earlier for earlier, later in zip(numbers, numbers[1:], strict=False) if later != earlier]
    assert sum(one * other < 0 for one, other in zip(moves, moves[1:], strict=False)) <= 1, "it turns round once at most"
    assert len(set(numbers[-30:])) == 1, "it comes to rest"
    assert 1 <= pods <= 10 and (load / pods / 500 <= 1.11 or pods == 10)


@given(st.lists(st.integers(450, 550), min_size=1, max_size=10))
def test_within_the_tolerance_nothing_changes(used):
    scale, _, _ = done(decide(seen(autoscaler(), [pod(n) for n in range(len(used))], [sample(one) for one in used]), NOON))
    share = sum(used) * 100 // (1000 * len(used))
    assert scale == [] or share == 55, "55 is beyond a tenth of 50, as floats have it"
