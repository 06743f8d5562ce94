"""What the metrics API tells of a cluster at work: samples by the window, loads shared, nothing of what does not run."""
from __future__ import annotations

import asyncio

import orjson
import pytest
from small_world import a_node, a_pod, found, told

from muster.api.objects import Key
from muster.server.http import Api
from muster.server.identity import User

ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
DEPLOYMENTS = "deployments.apps"


def a_deployment(replicas: int, usage: str = "", **requests: str):
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default", "annotations": {"muster.dev/usage": usage}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                    {"name": "app", "image": "web:1", "resources": {"requests": requests}}]}}}}


async def asked(world, path: str):
    """(status, body) of a GET under the metrics API."""
    api = Api(world.registry, world.clock, meter=world.meter)
    said = []

    async def send(message):
        said.append(message)

    path, _, query = path.partition("?")
    await api({"type": "http", "method": "GET", "path": f"/apis/metrics.k8s.io/v1beta1{path}", "headers": [], "user": ADMIN,
               "query_string": query.encode()}, None, send)
    return said[0]["status"], orjson.loads(b"".join(one["body"] for one in said[1:]))


def millis(metrics) -> int:
    return sum(int(one["usage"]["cpu"].removesuffix("n") or 0) for one in metrics["containers"]) // 1_000_000


def test_a_load_is_shared_by_the_ready_pods_of_all_its_sets():
    async def story(world):
        await world.admin.create(a_node("n1", start="1s..1s", pull="0s..0s"))
        await world.admin.create(a_deployment(2, "load=2"))
        await asyncio.sleep(45)
        two = [millis(one) for one in (await asked(world, "/namespaces/default/pods"))[1]["items"]]
        await world.admin.patch(Key(DEPLOYMENTS, "default", "web"), {"spec": {"replicas": 4}})
        await asyncio.sleep(45)
        four = [millis(one) for one in (await asked(world, "/pods?labelSelector=app%3Dweb"))[1]["items"]]
        # Without a rollout: what is said of the workload holds for the pods that are there.
        await world.admin.patch(Key(DEPLOYMENTS, "default", "web"), {"metadata": {"annotations": {"muster.dev/usage": "load=6"}}})
        await asyncio.sleep(1)
        more = [millis(one) for one in (await asked(world, "/pods"))[1]["items"]]
        return two, four, more

    assert told(story) == ([1000] * 2, [500] * 4, [1500] * 4)


def test_a_pod_has_metrics_after_its_first_window():
    async def story(world):
        await world.admin.create(a_node("n1", start="0s..0s", pull="0s..0s"))
        await asyncio.sleep(17)
        await world.admin.create(a_pod("early"))  # at :17, so :30 is the first window that it is in
        await asyncio.sleep(12)
        before = await asked(world, "/namespaces/default/pods/early")
        await asyncio.sleep(3)
        after = await asked(world, "/namespaces/default/pods/early")
        return before, after

    (status, failure), (later, sample) = told(story)
    assert (status, failure["message"]) == (404, 'podmetrics.metrics.k8s.io "default/early" not found')
    assert later == 200 and sample["kind"] == "PodMetrics" and [one["name"] for one in sample["containers"]] == ["app"]
    assert sample["timestamp"].endswith(":30Z") and 10 <= float(sample["window"].removesuffix("s")) <= 15


@pytest.mark.parametrize("path", ["/nodes/none", "/namespaces/default/pods/none", "/nodes/real"])
def test_what_is_not_measured_is_not_found(path):
    async def story(world):
        await world.admin.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "real"}})
        await asyncio.sleep(60)
        return await asked(world, path)

    status, failure = told(story)
    assert (status, failure["reason"]) == (404, "NotFound")
    assert ("nodemetrics.metrics.k8s.io" in failure["message"]) == ("nodes" in path)


def test_a_node_uses_what_its_pods_use_and_something_for_itself():
    async def story(world):
        await world.admin.create(a_node("n1"))
        for number in range(3):
            await world.admin.create(a_pod(f"p{number}", cpu="500m"))
        await asyncio.sleep(60)
        (node,) = (await asked(world, "/nodes"))[1]["items"]
        pods = (await asked(world, "/pods?fieldSelector=spec.nodeName%3Dn1"))[1]["items"]
        return node, pods, len(found(world, "pods"))

    node, pods, count = told(story)
    cpu = sum(int(one["usage"]["cpu"].removesuffix("n")) for pod in pods for one in pod["containers"])
    memory = sum(int(one["usage"]["memory"].removesuffix("Ki")) for pod in pods for one in pod["containers"])
    assert len(pods) == count == 3
    assert int(node["usage"]["cpu"].removesuffix("n")) == cpu + 40_000_000  # 1 % of four cores
    assert int(node["usage"]["memory"].removesuffix("Ki")) - memory == round(0.02 * 16 * 2**20)
    assert node["metadata"]["name"] == "n1" and node["window"] == "15s"


def test_nothing_is_written_and_a_silent_node_tells_nothing():
    async def story(world):
        await world.admin.create(a_node("n1"))
        await world.admin.create(a_pod("p", cpu="1"))
        await asyncio.sleep(60)
        revision = world.store.history.revision
        first = await asked(world, "/pods")
        assert await asked(world, "/pods") == first and world.store.history.revision == revision
        await world.admin.patch(Key("nodes", "", "n1"), {"metadata": {"annotations": {"muster.dev/fail": "true"}}})
        await asyncio.sleep(1)
        return len(first[1]["items"]), (await asked(world, "/pods"))[1]["items"], (await asked(world, "/nodes"))[1]["items"]

    assert told(story) == (1, [], [])


def test_a_load_of_a_stateful_set():
    async def story(world):
        await world.admin.create(a_node("n1", start="0s..0s", pull="0s..0s"))
        await world.admin.create({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "db", "namespace": "default", "annotations": {"muster.dev/usage": "app: load=900m"}},
            "spec": {"replicas": 3, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": {
                "metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "app", "image": "db:1"}]}}}})
        await asyncio.sleep(45)
        return [millis(one) for one in (await asked(world, "/pods"))[1]["items"]]

    assert told(story) == [300] * 3
