"""HorizontalPodAutoscalers: what is filled in, what is refused, what is printed, and their two forms."""
from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api.kinds.autoscaler_forms import from_stored, to_newer
from muster.api.kinds.horizontal_pod_autoscaler import HORIZONTAL_POD_AUTOSCALER as KIND
from muster.api.kinds.horizontal_pod_autoscaler import OLDER_HORIZONTAL_POD_AUTOSCALER as OLDER
from muster.api.tables import table


def autoscaler(status: dict[str, Any] | None = None, version: str = "v2", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"autoscaling/{version}", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"maxReplicas": 5, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, **spec},
            "status": status or {}}


def cpu(field: str = "averageUtilization", value: Any = 50) -> dict[str, Any]:
    type_ = {"averageUtilization": "Utilization", "averageValue": "AverageValue"}[field]
    return {"type": "Resource", "resource": {"name": "cpu", "target": {"type": type_, field: value}}}


def named(type_: str, field: str, target: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": type_, field: {"metric": {"name": "hits"}, "target": target, **more}}


PODS = named("Pods", "pods", {"type": "AverageValue", "averageValue": "10"})
OBJECT = named("Object", "object", {"type": "Value", "value": "10"}, describedObject={"kind": "Service", "name": "web"})
EXTERNAL = named("External", "external", {"type": "AverageValue", "averageValue": "3"})


def test_what_is_filled_in():
    spec = KIND.defaults(autoscaler())["spec"]
    assert spec["minReplicas"] == 1 and spec["metrics"] == [cpu(value=80)] and "behavior" not in spec
    behavior = KIND.defaults(autoscaler(behavior={"scaleDown": {"stabilizationWindowSeconds": 60}}))["spec"]["behavior"]
    assert behavior["scaleDown"] == {"stabilizationWindowSeconds": 60, "selectPolicy": "Max",
                                     "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0 and len(behavior["scaleUp"]["policies"]) == 2
    filled = KIND.defaults(autoscaler())
    assert KIND.defaults(filled) is filled


@pytest.mark.parametrize(("spec", "wrong"), [
    pytest.param({"metrics": [cpu(), PODS, OBJECT, EXTERNAL]}, [], id="fine"),
    pytest.param({"minReplicas": 0}, ["spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"], id="least"),
    pytest.param({"minReplicas": 9}, ["spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`"],
                 id="bounds"),
    pytest.param({"scaleTargetRef": {"kind": "a/b"}}, [
        'spec.scaleTargetRef.kind: Invalid value: "a/b": may not contain \'/\'', "spec.scaleTargetRef.name: Required value"],
        id="target"),
    pytest.param({"metrics": [{"type": "Load"}]}, [
        'spec.metrics[0].type: Unsupported value: "Load": supported values: "ContainerResource", "External", "Object", '
        '"Pods", "Resource"'], id="unknown source"),
    pytest.param({"metrics": [{**cpu(), "pods": PODS["pods"]}]}, [
        "spec.metrics[0].pods: Forbidden: must populate the given metric source only"], id="two sources"),
    pytest.param({"metrics": [cpu(value=0)]}, [
        "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"], id="no target"),
    pytest.param({"metrics": [{"type": "ContainerResource", "containerResource": {**cpu()["resource"]}}]}, [
        "spec.metrics[0].containerResource.container: Required value: must specify a container"], id="no container"),
    pytest.param({"metrics": [named("Pods", "pods", {"type": "AverageValue", "averageValue": "-1"})]}, [
        'spec.metrics[0].pods.target.averageValue: Invalid value: "-1": must be positive',
        "spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue"], id="pods"),
    pytest.param({"metrics": [named("External", "external", {"type": "Value", "value": "1", "averageValue": "1"})]}, [
        "spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod target"],
        id="external"),
    pytest.param({"behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 1801}]}}}, [
        "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
        "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800"],
        id="policy"),
    pytest.param({"behavior": {"scaleUp": {"stabilizationWindowSeconds": -1, "policies": []}}}, [
        "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero",
        "spec.behavior.scaleUp.policies: Required value: must specify at least one Policy"], id="window"),
])
def test_what_is_refused(spec, wrong):
    assert [str(one) for one in KIND.validate(autoscaler(**spec))] == wrong


def test_the_older_form_is_refused_in_the_words_of_the_newer():
    older = autoscaler(version="v1", targetCPUUtilizationPercentage=0)
    assert [one.field for one in OLDER.validate(OLDER.defaults(older))] == ["spec.metrics[0].resource.target.averageUtilization"]


@pytest.mark.parametrize(("metrics", "told", "targets"), [
    pytest.param([cpu()], [], "cpu: <unknown>/50%", id="unknown"),
    pytest.param([cpu()], [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 0}}}],
                 "cpu: 0%/50%", id="idle"),
    pytest.param([cpu("averageValue", "500m")], [{"type": "Resource", "resource": {"current": {"averageValue": "20m"}}}],
                 "cpu: 20m/500m", id="a value"),
    pytest.param([PODS, OBJECT, EXTERNAL], [{"type": ""}], "<unknown>/10, <unknown>/10 + 1 more...", id="more"),
    pytest.param([EXTERNAL], [{"external": {"current": {"averageValue": "2"}}}], "2/3 (avg)", id="external"),
])
def test_targets(metrics, told, targets):
    shown = autoscaler({"currentMetrics": told, "currentReplicas": 2}, metrics=metrics)
    assert table(KIND, [shown], 0.0)["rows"][0]["cells"][:6] == ["web", "Deployment/web", targets, "<unset>", 5, 2]
    older = table(OLDER, [from_stored(shown)], 0.0)["rows"][0]["cells"]
    assert older[1] == "Deployment/web" and older[4] == 5


def test_the_older_form():
    older = from_stored(autoscaler({"currentReplicas": 2, "desiredReplicas": 3, "currentMetrics": [
        {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 70, "averageValue": "350m"}}}],
        "conditions": [{"type": "AbleToScale", "status": "True"}]}, metrics=[cpu(), PODS]))
    assert older["spec"]["targetCPUUtilizationPercentage"] == 50
    assert older["status"] == {"currentReplicas": 2, "desiredReplicas": 3, "currentCPUUtilizationPercentage": 70}
    annotations = {name.partition("/")[2]: orjson.loads(text) for name, text in older["metadata"]["annotations"].items()}
    assert annotations["metrics"] == [{"type": "Pods", "pods": {"metricName": "hits", "targetAverageValue": "10"}}]
    assert annotations["conditions"] == [{"type": "AbleToScale", "status": "True"}]


@given(st.lists(st.sampled_from([cpu("averageValue", "500m"), PODS, OBJECT, EXTERNAL, {
    "type": "ContainerResource", "containerResource": {"container": "app", "name": "memory", "target": {
        "type": "Utilization", "averageUtilization": 70}}}]), max_size=4), st.booleans(), st.booleans())
def test_through_the_older_form_and_back_nothing_is_lost(metrics, with_cpu, with_behavior):
    metrics = [*metrics, *([cpu()] if with_cpu else [])]
    behavior = {"behavior": {"scaleUp": {"policies": []}}} if with_behavior else {}
    newer = KIND.defaults(autoscaler({"currentMetrics": None, "desiredReplicas": 1}, metrics=metrics, **behavior))
    back = to_newer(from_stored(newer))
    assert back["spec"] == newer["spec"] and back["status"] == newer["status"]
    assert back["metadata"] == newer["metadata"] and back["apiVersion"] == "autoscaling/v2"


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', '[{"type": "Nope"}]', '[{"type": "Pods"}]'])
def test_an_annotation_of_the_older_form_that_makes_no_sense(text):
    older = autoscaler(version="v1")
    older["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/metrics": text}
    assert isinstance(KIND.validate(OLDER.to_stored(older)), list)
