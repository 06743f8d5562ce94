"""A StatefulSet starts, stops and updates its pods in their order, as kubectl shows it."""
import json
import re

import pytest
from conftest import EXAMPLES, is_ready

from rows import rows


def stateful_set(image="web:1", replicas=2, name="web", container=None, annotations=None, **spec):
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {"serviceName": "nginx", "replicas": replicas, "selector": {"matchLabels": labels}, **spec,
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [{"name": "main", "image": image, **(container or {})}]}}}}


def image(pod):
    return pod["spec"]["containers"][0]["image"]


def are(space, **images):
    """Waits until exactly these pods are there and ready: are(space, web_0="web:1")."""
    wanted = {name.replace("_", "-"): one for name, one in images.items()}
    return space.until("pods", lambda there: {name: image(pod) for name, pod in there.items()} == wanted
                       and all(map(is_ready, there.values())))


def ordinals(count):
    return [f"web-{ordinal}" for ordinal in range(count)]


def has(space, count):
    return space.until("pods", lambda there: sorted(there) == ordinals(count) and all(map(is_ready, there.values())))


def told(space, *messages):
    """Waits until events say all this: they are written in the background."""
    space.until("events", lambda there: set(messages) <= {one["message"] for one in there.values()})


@pytest.fixture
def nginx(space):
    """The set of the example with its Service, two pods ready."""
    said = space.kubectl("create", "-f", EXAMPLES / "nginx-sts.yaml")
    assert said.lines == ["service/nginx created", "statefulset.apps/web created"]
    space.rolled_out("web", "sts")
    return space


@rows("151-153", 158, 159)
def test_a_service_and_a_set_from_one_file(nginx):
    (row,) = nginx.kubectl("get", "sts").table
    assert list(row) == ["NAME", "READY", "AGE"]
    assert (row["NAME"], row["READY"]) == ("web", "2/2") and re.fullmatch(r"\d+s", row["AGE"])
    (wide,) = nginx.kubectl("get", "statefulset", "-owide").table
    assert (wide["CONTAINERS"], wide["IMAGES"]) == ("nginx", "nginx:1.24.0")
    assert "statefulset.apps/web" in nginx.kubectl("get", "all").stdout
    assert nginx.kubectl("get", "pods", "-o", "name").lines == ["pod/web-0", "pod/web-1"]
    before = nginx.get("pod", "web-0")
    assert (before["spec"]["hostname"], before["spec"]["subdomain"]) == ("web-0", "nginx")
    labels = before["metadata"]["labels"]
    revision = nginx.get("sts", "web")["status"]["currentRevision"]
    assert labels == {"app": "nginx", "statefulset.kubernetes.io/pod-name": "web-0",
                      "apps.kubernetes.io/pod-index": "0", "controller-revision-hash": revision}
    nginx.kubectl("delete", "pod", "web-0")
    after = has(nginx, 2)[-1]["web-0"]
    assert after["metadata"]["uid"] != before["metadata"]["uid"], "the same name, another life"


@rows(152, 165)
def test_names_under_the_service(nginx):
    service = nginx.get("service", "nginx")
    assert service["spec"]["clusterIP"] == "None"
    for name in ordinals(2):
        pod = nginx.get("pod", name)
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == (name, service["metadata"]["name"])


@rows(154)
def test_started_one_after_the_other(space):
    space.apply(stateful_set(replicas=4))
    for there in has(space, 4):
        for ordinal in range(1, 4):
            if f"web-{ordinal}" in there:
                assert all(is_ready(there[one]) for one in ordinals(ordinal)), "only after all before it"
    told(space, *(f"create Pod {name} in StatefulSet web successful" for name in ordinals(4)))
    described = space.kubectl("describe", "sts", "web").stdout
    assert re.search(r"Replicas:\s+4 desired \| 4 total", described)
    assert re.search(r"Pods Status:\s+4 Running / 0 Waiting / 0 Succeeded / 0 Failed", described)
    assert re.search(r"SuccessfulCreate\s+\S+\s+statefulset-controller\s+create Pod web-0 in", described)


@rows(155)
def test_stopped_from_the_highest(space):
    space.apply(stateful_set(replicas=4))
    has(space, 4)
    assert space.kubectl("scale", "sts", "web", "--replicas=1").lines == ["statefulset.apps/web scaled"]
    for there in has(space, 1):
        ending = [name for name, pod in there.items() if "deletionTimestamp" in pod["metadata"]]
        assert not ending or ending == [max(there)], "the next one only once the former is gone"
    told(space, *(f"delete Pod web-{ordinal} in StatefulSet web successful" for ordinal in (3, 2, 1)))


def watch_until(lines, ends):
    """(name, ready, status) of each line until `ends` says so."""
    found = []
    for line in lines:
        name, ready, status, *_ = line.split()
        found.append((name, ready, status))
        if ends(found):
            return found
    raise AssertionError(found)


@pytest.fixture
def slow(space, pool):
    """A set on a node that takes its time, so that kubectl sees each state."""
    pool(1, {"pull": "1s..1s", "start": "1s..1s", "stop": "1s..1s"})
    given = stateful_set(replicas=1)
    given["spec"]["template"]["spec"]["nodeSelector"] = {"test": space.name}
    space.apply(given)
    has(space, 1)
    return space


@rows(160, 161)
def test_what_a_watch_prints(slow):
    with slow.watching("po") as lines:
        assert next(lines).split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
        assert next(lines).split()[:3] == ["web-0", "1/1", "Running"]
        slow.kubectl("scale", "sts", "web", "--replicas=3")
        seen = watch_until(lines, lambda found: found[-1] == ("web-2", "1/1", "Running"))
        for name, part in (("web-1", seen[:len(seen) // 2]), ("web-2", seen[len(seen) // 2:])):
            assert {one[0] for one in part} == {name}, "one after the other"
            assert [one[1:] for one in part] == [
                ("0/1", "Pending"), ("0/1", "Pending"), ("0/1", "ContainerCreating"), ("1/1", "Running")] or [
                one[1:] for one in part] == [
                ("0/1", "Pending"), ("0/1", "Pending"), *2 * [("0/1", "ContainerCreating")], ("1/1", "Running")]
        slow.kubectl("scale", "sts", "web", "--replicas=1")
        seen = watch_until(lines, lambda found: len([one for one in found if one[0] == "web-1"]) >= 3
                           and found[-1][1] == "0/1")
        names = [name for name, _, _ in seen]
        assert names == sorted(names, reverse=True), "web-2 is gone before web-1 goes"
        for name in ("web-2", "web-1"):
            first, *rest = [one[1:] for one in seen if one[0] == name]
            assert first == ("1/1", "Terminating") and rest
            assert rest[-1][0] == "0/1"


@rows(156)
def test_rolled_from_the_highest(nginx):
    nginx.kubectl("scale", "sts", "web", "--replicas=3")
    has(nginx, 3)
    assert nginx.kubectl("set", "image", "sts", "web", "nginx=nginx:1.25.0").lines == [
        "statefulset.apps/web image updated"]
    past = are(nginx, **{f"web_{n}": "nginx:1.25.0" for n in range(3)})
    for there in past:  # at first kubectl names one pod after the other, as it finds them
        new = [name for name, pod in there.items() if image(pod) == "nginx:1.25.0"]
        assert sorted(new) == sorted(there)[len(there) - len(new):], "replicas before the primary"
    said = nginx.rolled_out("web", "sts").lines
    assert said[-1] == "partitioned roll out complete: 3 new pods have been updated..."
    history = nginx.kubectl("rollout", "history", "sts", "web").lines
    assert history[0] == "statefulset.apps/web" and [line.split()[0] for line in history[1:]] == ["REVISION", "1", "2"]
    assert "nginx:1.24.0" in nginx.kubectl("rollout", "history", "sts", "web", "--revision=1").stdout
    assert nginx.kubectl("rollout", "undo", "sts", "web").lines == ["statefulset.apps/web rolled back"]
    are(nginx, **{f"web_{n}": "nginx:1.24.0" for n in range(3)})
    nginx.rolled_out("web", "sts")
    history = nginx.kubectl("rollout", "history", "sts", "web").lines
    assert [line.split()[0] for line in history[1:]] == ["REVISION", "2", "3"]
    status = nginx.get("sts", "web")["status"]
    assert status["currentRevision"] == status["updateRevision"] and status["currentReplicas"] == 3


def test_restart_and_a_partition(space):
    space.apply(stateful_set(replicas=3, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}))
    has(space, 3)
    space.kubectl("set", "image", "sts", "web", "main=web:2")
    are(space, web_0="web:1", web_1="web:1", web_2="web:2")
    assert "partitioned roll out complete: 1 new pods" in space.rolled_out("web", "sts").stdout
    space.kubectl("delete", "pod", "web-1")
    are(space, web_0="web:1", web_1="web:1", web_2="web:2")
    space.kubectl("patch", "sts", "web", "-p", '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}')
    are(space, web_0="web:2", web_1="web:2", web_2="web:2")
    space.kubectl("rollout", "restart", "sts", "web")
    space.rolled_out("web", "sts")


def stuck(there):
    waiting = [one["state"].get("waiting", {}).get("reason") for one in
               there.get("web-1", {}).get("status", {}).get("containerStatuses", ())]
    return waiting and waiting[0] in ("ErrImagePull", "ImagePullBackOff")


@pytest.mark.parametrize("upstream", [False, True])
def test_a_broken_rollout_can_be_left(space, upstream):
    annotations = {"muster.dev/upstream-stuck-rollout": "true"} if upstream else {}
    space.apply(stateful_set(annotations=annotations))
    has(space, 2)
    space.kubectl("set", "image", "sts", "web", "main=web:404")
    space.until("pods", stuck)
    space.kubectl("rollout", "undo", "sts", "web")
    if upstream:
        space.until("sts", lambda there: there["web"]["status"]["observedGeneration"] == 3, "web")
        assert stuck({"web-1": space.get("pod", "web-1")}), "waits for the user"
        space.kubectl("delete", "pod", "web-1")
    are(space, web_0="web:1", web_1="web:1")


def test_all_at_once(space):
    space.apply(stateful_set(replicas=3, podManagementPolicy="Parallel", ordinals={"start": 5}))
    space.until("pods", lambda there: sorted(there) == ["web-5", "web-6", "web-7"] and all(map(is_ready, there.values())))
    space.kubectl("delete", "sts", "web")
    space.kubectl("wait", "--for=delete", "pod", "-l", "app=web")


@pytest.mark.parametrize("changes, words", [
    pytest.param({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0", id="negative"),
    pytest.param({"selector": {"matchLabels": {"app": "other"}}},
                 "`selector` does not match template `labels`", id="selects other pods"),
    pytest.param({"podManagementPolicy": "Wild"},
                 "spec.podManagementPolicy: Invalid value: \"Wild\": must be 'OrderedReady' or 'Parallel'", id="policy"),
    pytest.param({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
                 "only allowed for updateStrategy 'RollingUpdate'", id="strategy"),
])
def test_what_is_refused(space, changes, words):
    given = stateful_set()
    given["spec"].update(changes)
    said = space.kubectl("create", "-f", "-", given=given, fails=True).stderr
    assert said.startswith('The StatefulSet "web" is invalid: ') and words in said


def test_what_stays_as_it_is(space):
    space.apply(stateful_set(replicas=0))
    said = space.kubectl("patch", "sts", "web", "-p", json.dumps({"spec": {"serviceName": "x"}}), fails=True).stderr
    assert said.startswith('The StatefulSet "web" is invalid: spec: Forbidden: updates to statefulset spec for fields '
                           "other than 'replicas', 'ordinals', 'template', 'updateStrategy'")


WWW = {"metadata": {"name": "www"}, "spec": {"accessModes": ["ReadWriteOnce"],
                                             "resources": {"requests": {"storage": "1Gi"}}}}
MOUNTED = {"volumeMounts": [{"name": "www", "mountPath": "/www"}]}


def volumes(space):
    return {name: claim["spec"].get("volumeName") for name, claim in
            ((one["metadata"]["name"], one) for one in space.get("pvc")["items"])}


@rows(157)
def test_what_a_pod_keeps_follows_its_name(space):
    space.apply(stateful_set(volumeClaimTemplates=[WWW], container=MOUNTED))
    has(space, 2)
    before = volumes(space)
    assert sorted(before) == ["www-web-0", "www-web-1"] and all(before.values())
    row = space.kubectl("get", "pvc").table[0]
    assert list(row) == ["NAME", "STATUS", "VOLUME", "CAPACITY", "ACCESS MODES", "STORAGECLASS",
                         "VOLUMEATTRIBUTESCLASS", "AGE"]
    assert [row[name] for name in ("STATUS", "CAPACITY", "ACCESS MODES", "STORAGECLASS")] == [
        "Bound", "1Gi", "RWO", "standard"]
    space.kubectl("delete", "pod", "web-1")
    (web_1,) = [has(space, 2)[-1]["web-1"]]
    assert {"name": "www", "persistentVolumeClaim": {"claimName": "www-web-1"}} in web_1["spec"]["volumes"]
    space.kubectl("scale", "sts", "web", "--replicas=1")
    has(space, 1)
    assert volumes(space) == before, "fewer pods leave the storage"
    space.kubectl("scale", "sts", "web", "--replicas=3")
    has(space, 3)
    after = volumes(space)
    assert {name: after[name] for name in before} == before and len(after) == 3
    told(space, "create Claim www-web-0 Pod web-0 in StatefulSet web success")
    space.kubectl("delete", "sts", "web")
    space.kubectl("wait", "--for=delete", "pod", "-l", "app=web")
    assert volumes(space) == after


def test_storage_that_goes_along(space):
    space.apply(stateful_set(volumeClaimTemplates=[WWW], container=MOUNTED, persistentVolumeClaimRetentionPolicy={
        "whenScaled": "Delete", "whenDeleted": "Delete"}))
    has(space, 2)
    space.kubectl("scale", "sts", "web", "--replicas=1")
    space.until("pvc", lambda there: list(there) == ["www-web-0"])
    space.kubectl("delete", "sts", "web")
    space.kubectl("wait", "--for=delete", "pvc", "--all")


def test_a_claim_in_use_stays_and_its_volume_goes_with_it(space):
    space.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **WWW})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user"}, "spec": {
        "containers": [{"name": "main", "image": "web:1", **MOUNTED}],
        "volumes": [{"name": "www", "persistentVolumeClaim": {"claimName": "www"}}]}}
    space.apply(pod)
    space.until("pods", lambda there: is_ready(there.get("user", {})))
    volume = volumes(space)["www"]
    (row,) = space.kubectl("get", "pv", volume).table
    assert (row["STATUS"], row["CLAIM"], row["RECLAIM POLICY"]) == ("Bound", f"{space.name}/www", "Delete")
    space.kubectl("delete", "pvc", "www", "--wait=false")
    (row,) = space.kubectl("get", "pvc").table
    assert row["STATUS"] == "Terminating"
    space.kubectl("delete", "pod", "user")
    space.kubectl("wait", "--for=delete", "pvc/www", f"pv/{volume}")


def test_a_claim_that_waits_for_its_volume(space):
    name = f"{space.name}-local"
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "www"},
             "spec": {**WWW["spec"], "storageClassName": name}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user"}, "spec": {
        "containers": [{"name": "main", "image": "web:1"}],
        "volumes": [{"name": "www", "persistentVolumeClaim": {"claimName": "www"}}]}}
    space.apply(pod)
    space.until("pods", lambda there: 'persistentvolumeclaim "www" not found' in str(there))
    space.apply(claim)
    space.until("pods", lambda there: "pod has unbound immediate PersistentVolumeClaims" in json.dumps(there))
    node = space.get("nodes")["items"][2]["metadata"]["name"]
    space.kubectl("create", "-f", "-", given={
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {
            "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": name,
            "local": {"path": "/mnt"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]}}}})
    there = space.until("pods", lambda there: is_ready(there.get("user", {})))[-1]
    assert there["user"]["spec"]["nodeName"] == node
    assert volumes(space) == {"www": name}
    space.kubectl("delete", "pod", "user")
    space.kubectl("delete", "pvc", "www")
    space.cluster.until("pv", lambda there: there[name]["status"]["phase"] == "Released")
    space.kubectl("delete", "pv", name)


def test_the_first_consumer(space):
    name = f"{space.name}-later"
    space.kubectl("create", "-f", "-", given={
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": "muster.dev/simulated", "volumeBindingMode": "WaitForFirstConsumer"})
    space.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "www"},
                 "spec": {**WWW["spec"], "storageClassName": name}})
    space.until("events", lambda there: "waiting for first consumer" in json.dumps(there))
    (row,) = space.kubectl("get", "pvc").table
    assert row["STATUS"] == "Pending"
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user"}, "spec": {
        "containers": [{"name": "main", "image": "web:1"}],
        "volumes": [{"name": "www", "persistentVolumeClaim": {"claimName": "www"}}]}})
    space.until("pods", lambda there: is_ready(there.get("user", {})))
    space.kubectl("delete", "storageclass", name)
    table = space.kubectl("get", "sc", "standard").table
    assert table[0]["NAME"] == "standard (default)" and table[0]["RECLAIMPOLICY"] == "Delete"
