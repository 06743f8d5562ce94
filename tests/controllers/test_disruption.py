"""What a budget's status says, and when a pod is no longer said to be taken away: tables, one row a situation."""
from __future__ import annotations

import asyncio

import pytest

from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Key, condition, to_time
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import run_virtual
from muster.control.plan import Replace, Tell
from muster.controllers import stale_disruption
from muster.controllers.disruption import Observed, Scale, plan
from muster.store.memory import MemoryStore

NOW = 1_767_225_600.0
KINDS = Kinds(BUILT_IN)


def a_pod(name="p", *, ready=True, deleting=False, owner="set"):
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": {"app": "web"}}
    if owner:
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner,
                                        "controller": True}]
    if deleting:
        metadata["deletionTimestamp"] = to_time(NOW)
    return {"metadata": metadata, "status": {"phase": "Running", "conditions": [
        {"type": "Ready", "status": "True" if ready else "False"}]}}


def pods(count, **about):
    return [a_pod(f"p{number}", **about) for number in range(count)]


def a_budget(status=None, **spec):
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": "web", "namespace": "default", "uid": "b", "generation": 3},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}, "status": status or {}}


def numbers(status):
    """allowed, healthy, desired, expected"""
    return tuple(status[field] for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"))


def decided(budget, there, scales=None, **more):
    found = plan(Observed(budget, there, scales or {}, **more), NOW)
    written = [one.obj["status"] for one in found.actions if isinstance(one, Replace)]
    return (written[0] if written else budget["status"]), [one for one in found.actions if isinstance(one, Tell)], found


OF_5 = {"set": Scale("set", 5)}


@pytest.mark.parametrize(("spec", "there", "scales", "said"), [
    pytest.param({"minAvailable": 2}, pods(3), None, (1, 3, 2, 3), id="a number: of the pods that are there"),
    pytest.param({"minAvailable": 2}, pods(3, owner=""), None, (1, 3, 2, 3), id="a number: whoever made them"),
    pytest.param({"minAvailable": 5}, pods(3), None, (0, 3, 5, 3), id="a number that is not reached"),
    pytest.param({"minAvailable": 0}, pods(3), None, (3, 3, 0, 3), id="none has to be there"),
    pytest.param({"minAvailable": 0}, [], None, (0, 0, 0, 0), id="none is there: nothing is allowed"),
    pytest.param({}, pods(3), None, (0, 3, 0, 0), id="nothing said: nothing allowed"),
    pytest.param({"maxUnavailable": 1}, pods(5), OF_5, (1, 5, 4, 5), id="all are up"),
    pytest.param({"maxUnavailable": 1}, pods(4), OF_5, (0, 4, 4, 5), id="one is not there"),
    pytest.param({"maxUnavailable": 2}, [*pods(4), a_pod("sick", ready=False)], OF_5, (1, 4, 3, 5), id="one is not ready"),
    pytest.param({"maxUnavailable": 2}, [*pods(4), a_pod("going", deleting=True)], OF_5, (1, 4, 3, 5), id="one is going"),
    pytest.param({"maxUnavailable": 9}, pods(5), OF_5, (5, 5, 0, 5), id="more than there are"),
    pytest.param({"maxUnavailable": "50%"}, pods(5), OF_5, (3, 5, 2, 5), id="a share is rounded up: 2.5 may go"),
    pytest.param({"minAvailable": "50%"}, pods(5), OF_5, (2, 5, 3, 5), id="a share is rounded up: 2.5 must stay"),
    pytest.param({"minAvailable": "100%"}, pods(5), OF_5, (0, 5, 5, 5), id="all must stay"),
    pytest.param({"minAvailable": "0%"}, pods(5), OF_5, (5, 5, 0, 5), id="all may go"),
    pytest.param({"minAvailable": "50%"}, [*pods(3), *[a_pod(f"q{n}", owner="other") for n in range(2)]],
                 {"set": Scale("set", 3), "other": Scale("other", 2)}, (2, 5, 3, 5), id="of two controllers"),
    pytest.param({"maxUnavailable": 1}, [*pods(3), *[a_pod(f"q{n}", owner="other") for n in range(2)]],
                 {"set": Scale("above", 4), "other": Scale("above", 4)}, (2, 5, 3, 4), id="of two sets of one deployment"),
    pytest.param({"maxUnavailable": 1}, [*pods(4), a_pod("lone", owner="")], {"set": Scale("set", 4)}, (2, 5, 3, 4),
                 id="one that nobody controls is not expected"),
])
def test_numbers(spec, there, scales, said):
    status, _, _ = decided(a_budget(**spec), there, scales)
    assert numbers(status) == said
    assert status["observedGeneration"] == 3
    allowed = said[0] > 0
    assert condition({"status": status}, "DisruptionAllowed") == {
        "type": "DisruptionAllowed", "status": str(allowed), "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "", "lastTransitionTime": to_time(NOW), "observedGeneration": 3}
    again = a_budget(status, **spec)
    assert not [one for one in plan(Observed(again, there, scales or {}), NOW + 1).actions if isinstance(one, Replace)]


@pytest.mark.parametrize(("scale", "why"), [
    pytest.param("daemonsets.apps does not implement the scale subresource",
                 "daemonsets.apps does not implement the scale subresource", id="of a daemon set"),
    pytest.param(None, 'found no controllers for pod "p0"', id="of a set that is gone"),
])
def test_what_can_not_be_counted_allows_nothing(scale, why):
    old = {"disruptionsAllowed": 2, "currentHealthy": 5, "desiredHealthy": 3, "expectedPods": 5, "observedGeneration": 2}
    status, told, _ = decided(a_budget(old, maxUnavailable=1), pods(3), {"set": scale})
    assert numbers(status) == (0, 5, 3, 5) and status["observedGeneration"] == 2, "nothing else is known any better"
    said = condition({"status": status}, "DisruptionAllowed")
    assert (said["status"], said["reason"], said["message"]) == ("False", "SyncFailed", why)
    assert [(one.type, one.reason, one.message) for one in told] == [
        ("Warning", "CalculateExpectedPodCountFailed", f"Failed to calculate the number of expected pods: {why}")]


@pytest.mark.parametrize(("spec", "there", "reasons"), [
    pytest.param({"minAvailable": 1}, [], ["NoPods"], id="nothing there"),
    pytest.param({"maxUnavailable": 1}, [a_pod(owner="")], ["UnmanagedPods"], id="nobody's"),
    pytest.param({"minAvailable": 1}, [a_pod(owner="")], [], id="nobody's, and counted as they are"),
])
def test_events(spec, there, reasons):
    _, told, _ = decided(a_budget(**spec), there, unmanaged="UnmanagedPods" in reasons)
    assert [one.reason for one in told] == reasons
    if reasons == ["UnmanagedPods"]:
        assert told[0].message.startswith(
            "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:map[string]string{app: web,},"
            "MatchExpressions:[]LabelSelectorRequirement{},}) were found to be unmanaged. As a result,")


def test_a_pod_with_two_budgets_hears_of_it():
    there = pods(2)
    _, told, _ = decided(a_budget(minAvailable=1), there, shared=there[:1])
    assert [(one.about["metadata"]["name"], one.reason, one.message) for one in told] == [(
        "p0", "MultiplePodDisruptionBudgets",
        'Pod "default"/"p0" matches multiple PodDisruptionBudgets.  Chose "web" arbitrarily.')]


@pytest.mark.parametrize(("since", "there", "waited_for", "healthy", "told", "wake_at"), [
    pytest.param(NOW - 60, pods(3), ["p0"], 2, [], NOW + 60, id="it will end soon"),
    pytest.param(NOW - 120, pods(3), [], 3, ["NotDeleted"], None, id="it did not end"),
    pytest.param(NOW - 60, [a_pod("p0", deleting=True), *pods(3)[1:]], [], 2, [], None, id="it is ending"),
    pytest.param(NOW - 60, pods(3)[1:], [], 2, [], None, id="it is gone"),
])
def test_an_evicted_pod_is_waited_for(since, there, waited_for, healthy, told, wake_at):
    old = {"disruptedPods": {"p0": to_time(since)}}
    status, said, found = decided(a_budget(old, minAvailable=1), there)
    assert list(status.get("disruptedPods", {})) == waited_for and status["currentHealthy"] == healthy
    assert [one.reason for one in said] == told and found.wake_at == wake_at


# ------------------------------------------------------------------ what is said of a pod

def marked(since=NOW - 120, *, reason="EvictionByEvictionAPI", status="True", deleting=False, phase="Running"):
    pod = a_pod(deleting=deleting)
    pod["metadata"]["resourceVersion"] = "7"
    pod["status"] = {"phase": phase, "conditions": [
        {"type": "DisruptionTarget", "status": status, "reason": reason, "lastTransitionTime": to_time(since)}]}
    return pod


@pytest.mark.parametrize(("pod", "looked_at", "wake_at", "taken_back"), [
    pytest.param(marked(), True, None, True, id="for two minutes"),
    pytest.param(marked(NOW - 50), True, NOW + 70, False, id="not yet"),
    pytest.param(marked(deleting=True), False, None, False, id="it goes"),
    pytest.param(marked(status="False"), False, None, False, id="taken back already"),
    pytest.param(marked(reason="TerminationByKubelet"), False, None, False, id="a kubelet takes its time"),
    pytest.param(marked(phase="Failed"), False, None, False, id="it has ended"),
    pytest.param(a_pod(), False, None, False, id="nothing is said"),
])
def test_a_stale_mark_is_taken_back(pod, looked_at, wake_at, taken_back):
    assert stale_disruption.is_marked(pod) == looked_at
    if looked_at:
        found = stale_disruption.plan(pod, NOW)
        assert found.wake_at == wake_at and bool(found.actions) == taken_back


# ------------------------------------------------------------------ in a cluster

WEB = {"matchLabels": {"app": "web"}}
BUDGETS = "poddisruptionbudgets.policy"


def workload(kind, name="web", replicas=3, **spec):
    counted = {} if kind == "DaemonSet" else {"replicas": replicas}
    api = {"Job": "batch/v1", "ReplicationController": "v1"}.get(kind, "apps/v1")
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}}
    if kind == "Job":
        template["spec"]["restartPolicy"] = "Never"
        counted = {"parallelism": replicas, "completions": replicas}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "default"},
            "spec": {**({"selector": WEB} if api == "apps/v1" else {}), "template": template, **counted, **spec}}


def play(story):
    async def told(clock):
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            client = cluster.client("kubernetes-admin")
            for name in ("n1", "n2", "n3"):
                await client.create({"apiVersion": "v1", "kind": "Node", "metadata": {
                    "name": name, "annotations": {"muster.dev/simulated": "true"}}})
            await asyncio.sleep(5)
            return await story(cluster, client)
    return run_virtual(told, seed="budgets")


def a_real_budget(**spec):
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": WEB, **spec}}


def test_a_pod_that_nobody_controls_is_told_of_where_that_matters():
    async def story(cluster, client):
        await client.create({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": "lone", "namespace": "default", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "web:1"}]}})
        await cluster.apply(workload("Deployment"))
        await client.create(a_real_budget(minAvailable=1))
        await asyncio.sleep(30)
        said = lambda: {one["reason"] for one in cluster.mirror.objects("events").values()  # noqa: E731
                        if one["source"]["component"] == "controllermanager"}
        assert said() == set()
        assert numbers(cluster.mirror.get(Key(BUDGETS, "default", "web"))["status"]) == (3, 4, 1, 4)
        await client.patch(Key(BUDGETS, "default", "web"), {"spec": {"minAvailable": "50%"}})
        await asyncio.sleep(2)
        assert said() == {"UnmanagedPods"}
        assert numbers(cluster.mirror.get(Key(BUDGETS, "default", "web"))["status"]) == (2, 4, 2, 3)
    play(story)


@pytest.mark.parametrize(("kind", "expected", "why"), [
    ("Deployment", 3, ""), ("ReplicaSet", 3, ""), ("StatefulSet", 3, ""), ("ReplicationController", 3, ""),
    ("DaemonSet", None, "daemonsets.apps does not implement the scale subresource"),
    ("Job", None, "jobs.batch does not implement the scale subresource"),
])
def test_scales_of_what_controls_them(kind, expected, why):
    async def story(cluster, client):
        await cluster.apply(workload(kind))
        await asyncio.sleep(30)
        await client.create(a_real_budget(maxUnavailable=1))
        await asyncio.sleep(2)
        status = cluster.mirror.get(Key(BUDGETS, "default", "web"))["status"]
        if why:
            assert condition({"status": status}, "DisruptionAllowed")["message"] == why
            assert status["disruptionsAllowed"] == 0
        else:
            assert numbers(status) == (1, 3, 2, expected)
    play(story)


def test_a_budget_follows_its_deployment():
    async def story(cluster, client):
        said = lambda: numbers(cluster.mirror.get(Key(BUDGETS, "default", "web"))["status"])  # noqa: E731
        await client.create(a_real_budget(maxUnavailable=1))
        await asyncio.sleep(2)
        assert said() == (0, 0, 0, 0)
        await cluster.apply(workload("Deployment", replicas=4))
        await asyncio.sleep(30)
        assert said() == (1, 4, 3, 4)
        await client.patch(Key("deployments.apps", "default", "web"), {"spec": {"replicas": 6}})
        await asyncio.sleep(30)
        assert said() == (1, 6, 5, 6)
        await client.patch(Key(BUDGETS, "default", "web"), {"spec": {"maxUnavailable": "50%"}})
        await asyncio.sleep(2)
        assert said() == (3, 6, 3, 6)
        await client.patch(Key("deployments.apps", "default", "web"), {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}})
        seen = set()
        for _ in range(60):
            await asyncio.sleep(0.5)
            seen.add(said()[3])
        assert seen == {6}, "two sets of one deployment are not added up"
    play(story)


def test_a_mark_that_nobody_followed_is_taken_back():
    async def story(cluster, client):
        await cluster.apply(workload("Deployment", replicas=1))
        await asyncio.sleep(30)
        (namespace, name), pod = next(iter(cluster.mirror.objects("pods").items()))
        key = Key("pods", namespace, name)
        await client.patch(key, {"status": {"conditions": [{
            "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "soon",
            "lastTransitionTime": to_time(cluster.clock.now())}]}}, how="strategic", subresource="status")
        await asyncio.sleep(115)
        assert condition(cluster.mirror.get(key), "DisruptionTarget")["status"] == "True"
        await asyncio.sleep(10)
        said = condition(cluster.mirror.get(key), "DisruptionTarget")
        assert (said["status"], said.get("reason"), said.get("message")) == ("False", None, None)
    play(story)
