"""ResourceQuotas: what is refused, in which words, and that nothing at once can exceed one."""
from __future__ import annotations

import asyncio
import random

import pytest
from small_cluster import SCHEMA, TESTER, Cluster, config, in_cluster, namespace, pod

from muster.api.errors import ApiError, Conflict, Forbidden
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Key, Obj, is_deleting
from muster.clock import Clock, run_virtual
from muster.server.registry import DeleteOptions, Registry, WriteOptions
from muster.store.memory import MemoryStore


def quota(hard: Obj, name: str = "q", **spec: object) -> Obj:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard, **spec}}


def asking(requests: Obj | None = None, limits: Obj | None = None, name: str = "app") -> Obj:
    return {"name": name, "image": "web:1", "resources": {"requests": requests or {}, "limits": limits or {}}}


def service(name: str = "s", type_: str = "ClusterIP", ports: int = 1, **spec: object) -> Obj:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {
        "type": type_, "ports": [{"name": f"p{number}", "port": 80 + number} for number in range(ports)], **spec}}


def claim(storage: str, name: str = "data", class_name: str = "fast") -> Obj:
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": class_name,
        "resources": {"requests": {"storage": storage}}}}


def deployment(name: str = "d") -> Obj:
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}


def exceeded(resource: str, name: str, asked: str, used: str, hard: str, of: str = "q") -> str:
    return (f'{resource} "{name}" is forbidden: exceeded quota: {of}, requested: {asked}, used: {used}, '
            f"limited: {hard}")


@pytest.mark.parametrize(("hard", "there", "asked", "why"), [
    pytest.param({"pods": "2"}, [pod("a"), pod("b")], pod("x"),
                 exceeded("pods", "x", "pods=1", "pods=2", "pods=2"), id="pods"),
    pytest.param({"requests.cpu": "1", "limits.memory": "2Gi"},
                 [pod("a", containers=[asking({"cpu": "600m"}, {"memory": "1Gi"})])],
                 pod("x", containers=[asking({"cpu": "600m"}, {"memory": "1536Mi"})]),
                 exceeded("pods", "x", "limits.memory=1536Mi,requests.cpu=600m",
                          "limits.memory=1Gi,requests.cpu=600m", "limits.memory=2Gi,requests.cpu=1"), id="compute"),
    pytest.param({"cpu": "1"}, [], pod("x", containers=[asking({"cpu": "2"})]),
                 exceeded("pods", "x", "cpu=2", "cpu=0", "cpu=1"), id="the old name of a request"),
    pytest.param({"requests.example.com/gpu": "1"}, [],
                 pod("x", containers=[asking({"example.com/gpu": "2"}, {"example.com/gpu": "2"})]),
                 exceeded("pods", "x", "requests.example.com/gpu=2", "requests.example.com/gpu=0",
                          "requests.example.com/gpu=1"), id="devices"),
    pytest.param({"limits.cpu": "1", "requests.memory": "1Gi"}, [],
                 pod("x", containers=[asking(name="one"), asking(name="app")]),
                 'pods "x" is forbidden: failed quota: q: must specify limits.cpu for: app,one; '
                 "requests.memory for: app,one", id="what must be said"),
    pytest.param({"requests.ephemeral-storage": "1Gi"}, [], pod("x"), "", id="other things need not be said"),
    pytest.param({"count/deployments.apps": "1"}, [deployment("a")], deployment("x"),
                 exceeded("deployments.apps", "x", "count/deployments.apps=1", "count/deployments.apps=1",
                          "count/deployments.apps=1"), id="objects of any kind"),
    pytest.param({"configmaps": "1", "count/configmaps": "5"}, [config("a")], config("x"),
                 exceeded("configmaps", "x", "configmaps=1", "configmaps=1", "configmaps=1"), id="a bare name"),
    pytest.param({"services.nodeports": "2"}, [service("a", "NodePort", 2)], service("x", "NodePort", 1),
                 exceeded("services", "x", "services.nodeports=1", "services.nodeports=2", "services.nodeports=2"),
                 id="node ports"),
    pytest.param({"services.loadbalancers": "0", "services": "5"}, [], service("x", "LoadBalancer"),
                 exceeded("services", "x", "services.loadbalancers=1", "services.loadbalancers=0",
                          "services.loadbalancers=0"), id="load balancers"),
    pytest.param({"services.nodeports": "0"}, [],
                 service("x", "LoadBalancer", 2, allocateLoadBalancerNodePorts=False), "", id="none are allocated"),
    pytest.param({"requests.storage": "10Gi", "fast.storageclass.storage.k8s.io/requests.storage": "5Gi"},
                 [claim("3Gi", "a"), claim("4Gi", "b", "slow")], claim("3Gi", "x"),
                 exceeded("persistentvolumeclaims", "x", "fast.storageclass.storage.k8s.io/requests.storage=3Gi",
                          "fast.storageclass.storage.k8s.io/requests.storage=3Gi",
                          "fast.storageclass.storage.k8s.io/requests.storage=5Gi"), id="storage of a class"),
    pytest.param({"persistentvolumeclaims": "1"}, [claim("1Gi", "a")], claim("1Gi", "x"),
                 exceeded("persistentvolumeclaims", "x", "persistentvolumeclaims=1", "persistentvolumeclaims=1",
                          "persistentvolumeclaims=1"), id="claims"),
    pytest.param({"resourcequotas": "1"}, [], quota({}, "x"),
                 exceeded("resourcequotas", "x", "resourcequotas=1", "resourcequotas=1", "resourcequotas=1"),
                 id="quotas, the quota itself among them"),
])
def test_what_is_refused(hard: Obj, there: list[Obj], asked: Obj, why: str):
    async def check(cluster: Cluster) -> None:
        for one in there[:1]:
            await cluster.create(one)  # what is there before the quota counts too
        await cluster.create(quota(hard))
        for one in there[1:]:
            await cluster.create(one)
        if not why:
            await cluster.create(asked)
            return
        with pytest.raises(Forbidden) as refused:
            await cluster.create(asked)
        assert refused.value.message == why
    in_cluster(check)


def scoped(scope: str, operator: str = "Exists", values: list[str] | None = None) -> Obj:
    return {"scopeSelector": {"matchExpressions": [
        {"scopeName": scope, "operator": operator, **({"values": values} if values else {})}]}}


ELSEWHERE = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"topologyKey": "zone", "namespaces": ["other"], "labelSelector": {}}]}}


@pytest.mark.parametrize(("spec", "given", "refused"), [
    pytest.param({"scopes": ["BestEffort"]}, {}, True, id="asks for nothing"),
    pytest.param({"scopes": ["BestEffort"]}, {"containers": [asking({"cpu": "1"})]}, False, id="asks for something"),
    pytest.param({"scopes": ["NotBestEffort"]}, {"containers": [asking({"cpu": "1"})]}, True, id="not best effort"),
    pytest.param({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 5}, True, id="has a deadline"),
    pytest.param({"scopes": ["Terminating"]}, {}, False, id="has none"),
    pytest.param({"scopes": ["NotTerminating", "BestEffort"]}, {}, True, id="both scopes"),
    pytest.param({"scopes": ["NotTerminating", "BestEffort"]}, {"activeDeadlineSeconds": 5}, False, id="one of two"),
    pytest.param(scoped("PriorityClass", "In", ["high"]), {"priorityClassName": "high"}, True, id="of the class"),
    pytest.param(scoped("PriorityClass", "In", ["low"]), {"priorityClassName": "high"}, False, id="of another"),
    pytest.param(scoped("PriorityClass", "NotIn", ["high"]), {}, True, id="of none"),
    pytest.param(scoped("PriorityClass", "DoesNotExist"), {"priorityClassName": "high"}, False, id="of any"),
    pytest.param(scoped("CrossNamespacePodAffinity"), {"affinity": ELSEWHERE}, True, id="looks at other namespaces"),
    pytest.param(scoped("CrossNamespacePodAffinity"), {}, False, id="does not"),
])
def test_scopes(spec: Obj, given: Obj, refused: bool):
    async def check(cluster: Cluster) -> None:
        await cluster.create({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                              "metadata": {"name": "high"}, "value": 1000})
        await cluster.create(quota({"pods": "0"}, **spec))
        try:
            await cluster.create(pod("x", **given))
        except Forbidden as error:
            assert refused and "exceeded quota: q" in error.message
        else:
            assert not refused
    in_cluster(check)


def test_a_generated_name_is_told():
    async def check(cluster: Cluster) -> None:
        await cluster.create(quota({"pods": "0"}))
        with pytest.raises(Forbidden, match=r'pods "web-[a-z0-9]{5}" is forbidden: exceeded quota: q'):
            await cluster.create({**pod(), "metadata": {"generateName": "web-"}})
    in_cluster(check)


def test_every_quota_of_the_namespace_and_no_other():
    async def check(cluster: Cluster) -> None:
        await cluster.create(namespace("other"))
        await cluster.create({**quota({"pods": "0"}), "metadata": {"name": "theirs", "namespace": "other"}})
        await cluster.create(quota({"pods": "2"}, "wide"))
        await cluster.create(quota({"pods": "1"}, "narrow"))
        await cluster.create(pod("a"))
        with pytest.raises(Forbidden, match="exceeded quota: narrow, requested: pods=1, used: pods=1, limited: pods=1"):
            await cluster.create(pod("b"))
        await cluster.delete("resourcequotas", "narrow")
        await cluster.create(pod("b"))
        with pytest.raises(Forbidden, match="wide"):
            await cluster.create(pod("c"))
        await cluster.patch("resourcequotas", "wide", {"spec": {"hard": {"pods": "3"}}})
        await cluster.create(pod("c"))
    in_cluster(check)


def test_what_goes_or_ends_makes_room():
    async def check(cluster: Cluster) -> None:
        await cluster.create(quota({"pods": "1", "count/pods": "3"}))
        await cluster.create(pod("a"))
        await cluster.delete("pods", "a", grace_period_s=0)
        made = await cluster.create(pod("b"))
        await cluster.registry.set_status(cluster.kind("pods"), "default", "b", made["metadata"]["uid"],
                                          {"phase": "Succeeded"})
        await cluster.create(pod("c"))
        with pytest.raises(Forbidden, match="requested: pods=1, used: pods=1"):
            await cluster.create(pod("d"))
    in_cluster(check)


def test_a_pod_that_stays_long_after_its_grace_no_longer_counts():
    async def check(cluster: Cluster) -> None:
        await cluster.create(quota({"pods": "1", "count/pods": "2"}))
        await cluster.create(pod("a", node="n1"))
        await cluster.delete("pods", "a", grace_period_s=10)
        with pytest.raises(Forbidden):
            await cluster.create(pod("b"))
        await asyncio.sleep(21)
        await cluster.create(pod("b"))
        with pytest.raises(Forbidden, match="requested: count/pods=1,pods=1, used: count/pods=2,pods=1"):
            await cluster.create(pod("c"))
    in_cluster(check)


def test_a_change_is_charged_for_what_it_adds():
    async def check(cluster: Cluster) -> None:
        await cluster.create(quota({"services.nodeports": "1", "services": "1"}))
        await cluster.create(service())
        ports = [{"name": name, "port": port} for name, port in (("a", 80), ("b", 81))]
        with pytest.raises(Forbidden, match="requested: services.nodeports=2, used: services.nodeports=0"):
            await cluster.patch("services", "s", {"spec": {"type": "NodePort", "ports": ports}})
        await cluster.patch("services", "s", {"spec": {"type": "NodePort"}})
        await cluster.patch("services", "s", {"metadata": {"labels": {"a": "b"}}})
        await cluster.patch("services", "s", {"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}})
        await cluster.patch("services", "s", {"spec": {"type": "NodePort"}})
    in_cluster(check)


def test_a_claim_that_grows_is_charged_for_what_it_adds():
    async def check(cluster: Cluster) -> None:
        await cluster.create({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
                              "provisioner": "a/b", "allowVolumeExpansion": True})
        await cluster.create(quota({"requests.storage": "5Gi"}))
        made = await cluster.create(claim("2Gi"))
        await cluster.registry.set_status(cluster.kind("persistentvolumeclaims"), "default", "data",
                                          made["metadata"]["uid"], {"phase": "Bound", "capacity": {"storage": "2Gi"}})
        with pytest.raises(Forbidden, match="requested: requests.storage=4Gi, used: requests.storage=2Gi, limited: "):
            await cluster.patch("persistentvolumeclaims", "data", {"spec": {"resources": {"requests": {"storage": "6Gi"}}}})
        await cluster.patch("persistentvolumeclaims", "data", {"spec": {"resources": {"requests": {"storage": "5Gi"}}}})
    in_cluster(check)


def test_a_dry_run_is_held_to_it_and_takes_nothing():
    async def check(cluster: Cluster) -> None:
        await cluster.create(quota({"pods": "1"}))
        for _ in range(3):
            await cluster.create(pod("a"), dry_run=True)
        await cluster.create(pod("a"))
        with pytest.raises(Forbidden):
            await cluster.create(pod("b"), dry_run=True)
    in_cluster(check)


def test_a_write_that_fails_gives_back_what_it_held():
    async def check(cluster: Cluster) -> None:
        await cluster.create(quota({"pods": "2"}))
        await cluster.create(pod("a"))
        for _ in range(3):
            with pytest.raises(ApiError, match="already exists"):
                await cluster.create(pod("a"))
        await cluster.create(pod("b"))
    in_cluster(check)


class SlowStore(MemoryStore):
    """Commits take their time, each its own, as on a disk that is shared; now and then one fails."""

    def __init__(self, chance: random.Random):
        super().__init__()
        self._chance = chance

    async def commit(self, key: Key, value: Obj | None, *, expect: int):
        await asyncio.sleep(self._chance.uniform(0, 1))
        if key.resource == "pods" and self._chance.random() < 0.2:
            raise Conflict("somebody else was there")
        return await super().commit(key, value, expect=expect)


@pytest.mark.parametrize("seed", range(5))
def test_no_number_of_writes_at_once_exceeds_it_nor_leaves_room_unused(seed: int):
    """200 clients at once, some of which delete what they made: at no time more than hard, and no false alarm."""
    async def main(clock: Clock) -> None:
        chance = random.Random(seed)
        store = SlowStore(chance)
        registry = Registry(store, Kinds(BUILT_IN), SCHEMA, clock)
        options, pods, most = WriteOptions(TESTER), registry.kinds.resource("pods"), 20

        async def create(obj: Obj) -> None:
            kind = registry.kinds.named(obj["apiVersion"], obj["kind"])
            assert kind is not None
            await registry.create(kind, "default" if kind.namespaced else "", obj, options)

        await create(namespace("default"))
        await create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
        await create(quota({"pods": str(most), "requests.cpu": "10"}))
        counts: list[int] = []

        def staying() -> int:
            return sum(not is_deleting(one.value) for one in store.history.lane("pods").snapshots())

        store.history.on_append(lambda changes: counts.append(staying()))

        async def client(number: int) -> None:
            await asyncio.sleep(chance.uniform(0, 5))
            try:
                await create(pod(f"p{number}", containers=[asking({"cpu": "500m"})]))
                if chance.random() < 0.5:
                    await registry.delete(pods, "default", f"p{number}", DeleteOptions(grace_period_s=0), TESTER)
            except ApiError:
                return

        await asyncio.gather(*(client(number) for number in range(200)))
        assert max(counts) == most, "never more, and all that is allowed"
        for number in range(most - staying()):
            while True:
                try:
                    await create(pod(f"late{number}", containers=[asking({"cpu": "500m"})]))
                    break
                except ApiError as error:
                    assert "exceeded" not in error.message, "what failed holds nothing"
        with pytest.raises(Forbidden, match=f"used: pods={most},requests.cpu=10, limited"):
            await create(pod("one-more", containers=[asking({"cpu": "500m"})]))
    run_virtual(main)


def test_what_is_stored_is_not_held_as_well():
    """Also while its writer has not heard yet that it is."""
    async def check(cluster: Cluster) -> None:
        commit = cluster.store.commit

        async def heard_late(key: Key, value: Obj | None, *, expect: int):
            result = await commit(key, value, expect=expect)
            if key.name == "late" and expect == 0:
                await asyncio.sleep(1)
            return result

        cluster.store.commit = heard_late  # type: ignore[method-assign]
        await cluster.create(quota({"pods": "2"}))
        first = asyncio.create_task(cluster.create(pod("late")))
        await asyncio.sleep(0.5)
        await cluster.create(pod("b"))
        with pytest.raises(Forbidden, match="used: pods=2"):
            await cluster.create(pod("c"))
        await first
        with pytest.raises(Forbidden, match="used: pods=2"):
            await cluster.create(pod("c"))
    in_cluster(check)


def test_a_server_that_starts_again_counts_what_is_there():
    async def check(cluster: Cluster) -> None:
        await cluster.create(quota({"pods": "1"}))
        await cluster.create(pod("a"))
        cluster.registry = Registry(cluster.store, Kinds(BUILT_IN), SCHEMA, cluster.clock)
        with pytest.raises(Forbidden, match="used: pods=1"):
            await cluster.create(pod("b"))
    in_cluster(check)
