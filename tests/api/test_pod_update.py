"""What may change in a pod that exists, in its spec and in its status."""
import pytest

from muster.api.kinds.pod import POD
from muster.api.objects import with_

TOLERATION = {"key": "a", "operator": "Exists", "effect": "NoExecute"}
MAY = ("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
       "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
       "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n")


def pod(**spec):
    return POD.defaults({"metadata": {"name": "p", "namespace": "n", "uid": "1"},
                         "spec": {"containers": [{"name": "c", "image": "a:1"}], **spec}})


def said(new, old):
    return [str(cause) for cause in POD.validate_update(new, old)]


@pytest.mark.parametrize("before, after, expected", [
    pytest.param({}, {}, [], id="nothing"),
    pytest.param({}, {"containers": [{"name": "c", "image": "a:2", "imagePullPolicy": "IfNotPresent"}]}, [],
                 id="image"),
    pytest.param({}, {"containers": [{"name": "c", "image": ""}]}, ["spec.containers[0].image: Required value"],
                 id="image taken away"),
    pytest.param({}, {"containers": [{"name": "c", "image": "a:1"}, {"name": "d", "image": "a:1"}]},
                 ["spec.containers: Forbidden: pod updates may not add or remove containers"], id="one more container"),
    pytest.param({}, {"nodeName": "n1"}, [MAY + '+ spec.nodeName: "n1"'], id="node"),
    pytest.param({"hostname": "a"}, {"hostname": "b"}, [MAY + '- spec.hostname: "a"\n+ spec.hostname: "b"'],
                 id="hostname"),
    pytest.param({}, {"containers": [{"name": "c", "image": "a:1", "command": ["x"]}]},
                 [MAY + '+ spec.containers[0].command: ["x"]'], id="within a container"),
    pytest.param({}, {"activeDeadlineSeconds": 5}, [], id="a deadline"),
    pytest.param({"activeDeadlineSeconds": 5}, {"activeDeadlineSeconds": 4}, [], id="an earlier deadline"),
    pytest.param({"activeDeadlineSeconds": 5}, {"activeDeadlineSeconds": 6}, [
        "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"], id="a later "
                                                                                                          "one"),
    pytest.param({"activeDeadlineSeconds": 5}, {}, [
        "spec.activeDeadlineSeconds: Invalid value: \"null\": must not update from a positive integer to nil value"],
        id="none any more"),
    pytest.param({}, {"tolerations": [TOLERATION]}, [], id="a toleration more"),
    pytest.param({"tolerations": [TOLERATION]}, {"tolerations": [{**TOLERATION, "tolerationSeconds": 3}]}, [],
                 id="its seconds"),
    pytest.param({"tolerations": [TOLERATION]}, {}, [
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"],
        id="a toleration less"),
    pytest.param({"terminationGracePeriodSeconds": -1}, {"terminationGracePeriodSeconds": 1}, [], id="grace from -1 "
                                                                                                     "to 1"),
    pytest.param({}, {"terminationGracePeriodSeconds": 1},
                 [MAY + "- spec.terminationGracePeriodSeconds: 30\n+ spec.terminationGracePeriodSeconds: 1"],
                 id="grace"),
    pytest.param({"schedulingGates": [{"name": "a"}]}, {}, [], id="a gate less"),
    pytest.param({}, {"schedulingGates": [{"name": "a"}]}, [
        "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a'"],
        id="a gate more"),
    pytest.param({"schedulingGates": [{"name": "a"}]}, {"schedulingGates": [{"name": "a"}], "nodeSelector": {"x": "y"}},
                 [],
                 id="narrowed while gated"),
    pytest.param({"schedulingGates": [{"name": "a"}], "nodeSelector": {"x": "y"}}, {"schedulingGates": [{"name": "a"}]},
                 [
        "spec.nodeSelector: Invalid value: map[string]string{}: only additions to spec.nodeSelector are allowed (no mutations or "
        "deletions)"], id="widened while gated"),
    pytest.param({}, {"nodeSelector": {"x": "y"}}, [MAY + '+ spec.nodeSelector: {"x":"y"}'], id="narrowed too late"),
])
def test_spec(before, after, expected):
    assert said(pod(**after), pod(**before)) == expected


def test_affinity_of_a_gated_pod_may_only_grow_stricter():
    def gated(*terms):
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
        return pod(schedulingGates=[{"name": "a"}], **({"affinity": {"nodeAffinity": required}} if terms else {}))

    ssd = {"key": "disk", "operator": "In", "values": ["ssd"]}
    big = {"key": "size", "operator": "Exists"}
    assert said(gated({"matchExpressions": [ssd]}), gated()) == []
    assert said(gated({"matchExpressions": [ssd, big]}), gated({"matchExpressions": [ssd]})) == []
    assert "only additions are allowed" in said(gated({"matchExpressions": [big]}),
                                                gated({"matchExpressions": [ssd]}))[0]
    assert "no additions/deletions" in said(gated({"matchExpressions": [ssd]}, {}),
                                            gated({"matchExpressions": [ssd]}))[0]


def test_ephemeral_containers_only_grow():
    check = POD.subresource("ephemeralcontainers").validate
    one = {"name": "e", "image": "a:1"}
    old = pod(ephemeralContainers=[one])
    assert check(pod(ephemeralContainers=[one, {"name": "f", "image": "a:1"}]), old) == []
    assert "may not be removed" in str(check(pod(), old)[0])
    assert "may not be changed" in str(check(pod(ephemeralContainers=[{**one, "image": "a:2"}]), old)[0])


ENDED = {"name": "c", "state": {"terminated": {"exitCode": 1}}}
RUNS = {"name": "c", "state": {"running": {}}}


@pytest.mark.parametrize("restart, before, after, expected", [
    pytest.param("Always", {"containerStatuses": [ENDED]}, {"containerStatuses": [RUNS]}, [], id="starts again"),
    pytest.param("OnFailure", {"containerStatuses": [ENDED]}, {"containerStatuses": [RUNS]}, [], id="after a failure"),
    pytest.param("Never", {"containerStatuses": [ENDED]}, {"containerStatuses": [RUNS]}, [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"], id="never"),
    pytest.param("Always", {"qosClass": "Burstable"}, {"qosClass": "Guaranteed"},
                 ['status.qosClass: Invalid value: "Guaranteed": field is immutable'], id="quality of service"),
    pytest.param("Always", {}, {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, [], id="an address of each family"),
    pytest.param("Always", {}, {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}, [
        'status.podIPs: Invalid value: []core.PodIP{core.PodIP{IP:"10.0.0.1"}, core.PodIP{IP:"10.0.0.2"}}: may specify no more than one IP for '
        'each IP '
        "family"], id="two of one family"),
    pytest.param("Always", {}, {"nominatedNodeName": "N"}, ['status.nominatedNodeName: Invalid value: "N": a '
                                                            'lowercase RFC '
                 "1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
                 "end with "
                 "an alphanumeric character (e.g. 'example.com', regex used for validation is "
                 r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"], id="nominated node"),
])
def test_status(restart, before, after, expected):
    base = pod(restartPolicy=restart)
    found = POD.validate_status_update(with_(base, "status", after), with_(base, "status", before))
    assert [str(cause) for cause in found] == expected
