"""A ReplicaSet keeps its number of pods, as kubectl shows it."""
import json
import re

import pytest
from conftest import EXAMPLES, is_ready

from rows import rows

SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]{5}"


def replica_set(name="web", replicas=3, image="web:1", **spec):
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, **spec,
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [{"name": "main", "image": image}]}}}}


def has(space, count, name="web"):
    """Waits until that many pods are there, all ready, and the set says so."""
    def told(there):
        status = there.get(name, {}).get("status", {})
        return status.get("replicas") == count and status.get("availableReplicas", 0) == count
    space.until("rs", told, name)
    return space.until("pods", lambda there: len(there) == count and all(map(is_ready, there.values())))[-1]


@rows("120-124", 127)
def test_three_pods_and_how_they_are_shown(space):
    said = space.kubectl("apply", "-f", EXAMPLES / "nginx-rs.yaml")
    assert said.lines == ["replicaset.apps/nginx-replicaset created"]
    pods = has(space, 3, "nginx-replicaset")
    assert all(re.fullmatch(f"nginx-replicaset-{SUFFIX}", name) for name in pods)
    (row,) = space.kubectl("get", "rs").table
    assert list(row) == ["NAME", "DESIRED", "CURRENT", "READY", "AGE"]
    assert list(row.values())[:4] == ["nginx-replicaset", "3", "3", "3"]
    (wide,) = space.kubectl("get", "rs", "-o", "wide").table
    assert [wide[name] for name in ("CONTAINERS", "IMAGES", "SELECTOR")] == ["nginx", "nginx:1.24.0", "app=nginx"]
    shown = space.kubectl("get", "po", "-l", "app=nginx").table
    assert list(shown[0]) == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [(row["READY"], row["STATUS"], row["RESTARTS"]) for row in shown] == 3 * [("1/1", "Running", "0")]


@rows("125-126")
def test_scaling(space):
    space.apply(replica_set())
    has(space, 3)
    assert space.kubectl("scale", "rs", "web", "--replicas=5").lines == ["replicaset.apps/web scaled"]
    has(space, 5)
    (row,) = space.kubectl("get", "rs", "web").table
    assert [row[name] for name in ("DESIRED", "CURRENT", "READY")] == 3 * ["5"]
    failed = space.kubectl("scale", "rs", "web", "--current-replicas=3", "--replicas=1", fails=True)
    assert "Expected replicas to be 3, was 5" in failed.stderr
    space.kubectl("scale", "rs", "web", "--replicas=0")
    space.until("rs", lambda there: there["web"]["status"]["replicas"] == 0, "web")
    space.kubectl("wait", "--for=delete", "pod", "-l", "app=web")


@rows(121)
def test_a_deleted_pod_is_replaced(space):
    space.apply(replica_set())
    before = has(space, 3)
    gone = sorted(before)[0]
    assert space.kubectl("delete", "po", gone).lines == [f'pod "{gone}" deleted']
    after = has(space, 3)
    assert set(before) - {gone} <= set(after) and gone not in after


def test_the_cheapest_pod_goes_first(space):
    space.apply(replica_set())
    pods = sorted(has(space, 3))
    space.kubectl("annotate", "pod", pods[1], "controller.kubernetes.io/pod-deletion-cost=-5")
    space.kubectl("scale", "rs", "web", "--replicas=2")
    assert sorted(has(space, 2)) == [pods[0], pods[2]]
    assert f"Deleted pod: {pods[1]}" in space.events("SuccessfulDelete")


def test_pods_are_released_and_adopted_by_their_labels(space):
    space.apply(replica_set())
    freed = sorted(has(space, 3))[0]
    space.kubectl("label", "pod", freed, "app=other", "--overwrite")
    space.until("pods", lambda there: len(there) == 4 and all(map(is_ready, there.values())))
    assert not space.get("pod", freed)["metadata"].get("ownerReferences")
    space.kubectl("label", "pod", freed, "app=web", "--overwrite")
    has(space, 3)


def test_an_orphaned_pod_is_counted(space):
    alone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone", "labels": {"app": "web"}},
             "spec": {"containers": [{"name": "main", "image": "web:1"}]}}
    space.apply(alone)
    space.until("pods", lambda there: is_ready(there.get("alone", {})))
    space.apply(replica_set(replicas=2))
    assert "alone" in has(space, 2)
    space.kubectl("delete", "rs", "web", "--cascade=orphan")
    assert len(space.get("pods")["items"]) == 2


def test_deletion_takes_the_pods_along(space):
    space.apply(replica_set())
    has(space, 3)
    assert space.kubectl("delete", "rs", "web").lines == ['replicaset.apps "web" deleted']
    space.kubectl("wait", "--for=delete", "pod", "-l", "app=web")


def test_describe_tells_what_was_made(space):
    space.apply(replica_set(replicas=2))
    pods = has(space, 2)
    said = space.kubectl("describe", "rs", "web").stdout
    assert re.search(r"Replicas:\s+2 current / 2 desired", said)
    assert re.search(r"Pods Status:\s+2 Running / 0 Waiting / 0 Succeeded / 0 Failed", said)
    for name in pods:
        assert re.search(rf"Normal\s+SuccessfulCreate\s+\S+\s+replicaset-controller\s+Created pod: {name}", said)


def test_a_refused_pod_is_told_and_forgotten(space):
    broken = replica_set(replicas=1)
    broken["spec"]["template"]["spec"]["priorityClassName"] = f"{space.name}-later"
    space.apply(broken)

    def failure(there):
        return [one for one in there.get("web", {}).get("status", {}).get("conditions", ())
                if one["type"] == "ReplicaFailure"]
    (said,) = failure(space.until("rs", failure, "web")[-1])
    assert (said["status"], said["reason"]) == ("True", "FailedCreate")
    assert f"no PriorityClass with name {space.name}-later was found" in said["message"]
    assert space.events("FailedCreate")[0].startswith("Error creating: pods \"web-")
    space.kubectl("create", "priorityclass", f"{space.name}-later", "--value=5")
    space.until("rs", lambda there: not failure(there) and there["web"]["status"].get("readyReplicas") == 1, "web")
    space.kubectl("delete", "priorityclass", f"{space.name}-later")


@pytest.mark.parametrize("changes, words", [
    pytest.param({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0", id="negative"),
    pytest.param({"selector": {"matchLabels": {"app": "other"}}},
                 '`selector` does not match template `labels`', id="selects other pods"),
    pytest.param({"selector": {}}, "empty selector is invalid for deployment", id="selects everything"),
])
def test_what_is_refused(space, changes, words):
    given = replica_set()
    given["spec"].update(changes)
    said = space.kubectl("create", "-f", "-", given=given, fails=True).stderr
    assert said.startswith('The ReplicaSet "web" is invalid: ') and words in said


def test_the_selector_stays(space):
    space.apply(replica_set(replicas=0))
    patch = {"spec": {"selector": {"matchLabels": {"x": "y"}}, "template": {"metadata": {"labels": {"x": "y"}}}}}
    said = space.kubectl("patch", "rs", "web", "-p", json.dumps(patch), fails=True).stderr
    assert "spec.selector: Invalid value" in said and said.rstrip().endswith("field is immutable")
