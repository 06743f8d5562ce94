"""What a RuntimeClass gives to the pods that name it, and which pods it refuses."""
from __future__ import annotations

import pytest
from small_cluster import Cluster, in_cluster, pod

from muster.api.errors import Forbidden
from muster.api.objects import Obj
from muster.server.runtime_classes import merged

SANDBOX = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "sandbox"}, "handler": "runsc",
           "overhead": {"podFixed": {"cpu": "250m", "memory": "120Mi"}},
           "scheduling": {"nodeSelector": {"runtime": "sandbox"},
                          "tolerations": [{"key": "runtime", "operator": "Exists", "effect": "NoSchedule"}]}}
PLAIN = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "plain"}, "handler": "runc"}


def test_a_pod_gets_the_overhead_and_the_places_of_its_class():
    async def check(cluster: Cluster) -> None:
        await cluster.create(SANDBOX)
        spec = (await cluster.create(pod(runtimeClassName="sandbox", nodeSelector={"disk": "ssd"})))["spec"]
        assert spec["overhead"] == {"cpu": "250m", "memory": "120Mi"}
        assert spec["nodeSelector"] == {"disk": "ssd", "runtime": "sandbox"}
        assert SANDBOX["scheduling"]["tolerations"][0] in spec["tolerations"]
    in_cluster(check)


@pytest.mark.parametrize(("spec", "why"), [
    pytest.param({"runtimeClassName": "x"}, 'pod rejected: RuntimeClass "x" not found', id="no such class"),
    pytest.param({"overhead": {"cpu": "1"}},
                 "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead", id="no class"),
    pytest.param({"runtimeClassName": "plain", "overhead": {"cpu": "1"}},
                 "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
                 id="a class without overhead"),
    pytest.param({"runtimeClassName": "sandbox", "overhead": {"cpu": "1"}},
                 "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead", id="another overhead"),
    pytest.param({"runtimeClassName": "sandbox", "nodeSelector": {"runtime": "runc"}},
                 "conflict: runtimeClass.scheduling.nodeSelector[runtime] = sandbox; "
                 "pod.spec.nodeSelector[runtime] = runc", id="other nodes"),
])
def test_pods_refused_by_their_class(spec: Obj, why: str):
    async def check(cluster: Cluster) -> None:
        await cluster.create(SANDBOX)
        await cluster.create(PLAIN)
        with pytest.raises(Forbidden) as caught:
            await cluster.create(pod(**spec))
        assert caught.value.message == f'pods "web" is forbidden: {why}'
    in_cluster(check)


EVERYTHING = {"operator": "Exists"}
KEY = {"key": "a", "operator": "Exists"}
VALUE = {"key": "a", "value": "1", "effect": "NoExecute"}
FOR_A_WHILE = {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}


@pytest.mark.parametrize(("given", "kept"), [
    pytest.param([KEY, KEY], [KEY], id="equal ones"),
    pytest.param([KEY, EVERYTHING], [EVERYTHING], id="a wider one after it"),
    pytest.param([EVERYTHING, VALUE], [EVERYTHING], id="a wider one before it"),
    pytest.param([VALUE, KEY], [KEY], id="any value"),
    pytest.param([KEY, {**KEY, "key": "b"}], [KEY, {**KEY, "key": "b"}], id="other keys"),
    pytest.param([FOR_A_WHILE, VALUE], [FOR_A_WHILE, VALUE], id="for a while does not cover for ever"),
    pytest.param([VALUE, {**VALUE, "value": "2"}], [VALUE, {**VALUE, "value": "2"}], id="other values"),
])
def test_tolerations_are_merged(given: list[Obj], kept: list[Obj]):
    assert merged(given) == kept
