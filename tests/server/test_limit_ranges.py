"""LimitRanges: what they add to a pod, and what they refuse."""
from __future__ import annotations

import pytest
from small_cluster import Cluster, in_cluster, pod

from muster.api.errors import Forbidden
from muster.api.objects import Obj, annotations_of


def limit_range(*limits: Obj, name: str = "limits") -> Obj:
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": name}, "spec": {"limits": list(limits)}}


def per_container(**fields: Obj) -> Obj:
    return {"type": "Container", **fields}


def container(name: str = "app", requests: Obj | None = None, limits: Obj | None = None, **more: object) -> Obj:
    resources = {field: given for field, given in (("requests", requests), ("limits", limits)) if given}
    return {"name": name, "image": "web:1", **({"resources": resources} if resources else {}), **more}


def claim(storage: str, name: str = "data") -> Obj:
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}}}


DEFAULTS = per_container(default={"cpu": "500m", "memory": "512Mi"}, defaultRequest={"cpu": "100m", "memory": "64Mi"})


@pytest.mark.parametrize(("given", "requests", "limits", "said"), [
    pytest.param(container(), {"cpu": "100m", "memory": "64Mi"}, {"cpu": "500m", "memory": "512Mi"},
                 "cpu, memory request for container app; cpu, memory limit for container app", id="all of it"),
    pytest.param(container(limits={"cpu": "1"}), {"cpu": "1", "memory": "64Mi"}, {"cpu": "1", "memory": "512Mi"},
                 "memory request for container app; memory limit for container app", id="what is missing"),
    pytest.param(container(requests={"cpu": "1m", "memory": "1Mi"}, limits={"cpu": "2m", "memory": "2Mi"}),
                 {"cpu": "1m", "memory": "1Mi"}, {"cpu": "2m", "memory": "2Mi"}, None, id="nothing"),
])
def test_what_is_added(given: Obj, requests: Obj, limits: Obj, said: str | None):
    async def check(cluster: Cluster) -> None:
        await cluster.create(limit_range(DEFAULTS))
        made = await cluster.create(pod(containers=[given]))
        assert made["spec"]["containers"][0]["resources"] == {"requests": requests, "limits": limits}
        told = annotations_of(made).get("kubernetes.io/limit-ranger")
        assert told == (f"LimitRanger plugin set: {said}" if said else None)
    in_cluster(check)


def test_init_containers_too_and_pods_of_a_template_share_what_was_added():
    async def check(cluster: Cluster) -> None:
        await cluster.create(limit_range(per_container(defaultRequest={"cpu": "100m"})))
        template = await cluster.create(pod("t", automountServiceAccountToken=False))
        shared = {"containers": [container()], "initContainers": [container("first")],
                  "restartPolicy": template["spec"]["restartPolicy"]}
        one = await cluster.create(pod("one", **shared))
        assert annotations_of(one)["kubernetes.io/limit-ranger"] == (
            "LimitRanger plugin set: cpu request for container app; cpu request for init container first")
        ready = {field: template["spec"][field] for field in ("containers", "restartPolicy")}
        ready["containers"] = [{**ready["containers"][0], "resources": {"limits": {"memory": "1Gi"},
                                                                        "requests": {"memory": "1Gi"}}}]
        two, three = await cluster.create(pod("two", **ready)), await cluster.create(pod("three", **ready))
        assert two["spec"]["containers"] is three["spec"]["containers"]
    in_cluster(check)


def test_of_several_ranges_the_first_by_name_says():
    async def check(cluster: Cluster) -> None:
        await cluster.create(limit_range(per_container(default={"cpu": "2"}), name="b"))
        await cluster.create(limit_range(per_container(default={"cpu": "1"}), name="a"))
        made = await cluster.create(pod(containers=[container()]))
        assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    in_cluster(check)


BOUNDS = per_container(min={"cpu": "100m"}, max={"cpu": "800m"})
RATIO = per_container(maxLimitRequestRatio={"memory": "2"})
OF_POD = {"type": "Pod", "min": {"memory": "6Mi"}, "max": {"cpu": "2"}}


@pytest.mark.parametrize(("limit", "containers", "why"), [
    pytest.param(BOUNDS, [container(requests={"cpu": "50m"}, limits={"cpu": "200m"})],
                 "minimum cpu usage per Container is 100m, but request is 50m", id="asks for too little"),
    pytest.param(BOUNDS, [container(requests={"cpu": "500m"}, limits={"cpu": "1500m"})],
                 "maximum cpu usage per Container is 800m, but limit is 1500m", id="may use too much"),
    pytest.param(BOUNDS, [container("a", limits={"cpu": "50m"}), container("b", limits={"cpu": "1"})],
                 "[minimum cpu usage per Container is 100m, but request is 50m, "
                 "maximum cpu usage per Container is 800m, but limit is 1]", id="two that are wrong"),
    pytest.param(BOUNDS, [container("a", limits={"cpu": "1"}), container("b", limits={"cpu": "1"})],
                 "maximum cpu usage per Container is 800m, but limit is 1", id="the same is said once"),
    pytest.param(RATIO, [container(requests={"memory": "100Mi"}, limits={"memory": "300Mi"})],
                 "memory max limit to request ratio per Container is 2, but provided ratio is 3.000000", id="ratio"),
    pytest.param(RATIO, [container()], "memory max limit to request ratio per Container is 2, but no request is "
                                       "specified or request is 0", id="ratio of nothing"),
    pytest.param(RATIO, [container(requests={"memory": "1Mi"})],
                 "memory max limit to request ratio per Container is 2, but no limit is specified or limit is 0",
                 id="ratio without a limit"),
    pytest.param(OF_POD, [container(limits={"cpu": "1500m", "memory": "3Mi"}),
                          container("b", limits={"cpu": "1", "memory": "2Mi"})],
                 "[minimum memory usage per Pod is 6Mi, but request is 5Mi, "
                 "maximum cpu usage per Pod is 2, but limit is 2500m]", id="the pod as a whole"),
    pytest.param(OF_POD, [container()], "[minimum memory usage per Pod is 6Mi.  No request is specified, "
                                        "maximum cpu usage per Pod is 2.  No limit is specified]", id="nothing said"),
])
def test_what_is_refused(limit: Obj, containers: list[Obj], why: str):
    async def check(cluster: Cluster) -> None:
        await cluster.create(limit_range(limit))
        with pytest.raises(Forbidden) as refused:
            await cluster.create(pod(containers=containers))
        assert refused.value.message == f'pods "web" is forbidden: {why}'
        assert cluster.get("pods", "web") is None
    in_cluster(check)


@pytest.mark.parametrize(("storage", "why"), [
    pytest.param("500Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi", id="little"),
    pytest.param("3Gi", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi", id="much"),
    pytest.param("2Gi", "", id="as allowed"),
])
def test_claims(storage: str, why: str):
    async def check(cluster: Cluster) -> None:
        await cluster.create(limit_range({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"},
                                          "max": {"storage": "2Gi"}}))
        if not why:
            await cluster.create(claim(storage))
            return
        with pytest.raises(Forbidden) as refused:
            await cluster.create(claim(storage))
        assert refused.value.message == f'persistentvolumeclaims "data" is forbidden: {why}'
    in_cluster(check)


def test_a_pod_that_is_there_is_left_alone():
    async def check(cluster: Cluster) -> None:
        await cluster.create(pod(containers=[container(limits={"cpu": "5"})]))
        await cluster.create(limit_range(BOUNDS))
        changed = await cluster.patch("pods", "web", {"metadata": {"labels": {"a": "b"}}})
        assert changed["metadata"]["labels"]["a"] == "b"
    in_cluster(check)
