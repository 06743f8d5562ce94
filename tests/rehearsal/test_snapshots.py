"""Taking up a recorded cluster: everything as it was, and every assumption said."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from rehearsed import ONE_S, a_daemonset, asked, seen, written

from muster.api.errors import BadRequest
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Obj, is_true, name_of, with_
from muster.api.schema import Schema
from muster.rehearsal.measured import measured
from muster.rehearsal.runs import rehearse
from muster.rehearsal.snapshot import read
from muster.rehearsal.stage import Stage, prepare

EVERYTHING = ("nodes", "pods", "daemonsets.apps", "deployments.apps", "statefulsets.apps", "replicasets.apps",
              "controllerrevisions.apps")
AS_ASKED = EVERYTHING[:5]  # kubectl get nodes,pods,ds,deploy,sts: no ReplicaSets, no ControllerRevisions


def replicated(kind: str, name: str, replicas: int, **more) -> Obj:
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, **more,
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [{"name": "app", "image": "app:1"}]}}}}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Stage:
    """A cluster on which much stands, as it came to rest."""
    folder = tmp_path_factory.mktemp("recorded")
    before = [a_daemonset(), replicated("Deployment", "web", 3), replicated("StatefulSet", "db", 2, serviceName="db")]
    return prepare(asked(folder, before=before, nodes=4))


def dumped(stage: Stage, resources=EVERYTHING, change=lambda obj: obj) -> Obj:
    """As `kubectl get ... -o json` would have it."""
    items = [change(one.value) for resource in resources for one in stage.state.objects.get(resource, {}).values()]
    return {"apiVersion": "v1", "kind": "List", "items": [one for one in items if one is not None]}


def taken_up(folder: Path, dump: Obj, *applied: Obj, **more) -> Stage:
    path = folder / "snapshot.json"
    path.write_text(json.dumps(dump))
    return prepare(asked(folder, list(applied), on=[path], **more))


def pods_of(stage: Stage) -> dict[str, Obj]:
    return {name_of(one.value): one.value for one in stage.state.objects["pods"].values()}


@pytest.mark.parametrize("resources", [
    pytest.param(EVERYTHING, id="with everything"),
    pytest.param(AS_ASKED, id="without ReplicaSets and ControllerRevisions"),
])
def test_pods_go_on_as_they_were(tmp_path, recorded, resources) -> None:
    before, after = pods_of(recorded), pods_of(taken_up(tmp_path, dumped(recorded, resources)))
    assert list(after) == list(before) and len(after) == 4 + 3 + 2
    for name, pod in after.items():
        old = before[name]
        assert pod["metadata"]["uid"] == old["metadata"]["uid"]
        assert pod["spec"]["nodeName"] == old["spec"]["nodeName"]
        assert is_true(pod, "Ready")
        assert pod["status"] == old["status"], "not restarted, not even told of again"


def test_nothing_moves_where_nothing_is_asked(tmp_path, recorded) -> None:
    stage = taken_up(tmp_path, dumped(recorded, AS_ASKED), until="1h")
    found = rehearse(stage, stage.alternatives[0], 0)
    assert found.cost.api_writes == 0
    assert found.verdict == "finished"
    assert not any(one.touched for one in found.workloads)


def test_a_rollout_goes_on_from_there(tmp_path, recorded) -> None:
    stage = taken_up(tmp_path, dumped(recorded, AS_ASKED), a_daemonset("agent:2"))
    found = rehearse(stage, stage.alternatives[0], 0)
    assert found.finished_s == pytest.approx(4 * ONE_S, abs=1)
    assert found.replaced == {"ds/default/agent": 4}, "and of no other workload"


def test_golden(tmp_path, recorded) -> None:
    """What is said of a dump that lacks most."""
    names = sorted(name_of(one.value) for one in recorded.state.objects["nodes"].values())

    def change(obj: Obj) -> Obj | None:
        if obj["kind"] == "Node" and name_of(obj) == names[0]:
            ready = [{**one, "status": "Unknown"} if one["type"] == "Ready" else one for one in obj["status"]["conditions"]]
            return with_(obj, "status.conditions", ready)
        if obj["kind"] == "Pod" and name_of(obj).startswith("web"):
            return with_(with_(obj, "spec.priorityClassName", "vip"), "spec.priority", 7)
        return None if obj["kind"] == "DaemonSet" else obj

    dump = dumped(recorded, AS_ASKED, change)
    dump["items"].append({"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g", "uid": "g-1"}})
    stage = taken_up(tmp_path, dump)
    assert list(stage.notes) == [
        "1 objects of kind Gadget (example.com/v1) are left out: it is not simulated here",
        "no PodDisruptionBudgets: none are assumed to be there",
        "no PriorityClasses: those that pods name are assumed, with the priority that pods have",
        "no ReplicaSets: 1 are put together again from the pods of Deployments",
        "no ControllerRevisions: today's of 1 DaemonSets and StatefulSets are put together again; pods of an older template are known by their labels alone",
        f"1 nodes are not ready ({names[0]}): they stay so",
        "4 pods belong to a DaemonSet that is not in it: they are kept as bare pods",
        "1 of kind PriorityClass are named but not in it and assumed to exist: vip",
    ]
    kept = {name: pod for name, pod in pods_of(stage).items() if name.startswith("agent")}
    assert len(kept) == 4 and not any(pod["metadata"].get("ownerReferences") for pod in kept.values())
    (vip,) = [one.value for one in stage.state.objects["priorityclasses.scheduling.k8s.io"].values() if name_of(one.value) == "vip"]
    assert vip["value"] == 7


@pytest.mark.parametrize(("content", "says"), [
    pytest.param("kind: [", "snapshot.yaml", id="not YAML"),
    pytest.param("{}", "apiVersion is not set", id="no object"),
    pytest.param("apiVersion: v1\nkind: List\nitems: []\n", "no objects in it", id="empty"),
    pytest.param("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, uid: u}\n", "there are no nodes in it", id="no nodes"),
    pytest.param("apiVersion: v1\nkind: Pod\nmetadata: {name: a, uid: u}\nspec: {containers: 3}\n", "line 1: Pod a", id="no pod"),
    pytest.param("apiVersion: v1\nkind: Node\nmetadata: {name: a, uid: u, creationTimestamp: soon}\n", "a", id="no time"),
])
def test_unreadable(tmp_path, content, says) -> None:
    path = tmp_path / "snapshot.yaml"
    path.write_text(content)
    with pytest.raises(BadRequest) as error:
        prepare(asked(tmp_path, [a_daemonset()], on=[path]))
    assert says in str(error.value)


def test_manifests_and_nodes_together(tmp_path) -> None:
    """What was not recorded is applied to the nodes that are described."""
    found = seen(tmp_path, [a_daemonset("agent:2")], [a_daemonset()], nodes=2)
    assert found.replaced == {"ds/default/agent": 2}


# ------------------------------------------------------------------ measured lengths


def event(reason: str, at: str, message: str = "", uid: str = "p1") -> Obj:
    return {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{reason}-{at}-{uid}", "namespace": "default", "uid": f"{reason}{at}{uid}"},
            "involvedObject": {"kind": "Pod", "uid": uid, "fieldPath": "spec.containers{app}"}, "reason": reason,
            "message": message, "firstTimestamp": f"2026-01-01T00:00:{at}Z", "lastTimestamp": f"2026-01-01T00:00:{at}Z"}


def pod_ready_after(seconds: int, restarts: int = 0) -> Obj:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{seconds}", "namespace": "default", "uid": f"p{seconds}"},
            "spec": {"containers": [{"name": "app", "image": "a"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": f"2026-01-01T00:00:{10 + seconds}Z"}],
                       "containerStatuses": [{"name": "app", "image": "a", "imageID": "", "ready": True, "restartCount": restarts,
                                              "state": {"running": {"startedAt": "2026-01-01T00:00:10Z"}}}]}}


@pytest.mark.parametrize(("name", "objects", "lengths"), [
    pytest.param("pull", [event("Pulled", "05", 'Successfully pulled image "a" in 1m2.5s (1m3s including waiting). Image size: 3 bytes.'),
                          event("Pulled", "06", 'Container image "a" already present on machine'),
                          event("Pulled", "07", 'Successfully pulled image "b" in 313ms (313ms including waiting)')],
                 (0.313, 62.5), id="pulls"),
    pytest.param("start", [event("Pulled", "05"), event("Started", "08"), event("Started", "09", uid="p2"),
                           event("Pulled", "05", uid="p3"), event("Started", "05", uid="p3")], (0.0, 3.0), id="starts"),
    pytest.param("ready", [pod_ready_after(0), pod_ready_after(12), pod_ready_after(30, restarts=1)], (0.0, 12.0), id="readiness"),
])
def test_measured(tmp_path, name, objects, lengths) -> None:
    path = written(tmp_path, "dump.yaml", *objects)
    assert measured(name, read([path], Kinds(BUILT_IN), Schema.load())).lengths == lengths


def test_what_was_not_measured_is_refused(tmp_path) -> None:
    path = written(tmp_path, "dump.yaml", pod_ready_after(3))
    snapshot = read([path], Kinds(BUILT_IN), Schema.load())
    with pytest.raises(BadRequest, match=r'--pull measured: the snapshot holds no events "Pulled".*--pull 20s'):
        measured("pull", snapshot)
