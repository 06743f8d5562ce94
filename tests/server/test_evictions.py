"""Evictions: what a budget allows is given out once, whoever asks and however many ask at the same time."""
from __future__ import annotations

import asyncio

import pytest
from small_cluster import OPTIONS, TESTER, Cluster, in_cluster, namespace, pod

from muster.api.errors import ApiError, Conflict, Forbidden, NotFound, TooManyRequests
from muster.api.objects import condition, is_deleting
from muster.server.registry import WriteOptions
from slow_store import SlowStore

BUDGETS = "poddisruptionbudgets.policy"
VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."


def budget(name="web", selector=None, **spec):
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": "default"},
            "spec": {"minAvailable": 2, "selector": selector or {"matchLabels": {"app": "web"}}, **spec}}


async def a_pod(cluster: Cluster, name="web-0", *, ready=True, phase="Running", labels=None):
    made = pod(name, node="n1")
    made["metadata"]["labels"] = labels or {"app": "web"}
    await cluster.create(made)
    return await cluster.patch("pods", name, {"status": {"phase": phase, "conditions": [
        {"type": "Ready", "status": "True" if ready else "False"}]}}, subresource="status")


async def a_budget(cluster: Cluster, allowed=0, healthy=3, desired=2, seen=1, **more):
    status = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": healthy,
              "observedGeneration": seen, **more.pop("status", {})}
    made = await cluster.create(budget(**more))
    # By the cluster's own way: a user could not write a negative number.
    return await cluster.store.commit(cluster.kind(BUDGETS).key("default", made["metadata"]["name"]),
                                      {**made, "status": status}, expect=int(made["metadata"]["resourceVersion"]))


async def evict(cluster: Cluster, name="web-0", *, dry_run=False, **delete_options):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"},
            **({"deleteOptions": delete_options} if delete_options else {})}
    await cluster.registry.create(cluster.kind("pods"), "default", body, WriteOptions(TESTER, dry_run=dry_run), "eviction",
                                  name)


def status_of(cluster: Cluster, name="web"):
    return cluster.get(BUDGETS, name)["status"]


def goes(cluster: Cluster, name="web-0") -> bool:
    found = cluster.get("pods", name)
    return found is None or is_deleting(found)


NEEDS = "The disruption budget web needs 2 healthy pods and has 2 currently"
PROCESSED = "The disruption budget web is still being processed by the server."


@pytest.mark.parametrize(("about_pod", "about_budget", "refused"), [
    pytest.param({}, None, None, id="no budget"),
    pytest.param({}, {"allowed": 1}, None, id="one is allowed"),
    pytest.param({}, {"healthy": 2}, (NEEDS, None), id="none is allowed"),
    pytest.param({}, {"allowed": 5, "seen": 0}, (PROCESSED, 10), id="a budget that nobody has looked at"),
    pytest.param({"labels": {"app": "other"}}, {"healthy": 2}, None, id="a budget for others"),
    pytest.param({}, {"healthy": 2, "selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}, (NEEDS, None),
                 id="a budget that finds it by an expression"),
    pytest.param({"phase": "Pending"}, {"healthy": 2}, None, id="it has not begun"),
    pytest.param({"phase": "Succeeded"}, {"healthy": 2}, None, id="it is done"),
    pytest.param({"phase": "Failed"}, {"healthy": 2}, None, id="it has failed"),
    pytest.param({"ready": False}, {"healthy": 2}, None, id="not ready, the others are enough"),
    pytest.param({"ready": False}, {"healthy": 1}, (NEEDS.replace("has 2", "has 1"), None), id="not ready, the others are few"),
    pytest.param({"ready": False}, {"healthy": 0, "desired": 0}, (NEEDS.replace("needs 2", "needs 0").replace("has 2", "has 0"),
                                                                  None), id="not ready, nothing is desired"),
    pytest.param({"ready": False}, {"healthy": 0, "unhealthyPodEvictionPolicy": "AlwaysAllow"}, None, id="not ready, always allowed"),
    pytest.param({"ready": True}, {"healthy": 2, "unhealthyPodEvictionPolicy": "AlwaysAllow"}, (NEEDS, None),
                 id="ready, only the others are always allowed"),
    pytest.param({"ready": False}, {"healthy": 1, "unhealthyPodEvictionPolicy": "IfHealthyBudget"},
                 (NEEDS.replace("has 2", "has 1"), None), id="not ready, and said so"),
])
def test_who_may_go(about_pod, about_budget, refused):
    async def check(cluster: Cluster) -> None:
        await a_pod(cluster, **about_pod)
        if about_budget is not None:
            await a_budget(cluster, **about_budget)
        if refused is None:
            await evict(cluster)
            assert goes(cluster)
            return
        with pytest.raises(TooManyRequests) as caught:
            await evict(cluster)
        cause, retry_after_s = refused
        assert caught.value.message == VIOLATION
        assert caught.value.details == {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
        assert caught.value.retry_after_s == retry_after_s
        assert not goes(cluster) and condition(cluster.get("pods", "web-0"), "DisruptionTarget") is None
    in_cluster(check)


def test_an_eviction_takes_one_off_and_notes_whose_it_was():
    async def check(cluster: Cluster) -> None:
        await a_pod(cluster)
        await a_budget(cluster, allowed=2)
        await evict(cluster)
        status = status_of(cluster)
        assert status["disruptionsAllowed"] == 1 and status["disruptedPods"] == {"web-0": "2026-01-01T00:00:00Z"}
        assert "conditions" not in status, "the controller says it"
        await a_pod(cluster, "web-1")
        await evict(cluster, "web-1")
        status = status_of(cluster)
        assert status["disruptionsAllowed"] == 0 and list(status["disruptedPods"]) == ["web-0", "web-1"]
        assert condition({"status": status}, "DisruptionAllowed") == {
            "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}
    in_cluster(check)


def test_it_says_why_before_it_goes():
    async def check(cluster: Cluster) -> None:
        await a_pod(cluster)
        seen = []
        cluster.store.history.on_append(lambda changes: seen.extend(
            (condition(one.value, "DisruptionTarget") or {}).get("reason") if not is_deleting(one.value) else "ends"
            for one in changes))
        await evict(cluster, gracePeriodSeconds=7)
        assert seen == ["EvictionByEvictionAPI", "ends"]
        left = cluster.get("pods", "web-0")
        assert left["metadata"]["deletionGracePeriodSeconds"] == 7
        assert condition(left, "DisruptionTarget") == {
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting", "lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    in_cluster(check)


def test_one_that_costs_nothing_is_not_counted():
    async def check(cluster: Cluster) -> None:
        await a_pod(cluster, ready=False)
        await a_budget(cluster, allowed=1)
        await evict(cluster)
        assert goes(cluster) and status_of(cluster)["disruptionsAllowed"] == 1
    in_cluster(check)


def test_two_budgets_are_one_too_many():
    async def check(cluster: Cluster) -> None:
        await a_pod(cluster)
        await a_budget(cluster, allowed=1)
        await a_budget(cluster, allowed=1, name="all", selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})
        with pytest.raises(ApiError) as caught:
            await evict(cluster)
        assert caught.value.to_status() == {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 500,
            "message": "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."}
        assert not goes(cluster) and status_of(cluster)["disruptionsAllowed"] == 1
    in_cluster(check)


@pytest.mark.parametrize(("status", "why"), [
    pytest.param({"disruptionsAllowed": -1}, "pdb disruptions allowed is negative", id="below zero"),
    pytest.param({"disruptionsAllowed": 1, "disruptedPods": {f"p{number}": "2026-01-01T00:00:00Z" for number in range(2001)}},
                 "DisruptedPods map too big - too many evictions not confirmed by PDB controller", id="waits for too many"),
])
def test_a_budget_that_can_not_be(status, why):
    async def check(cluster: Cluster) -> None:
        await a_pod(cluster)
        await a_budget(cluster, status=status)
        with pytest.raises(Forbidden) as caught:
            await evict(cluster)
        assert caught.value.message == f'poddisruptionbudget.policy "web" is forbidden: {why}'
    in_cluster(check)


def test_a_dry_run_asks_and_leaves_everything_as_it_is():
    async def check(cluster: Cluster) -> None:
        await a_pod(cluster)
        await a_budget(cluster, allowed=1)
        before = cluster.store.history.revision
        await evict(cluster, dry_run=True)
        await evict(cluster, dryRun=["All"])
        assert cluster.store.history.revision == before and not goes(cluster)
        await cluster.patch(BUDGETS, "web", {"status": {"disruptionsAllowed": 0}}, subresource="status")
        with pytest.raises(TooManyRequests):
            await evict(cluster, dry_run=True)
    in_cluster(check)


@pytest.mark.parametrize("phase", ["Running", "Pending"])
def test_another_pod_than_was_meant_stays(phase):
    async def check(cluster: Cluster) -> None:
        meant = await a_pod(cluster, phase=phase)
        for wrong, said in [({"uid": "other"}, "the UID in the precondition (other) does not match"),
                            ({"resourceVersion": "1"}, "the ResourceVersion in the precondition (1) does not match")]:
            with pytest.raises(Conflict) as caught:
                await evict(cluster, preconditions=wrong)
            assert said in caught.value.message
            assert condition(cluster.get("pods", "web-0"), "DisruptionTarget") is None
        await evict(cluster, preconditions={"uid": meant["metadata"]["uid"],
                                            "resourceVersion": meant["metadata"]["resourceVersion"]})
        assert goes(cluster)
    in_cluster(check)


@pytest.mark.parametrize(("asked", "message"), [
    ("other", 'name in URL does not match name in Eviction object'), ("web-0", 'pods "web-0" not found')])
def test_one_that_is_not_there(asked, message):
    async def check(cluster: Cluster) -> None:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": asked}}
        with pytest.raises(ApiError) as caught:
            await cluster.registry.create(cluster.kind("pods"), "default", body, OPTIONS, "eviction", "web-0")
        assert caught.value.message == message and (asked == "other" or isinstance(caught.value, NotFound))
    in_cluster(check)


async def slow(cluster: Cluster) -> None:
    """From here on other writers come between a look and its commit."""
    cluster.use(SlowStore())
    await cluster.create(namespace("default"))
    await cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})


@pytest.mark.parametrize(("phase", "cause"), [
    pytest.param("Running", PROCESSED, id="it was not ready"),
    pytest.param("Pending", NEEDS, id="it had not begun"),
])
def test_a_pod_that_gets_well_meanwhile_is_guarded_again(phase, cause):
    async def check(cluster: Cluster) -> None:
        await slow(cluster)
        await a_pod(cluster, ready=False, phase=phase)
        await a_budget(cluster, healthy=2)
        well = cluster.patch("pods", "web-0", {"status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True"}]}}, subresource="status")
        _, refused = await asyncio.gather(well, evict(cluster), return_exceptions=True)
        assert isinstance(refused, TooManyRequests) and refused.details["causes"][0]["message"] == cause
        assert not goes(cluster) and condition(cluster.get("pods", "web-0"), "DisruptionTarget") is None
    in_cluster(check)


@pytest.mark.parametrize(("pods", "allowed"), [(40, 7), (100, 100), (30, 0), (2, 1)])
def test_those_who_come_together_never_take_more_than_there_is(pods, allowed):
    """Every answer is yes or 429, and there are as many yes as was allowed."""
    async def check(cluster: Cluster) -> None:
        await slow(cluster)
        names = [f"web-{number}" for number in range(pods)]
        for name in names:
            await a_pod(cluster, name)
        await a_budget(cluster, allowed=allowed)
        answers = await asyncio.gather(*(evict(cluster, name) for name in names), return_exceptions=True)
        refused = [one for one in answers if one is not None]
        assert all(isinstance(one, TooManyRequests) for one in refused), refused
        assert sum(goes(cluster, name) for name in names) == allowed == pods - len(refused)
        assert status_of(cluster)["disruptionsAllowed"] == 0
        assert len(status_of(cluster).get("disruptedPods", {})) == allowed
    in_cluster(check)
