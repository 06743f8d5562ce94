"""What the pods of autoscaled workloads use, where a snapshot tells it and where it does not."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from rehearsed import asked

from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Obj, name_of, with_
from muster.api.schema import Schema
from muster.rehearsal.runs import rehearse
from muster.rehearsal.snapshot import read
from muster.rehearsal.stage import Stage, prepare
from muster.rehearsal.used import with_usage
from muster.testing import Cluster

USAGE = "muster.dev/usage"
DEPLOY, HPA = "deployments.apps", "horizontalpodautoscalers.autoscaling"
RECORDED = ("nodes", "pods", DEPLOY, "replicasets.apps", HPA)


def deployment(replicas: int = 2, *, annotations: Obj | None = None, sidecar: bool = False, requests: Obj | None = None) -> Obj:
    labels = {"app": "web"}
    asks = {"cpu": "200m", "memory": "64Mi"} if requests is None else requests
    containers = [{"name": "app", "image": "web:1", "resources": {"requests": asks}}]
    if sidecar:
        containers.append({"name": "proxy", "image": "proxy:1", "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}})
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "annotations": annotations or {}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}}}


def autoscaler(*metrics: Obj, status: Obj | None = None, **spec) -> Obj:
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1,
                     "maxReplicas": 10, "metrics": list(metrics or (by_share("cpu", 50),)), **spec},
            **({"status": status} if status is not None else {})}


def by_share(resource: str, percent: int) -> Obj:
    return {"type": "Resource", "resource": {"name": resource, "target": {
        "type": "Utilization", "averageUtilization": percent}}}


def by_value(resource: str, value: str, container: str = "") -> Obj:
    source = {"name": resource, "target": {"type": "AverageValue", "averageValue": value}}
    return {"type": "ContainerResource", "containerResource": {"container": container, **source}} if container else {
        "type": "Resource", "resource": source}


def seen_last(average: str, resource: str = "cpu") -> Obj:
    return {"currentReplicas": 2, "currentMetrics": [{"type": "Resource", "resource": {
        "name": resource, "current": {"averageValue": average}}}]}


def measured(pod: str, **containers: tuple[str, str]) -> Obj:
    return {"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics", "metadata": {"name": pod, "namespace": "shop"},
            "timestamp": "2026-01-01T00:00:00Z", "window": "15s", "containers": [
                {"name": name, "usage": {"cpu": cpu, "memory": memory}} for name, (cpu, memory) in containers.items()]}


def recorded(workload: Obj, pods: int = 2) -> list[Obj]:
    """With uids, and pods that are ready."""
    def owner(kind: str) -> Obj:
        return {"ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": "web", "uid": f"uid-{kind}", "controller": True}]}

    workload = with_(workload, "metadata.uid", "uid-Deployment")
    replica_set = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {},
                   "metadata": {"name": "web", "namespace": "shop", "uid": "uid-ReplicaSet", **owner("Deployment")}}
    made = [{"apiVersion": "v1", "kind": "Pod", "spec": workload["spec"]["template"]["spec"],
             "metadata": {"name": f"web-{number}", "namespace": "shop", "uid": f"uid-{number}", **owner("ReplicaSet")},
             "status": {"conditions": [{"type": "Ready", "status": "True"}]}} for number in range(pods)]
    return [workload, replica_set, *made]


TWO = [measured("web-0", app=("120m", "40Mi"), proxy=("10m", "8Mi")),
       measured("web-1", app=("80000000n", "50Mi"), proxy=("6m", "8Mi"))]


@pytest.mark.parametrize(("objects", "metrics", "said", "note"), [
    pytest.param([*recorded(deployment()), autoscaler()], TWO, "app: load=0.200000; proxy: load=0.016000", "as their PodMetrics tell",
                 id="measured"),
    pytest.param([*recorded(deployment(), pods=3), autoscaler()], TWO, "app: load=0.300000; proxy: load=0.024000",
                 "as their PodMetrics tell", id="one of three was not measured"),
    pytest.param([*recorded(deployment()), autoscaler(by_share("memory", 80))], TWO, "app: memory=40960Ki..51200Ki; proxy: memory=8192Ki",
                 "as their PodMetrics tell", id="memory is each pod's own"),
    pytest.param([*recorded(deployment()), autoscaler(status=seen_last("150m"))], [], "app: load=0.300000", "saw it last",
                 id="as the autoscaler saw it last"),
    pytest.param([*recorded(deployment(sidecar=True)), autoscaler(status=seen_last("150m"))], [],
                 "app: load=0.240000; proxy: load=0.060000", "saw it last", id="over its containers by what they request"),
    pytest.param([*recorded(deployment()), autoscaler(status=seen_last("40Mi", "memory"))], [], "", "saw it last",
                 id="it saw what it does not go by"),
    pytest.param([*recorded(deployment()), autoscaler()], [], "app: load=0.200000", "what their autoscaler aims at",
                 id="as much as it aims at: half of what two pods request"),
    pytest.param([*recorded(deployment()), autoscaler(by_value("cpu", "30m", "app"))], [], "app: load=0.060000",
                 "what their autoscaler aims at", id="an amount, of one container"),
    pytest.param([*recorded(deployment(annotations={USAGE: "load=3"})), autoscaler()], TWO, "load=3", "", id="said on the workload"),
    pytest.param([*recorded(with_(deployment(), ("spec", "template", "metadata", "annotations"), {USAGE: "load=3"})), autoscaler()], TWO,
                 None, "", id="said on its pods"),
    pytest.param([*recorded(deployment()), autoscaler({"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {
        "type": "AverageValue", "averageValue": "5"}}})], TWO, None, "scaled by metrics that are not simulated", id="other metrics"),
    pytest.param([deployment(), autoscaler()], TWO, None, "20 to 40 % of the cpu", id="a manifest"),
    pytest.param(recorded(deployment()), TWO, None, "", id="nothing is scaled"),
    pytest.param([autoscaler()], TWO, None, "", id="the target is not there"),
])
def test_what_pods_use(objects, metrics, said, note):
    notes: list[str] = []
    found = with_usage(objects, [], metrics, Kinds(BUILT_IN), notes)
    assert [name_of(one) for one in found] == [name_of(one) for one in objects]
    workload = next((one for one in found if one["kind"] == "Deployment"), {"metadata": {}})
    assert (workload["metadata"].get("annotations") or {}).get(USAGE) == (said or None)
    assert len(notes) == bool(note) and (not note or note in notes[0] and (said is None or "Deployment shop/web" in notes[0]))


def test_an_autoscaler_that_is_only_applied_counts_too():
    older = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "w", "namespace": "shop"},
             "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3,
                      "targetCPUUtilizationPercentage": 50}}
    workload, *_ = with_usage(recorded(deployment()), [older], TWO, Kinds(BUILT_IN), [])
    assert workload["metadata"]["annotations"][USAGE] == "app: load=0.200000; proxy: load=0.016000"


# ------------------------------------------------------------------ in rehearsals

@pytest.fixture(scope="module")
def taken(tmp_path_factory) -> Obj:
    """A dump of a cluster whose autoscaler has settled: 400m of load, half of 200m from each of four pods."""
    before = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
              deployment(4, annotations={USAGE: "load=400m"}), autoscaler()]
    stage = prepare(asked(tmp_path_factory.mktemp("taken"), before=before, nodes=4))
    items = [one.value for resource in RECORDED for one in stage.state.objects.get(resource, {}).values()]
    for one in items:
        if one["kind"] != "Node":
            (one["metadata"].get("annotations") or {}).pop(USAGE, None)
    return {"apiVersion": "v1", "kind": "List", "items": items}


def played(folder: Path, dump: Obj, *applied: Obj, used: list[Obj] = (), **more) -> tuple[int, list[str]]:  # type: ignore[assignment]
    """Replicas asked for after an hour, and what was assumed."""
    (folder / "snapshot.json").write_text(json.dumps(dump))
    on = [folder / "snapshot.json"]
    if used:
        (folder / "used.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": list(used)}))
        on.append(folder / "used.yaml")
    stage = prepare(asked(folder, list(applied), on=on, until="1h", **more))
    return asked_for(stage), list(stage.notes)


def asked_for(stage: Stage) -> int:
    (outcome,) = [rehearse(stage, stage.alternatives[0], 0)]
    assert not outcome.broken_budgets and not outcome.broken_laws
    (web,) = [one for one in outcome.workloads if one.name == "deploy/shop/web"]
    return web.wanted


def test_where_nothing_is_measured_an_autoscaler_stays_where_it_is(tmp_path, taken):
    replicas, notes = played(tmp_path, taken)
    assert replicas == 4 and any("saw it last" in one for one in notes)


def test_an_autoscaler_goes_by_what_was_measured(tmp_path, taken):
    pods = [name_of(one) for one in taken["items"] if one["kind"] == "Pod"]
    replicas, notes = played(tmp_path, taken, used=[measured(pod, app=("180m", "40Mi")) for pod in pods])
    assert replicas == 8, "720m, 100m each, and a tenth more or less is near enough"
    assert any("as their PodMetrics tell" in one for one in notes)
    assert not any("left out" in one for one in notes)


def test_an_autoscaler_goes_by_what_is_said(tmp_path, taken):
    replicas, _ = played(tmp_path, taken, deployment(4, annotations={USAGE: "load=150m"}))
    assert replicas == 2


def test_a_cluster_is_asked_for_what_its_pods_use():
    with Cluster(nodes=2, virtual=True) as cluster:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        cluster.apply(deployment(2, annotations={USAGE: "load=160m"}))
        cluster.apply(autoscaler(minReplicas=2))
        cluster.advance("2m")
        found = read([Path(cluster.kubeconfig)], Kinds(BUILT_IN), Schema.load())
        assert [one["kind"] for one in found.recorded if one["kind"].endswith("Autoscaler")] == ["HorizontalPodAutoscaler"]
        assert {name_of(one) for one in found.metrics} == {name_of(one) for one in found.of_kind("Pod")}
        plain = [with_(one, "metadata.annotations", {}) for one in found.recorded]
        web = next(one for one in with_usage(plain, [], found.metrics, Kinds(BUILT_IN), []) if one["kind"] == "Deployment")
        assert web["metadata"]["annotations"][USAGE] == "app: load=0.160000"
