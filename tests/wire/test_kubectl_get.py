"""What `kubectl get` prints: columns, selectors, outputs, watches."""
import json
import re

import pytest
from conftest import daemonset

from rows import rows

POOL = {"muster.dev/pool": "default-pool"}  # other tests add nodes of their own
AGE = r"(\d+s|\d+m(\d+s)?)"
DS = ["NAME", "DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR", "AGE"]
POD = ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]


def agent(name="agent", image="agent:1", **more):
    return daemonset(name, image, nodeSelector=POOL, **more)


@pytest.fixture
def running(space):
    """The DaemonSet `agent`, labelled app=filebeat-logging, on four nodes."""
    space.apply(agent(metadata={"labels": {"app": "filebeat-logging"}}))
    space.settled("agent", 4)
    return space


def pool_nodes(space):
    return [one["metadata"]["name"] for one in space.get("nodes", "-l", "muster.dev/pool=default-pool")["items"]]


@rows(1, 2, 29, 33, 170, 172, 173)
def test_daemonsets_in_columns(running):
    space = running
    space.apply(daemonset("everywhere-else", nodeSelector={"beta.kubernetes.io/metadata-proxy-ready": "true",
                                                           "kubernetes.io/os": "linux"}))
    space.settled("everywhere-else", 0)
    for spelling in ("ds", "daemonset", "daemonsets", "daemonSet", "DaemonSet", "daemonsets.apps",
                     "daemonsets.v1.apps"):
        table = space.kubectl("get", spelling).table
        assert [list(row) for row in table] == 2 * [DS]
        assert re.fullmatch(AGE, table[0].pop("AGE")) and re.fullmatch(AGE, table[1].pop("AGE"))
        assert [list(row.values()) for row in table] == [
            ["agent", "4", "4", "4", "4", "4", "muster.dev/pool=default-pool"],
            ["everywhere-else", "0", "0", "0", "0", "0",
             "beta.kubernetes.io/metadata-proxy-ready=true,kubernetes.io/os=linux"]]
    (wide,) = space.kubectl("get", "ds", "agent", "-o", "wide").table
    assert list(wide) == [*DS, "CONTAINERS", "IMAGES", "SELECTOR"]
    assert [wide[name] for name in ("CONTAINERS", "IMAGES", "SELECTOR")] == ["main", "agent:1", "app=agent"]
    assert {**space.kubectl("get", "ds", "-owide").table[0], "AGE": ""} == {**wide, "AGE": ""}


@rows(173)
def test_no_node_selector_is_none(space):
    space.apply(daemonset("agent", affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "never", "operator": "Exists"}]}]}}}))
    space.settled("agent", 0)
    (row,) = space.kubectl("get", "ds").table
    assert row["NODE SELECTOR"] == "<none>"


@rows(171, 194)
def test_label_selectors(running):
    space = running
    space.apply(agent("other", metadata={"labels": {"name": "filebeat", "tier": "a"}}))
    space.settled("other", 4)

    def found(selector):
        return [line.removeprefix("daemonset.apps/") for line in
                space.kubectl("get", "ds", "-l", selector, "-o", "name").lines]

    assert found("name!=filebeat") == ["agent"]
    assert found("name=filebeat") == ["other"]
    assert found("name==filebeat,tier=a") == ["other"]
    assert found("app in (filebeat-logging,x)") == ["agent"]
    assert found("app notin (filebeat-logging)") == ["other"]
    assert found("app") == ["agent"]
    assert found("!app") == ["other"]
    assert found("name=nobody") == []
    assert space.kubectl("get", "ds", "-l", "name=nobody").stderr.strip() \
        == f"No resources found in {space.name} namespace."
    wrong = space.kubectl("get", "ds", "-l", "app in (x", fails=True)
    assert "unable to parse requirement: found '', expected: ',' or ')'" in wrong.stderr


@rows(179, 180, 183, 194)
def test_pods_in_columns(running):
    space = running
    nodes = sorted(pool_nodes(space))
    table = space.kubectl("get", "po", "-owide").table
    assert [list(row) for row in table] == 4 * [[*POD, "IP", "NODE", "NOMINATED NODE", "READINESS GATES"]]
    for row in table:
        assert (row["READY"], row["STATUS"], row["RESTARTS"]) == ("1/1", "Running", "0")
        assert re.fullmatch(r"10\.\d+\.\d+\.\d+", row["IP"]) and re.fullmatch(AGE, row["AGE"])
        assert (row["NOMINATED NODE"], row["READINESS GATES"]) == ("<none>", "<none>")
    assert sorted(row["NODE"] for row in table) == nodes
    assert len({row["IP"] for row in table}) == 4
    assert list(space.kubectl("get", "pods", "-l", "app=agent").table[0]) == POD
    where = space.kubectl("get", "pods", "-l", "app=agent", "-o", "custom-columns=NAME:metadata.name,NODE:spec.nodeName")
    assert where.lines[0].split() == ["NAME", "NODE"]
    assert sorted(line.split()[1] for line in where.lines[1:]) == nodes
    images = space.kubectl("get", "pods", "-o", "custom-columns=Name:metadata.name,Image:spec.containers[0].image")
    assert images.lines[0].split() == ["Name", "Image"]
    assert {line.split()[1] for line in images.lines[1:]} == {"agent:1"}
    assert [row["NAME"] for row in space.kubectl("get", "pods", "-l", "app=agent", "--show-labels").table
            if "app=agent" in row["LABELS"] and "controller-revision-hash=" in row["LABELS"]
            and "pod-template-generation=1" in row["LABELS"]] == [row["NAME"] for row in table]


@rows(181)
def test_a_watch_in_columns_of_ones_own(running):
    space = running
    arguments = ("pods", "-l", "app=agent", "-o", "custom-columns=NAME:metadata.name,NODE:spec.nodeName")
    with space.watching(*arguments) as lines:
        assert next(lines).split() == ["NAME", "NODE"]
        there = dict(next(lines).split() for _ in range(4))
        gone = sorted(there)[0]
        space.kubectl("delete", "pod", gone, "--wait=false")
        seen = []
        while not seen or seen[-1][0] in there or seen[-1][1] == "<none>":
            seen.append(next(lines).split())
    assert seen[0] == [gone, there[gone]]
    assert [node for name, node in seen if name not in there] == ["<none>", there[gone]]


def test_watch_only_says_nothing_of_what_was_there(running):
    space = running
    with space.watching("ds", "--watch-only", "--no-headers", "-o", "name") as lines:
        space.apply(agent("other"))
        assert next(lines).strip() == "daemonset.apps/other"


@rows(184, 195)
def test_nodes_in_columns(cluster, space):
    table = cluster.kubectl("get", "node", "-l", "muster.dev/pool=default-pool").table
    assert [list(row) for row in table] == 4 * [["NAME", "STATUS", "ROLES", "AGE", "VERSION"]]
    for row in table:
        assert (row["STATUS"], row["ROLES"], row["VERSION"]) == ("Ready", "<none>", "v1.32.4")
        assert re.fullmatch(AGE, row["AGE"])
    wide = cluster.kubectl("get", "nodes", "-o", "wide", "-l", "muster.dev/pool=default-pool").table
    assert list(wide[0])[5:] == ["INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME"]
    assert all(re.fullmatch(r"10\.128\.\d+\.\d+", row["INTERNAL-IP"]) for row in wide)
    assert all(row["CONTAINER-RUNTIME"].startswith("containerd://") for row in wide)


@rows(186, 195)
def test_nodes_with_their_labels(cluster):
    table = cluster.kubectl("get", "node", "--show-labels", "-l", "muster.dev/pool=default-pool").table
    assert list(table[0])[-1] == "LABELS"
    for row in table:
        labels = dict(label.split("=") for label in row["LABELS"].split(","))
        assert list(labels) == sorted(labels)
        assert labels["kubernetes.io/hostname"] == row["NAME"]
        assert labels["kubernetes.io/os"] == labels["beta.kubernetes.io/os"] == "linux"
        assert labels["kubernetes.io/arch"] == labels["beta.kubernetes.io/arch"]


@rows(185, "187-188")
def test_labels_of_nodes(cluster, space):
    first, second, *others = pool_nodes(space)
    key = f"disk-{space.name}"
    try:
        assert cluster.kubectl("label", "nodes", first, second, f"{key}=ssd").lines == [
            f"node/{first} labeled", f"node/{second} labeled"]
        table = cluster.kubectl("get", "node", "-l", f"{key}=ssd", "-L", key).table
        assert list(table[0]) == ["NAME", "STATUS", "ROLES", "AGE", "VERSION", key.upper()]
        assert [(row["NAME"], row[key.upper()]) for row in table] == [(first, "ssd"), (second, "ssd")]
        said = cluster.kubectl("label", "node", first, f"{key}=hdd", fails=True)
        assert said.stderr.strip() == f"error: '{key}' already has a value (ssd), and --overwrite is false"
        assert cluster.kubectl("label", "node", first, f"{key}=hdd", "--overwrite").lines == [f"node/{first} labeled"]
        assert cluster.kubectl("label", "node", first, f"{key}=hdd").lines == [f"node/{first} not labeled"]
        said = cluster.kubectl("label", "node", first, f"{key}=a b", fails=True)
        assert "a valid label must be an empty string or consist of alphanumeric characters" in said.stderr
    finally:
        done = cluster.kubectl("label", "node", first, second, f"{key}-")
    assert done.lines == [f"node/{first} unlabeled", f"node/{second} unlabeled"]


def test_outputs(running):
    space = running
    shown = space.get("ds", "agent")
    assert (shown["apiVersion"], shown["kind"]) == ("apps/v1", "DaemonSet")
    assert "managedFields" not in shown["metadata"]
    listed = space.get("ds")
    assert (listed["apiVersion"], listed["kind"], len(listed["items"])) == ("v1", "List", 1)
    text = space.kubectl("get", "ds", "agent", "-oyaml").stdout
    assert text.startswith("apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  annotations:\n")
    assert "  updateStrategy:\n    rollingUpdate:\n      maxSurge: 0\n      maxUnavailable: 1\n" in text
    assert space.kubectl("get", "ds", "agent", "-o", "jsonpath={.status.numberReady}").stdout == "4"
    assert space.kubectl("get", "ds", "-o", "jsonpath={range .items[*]}{.metadata.name}{'\\n'}{end}").stdout == "agent\n"
    assert space.kubectl("get", "ds", "agent", "-o", "go-template={{.spec.selector.matchLabels.app}}").stdout == "agent"
    assert space.kubectl("get", "ds", "agent", "--no-headers").stdout.startswith("agent ")
    assert space.kubectl("get", "ds/agent", "-o", "name").stdout == "daemonset.apps/agent\n"


def test_all_and_several_kinds(running):
    space = running
    lines = space.kubectl("get", "all").lines
    assert sum(line.startswith("pod/agent-") for line in lines) == 4
    assert lines[-2].split() == ["NAME", *" ".join(DS[1:]).split()] and lines[-1].startswith("daemonset.apps/agent ")
    assert len(space.kubectl("get", "ds,pods", "-o", "name").lines) == 5
    everywhere = space.kubectl("get", "ds", "-A").table
    assert (space.name, "agent") in {(row["NAMESPACE"], row["NAME"]) for row in everywhere}


def test_sorting_and_field_selectors(running):
    space = running
    by_node = space.kubectl("get", "pods", "--sort-by=.spec.nodeName", "-o", "wide").table
    assert [row["NODE"] for row in by_node] == sorted(pool_nodes(space))
    node = by_node[2]["NODE"]
    (pod,) = space.kubectl("get", "pods", "--field-selector", f"spec.nodeName={node}").table
    assert pod["NAME"] == by_node[2]["NAME"]
    assert len(space.get("pods", "--field-selector", f"spec.nodeName!={node},status.phase=Running")["items"]) == 3
    assert len(space.get("pods", "--field-selector", f"metadata.name={pod['NAME']}")["items"]) == 1
    wrong = space.kubectl("get", "pods", "--field-selector", "spec.colour=red", fails=True)
    assert "field label not supported: spec.colour" in wrong.stderr
    events = space.kubectl("get", "events", "--field-selector", "involvedObject.name=agent", "--sort-by=.lastTimestamp")
    assert list(events.table[0]) == ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert [(row["TYPE"], row["REASON"], row["OBJECT"]) for row in events.table] \
        == 4 * [("Normal", "SuccessfulCreate", "daemonset/agent")]


def test_pages_add_up_to_the_whole(running):
    space = running
    whole = space.kubectl("get", "pods", "-o", "name").lines
    assert len(whole) == 4 and space.kubectl("get", "pods", "--chunk-size=1", "-o", "name").lines == whole
    page = json.loads(space.kubectl("get", "--raw", f"/api/v1/namespaces/{space.name}/pods?limit=3").stdout)
    assert len(page["items"]) == 3 and page["metadata"]["remainingItemCount"] == 1 and page["metadata"]["continue"]


@rows(193)
def test_namespaces_isolate(running):
    space = running
    assert space.kubectl("get", "ds").lines[1].startswith("agent ")
    said = space.cluster.kubectl("-n", f"{space.name}-nowhere", "get", "ds")
    assert said.stderr.strip() == f"No resources found in {space.name}-nowhere namespace."
    said = space.cluster.kubectl("-n", f"{space.name}-nowhere", "get", "ds", "agent", fails=True)
    assert said.stderr.strip() == f'Error from server (NotFound): namespaces "{space.name}-nowhere" not found'
    table = space.cluster.kubectl("get", "ns", space.name).table
    assert [(row["NAME"], row["STATUS"]) for row in table] == [(space.name, "Active")]
