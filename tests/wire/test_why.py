"""`muster why` against a running cluster, and what `kubectl describe` shows of the same."""
import json
import re

from conftest import daemonset

GPU = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
TOLERATION = {"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}


def pod(name, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "app", "image": "web:1"}], **spec}}


def refused(there):
    return any(one["reason"] == "WouldHelp" for one in there.values())


def test_a_pod_that_no_node_takes(cluster, space, pool):
    node, = pool(1, taints=[GPU])
    space.apply(pod("p", nodeSelector={"test": space.name, "disk": "ssd"}))
    space.until("events", refused)
    said = cluster.muster("why", "p", "-n", space.name).lines
    assert re.fullmatch(rf"pod {space.name}/p: unschedulable: none of \d+ nodes takes it", said[0])
    at = next(number for number, line in enumerate(said) if line.startswith(f"  {node}: "))
    assert said[at] == (f"  {node}: taint dedicated=gpu:NoSchedule is not tolerated; add this toleration: {json.dumps(TOLERATION)}, "
                        f"or `kubectl taint node {node} dedicated:NoSchedule-`")
    assert said[at + 1] == f"    and nodeSelector asks for disk=ssd, the node has no label disk; `kubectl label node {node} disk=ssd`"
    # The same in the pod's events, told once: next to FailedScheduling, which says what upstream says.
    described = space.kubectl("describe", "pod", "p").stdout
    told = re.search(r"Normal +WouldHelp +\S+ +default-scheduler +(\S+): nodeSelector asks for disk=ssd, the node has no "
                     r"label disk; `kubectl label node (\S+) disk=ssd`; and nodeSelector asks for test=", described)
    assert told[1] == told[2] != node  # two labels are less than a toleration and a label
    assert re.search(r"Warning +FailedScheduling +\S+ +default-scheduler +0/\d+ nodes are available: ", described)
    # Done as it was told, it helps.
    cluster.kubectl("label", "node", node, "disk=ssd")
    cluster.kubectl("taint", "node", node, "dedicated:NoSchedule-")
    space.until("pods", lambda there: there["p"]["status"]["phase"] == "Running")
    assert re.fullmatch(rf"pod {space.name}/p: it runs on {node}, ready for \d+s",
                        cluster.muster("why", "pod/p", "-n", space.name).stdout.strip())


def test_every_node_in_json(cluster, space, pool):
    nodes = pool(2, labels={"test": "json"})
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "large", "annotations": {"muster.dev/would-help": "false"}},
                 "spec": {"nodeSelector": {"test": "json"}, "containers": [
                     {"name": "app", "image": "web:1", "resources": {"requests": {"cpu": "300"}}}]}})
    space.until("events", lambda there: any(one["reason"] == "FailedScheduling" for one in there.values()))
    said = cluster.muster("why", "large", "-n", space.name, "-o", "json").json
    assert said["state"] == "unschedulable"
    found = {one["about"]: one for one in said["parts"]}
    assert len(found) == len(cluster.kubectl("get", "nodes", "-o", "name").lines)
    for node in nodes:
        assert found[node]["obstacles"][0]["plugin"] == "NodeResourcesFit"
        assert found[node]["obstacles"][0]["found"].startswith("asks for cpu 300, free ")
    assert space.events("WouldHelp", "large") == []


def test_daemonsets_nodes_and_other_api_servers(cluster, space, pool):
    node, other = pool(2)
    cluster.kubectl("cordon", other)
    cluster.kubectl("taint", "node", other, "dedicated=gpu:NoSchedule")
    space.apply(daemonset("agent", nodeSelector={"test": space.name}))
    space.settled("agent", 1)
    said = cluster.muster("why", "daemonset/agent", "-n", space.name)
    assert said.lines[0] == f"ds {space.name}/agent: 1 of the 1 nodes that should run it do"
    assert any(re.fullmatch(rf"  {node} \(agent-\w+\): ready", line) for line in said.lines)
    assert f"{other}: none is started, one that is there may stay: taint dedicated=gpu:NoSchedule is not tolerated" in said.stdout
    told = cluster.muster("why", f"node/{other}", "--kubeconfig", cluster.kubeconfig)
    assert re.fullmatch(rf"node {other}: ready for \w+, but cordoned: no pod is placed there; `kubectl uncordon {other}`", told.lines[0])
    assert f"ds {space.name}/agent: none is started" in told.stdout


def test_a_deployment_and_names_that_are_not_there(cluster, space):
    space.kubectl("create", "deployment", "web", "--image=web:404", "--replicas=2")
    space.until("pods", lambda there: len(there) == 2 and all(
        one["status"].get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {}).get("reason") == "ImagePullBackOff"
        for one in there.values()))
    said = cluster.muster("why", "deploy/web", "-n", space.name)
    assert said.lines[0] == f"deploy {space.name}/web: 0 of 2 pods are available, 2 of today's template"
    assert "is image web:404 right, and may the node pull it?" in said.stdout
    for arguments, wrong in ((("deploy/wep", "-n", space.name), 'that is named "wep"; did you mean web?'),
                             (("svc/web",), "nothing is to be told about services"),
                             (("web", "-o", "yaml"), "-o yaml is not known: text or json is expected"),
                             (("web", "--kubeconfig", "/no/such"), "/no/such: no such file")):
        told = cluster.muster("why", *arguments, fails=True)
        assert wrong in told.stderr and len(told.stderr.splitlines()) == 1
