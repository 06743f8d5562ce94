"""What is filled into a pod, and that nothing is copied where nothing is missing."""
import pytest

from muster.api.kinds.daemonset import DAEMONSET
from muster.api.kinds.pod import POD
from muster.api.kinds.pod_defaults import pod_defaults, pod_template_defaults, pull_policy

POD_SPEC = {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
            "schedulerName": "default-scheduler", "securityContext": {}}
CONTAINER = {"name": "c", "image": "nginx:1", "imagePullPolicy": "IfNotPresent", "resources": {},
             "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}


def pod(**spec):
    return {"metadata": {"name": "p", "namespace": "n"},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}], **spec}}


def test_a_bare_pod():
    assert pod_defaults(pod())["spec"] == {"containers": [CONTAINER], **POD_SPEC, "enableServiceLinks": True}


def test_a_template_is_spared_what_only_pods_get():
    template = {"spec": {"hostNetwork": True, "containers": [
        {"name": "c", "image": "nginx:1", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1"}}}]}}
    assert pod_template_defaults(template)["spec"] == {
        "hostNetwork": True, **POD_SPEC, "containers": [
            {**CONTAINER, "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {"limits": {"cpu": "1"}}}]}


def test_a_template_lacking_everything_is_filled_in_the_daemonset():
    found = DAEMONSET.defaults({"metadata": {}, "spec": {"template": {"spec": {"containers": [
        {"name": "c", "image": "nginx:1"}]}}}})["spec"]
    assert found == {"template": {"spec": {"containers": [CONTAINER], **POD_SPEC}}, "revisionHistoryLimit": 10,
                     "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}}


@pytest.mark.parametrize("given, field, filled", [
    pytest.param({"resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"cpu": "100m"}}},
                 "resources",
                 {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}},
                 id="requests from limits, in canonical form"),
    pytest.param({"resources": {"requests": {"cpu": "100n"}}}, "resources", {"requests": {"cpu": "1m"}},
                 id="amounts are rounded up to thousandths"),
    pytest.param({"ports": [{"containerPort": 80}]}, "ports", [{"containerPort": 80, "protocol": "TCP"}], id="ports"),
    pytest.param({"livenessProbe": {"httpGet": {"port": 80}}}, "livenessProbe",
                 {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
                  "successThreshold": 1, "failureThreshold": 3}, id="probe"),
    pytest.param({"readinessProbe": {"grpc": {"port": 80}, "periodSeconds": 0, "timeoutSeconds": 5}}, "readinessProbe",
                 {"grpc": {"port": 80, "service": ""}, "timeoutSeconds": 5, "periodSeconds": 10, "successThreshold": 1,
                  "failureThreshold": 3}, id="a probe's zero is no choice"),
    pytest.param({"lifecycle": {"preStop": {"httpGet": {"port": "http", "path": "/bye"}}}}, "lifecycle",
                 {"preStop": {"httpGet": {"port": "http", "path": "/bye", "scheme": "HTTP"}}}, id="lifecycle"),
    pytest.param({"env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {
        "fieldPath": "spec.nodeName"}}}, {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]},
        "env", [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {
            "fieldPath": "spec.nodeName", "apiVersion": "v1"}}},
            {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}}], id="env"),
])
def test_containers(given, field, filled):
    for where in ("containers", "initContainers"):
        spec = pod_defaults(pod(**{where: [{"name": "c", "image": "nginx:1", **given}]}))["spec"]
        assert spec[where][0][field] == filled


@pytest.mark.parametrize("volume, filled", [
    pytest.param({}, {"emptyDir": {}}, id="no source at all"),
    pytest.param({"hostPath": {"path": "/"}}, {"hostPath": {"path": "/", "type": ""}}, id="hostPath"),
    pytest.param({"configMap": {"name": "x"}}, {"configMap": {"name": "x", "defaultMode": 420}}, id="configMap"),
    pytest.param({"secret": {"secretName": "x", "defaultMode": 0}}, {"secret": {"secretName": "x", "defaultMode": 0}},
                 id="a mode of 0 is meant"),
    pytest.param({"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                 {"downwardAPI": {"defaultMode": 420, "items": [
                     {"path": "a", "fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}]}}, id="downward"),
    pytest.param({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "x"}}]}},
                 {"projected": {"defaultMode": 420, "sources": [
                     {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                     {"configMap": {"name": "x"}}]}}, id="projected"),
])
def test_volumes(volume, filled):
    assert pod_defaults(pod(volumes=[{"name": "v", **volume}]))["spec"]["volumes"] == [{"name": "v", **filled}]


def test_with_the_hosts_network_ports_are_the_hosts():
    spec = pod_defaults(pod(hostNetwork=True, containers=[{"name": "c", "image": "a:1", "ports": [
        {"containerPort": 80}]}]))["spec"]
    assert spec["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


def test_both_names_of_the_service_account():
    for field in ("serviceAccount", "serviceAccountName"):
        spec = pod_defaults(pod(**{field: "robot"}))["spec"]
        assert spec["serviceAccount"] == spec["serviceAccountName"] == "robot"


@pytest.mark.parametrize("image, policy", [
    ("nginx", "Always"), ("nginx:latest", "Always"), ("registry:5000/team/nginx", "Always"), ("nginx:1.25",
                                                                                              "IfNotPresent"),
    ("registry:5000/nginx:1", "IfNotPresent"), ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
    ("docker.elastic.co/beats/filebeat:6.8.12", "IfNotPresent"), ("Not An Image", "IfNotPresent"), ("", "IfNotPresent"),
])
def test_pull_policy(image, policy):
    assert pull_policy(image) == policy


FULL = pod(
    hostNetwork=True, serviceAccountName="robot", initContainers=[{"name": "i", "image": "a:1"}],
    containers=[{"name": "c", "image": "a", "ports": [{"containerPort": 1}], "env": [{"name": "A", "valueFrom": {
        "fieldRef": {"fieldPath": "metadata.name"}}}], "resources": {"limits": {"cpu": "1000m"}},
        "livenessProbe": {"grpc": {"port": 1}}, "lifecycle": {"preStop": {"httpGet": {"port": 1}}}}],
    volumes=[{"name": "a"}, {"name": "b", "configMap": {"name": "x"}}, {"name": "c", "projected": {
        "sources": [{"serviceAccountToken": {"path": "t"}}]}}])


def test_nothing_to_fill_is_nothing_copied():
    once = POD.defaults(FULL)
    assert POD.defaults(once) is once
    daemonset = DAEMONSET.defaults({"metadata": {}, "spec": {"template": {"spec": FULL["spec"]}}})
    assert DAEMONSET.defaults(daemonset) is daemonset


def test_what_was_given_is_not_touched_and_what_is_whole_is_shared():
    whole = pod_template_defaults({"spec": FULL["spec"]})["spec"]["containers"][0]
    made = POD.defaults(pod(containers=[{**whole, "resources": {}}, {"name": "d", "image": "a"}]))
    again = POD.defaults({**made, "spec": {**made["spec"], "nodeName": "n1"}})
    assert again["spec"]["containers"] is made["spec"]["containers"]
    assert "imagePullPolicy" not in FULL["spec"]["containers"][0]
