"""Nodes by the pool: what the console's words in the tutorials do here, and what DaemonSets make of it."""
import re

from conftest import daemonset, is_ready, nodes_of

from rows import rows

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def listed(cluster, *words):
    """`muster nodes list` or `muster pool list`: {name: {column: cell}}; PREEMPTIBLE may be empty."""
    table = cluster.muster(*words, "list").table
    return {row["NAME"]: row for row in table}


@rows(5, "197-202", 205)
def test_a_pool_grows_and_every_new_node_gets_its_daemon(cluster, space, pool):
    first = pool(2, machineType="e2-medium", zones=["us-central1-c"], version="v1.15.12-gke.2", diskSizeGb=100)
    name = f"{space.name}-p0"
    space.apply(daemonset("filebeat-ds", nodeSelector={"test": space.name}))
    space.settled("filebeat-ds", 2)
    old = {node: pod["metadata"]["name"] for node, pod in space.pods("app=filebeat-ds").items()}
    assert sorted(old) == first
    row = listed(cluster, "pool")[name]
    assert [row[column] for column in ("MACHINE_TYPE", "DISK_SIZE_GB", "NODE_VERSION")] \
        == ["e2-medium", "100", "v1.15.12-gke.2"]
    said = cluster.muster("pool", "resize", name, "--nodes", 3).lines
    assert said == [f"Pool [{name}] for [muster] will be resized to 3."]
    nodes = nodes_of(cluster, name, 3)
    (new,) = set(nodes) - set(first)
    space.settled("filebeat-ds", 3)
    now = {node: pod["metadata"]["name"] for node, pod in space.pods("app=filebeat-ds").items()}
    assert sorted(now) == nodes and {node: now[node] for node in first} == old, "one more; the others stay as they are"
    # A name says the pool: the same stem for all, and four characters of its own.
    assert len({node.rpartition("-")[0] for node in nodes}) == 1
    assert all(re.fullmatch(rf"muster-{name}-[0-9a-f]{{8}}-[a-z0-9]{{4}}", node) for node in nodes)
    rows = listed(cluster, "nodes")
    assert set(nodes) <= set(rows)
    for node in nodes:
        assert [rows[node][column] for column in ("ZONE", "MACHINE_TYPE", "STATUS")] \
            == ["us-central1-c", "e2-medium", "RUNNING"]
        assert re.fullmatch(r"10\.128\.\d+\.\d+", rows[node]["INTERNAL_IP"])
        assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", rows[node]["EXTERNAL_IP"])
    told = cluster.kubectl("get", "node", new, "-L", "node.kubernetes.io/instance-type,topology.kubernetes.io/zone").table
    assert (told[0]["VERSION"], told[0]["INSTANCE-TYPE"], told[0]["ZONE"]) \
        == ("v1.15.12-gke.2", "e2-medium", "us-central1-c")


@rows(6)
def test_a_pool_shrinks_and_the_daemons_go_with_their_nodes(cluster, space, pool):
    nodes = pool(3)
    name = f"{space.name}-p0"
    space.apply(daemonset("agent", nodeSelector={"test": space.name}))
    space.settled("agent", 3)
    assert cluster.kubectl("scale", "nodepool", name, "--replicas=1").lines == [f"nodepool.muster.dev/{name} scaled"]
    (left,) = nodes_of(cluster, name, 1)
    space.on_nodes("app=agent", left)
    assert left in nodes
    space.settled("agent", 1)
    (row,) = cluster.kubectl("get", "nodepools", name).table
    assert (row["NODES"], row["READY"]) == ("1", "1")
    # One taken away by hand is made up for, and gets its daemon.
    uid = cluster.kubectl("get", "node", left, "-o", "json").json["metadata"]["uid"]
    assert cluster.kubectl("delete", "node", left).lines == [f'node "{left}" deleted']
    past = cluster.until("nodes", lambda there: [is_ready(node) for node in there.values()
                                                 if node["metadata"]["uid"] != uid] == [True],
                         "-l", f"muster.dev/pool={name}")
    (fresh,) = past[-1]
    space.on_nodes("app=agent", fresh)


@rows(59, 184, 196, 203)
def test_three_masters_and_two_workers_all_run_the_daemon(cluster, space, pool):
    masters = pool(3, roles=["control-plane"], version="v1.23.14",
                   taints=[{"key": CONTROL_PLANE, "effect": "NoSchedule"}])
    workers = pool(2, version="v1.23.14")
    table = {row["NAME"]: row for row in cluster.kubectl("get", "nodes", "-l", f"test={space.name}").table}
    assert {table[node]["ROLES"] for node in masters} == {"control-plane"}
    assert {table[node]["ROLES"] for node in workers} == {"<none>"}
    assert {row["VERSION"] for row in table.values()} == {"v1.23.14"} and {row["STATUS"] for row in table.values()} == {"Ready"}
    here = {"test": space.name}
    space.apply(daemonset("workers-only", nodeSelector=here),
                daemonset("everywhere", nodeSelector=here, tolerations=[{"key": CONTROL_PLANE, "effect": "NoSchedule"}]))
    space.settled("workers-only", 2)
    space.settled("everywhere", 5)
    assert sorted(space.pods("app=workers-only")) == sorted(workers)
    assert sorted(space.pods("app=everywhere")) == sorted([*masters, *workers])
    counts = {row["NAME"]: row["DESIRED"] for row in space.kubectl("get", "ds").table}
    assert counts == {"everywhere": "5", "workers-only": "2"}


@rows(206)
def test_a_node_runs_what_names_it(cluster, space):
    node = space.get("nodes", "-l", "muster.dev/pool=default-pool")["items"][0]["metadata"]["name"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "by-hand"},
           "spec": {"nodeName": node, "containers": [{"name": "c", "image": "web:1"}]}}
    space.apply(pod)
    space.kubectl("wait", "--for=condition=Ready", "pod/by-hand", "--timeout=30s")
    events = space.get("events", "--field-selector", "involvedObject.name=by-hand")["items"]
    assert [one["reason"] for one in events][-2:] == ["Created", "Started"]
    assert {(one["source"]["component"], one["source"]["host"]) for one in events} == {("kubelet", node)}
    # One that names a node that does not exist is nobody's.
    lost = {**pod, "metadata": {"name": "lost"}, "spec": {**pod["spec"], "nodeName": f"{space.name}-nowhere"}}
    space.apply(lost)
    space.kubectl("wait", "--for=delete", "pod/lost", "--timeout=50s")
