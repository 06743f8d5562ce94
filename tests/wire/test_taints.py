"""What every daemon tolerates, what taints do to pods, and how a node's troubles become taints."""
import re

import pytest
import yaml
from conftest import EXAMPLES, daemonset, is_ready

from rows import rows

TROUBLES = [("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule"),
            ("memory-pressure", "NoSchedule"), ("pid-pressure", "NoSchedule"), ("unschedulable", "NoSchedule")]
NO_NETWORK = ("network-unavailable", "NoSchedule")
KEYS = "node.kubernetes.io/"
MASTER = "node-role.kubernetes.io/master"


def tolerated(*troubles):
    return [{"key": f"{KEYS}{trouble}", "operator": "Exists", "effect": effect} for trouble, effect in troubles]


def pod(name="web", **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": "web:1"}], **spec}}


def example(name, space, **pod_spec):
    """One of our examples in the test's namespace, on the test's nodes."""
    manifest = yaml.safe_load((EXAMPLES / name).read_text())
    manifest["metadata"]["namespace"] = space.name
    manifest["spec"]["template"]["spec"] |= {"nodeSelector": {"test": space.name}, **pod_spec}
    return manifest


def waits(there, name="web"):
    return any(one["type"] == "PodScheduled" and one["reason"] == "Unschedulable"
               for one in there.get(name, {}).get("status", {}).get("conditions", ()) if one["status"] == "False")


# ------------------------------------------------------------------ what every daemon tolerates

@rows("49-55", 100)
def test_what_a_daemon_tolerates(space, pool):
    node, = pool(1)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}),
                daemonset("network", nodeSelector={"test": space.name}, hostNetwork=True))
    space.on_nodes("app=agent", node)
    space.on_nodes("app=network", node)
    assert space.pods("app=agent")[node]["spec"]["tolerations"] == tolerated(*TROUBLES)
    assert space.pods("app=network")[node]["spec"]["tolerations"] == tolerated(*TROUBLES, NO_NETWORK)
    said = space.kubectl("describe", "pods", "-l", "app=network").stdout
    told = re.search(r"Tolerations: +(.*?)\nEvents", said, flags=re.DOTALL)[1]
    assert sorted(line.strip() for line in told.splitlines()) == sorted(
        f"{KEYS}{trouble}:{effect} op=Exists" for trouble, effect in [*TROUBLES, NO_NETWORK])
    assert "tolerations" not in space.get("ds", "agent")["spec"]["template"]["spec"], "they are the pod's, not the template's"


@rows(56)
def test_an_equal_toleration_is_replaced_and_not_doubled(space, pool):
    node, = pool(1)
    own = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
           {"key": "app", "operator": "Equal", "value": "x", "effect": "NoExecute"}]
    space.apply(daemonset("agent", nodeSelector={"test": space.name}, tolerations=own))
    space.on_nodes("app=agent", node)
    found = space.pods("app=agent")[node]["spec"]["tolerations"]
    assert found == [tolerated(TROUBLES[0])[0], own[1], *tolerated(*TROUBLES[1:])]


@rows(54, 57)
def test_a_daemon_runs_on_a_cordoned_node(cluster, space, pool):
    node, = pool(1)
    assert cluster.kubectl("cordon", node).lines == [f"node/{node} cordoned"]
    cluster.until("nodes", lambda there: [taint["key"] for taint in there[node]["spec"].get("taints", ())]
                  == ["node.kubernetes.io/unschedulable"], node)
    assert cluster.kubectl("get", "node", node).table[0]["STATUS"] == "Ready,SchedulingDisabled"
    space.apply(daemonset("agent", nodeSelector={"test": space.name}), pod(nodeSelector={"test": space.name}))
    space.on_nodes("app=agent", node)
    space.until("pods", waits, "web")
    cluster.kubectl("uncordon", node)
    space.on_nodes("app=web", node)
    assert "taints" not in cluster.kubectl("get", "node", node, "-o", "json").json["spec"]


# ------------------------------------------------------------------ a node's troubles

@pytest.fixture
def machine(cluster, space):
    """machine(Ready="True", MemoryPressure="True") -> a node made by hand, whose conditions nobody else reports."""
    made = []

    def make(**conditions):
        name = f"{space.name}-by-hand-{len(made)}"
        made.append(name)
        cluster.kubectl("create", "-f", "-", given={
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"test": space.name}},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                       "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                       "conditions": [{"type": type_, "status": status} for type_, status in conditions.items()]}})
        return name

    yield make
    for name in made:
        cluster.kubectl("delete", "node", name)
    space.kubectl("delete", "ds,pods", "--all", "--force", "--grace-period=0", "--wait=false")


@rows(57)
@pytest.mark.parametrize(("conditions", "taints"), [
    pytest.param({"Ready": "True", "MemoryPressure": "True"}, [("memory-pressure", "NoSchedule")], id="little memory"),
    pytest.param({"Ready": "True", "DiskPressure": "True", "PIDPressure": "True"},
                 [("disk-pressure", "NoSchedule"), ("pid-pressure", "NoSchedule")], id="little disk, few process ids"),
    pytest.param({"Ready": "True", "NetworkUnavailable": "True"}, [("network-unavailable", "NoSchedule")], id="no network"),
    pytest.param({"Ready": "False"}, [("not-ready", "NoExecute"), ("not-ready", "NoSchedule")], id="not ready"),
    pytest.param({"Ready": "Unknown"}, [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")], id="not heard of"),
])
def test_conditions_become_taints(cluster, machine, conditions, taints):
    name = machine(**conditions)
    def tainted(there):
        return sorted((taint["key"].removeprefix(KEYS), taint["effect"])
                      for taint in there[name]["spec"].get("taints", ())) == sorted(taints)
    past = cluster.until("nodes", tainted, name)
    assert all("timeAdded" in taint or taint["effect"] == "NoSchedule" for taint in past[-1][name]["spec"]["taints"])
    shown = dict(re.findall(r"node\.kubernetes\.io/([a-z-]+):(\w+)", cluster.kubectl("describe", "node", name).stdout))
    assert set(shown) == {trouble for trouble, _ in taints}


@rows(49, "51-54", 58)
def test_daemons_come_to_a_node_in_trouble_and_stay(cluster, space, machine):
    """Once the node is not ready, an ordinary pod waits there for 300 s, and one that has no patience leaves at once."""
    name = machine(Ready="True", MemoryPressure="True", DiskPressure="True", PIDPressure="True")
    cluster.kubectl("cordon", name)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}))
    space.until("pods", lambda there: [one["spec"].get("nodeName") for one in there.values()] == [name])
    node = cluster.kubectl("get", "node", name, "-o", "json").json
    for one in node["status"]["conditions"]:
        one["status"] = {"Ready": "False"}.get(one["type"], one["status"])
    cluster.kubectl("replace", "--raw", f"/api/v1/nodes/{name}/status", "-f", "-", given=node)
    cluster.until("nodes", lambda there: (f"{KEYS}not-ready", "NoExecute") in [
        (taint["key"], taint["effect"]) for taint in there[name]["spec"]["taints"]], name)
    hasty = [{"key": f"{KEYS}{trouble}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}
             for trouble in ("not-ready", "unreachable")]
    space.apply(pod("patient", nodeName=name), pod("hasty", nodeName=name, tolerations=hasty))
    said = space.until("events", lambda there: any(one["reason"] == "TaintManagerEviction" for one in there.values()))[-1]
    evicted = [(one["involvedObject"]["name"], one["message"]) for one in said.values()
               if one["reason"] == "TaintManagerEviction"]
    assert evicted == [("hasty", f"Marking for deletion Pod {space.name}/hasty")]
    going = {one["metadata"]["name"] for one in space.get("pods")["items"] if "deletionTimestamp" in one["metadata"]}
    assert going <= {"hasty"}
    waiting = space.get("pod", "patient")["spec"]["tolerations"]
    assert [(one["key"], one["tolerationSeconds"]) for one in waiting] == [
        ("node.kubernetes.io/not-ready", 300), ("node.kubernetes.io/unreachable", 300)]


# ------------------------------------------------------------------ taints given by hand

@rows(59, 61, 203)
def test_fluentd_elasticsearch_runs_on_master_nodes_too(space, pool):
    """Five nodes, three of them masters.  The toleration names no operator and no value: Equal, and the empty value."""
    masters = pool(3, roles=["master"], taints=[{"key": MASTER, "effect": "NoSchedule"}])
    workers = pool(2)
    space.apply(example("fluentd-elasticsearch.yaml", space), daemonset("agent", nodeSelector={"test": space.name}))
    space.on_nodes("name=fluentd-elasticsearch", *masters, *workers)
    space.settled("fluentd-elasticsearch", 5)
    space.on_nodes("app=agent", *workers)
    space.settled("agent", 2)
    shown = space.kubectl("get", "nodes", "-l", f"test={space.name}").table
    assert sorted(row["ROLES"] for row in shown) == ["<none>"] * 2 + ["master"] * 3


@rows(60, 61, 63, 64, 65)
def test_a_taint_drives_fluentd_away_and_a_toleration_brings_it_back(cluster, space, pool):
    """Without a toleration the pod leaves and none comes; with it, the node has its pod again (the tutorial mixes this up)."""
    first, second = pool(2)
    space.apply(example("fluentd.yaml", space))
    space.on_nodes("name=fluentd", first, second)
    said = cluster.kubectl("taint", "node", second, "app=fluentd-logging:NoExecute")
    assert said.lines == [f"node/{second} tainted"]
    space.on_nodes("name=fluentd", first)
    space.settled("fluentd", 1)
    assert re.search(r"Taints: +app=fluentd-logging:NoExecute\n", cluster.kubectl("describe", "node", second).stdout)
    toleration = {"key": "app", "value": "fluentd-logging", "operator": "Equal", "effect": "NoExecute"}
    said = space.apply(example("fluentd.yaml", space, tolerations=[toleration]))
    assert said.lines == ["daemonset.apps/fluentd configured"]
    space.on_nodes("name=fluentd", first, second)
    space.settled("fluentd", 2)


@rows(61, 63, 64)
def test_no_schedule_keeps_pods_away_and_lets_those_that_run(cluster, space, pool):
    node, = pool(1)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}), pod("old", nodeSelector={"test": space.name}))
    space.on_nodes("app=agent", node)
    space.on_nodes("app=old", node)
    assert cluster.kubectl("taint", "nodes", node, "key1=value1:NoSchedule").lines == [f"node/{node} tainted"]
    space.until("ds", lambda there: there["agent"]["status"]["numberMisscheduled"] == 1)
    assert space.kubectl("get", "ds").lines[1].split()[1:6] == ["0"] * 5
    space.apply(pod(nodeSelector={"test": space.name}),
                pod("new", nodeSelector={"test": space.name}, tolerations=[{"key": "key1", "operator": "Exists"}]))
    space.on_nodes("app=new", node)
    space.until("pods", waits, "web")
    assert "1 node(s) had untolerated taint {key1: value1}" in space.kubectl("describe", "pod", "web").stdout
    space.on_nodes("app=old", node)
    assert cluster.kubectl("taint", "nodes", node, "key1:NoSchedule-").lines == [f"node/{node} untainted"]
    space.on_nodes("app=web", node)
    space.settled("agent", 1)


@rows(62, 64)
def test_prefer_no_schedule_is_avoided_but_allowed(cluster, space, pool):
    first, second = pool(2)
    cluster.kubectl("taint", "nodes", first, "key1=value1:PreferNoSchedule")
    space.apply(daemonset("agent", nodeSelector={"test": space.name}),
                *(pod(f"web{n}", nodeSelector={"test": space.name}) for n in range(4)))
    space.on_nodes("app=agent", first, second)
    past = space.until("pods", lambda there: len(there) == 4 and all(map(is_ready, there.values())),
                       "-l", "app in (web0,web1,web2,web3)")
    assert {one["spec"]["nodeName"] for one in past[-1].values()} == {second}
    cluster.kubectl("cordon", second)
    space.apply(pod("last", nodeSelector={"test": space.name}))
    space.on_nodes("app=last", first)


@rows(60, 63, 64)
@pytest.mark.parametrize(("toleration", "stays"), [
    pytest.param({"key": "key1", "operator": "Equal", "value": "value1", "effect": "NoExecute"}, True, id="the same"),
    pytest.param({"key": "key1", "operator": "Equal", "value": "other", "effect": "NoExecute"}, False, id="another value"),
    pytest.param({"key": "key1", "operator": "Equal", "value": "value1", "effect": "NoSchedule"}, False, id="another effect"),
])
def test_no_execute_evicts_what_does_not_tolerate_it(cluster, space, pool, toleration, stays):
    node, = pool(1)
    here = {"test": space.name}
    space.apply(pod(nodeSelector=here, tolerations=[toleration]), pod("bare", nodeSelector=here),
                pod("firm", nodeSelector=here, tolerations=[{"operator": "Exists"}]))
    space.until("pods", lambda there: len(there) == 3 and all(map(is_ready, there.values())))
    cluster.kubectl("taint", "nodes", node, "key1=value1:NoExecute")
    left = {"firm", "web"} if stays else {"firm"}
    past = space.until("pods", lambda there: set(there) == left)
    assert all(is_ready(past[-1][name]) for name in left)


@rows(66, 113)
def test_a_taint_makes_room_for_a_starved_daemon(cluster, space, pool):
    node, = pool(1, capacity={"cpu": "2"})
    space.apply(*(pod(f"hog{n}", nodeSelector={"test": space.name},
                      containers=[{"name": "main", "image": "hog:1", "resources": {"requests": {"cpu": "1"}}}]) for n in range(2)))
    space.until("pods", lambda there: len(there) == 2 and all(map(is_ready, there.values())))
    toleration = {"key": "dedicated", "operator": "Equal", "value": "daemons", "effect": "NoExecute"}
    space.apply(daemonset("agent", nodeSelector={"test": space.name}, tolerations=[toleration],
                          container={"resources": {"requests": {"cpu": "500m"}}}))
    space.until("events", lambda there: any("1 Insufficient cpu" in one["message"] for one in there.values()))
    cluster.kubectl("taint", "node", node, "dedicated=daemons:NoExecute")
    space.on_nodes("app=agent", node)
    space.settled("agent", 1)
