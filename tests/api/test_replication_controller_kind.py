"""The ReplicationController row: defaults from the template, validation, and what `kubectl get` prints."""
import pytest

from muster.api.kinds.replication_controller import REPLICATION_CONTROLLER
from muster.api.objects import with_
from muster.api.tables import table

LABELS = {"app": "web"}


def made(template=None, labels=LABELS, metadata=None, **spec):
    pod = {"containers": [{"name": "nginx", "image": "nginx:1.24.0"}], **(template or {})}
    return REPLICATION_CONTROLLER.defaults({
        "apiVersion": "v1", "kind": "ReplicationController",
        "metadata": {"name": "web", "namespace": "shop", **(metadata or {})},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": pod}, **spec}})


def test_what_is_left_out_comes_from_the_template():
    found = made()
    assert found["spec"]["selector"] == found["metadata"]["labels"] == LABELS and found["spec"]["replicas"] == 1
    assert REPLICATION_CONTROLLER.defaults(found) is found
    said = made(metadata={"labels": {"team": "a"}}, selector={"app": "web"}, replicas=0)
    assert said["metadata"]["labels"] == {"team": "a"} and said["spec"]["replicas"] == 0


@pytest.mark.parametrize("given, wrong", [
    pytest.param({}, [], id="fine"),
    pytest.param({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"], id="negative"),
    pytest.param({"minReadySeconds": -1},
                 ["spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"], id="min ready"),
    pytest.param({"selector": {"app": "other"}}, [
        'spec.template.metadata.labels: Invalid value: map[string]string{"app":"web"}: '
        "`selector` does not match template `labels`"], id="selects others"),
    pytest.param({"labels": {}}, ["spec.selector: Required value"], id="nothing to select by"),
    pytest.param({"template": {"restartPolicy": "Never"}}, [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'], id="restart"),
    pytest.param({"template": {"activeDeadlineSeconds": 5}}, [
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not "
        "Supported"], id="deadline"),
])
def test_validation(given, wrong):
    assert [str(cause) for cause in REPLICATION_CONTROLLER.validate(made(**given))] == wrong


def test_without_a_template():
    bare = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": LABELS, "replicas": 1}}
    assert [str(cause) for cause in REPLICATION_CONTROLLER.validate(REPLICATION_CONTROLLER.defaults(bare))] == [
        "spec.template: Required value"]


def test_the_selector_may_change():
    old = made()
    new = with_(with_(old, "spec.selector", {"app": "new"}), "spec.template.metadata.labels", {"app": "new"})
    assert REPLICATION_CONTROLLER.validate_update(
        with_(new, "metadata.resourceVersion", "1"), with_(old, "metadata.resourceVersion", "1")) == []


def test_columns():
    shown = table(REPLICATION_CONTROLLER, [{**made(replicas=3), "status": {"replicas": 2, "readyReplicas": 1}}], 0)
    assert [one["name"] for one in shown["columnDefinitions"]] == [
        "Name", "Desired", "Current", "Ready", "Age", "Containers", "Images", "Selector"]
    assert shown["rows"][0]["cells"][1:4] == [3, 2, 1] and shown["rows"][0]["cells"][-1] == "app=web"
