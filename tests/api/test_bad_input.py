"""What is told about objects that lack what they need, or say what they may not: kind by kind, field by field."""
import pytest

from muster.api.kinds.built_in import BUILT_IN

KINDS = {kind.name: kind for kind in BUILT_IN if kind.stored_as is None}
NO_CONTAINER = "spec.template.spec.containers: Required value"
NO_LABELS = ("spec.template.metadata.labels: Invalid value: map[string]string(nil): "
             "`selector` does not match template `labels`")
NO_MODES = "spec.accessModes: Required value: at least 1 access mode is required"


def told(name, **fields):
    kind = KINDS[name]
    metadata = {"name": "x", **({"namespace": "default"} if kind.namespaced else {})}
    obj = kind.defaults({"apiVersion": kind.api_version, "kind": name, "metadata": metadata, **fields})
    return [str(cause) for cause in (*kind.validate(obj), *kind.validate_create(obj))]


@pytest.mark.parametrize("kind, wrong", [
    ("Pod", ["spec.containers: Required value"]),
    ("Deployment", ["spec.selector: Required value", NO_LABELS, NO_CONTAINER]),
    ("ReplicaSet", ["spec.selector: Required value", NO_LABELS, NO_CONTAINER]),
    ("DaemonSet", ["spec.selector: Required value", NO_LABELS, NO_CONTAINER]),
    ("StatefulSet", ["spec.selector: Required value", NO_LABELS, NO_CONTAINER]),
    ("ReplicationController", ["spec.selector: Required value", "spec.template: Required value"]),
    ("CronJob", ["spec.schedule: Required value", "spec.jobTemplate.spec.template.spec.containers: Required value",
                 'spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']),
    ("Service", ["spec.ports: Required value"]),
    ("PersistentVolume", [NO_MODES, "spec.capacity: Required value", "spec: Required value: must specify a volume type"]),
    ("PersistentVolumeClaim", [NO_MODES, "spec.resources[storage]: Required value"]),
    ("StorageClass", ["provisioner: Required value"]),
    ("LimitRange", []),
    ("ResourceQuota", []),
    ("PriorityClass", []),
    ("Namespace", []),
])
def test_an_object_that_says_nothing(kind, wrong):
    assert told(kind) == wrong


def volume(**spec):
    return {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **spec}}


def limits(**limit):
    return {"spec": {"limits": [{"type": "Container", **limit}]}}


def claim(**spec):
    return {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}}


def of_class(**fields):
    return {"provisioner": "a/b", **fields}


NEEDS_NODES = "spec.nodeAffinity: Required value: Local volume requires node affinity"


@pytest.mark.parametrize("kind, given, wrong", [
    pytest.param("PersistentVolume", volume(hostPath={"path": "/data"}), [], id="a volume"),
    pytest.param("PersistentVolume", volume(hostPath={"path": "/a/../b"}), [
        "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"], id="steps back"),
    pytest.param("PersistentVolume", volume(hostPath={"path": "/", "type": ""}, persistentVolumeReclaimPolicy="Recycle"), [
        "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"], id="recycles /"),
    pytest.param("PersistentVolume", volume(nfs={"path": "x"}), [
        "spec.nfs.server: Required value", 'spec.nfs.path: Invalid value: "x": must be an absolute path'], id="nfs"),
    pytest.param("PersistentVolume", volume(csi={}), [
        "spec.csi.driver: Required value", "spec.csi.volumeHandle: Required value"], id="csi"),
    pytest.param("PersistentVolume", volume(local={}), [NEEDS_NODES, "spec.local.path: Required value"], id="local"),
    pytest.param("PersistentVolume", volume(local={"path": "/d"}, nodeAffinity={}), [
        "spec.nodeAffinity.required: Required value: must specify required node constraints"], id="which nodes"),
    pytest.param("PersistentVolume", volume(hostPath={"path": "/d"}, capacity={"storage": "0"}), [
        'spec.capacity[storage]: Invalid value: "0": must be greater than zero'], id="holds nothing"),
    pytest.param("PersistentVolumeClaim", claim(dataSource={"kind": "Foo", "name": ""}), [
        "spec.dataSource.name: Required value",
        "spec.dataSource: Invalid value: \"Foo\": must be 'PersistentVolumeClaim' when referencing the default apiGroup"],
        id="a claim made of what"),
    pytest.param("StorageClass", of_class(parameters={"": "x"}), [
        'parameters: Invalid value: "": field can not be empty.'], id="a parameter without a name"),
    pytest.param("StorageClass", of_class(allowedTopologies=[{"matchLabelExpressions": [{"key": "a", "values": []}]}]), [
        "allowedTopologies[0].matchLabelExpressions[0].values: Required value"], id="no zone"),
    pytest.param("StorageClass", of_class(allowedTopologies=[{"matchLabelExpressions": [
        {"key": "a", "values": ["x", "x"]}]}]), [
        'allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "x"'], id="a zone twice"),
    pytest.param("LimitRange", limits(min={"gold": "1"}), [
        'spec.limits[0].min[gold]: Invalid value: "gold": must be a standard resource type or fully qualified',
        'spec.limits[0].min[gold]: Invalid value: "gold": must be a standard resource for containers',
        'spec.limits[0].defaultRequest[gold]: Invalid value: "gold": must be a standard resource type or fully qualified',
        'spec.limits[0].defaultRequest[gold]: Invalid value: "gold": must be a standard resource for containers'],
        id="limits of what"),
    pytest.param("LimitRange", limits(min={"cpu": "1"}, max={"cpu": "2"}, maxLimitRequestRatio={"cpu": "3"}), [
        'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'],
        id="a ratio that can not be"),
    pytest.param("LimitRange", limits(default={"a.b/c": "2"}, defaultRequest={"a.b/c": "1"}), [
        'spec.limits[0].defaultRequest[a.b/c]: Invalid value: "1": default value 2 must equal to defaultRequest value 1 '
        "in a.b/c"], id="what is not overcommitted"),
    pytest.param("StatefulSet", {"spec": {
        "selector": {"matchLabels": {"a": "b"}}, "updateStrategy": {"type": "Foo"}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}, [
        'spec.updateStrategy: Invalid value: apps.StatefulSetUpdateStrategy{Type:"Foo", '
        "RollingUpdate:(*apps.RollingUpdateStatefulSetStrategy)(nil)}: must be 'RollingUpdate' or 'OnDelete'"],
        id="how a set is updated"),
])
def test_what_is_told(kind, given, wrong):
    assert told(kind, **given) == wrong
