"""The Deployment and ReplicaSet rows: defaults, validation, and what `kubectl get` prints."""
import pytest

from muster.api.kinds.deployment import DEPLOYMENT
from muster.api.kinds.replica_set import REPLICA_SET
from muster.api.objects import with_

NOT_MATCHED = ('spec.template.metadata.labels: Invalid value: map[string]string{"a":"c"}: '
               "`selector` does not match template `labels`")


def made(kind, labels=None, template=None, **spec):
    pod = {"containers": [{"name": "nginx", "image": "nginx:1.24.0"}], **(template or {})}
    return kind.defaults({
        "apiVersion": "apps/v1", "kind": kind.name, "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"a": "b"}},
                 "template": {"metadata": {"labels": labels or {"a": "b"}}, "spec": pod}, **spec}})


def rolling(**values):
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": values}}


def told(causes):
    return [str(cause) for cause in causes]


@pytest.mark.parametrize("given, strategy", [
    pytest.param({}, {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}, id="none"),
    pytest.param(rolling(maxSurge=3), rolling(maxSurge=3, maxUnavailable="25%")["strategy"], id="one of the two"),
    pytest.param({"strategy": {"type": "Recreate"}}, {"type": "Recreate"}, id="recreate"),
])
def test_defaults(given, strategy):
    found = made(DEPLOYMENT, **given)
    assert found["spec"]["strategy"] == strategy
    assert [found["spec"][field] for field in ("replicas", "revisionHistoryLimit", "progressDeadlineSeconds")] == [1, 10, 600]
    assert DEPLOYMENT.defaults(found) is found, "what is full stays the same object"
    assert made(REPLICA_SET)["spec"]["replicas"] == 1 and made(DEPLOYMENT, replicas=0)["spec"]["replicas"] == 0


@pytest.mark.parametrize("kind", [DEPLOYMENT, REPLICA_SET], ids=["deployment", "replica set"])
@pytest.mark.parametrize("given, expected", [
    pytest.param({}, [], id="fine"),
    pytest.param({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"], id="negative"),
    pytest.param({"minReadySeconds": -1},
                 ["spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"], id="min ready"),
    pytest.param({"labels": {"a": "c"}}, [NOT_MATCHED], id="selects other pods"),
    pytest.param({"selector": None}, ["spec.selector: Required value", NOT_MATCHED.replace('"c"', '"b"')], id="no selector"),
    pytest.param({"selector": {}}, [
        "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), "
        "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: empty selector is invalid for deployment"], id="empty"),
    pytest.param({"template": {"restartPolicy": "Never"}}, [
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'], id="restart"),
    pytest.param({"template": {"activeDeadlineSeconds": 5}}, [
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"],
        id="deadline of pods"),
])
def test_what_both_ask_for(kind, given, expected):
    assert told(kind.validate(made(kind, **given))) == expected


@pytest.mark.parametrize("given, expected", [
    pytest.param(rolling(maxSurge=3, maxUnavailable=1), [], id="numbers"),
    pytest.param(rolling(maxSurge="200%"), [], id="any surge"),
    pytest.param(rolling(maxUnavailable="101%"), [
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:"101%"}: must not be greater than 100%'], id="more than all"),
    pytest.param(rolling(maxSurge=-1), [
        "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0"], id="negative"),
    pytest.param(rolling(maxSurge="0%", maxUnavailable="0%"), [
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:"0%"}: '
        "may not be 0 when `maxSurge` is 0"], id="nothing could move"),
    pytest.param({"strategy": {"type": "Recreate", "rollingUpdate": {}}}, [
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"], id="both"),
    pytest.param({"strategy": {"type": "OnDelete"}}, [
        'spec.strategy: Unsupported value: apps.DeploymentStrategy{Type:"OnDelete", '
        'RollingUpdate:(*apps.RollingUpdateDeployment)(nil)}: supported values: "Recreate", "RollingUpdate"'], id="other"),
    pytest.param({"revisionHistoryLimit": -1}, [
        "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"], id="history"),
    pytest.param({"progressDeadlineSeconds": 0}, [
        "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds"], id="no time"),
])
def test_what_a_deployment_asks_for(given, expected):
    assert told(DEPLOYMENT.validate(made(DEPLOYMENT, **given))) == expected


@pytest.mark.parametrize("kind", [DEPLOYMENT, REPLICA_SET], ids=["deployment", "replica set"])
def test_the_selector_stays(kind):
    new = made(kind, selector={"matchLabels": {"a": "c"}}, labels={"a": "c"})
    assert told(kind.validate_update(new, made(kind))) == [
        'spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"a":"c"}, '
        'MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable']


@pytest.mark.parametrize("status, expected", [
    pytest.param({"replicas": 1, "readyReplicas": 2}, ["status.readyReplicas: Invalid value: 2: cannot be greater than "
                                                       "status.replicas"], id="more ready than there are"),
    pytest.param({"replicas": 2, "availableReplicas": 1}, [
        "status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas"], id="available, not ready"),
    pytest.param({"replicas": -1}, ["status.replicas: Invalid value: -1: must be greater than or equal to 0"], id="negative"),
])
@pytest.mark.parametrize("kind", [DEPLOYMENT, REPLICA_SET], ids=["deployment", "replica set"])
def test_statuses_add_up(kind, status, expected):
    assert told(kind.validate_status_update(with_(made(kind), "status", status), made(kind)))[:1] == expected


def test_collisions_are_not_forgotten():
    old = with_(made(DEPLOYMENT), "status", {"collisionCount": 2})
    assert told(DEPLOYMENT.validate_status_update(with_(old, "status", {}), old)) == [
        "status.collisionCount: Invalid value: 0: cannot be decremented"]


def cells(kind, obj):
    found = with_(obj, "metadata.creationTimestamp", "2026-01-01T00:00:00Z")
    return {column.name: column.cell(found, 1_767_225_600.0 + 79 * 60) for column in kind.columns}


def test_columns():
    found = with_(made(DEPLOYMENT, replicas=3), "status", {"readyReplicas": 2, "updatedReplicas": 1})
    assert cells(DEPLOYMENT, found) == {"Name": "web", "Ready": "2/3", "Up-to-date": 1, "Available": 0, "Age": "79m",
                                        "Containers": "nginx", "Images": "nginx:1.24.0", "Selector": "a=b"}
    found = with_(made(REPLICA_SET, replicas=3), "status", {"replicas": 2, "readyReplicas": 1})
    assert cells(REPLICA_SET, found) == {"Name": "web", "Desired": 3, "Current": 2, "Ready": 1, "Age": "79m",
                                         "Containers": "nginx", "Images": "nginx:1.24.0", "Selector": "a=b"}
