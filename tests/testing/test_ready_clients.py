"""Ready clients of the packages that people use; each test needs its package, and is skipped without it."""
from __future__ import annotations

import asyncio
import sys

import pytest

from muster.testing import Cluster

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}, "spec": {
    "replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "nginx:1.27"}]}}}}


@pytest.fixture(params=[False, True], ids=["real", "virtual"])
def cluster(request):
    with Cluster(nodes=2, virtual=request.param) as cluster:
        yield cluster


@pytest.mark.parametrize("package, ask", [("kubernetes", "kubernetes"), ("kr8s", "kr8s"), ("lightkube", "lightkube")])
def test_a_package_that_is_missing_is_named(monkeypatch, package, ask):
    monkeypatch.setitem(sys.modules, package, None)  # as an import sees what is not installed
    with Cluster(nodes=0) as cluster, pytest.raises(ModuleNotFoundError, match=f"is not installed: pip install {package}"):
        getattr(cluster, ask)()


def test_kubernetes(cluster):
    client = pytest.importorskip("kubernetes.client")
    from kubernetes import watch
    with cluster.kubernetes() as api:
        apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
        apps.create_namespaced_deployment("default", DEPLOYMENT)
        cluster.wait_for("deployment/web", "Available")
        assert apps.read_namespaced_deployment("web", "default").status.available_replicas == 2
        assert len(core.list_node().items) == 2
        seen = watch.Watch().stream(core.list_namespaced_pod, "default", timeout_seconds=1)
        assert sorted(event["type"] for event in seen) == ["ADDED", "ADDED"], "a watch ends by the watcher's own clock"
        core.create_namespace({"metadata": {"name": "shop"}})
        with pytest.raises(client.ApiException, match="already exists"):
            core.create_namespace({"metadata": {"name": "shop"}})
        core.delete_namespaced_pod(core.list_namespaced_pod("default").items[0].metadata.name, "default")
    assert client.ApiClient(cluster.client_configuration()).configuration.host == cluster.url


def test_kr8s(cluster):
    kr8s = pytest.importorskip("kr8s")
    from kr8s.objects import Deployment
    api = cluster.kr8s()
    deployment = Deployment(DEPLOYMENT, api=api)
    deployment.create()
    cluster.wait_for("deployment/web", "Available")
    deployment.refresh()
    assert deployment.status.availableReplicas == 2
    assert len(list(api.get("pods", namespace="default"))) == 2
    deployment.scale(1)
    with pytest.raises(kr8s.NotFoundError):
        Deployment.get("other", api=api)

    async def main():
        asking = await kr8s.asyncio.api(kubeconfig=str(cluster.kubeconfig))
        return len([node async for node in asking.get("nodes")])

    assert asyncio.run(main()) == 2


def test_lightkube(cluster):
    lightkube = pytest.importorskip("lightkube")
    from lightkube.resources.apps_v1 import Deployment
    from lightkube.resources.core_v1 import Node, Pod
    with_client = cluster.lightkube()
    with_client.create(Deployment.from_dict(DEPLOYMENT))
    cluster.wait_for("deployment/web", "Available")
    assert with_client.get(Deployment, "web").status.availableReplicas == 2
    assert len(list(with_client.list(Node))) == 2
    pod = next(iter(with_client.list(Pod, labels={"app": "web"})))
    with_client.delete(Pod, pod.metadata.name)
    with pytest.raises(lightkube.ApiError, match="not found"):
        with_client.get(Deployment, "other")


def test_an_hour_that_passes_inside_does_not_end_a_watch():
    """Connections live in the machine's time."""
    client = pytest.importorskip("kubernetes.client")
    from kubernetes import watch
    with Cluster(nodes=1, virtual=True) as cluster, cluster.kubernetes() as api:
        stream = watch.Watch().stream(client.CoreV1Api(api).list_namespace, timeout_seconds=30)
        assert "default" in {next(stream)["object"].metadata.name for _ in range(4)}
        cluster.advance("1h")
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}})
        assert next(stream)["object"].metadata.name == "later"
        stream.close()
