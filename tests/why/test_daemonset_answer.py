"""What a DaemonSet makes of each node, and what a node makes of its pods."""
import pytest
from why_world import STARTED, node, pod, scene, warning

from muster.control.revisions import HASH_LABEL, hash_of
from muster.why.answer import text
from muster.why.daemonset import daemonset_answer, refused_by, without_daemon
from muster.why.node import node_answer

TEMPLATE = {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "app", "image": "agent:2"}]}}
GPU = {"key": "gpu", "effect": "NoSchedule"}
AWAY = {"key": "gone", "effect": "NoExecute"}
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": STARTED}]}
GOING = {"deletionTimestamp": "2026-01-01T00:00:20Z"}


def agent(*, spec=None, template=TEMPLATE, annotations=None, **more):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "agent", "namespace": "x", "uid": "uid-agent", "resourceVersion": "1", "annotations": annotations or {}},
            "spec": {"selector": {"matchLabels": {"app": "agent"}}, "updateStrategy": strategy,
                     "template": {**template, "spec": {**template["spec"], **(spec or {})}}, **more}}


def daemon(name, on, *, old=False, status=READY, spec=None, **metadata):
    current = hash_of({**TEMPLATE, "spec": {**TEMPLATE["spec"], **(spec or {})}})
    return pod(name, on, status=status, metadata={
        "labels": {"app": "agent", HASH_LABEL: "old" if old else current}, **metadata, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "uid-agent", "controller": True}]})


def said(daemonset, *objects):
    return text(daemonset_answer(daemonset, scene(daemonset, *objects))).replace("\n  ", "\n").split("\n")


@pytest.mark.parametrize("daemonset, objects, lines", [
    pytest.param(agent(), [node(), daemon("a", "n1")], ["ds x/agent: 1 of the 1 nodes that should run it do", "n1 (a): ready"],
                 id="all is well"),
    pytest.param(agent(), [node()], ["ds x/agent: 0 of the 1 nodes that should run it do", "n1: should run one, and none is there yet"],
                 id="none yet"),
    pytest.param(agent(), [node(), warning(agent(), "FailedCreate", "exceeded quota")],
                 ["ds x/agent: 0 of the 1 nodes that should run it do", "last warning: FailedCreate: exceeded quota",
                  "n1: should run one, and none is there yet"], id="refused"),
    pytest.param(agent(), [node(taints=[GPU]), daemon("a", "n1")],
                 ["ds x/agent: 0 of the 0 nodes that should run it do",
                  'n1: none is started, one that is there may stay; a is there: taint gpu:NoSchedule is not tolerated; add this '
                  'toleration: {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}, or `kubectl taint node n1 gpu:NoSchedule-`'],
                 id="may stay"),
    pytest.param(agent(), [node(taints=[AWAY]), daemon("a", "n1")],
                 ["ds x/agent: 0 of the 0 nodes that should run it do",
                  'n1: none may run here; a is there and is ended: taint gone:NoExecute is not tolerated; add this toleration: '
                  '{"key": "gone", "operator": "Exists", "effect": "NoExecute"}, or `kubectl taint node n1 gone:NoExecute-`'],
                 id="has to leave"),
    pytest.param(agent(spec={"nodeName": "n9"}), [node()],
                 ["ds x/agent: 0 of the 0 nodes that should run it do", "n1: none may run here: spec.nodeName of its template is n9"],
                 id="for one node by name"),
    pytest.param(agent(), [daemon("a", "n1")],
                 ["ds x/agent: 0 of the 0 nodes that should run it do",
                  "n1: there is no such node (any more); its pods are taken away"], id="a node that is gone"),
    pytest.param(agent(), [node(), daemon("a", "n1", **GOING)],
                 ["ds x/agent: 0 of the 1 nodes that should run it do", "n1: its pod a is ending; the next one comes after it"],
                 id="being replaced"),
    pytest.param(agent(minReadySeconds=900), [node(), daemon("a", "n1")],
                 ["ds x/agent: 1 of the 1 nodes that should run it do", "n1 (a): ready, available once it was ready for 900 s"],
                 id="not available yet"),
    pytest.param(agent(), [node(), node("n2"), daemon("a", "n1", status={"phase": "Running"}), daemon("b", "n2", old=True)],
                 ["ds x/agent: 1 of the 2 nodes that should run it do",
                  "rollout: 1 node still to be updated; maxUnavailable 1 is used up by n1: mend those, or allow more",
                  "n1 (a): its pod is not ready: container app has not been started",
                  "n2 (b): ready, of an older template: waits for its turn: maxUnavailable 1 is used up by n1"], id="waits for its turn"),
    pytest.param(agent(updateStrategy={"type": "OnDelete"}), [node(), daemon("b", "n1", old=True)],
                 ["ds x/agent: 1 of the 1 nodes that should run it do",
                  "rollout: its updateStrategy is OnDelete, so the old pods of 1 node stay until they are deleted",
                  "n1 (b): ready, of an older template: its updateStrategy is OnDelete, so it stays until somebody deletes it"],
                 id="on delete"),
    pytest.param(agent(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}),
                 [node(), daemon("b", "n1", old=True)],
                 ["ds x/agent: 1 of the 1 nodes that should run it do", "rollout: 1 node still to be updated",
                  "n1 (b): ready, of an older template: waits for its turn (maxSurge allows 1 at a time)"], id="surge"),
    pytest.param(agent(annotations={"muster.dev/paused": "true"}), [node(), daemon("b", "n1", old=True)],
                 ["ds x/agent: 1 of the 1 nodes that should run it do",
                  "rollout: paused; `kubectl annotate ds -n x agent muster.dev/paused-` lets it go on",
                  "n1 (b): ready, of an older template: the rollout is paused"], id="paused"),
    pytest.param(agent(selector={}), [node()], ["ds x/agent: its selector is empty, so it does nothing; give it one"],
                 id="selects everything"),
])
def test_says(daemonset, objects, lines):
    assert said(daemonset, *objects) == lines


def test_five_thousand_nodes_keep_to_a_screen():
    nodes = [node(f"n{number:04}", taints=[GPU] if number % 2 else ()) for number in range(5000)]
    daemons = [daemon(f"a{number}", f"n{number:04}") for number in range(0, 5000, 2)]
    lines = said(agent(), *nodes, *daemons)
    assert lines[:2] == ["ds x/agent: 2500 of the 2500 nodes that should run it do", "n0000, n0002 and 2,498 more: ready"]
    assert len(lines) == 3 and lines[2].startswith("n0001, n0003 and 2,498 more: none is started, one that is there may stay: taint")


@pytest.mark.parametrize("there, why", [
    pytest.param(node(), "", id="one is made"),
    pytest.param(node(taints=[GPU]), "node(s) had untolerated taint {gpu: }", id="taint"),
    pytest.param(node(unschedulable=True), "", id="a cordon keeps no daemon away"),
    pytest.param(node("n2"), "node(s) didn't match the requested node name", id="name"),
])
def test_in_upstreams_words(there, why):
    assert refused_by(agent(spec={"nodeName": "n1"})["spec"]["template"], there) == why


def test_nodes_without_a_daemon_that_are_alike_are_told_together():
    nodes = {one["metadata"]["name"]: one for one in (
        node(), node("n2", ready="Unknown", taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]),
        node("n3", taints=[GPU]), node("n4", taints=[GPU]), node("n5"))}
    assert without_daemon(agent(), nodes, {"n1": [daemon("a", "n1")]}) == [
        (True, "the node is down", ["n2"]), (False, "node(s) had untolerated taint {gpu: }", ["n3", "n4"]),
        (True, "no pod was made for it", ["n5"])]


# ------------------------------------------------------------------ nodes

def of_node(one, *objects):
    return text(node_answer(one, scene(one, *objects))).split("\n")


def test_a_node_and_what_it_refuses():
    one = node(taints=[GPU])
    one["status"]["conditions"].append({"type": "DiskPressure", "status": "True", "message": "the disk is full"})
    assert of_node(one, agent(), daemon("a", "n1"), pod("b", "n1", status={"phase": "Running"}), pod("ended", "n1", status={"phase": "Failed"}),
                   pod("small", tolerations=[{"operator": "Exists"}]), pod("other")) == [
        "node n1: ready for 10m, but in trouble: DiskPressure; end what uses it up, or move pods away",
        "  condition DiskPressure is True: the disk is full",
        "  taint gpu:NoSchedule",
        "  2 pods are there, of 110 at most; 1 of them not well",
        "  DaemonSets: 1",
        '    ds x/agent: none is started, one that is there may stay: taint gpu:NoSchedule is not tolerated; add this toleration: '
        '{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}, or `kubectl taint node n1 gpu:NoSchedule-`',
        "  pods there that are not well: 1 of 2",
        "    pod x/b: it is on n1, but container app has not been started",
        "  pods that wait for a node: 1 of 2 are refused here",
        '    pod x/other: taint gpu:NoSchedule is not tolerated; add this toleration: {"key": "gpu", "operator": "Exists", '
        '"effect": "NoSchedule"}, or `kubectl taint node n1 gpu:NoSchedule-`',
        "    pod x/small: this node would take it",
    ]


def silent(status, **more):
    one = node(ready=status)
    one["status"]["conditions"][0].update(more)
    return one


@pytest.mark.parametrize("one, says", [
    pytest.param(node(), "ready for 10m", id="ready"),
    pytest.param(node(unschedulable=True), "ready for 10m, but cordoned: no pod is placed there; `kubectl uncordon n1`", id="cordoned"),
    pytest.param(silent("Unknown", lastHeartbeatTime=STARTED),
                 f"its agent has been silent for 10m (last heard of: {STARTED}); look at the machine, or take the node away: "
                 "`kubectl delete node n1`", id="silent"),
    pytest.param(silent("False", message="no network"), "not ready for 10m: no network", id="not ready"),
    pytest.param({**node(), "status": {}}, "it has not said yet how it is: its agent has not registered; start its agent", id="new"),
])
def test_states_of_nodes(one, says):
    assert of_node(one)[0] == f"node n1: {says}"
