"""The DaemonSet row: selector, template, strategy, the template's generation, and what `kubectl get ds` prints."""
import pytest

from muster.api.kinds.controller_revision import CONTROLLER_REVISION
from muster.api.kinds.daemonset import DAEMONSET, TEMPLATE_GENERATION
from muster.api.objects import with_


def daemonset(labels=None, template=None, **spec):
    pod = {"containers": [{"name": "filebeat", "image": "beats/filebeat:7.9.1"}], **(template or {})}
    return DAEMONSET.defaults({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "filebeat-ds", "namespace": "kube-system"},
        "spec": {"selector": {"matchLabels": {"a": "b"}},
                 "template": {"metadata": {"labels": labels or {"a": "b"}}, "spec": pod}, **spec}})


def rolling(**values):
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": values}}


@pytest.mark.parametrize("given, expected", [
    pytest.param({}, [], id="fine"),
    pytest.param({"labels": {"a": "c"}}, [
        'spec.template.metadata.labels: Invalid value: map[string]string{"a":"c"}: `selector` does not match template `labels`'],
        id="selects other pods"),
    pytest.param({"selector": None}, [
        "spec.selector: Required value",
        'spec.template.metadata.labels: Invalid value: map[string]string{"a":"b"}: `selector` does not match template `labels`'],
        id="no selector"),
    pytest.param({"selector": {}}, ["spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), "
                                    "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: empty selector is invalid for daemonset"],
                 id="empty selector"),
    pytest.param({"selector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}, [
        'spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator'],
        id="no such operator"),
    pytest.param({"template": {"restartPolicy": "OnFailure"}}, [
        'spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"'], id="restart"),
    pytest.param({"template": {"activeDeadlineSeconds": 5}}, [
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported"],
        id="deadline"),
    pytest.param({"template": {"containers": []}}, ["spec.template.spec.containers: Required value"], id="no "
                                                                                                         "containers"),
    pytest.param({"template": {"ephemeralContainers": [{"name": "e", "image": "a"}]}}, [
        "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"],
        id="ephemeral containers"),
    pytest.param({"minReadySeconds": -1},
                 ["spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"], id="min ready"),
    pytest.param({"revisionHistoryLimit": -1},
                 ["spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"], id="history"),
    pytest.param({"revisionHistoryLimit": 0}, [], id="no history"),
    pytest.param({"updateStrategy": {"type": "OnDelete"}}, [], id="on delete"),
    pytest.param({"updateStrategy": {"type": "Recreate"}}, [
        'spec.updateStrategy: Unsupported value: apps.DaemonSetUpdateStrategy{Type:"Recreate", '
        'RollingUpdate:(*apps.RollingUpdateDaemonSet)(nil)}: supported values: "RollingUpdate", "OnDelete"'],
        id="no such strategy"),
    pytest.param(rolling(maxUnavailable="30%"), [], id="a share"),
    pytest.param(rolling(maxUnavailable=0, maxSurge=1), [], id="surge"),
    pytest.param(rolling(maxUnavailable=0), [
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"],
        id="nothing could move"),
    pytest.param(rolling(maxUnavailable="0%", maxSurge="0%"), [
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"],
        id="nothing, as shares"),
    pytest.param(rolling(maxSurge=1), [
        'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: intstr.IntOrString{Type:0, IntVal:1, StrVal:""}: '
        "may not be set when maxUnavailable is non-zero"],
        id="both"),
    pytest.param(rolling(maxUnavailable="101%"), [
        'spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:"101%"}: must not be greater than 100%'],
        id="more than all"),
    pytest.param(rolling(maxUnavailable=-1), [
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: -1: must be greater than or equal to 0"],
        id="negative"),
    pytest.param(rolling(maxUnavailable="many"), [
        'spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:"many"}: a valid percent string must be a '
        'numeric '
        "string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"], id="words"),
])
def test_validation(given, expected):
    assert [str(cause) for cause in DAEMONSET.validate(daemonset(**given))] == expected


def test_the_selector_stays():
    new = daemonset(selector={"matchLabels": {"a": "c"}}, labels={"a": "c"})
    assert [str(cause) for cause in DAEMONSET.validate_update(new, daemonset())] == [
        'spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"a":"c"}, '
        'MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable']


def generation(obj):
    return obj["metadata"]["annotations"][TEMPLATE_GENERATION]


def test_the_templates_generation_rises_with_the_template_alone():
    first = DAEMONSET.prepare_create({**daemonset(), "status": {"numberReady": 5}})
    assert generation(first) == "1"
    assert first["status"] == {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0,
                               "numberReady": 0}
    same = DAEMONSET.prepare_update(with_(daemonset(), "spec.minReadySeconds", 5), first)
    assert generation(same) == "1"
    second = DAEMONSET.prepare_update(daemonset(template={"nodeSelector": {"disk": "ssd"}}), same)
    assert generation(second) == "2"
    claimed = DAEMONSET.prepare_update(with_(second, ("metadata", "annotations", TEMPLATE_GENERATION), "9"), second)
    assert generation(claimed) == "2"
    assert DAEMONSET.prepare_update(second, second) is not second or generation(second) == "2"


def test_status_numbers_are_not_negative_and_collisions_not_forgotten():
    old = with_(daemonset(), "status", {"collisionCount": 2})
    new = with_(daemonset(), "status", {"collisionCount": 1, "numberReady": -1})
    assert [str(cause) for cause in DAEMONSET.validate_status_update(new, old)] == [
        "status.numberReady: Invalid value: -1: must be greater than or equal to 0",
        "status.collisionCount: Invalid value: 1: cannot be decremented"]


def test_columns():
    found = with_(daemonset(template={"nodeSelector": {"b": "linux", "a": "true"}}), "status", {
        "desiredNumberScheduled": 4, "currentNumberScheduled": 3, "numberReady": 2, "updatedNumberScheduled": 1})
    found = with_(found, "metadata.creationTimestamp", "2026-01-01T00:00:00Z")
    cells = {column.name: column.cell(found, 1_767_225_600.0 + 79 * 60) for column in DAEMONSET.columns}
    assert cells == {"Name": "filebeat-ds", "Desired": 4, "Current": 3, "Ready": 2, "Up-to-date": 1, "Available": 0,
                     "Node Selector": "a=true,b=linux", "Age": "79m", "Containers": "filebeat",
                     "Images": "beats/filebeat:7.9.1", "Selector": "a=b"}
    assert [column.name for column in DAEMONSET.columns if column.priority] == ["Containers", "Images", "Selector"]
    assert next(column for column in DAEMONSET.columns if column.name == "Node Selector").cell(daemonset(),
                                                                                               0) == "<none>"


def test_warnings_speak_of_the_template_and_only_when_it_changes():
    found = daemonset(template={"nodeSelector": {"beta.kubernetes.io/arch": "amd64"}})
    said = ['spec.template.spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use '
            '"kubernetes.io/arch" '
            "instead"]
    assert DAEMONSET.warnings(found, None) == said
    assert DAEMONSET.warnings(found, daemonset()) == said
    assert DAEMONSET.warnings(with_(found, "spec.minReadySeconds", 5), found) == []


def revision(**fields):
    return {"metadata": {"name": "r", "namespace": "n"}, "data": {"spec": {}}, "revision": 1, **fields}


def test_controller_revisions_keep_their_data():
    check = CONTROLLER_REVISION
    assert check.validate(revision()) == []
    assert [str(cause) for cause in check.validate(revision(data=None))] == ["data: Required value: data is mandatory"]
    assert [str(cause) for cause in check.validate_update(revision(data={}), revision())] == [
        "data: Invalid value: {}: field is immutable"]
    assert check.validate_update(revision(revision=2), revision()) == []


@pytest.mark.parametrize("owners, expected", [
    ([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "a", "controller": True}], "daemonset.apps/a"), ([],
                                                                                                              "<none>"),
])
def test_controller_revision_columns(owners, expected):
    found = revision()
    found["metadata"]["ownerReferences"] = owners
    assert [column.name for column in CONTROLLER_REVISION.columns] == ["Name", "Controller", "Revision", "Age"]
    assert CONTROLLER_REVISION.columns[1].cell(found, 0) == expected
