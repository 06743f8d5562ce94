"""The Pod row: what a new pod starts with, how long it may take to end, what is warned about."""
import pytest

from muster.api.kinds.pod import POD
from muster.api.kinds.quality_of_service import qos_class
from muster.api.objects import with_


def pod(*resources, **spec):
    return {"metadata": {"name": "p", "namespace": "n", "labels": {"app": "a"}}, "spec": {
        "containers": [{"name": f"c{n}", "image": "a:1", "resources": one} for n, one in enumerate(resources or ({},))],
        **spec}}


BOTH = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize("resources, expected", [
    pytest.param([{}], "BestEffort", id="nothing asked"),
    pytest.param([{"limits": BOTH}], "Guaranteed", id="limits alone"),
    pytest.param([{"limits": BOTH, "requests": {"cpu": "1000m", "memory": "1024Mi"}}], "Guaranteed", id="equal "
                                                                                                        "amounts"),
    pytest.param([{"limits": BOTH, "requests": {"cpu": "500m"}}], "Burstable", id="requests below"),
    pytest.param([{"limits": BOTH}, {}], "Burstable", id="one container without"),
    pytest.param([{"limits": {"cpu": "1"}}], "Burstable", id="no memory"),
    pytest.param([{"limits": {"a.b/c": "1"}}], "BestEffort", id="other resources do not count"),
    pytest.param([{"requests": {"cpu": "0"}}], "BestEffort", id="nothing in effect"),
])
def test_quality_of_service(resources, expected):
    assert qos_class(pod(*resources)) == expected


def test_a_new_pod_is_pending_whatever_it_says():
    made = POD.prepare_create({**pod(), "status": {"phase": "Running", "podIP": "1.1.1.1"}})
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_a_gated_pod_says_so():
    (condition,) = POD.prepare_create(pod(schedulingGates=[{"name": "a"}]))["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "SchedulingGated")


def test_match_label_keys_become_selectors():
    term = {"topologyKey": "zone", "labelSelector": {}, "matchLabelKeys": ["app", "missing"]}
    made = POD.prepare_create(pod(affinity={"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [term]}}))
    (found,) = made["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert found["labelSelector"] == {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}]}


def test_an_update_keeps_the_status():
    old = with_(pod(), "status", {"phase": "Running"})
    assert POD.prepare_update(with_(pod(), "status", {"phase": "Failed"}), old)["status"] is old["status"]


@pytest.mark.parametrize("spec, status, asked, expected", [
    pytest.param({}, {}, None, 0, id="not bound yet"),
    pytest.param({"nodeName": "n1"}, {"phase": "Running"}, None, 0, id="says nothing"),
    pytest.param({"nodeName": "n1", "terminationGracePeriodSeconds": 30}, {"phase": "Running"}, None, 30, id="its own"),
    pytest.param({"nodeName": "n1", "terminationGracePeriodSeconds": 30}, {"phase": "Running"}, 5, 5, id="asked"),
    pytest.param({"nodeName": "n1", "terminationGracePeriodSeconds": 30}, {"phase": "Running"}, 0, 0, id="by force"),
    pytest.param({"nodeName": "n1", "terminationGracePeriodSeconds": -1}, {"phase": "Running"}, None, 1, id="negative"),
    pytest.param({"nodeName": "n1", "terminationGracePeriodSeconds": 30}, {"phase": "Succeeded"}, None, 0, id="over"),
])
def test_grace_period(spec, status, asked, expected):
    assert POD.grace_period_s({**pod(**spec), "status": status}, asked) == expected


def test_what_can_be_selected_by():
    found = {**pod(nodeName="n1", hostNetwork=True, restartPolicy="Always"),
             "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]}}
    assert {field: read(found) for field, read in POD.selectable.items()} == {
        "spec.nodeName": "n1", "spec.restartPolicy": "Always", "spec.schedulerName": "", "spec.serviceAccountName": "",
        "spec.hostNetwork": "true", "status.phase": "Running", "status.podIP": "10.0.0.1",
        "status.nominatedNodeName": ""}


def test_warnings():
    found = pod(nodeSelector={"beta.kubernetes.io/os": "linux"}, containers=[
        {"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "P", "value": "x"},
                              {"name": "P", "value": "y:$(P)"}],
         "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80,
                                                                                     "protocol": "UDP"}]}])
    assert POD.warnings(found, None) == [
        'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
        "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"]
    assert POD.warnings(found, found) == []
