"""Quotas in a whole cluster: the used amounts that are shown, and what controllers do that may not make more."""
from __future__ import annotations

import asyncio
import random

import pytest
from small_world import World, a_node, a_pod, found, told

from muster.api.amounts import Amount, add
from muster.api.errors import ApiError
from muster.api.objects import Key, Obj, condition
from muster.api.quota_usage import usage

QUICK = {"pull": "1s..1s", "start": "1s..1s", "ready": "1s..1s", "stop": "1s..1s"}


def a_quota(name: str = "q", **hard: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name, "namespace": "default"},
            "spec": {"hard": {key.replace("_", "."): value for key, value in hard.items()}}}


def a_deployment(replicas: int, name: str = "web") -> Obj:
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "web:1"}]}}}}


def used(world: World, name: str = "q") -> Obj:
    return world.store.get(Key("resourcequotas", "default", name)).value["status"].get("used")


def test_a_deployment_that_may_not_have_all_its_pods_says_why_and_goes_on_once_it_may():
    async def story(world: World) -> None:
        await world.admin.create(a_node("n1", **QUICK))
        await world.admin.create(a_quota(pods="2"))
        await world.admin.create(a_deployment(3))
        await asyncio.sleep(20)
        (replica_set,) = found(world, "replicasets.apps")
        failure = condition(replica_set, "ReplicaFailure")
        assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
        name = replica_set["metadata"]["name"]
        assert failure["message"].startswith(f'pods "{name}-')
        assert failure["message"].endswith(
            "is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2")
        (deployment,) = found(world, "deployments.apps")
        assert condition(deployment, "ReplicaFailure")["message"] == failure["message"]
        events = [one for one in found(world, "events") if one["reason"] == "FailedCreate"]
        assert events and all(one["message"].startswith("Error creating: pods \"") for one in events)
        assert used(world) == {"pods": "2"}

        await world.admin.patch(Key("resourcequotas", "default", "q"), {"spec": {"hard": {"pods": "3"}}})
        await asyncio.sleep(90)
        assert used(world) == {"pods": "3"}
        (deployment,), (replica_set,) = found(world, "deployments.apps"), found(world, "replicasets.apps")
        assert deployment["status"]["readyReplicas"] == 3
        assert condition(deployment, "ReplicaFailure") is None and condition(replica_set, "ReplicaFailure") is None
    told(story)


POD_SPEC = {"containers": [{"name": "c", "image": "web:1", "command": ["sleep", "1d"]}]}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": POD_SPEC}
SELECTED = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}


def of_kind(api_version: str, kind: str, spec: Obj) -> Obj:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web", "namespace": "default"}, "spec": spec}


@pytest.mark.parametrize("owner, refused", [
    pytest.param(of_kind("apps/v1", "ReplicaSet", {"replicas": 2, **SELECTED}), "Error creating: pods ", id="ReplicaSet"),
    pytest.param(of_kind("v1", "ReplicationController", {"replicas": 2, "template": TEMPLATE}), "Error creating: pods ",
                 id="ReplicationController"),
    pytest.param(of_kind("apps/v1", "StatefulSet", {"replicas": 2, "serviceName": "web", **SELECTED}),
                 "create Pod web-1 in StatefulSet web failed error: pods ", id="StatefulSet"),
    pytest.param(of_kind("apps/v1", "DaemonSet", SELECTED), "Error creating: pods ", id="DaemonSet"),
    pytest.param(of_kind("batch/v1", "Job", {"completions": 2, "parallelism": 2, "template": {"spec": {
        "restartPolicy": "Never", **POD_SPEC}}}), "Error creating: pods ", id="Job"),
])
def test_whoever_is_refused_says_so_tries_again_and_gets_there(owner: Obj, refused: str):
    async def story(world: World) -> None:
        for name in ("n1", "n2"):
            await world.admin.create(a_node(name, **QUICK))
        await world.admin.create(a_quota(pods="1"))
        await asyncio.sleep(5)
        await world.admin.create(owner)
        await asyncio.sleep(60)
        assert len(found(world, "pods")) == 1
        events = [one for one in found(world, "events") if one["reason"] == "FailedCreate"]
        assert events and all(one["message"].startswith(refused) and "exceeded quota: q, requested: pods=1" in one["message"]
                              for one in events)
        assert sum(one["count"] for one in events) < 20, "with pauses that grow"
        await world.admin.patch(Key("resourcequotas", "default", "q"), {"spec": {"hard": {"pods": "2"}}})
        await asyncio.sleep(120)
        assert len(found(world, "pods")) == 2
    told(story)


def test_used_follows_what_goes():
    async def story(world: World) -> None:
        await world.admin.create(a_node("n1", **QUICK))
        await world.admin.create(a_quota(pods="5", requests_cpu="2", configmaps="10", services_nodeports="1",
                                         **{"count/deployments_apps": "5", "count/unknown_example_com": "1"}))
        for number in range(3):
            await world.admin.create(a_pod(f"p{number}", cpu="250m"))
        await asyncio.sleep(10)
        assert used(world) == {"configmaps": "0", "count/deployments.apps": "0", "pods": "3", "requests.cpu": "750m",
                               "services.nodeports": "0"}
        await world.admin.delete(Key("pods", "default", "p1"))
        await asyncio.sleep(40)
        assert used(world)["requests.cpu"] == "500m"
        status = world.store.get(Key("resourcequotas", "default", "q")).value["status"]
        assert status["hard"]["count/unknown.example.com"] == "1", "what nobody counts is shown as asked for"
    told(story)


def test_a_pod_on_a_lost_node_stops_counting_by_itself():
    async def story(world: World) -> None:
        await world.admin.create(a_node("n1", **QUICK))
        await world.admin.create(a_quota(pods="5"))
        await world.admin.create(a_pod("p"))
        await asyncio.sleep(10)
        await world.admin.patch(Key("nodes", "", "n1"), {"metadata": {"annotations": {"muster.dev/fail": "true"}}})
        await world.admin.delete(Key("pods", "default", "p"), grace_period_s=30)
        await asyncio.sleep(5)
        assert used(world) == {"pods": "1"}
        await asyncio.sleep(65)
        assert used(world) == {"pods": "0"}
        assert world.store.get(Key("pods", "default", "p")) is not None
    told(story)


@pytest.mark.parametrize("seed", range(4))
def test_law_what_is_shown_is_what_a_full_count_finds(seed: int):
    """After any history of creations, deletions, endings and changes of the quota."""
    async def story(world: World) -> None:
        chance = random.Random(seed)
        await world.admin.create(a_node("n1", **QUICK))
        hard = {"pods": "1000", "count/pods": "1000", "requests.cpu": "100", "configmaps": "1000"}
        for _ in range(60):
            name = f"x{chance.randrange(8)}"
            try:
                match chance.choice(("pod", "pod", "map", "delete", "end", "quota", "no quota", "wait")):
                    case "pod":
                        await world.admin.create(a_pod(name, cpu=chance.choice(("", "100m", "1"))))
                    case "map":
                        await world.admin.create({"apiVersion": "v1", "kind": "ConfigMap",
                                                  "metadata": {"name": name, "namespace": "default"}})
                    case "delete":
                        await world.admin.delete(Key(chance.choice(("pods", "configmaps")), "default", name))
                    case "end":
                        pod = await world.admin.get(Key("pods", "default", name))
                        await world.admin.set_status(Key("pods", "default", name), pod["metadata"]["uid"],
                                                     {**pod["status"], "phase": "Failed"})
                    case "quota":
                        await world.apply({**a_quota(), "spec": {"hard": dict(chance.sample(sorted(hard.items()), 3))}})
                    case "no quota":
                        await world.admin.delete(Key("resourcequotas", "default", "q"))
                    case "wait":
                        await asyncio.sleep(chance.uniform(0, 5))
            except ApiError:
                continue
        await world.apply({**a_quota(), "spec": {"hard": hard}})
        await asyncio.sleep(60)
        total = {name: Amount(0) for name in hard}
        for resource in ("pods", "configmaps"):
            for obj in found(world, resource, "default"):
                add(total, usage(resource, obj))
        assert used(world) == {name: str(total[name]) for name in sorted(hard)}
    told(story, seed=seed)


def test_a_member_whose_claim_is_refused_waits_for_it():
    """Upstream makes no pod without its claims; nobody is left behind that waits for what it will not get."""
    async def story(world: World) -> None:
        await world.admin.create(a_node("n1", **QUICK))
        await world.admin.create(a_quota(persistentvolumeclaims="1"))
        labels = {"app": "db"}
        claims = [{"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {
            "requests": {"storage": "1Gi"}}}} for name in ("data", "wal")]
        await world.admin.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "default"},
                                  "spec": {"serviceName": "db", "selector": {"matchLabels": labels}, "template": {
                                      "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "db:1"}]}},
                                      "volumeClaimTemplates": claims}})
        await asyncio.sleep(20)
        no = ('persistentvolumeclaims "wal-db-0" is forbidden: exceeded quota: q, requested: persistentvolumeclaims=1, '
              "used: persistentvolumeclaims=1, limited: persistentvolumeclaims=1")
        assert not found(world, "pods")
        assert {one["message"] for one in found(world, "events") if one["reason"] == "FailedCreate"} == {
            f"create Claim wal-db-0 for Pod db-0 in StatefulSet db failed error: {no}",
            f"create Pod db-0 in StatefulSet db failed error: failed to create PVC wal-db-0: {no}"}

        await world.admin.patch(Key("resourcequotas", "default", "q"), {"spec": {"hard": {"persistentvolumeclaims": "2"}}})
        await asyncio.sleep(90)
        (pod,) = found(world, "pods")
        assert pod["status"]["phase"] == "Running"
        await world.admin.patch(Key("statefulsets.apps", "default", "db"), {"spec": {
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}})
        await asyncio.sleep(5)
        assert [(one["message"], one.get("count")) for one in found(world, "events") if one["reason"] == "SuccessfulUpdate"] == [
            ("update Pod db-0 in StatefulSet db successful", 1)]
    told(story)
