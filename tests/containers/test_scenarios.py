"""What people run on a cluster, as real processes: log collectors, databases, servers that are replaced under load."""
import json
import time

import pytest
from real_nodes import WAITS, Nodes, Space, pod, shell, until

HTTP = "exec httpd -f -p 0.0.0.0:8080 -h /tmp"
NODE = [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]
READY = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}


def workload(kind, name, container, *, spec=None, **more):
    labels = {"app": name}
    made = pod(name, container, **(spec or {}))
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": made["spec"]}, **more}}


def service(name, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {
        "selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}], **spec}}


def test_a_log_collector_on_each_node(space):
    """It reads what the pods of its node say, where the node keeps it, and sends it to a service."""
    take = "#!/bin/sh\\necho; cat >> /proc/1/fd/1\\n"
    sink = shell(f"mkdir /tmp/cgi-bin; printf '{take}' > /tmp/cgi-bin/take; chmod +x /tmp/cgi-bin/take; {HTTP}",
                 readinessProbe=READY)
    tails = (f"cd /var/log/containers; until ls talker-*_{space.name}_*.log; do sleep 0.1; done > /dev/null 2>&1; "
             f"tail -n +1 -f talker-*_{space.name}_*.log | while read -r line; do until wget -q -O /dev/null "
             "--post-data \"from $NODE: $line\n\" http://sink/cgi-bin/take 2> /dev/null; do sleep 0.1; done; done")
    collector = shell(tails, env=NODE, volumeMounts=[{"name": "logs", "mountPath": "/var/log", "readOnly": True}])
    space.apply(workload("Deployment", "sink", sink), service("sink"),
                workload("DaemonSet", "talker", shell("n=0; while :; do n=$((n+1)); echo $NODE says $n; sleep 0.2; done", env=NODE)),
                workload("DaemonSet", "collector", collector, spec={
                    "volumes": [{"name": "logs", "hostPath": {"path": "/var/log"}}]}))
    wanted = [f"from {node}: " for node in ("node-1", "node-2")]
    deadline = time.monotonic() + 30
    while True:
        lines = space.kubectl("logs", "deployment/sink", "--ignore-errors").splitlines()
        theirs = [[line for line in lines if line.startswith(start)] for start in wanted]
        if all(len(one) >= 5 for one in theirs):
            break
        assert time.monotonic() < deadline, lines[-20:]
        time.sleep(0.2)
    for node, one in zip(("node-1", "node-2"), theirs, strict=True):
        assert all(f" stdout F {node} says " in line for line in one), "its own node's alone"


def database(replicas=2):
    script = ("test -e /data/who || echo $(hostname) first on $NODE > /data/who; cp /data/who /tmp/who; echo run >> /data/runs; "
              "wc -l < /data/runs > /tmp/runs; " + HTTP)
    one = shell(script, env=NODE, readinessProbe=READY, volumeMounts=[{"name": "data", "mountPath": "/data"}])
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}]}}
    return workload("StatefulSet", "db", one, spec={"affinity": apart}, serviceName="db", replicas=replicas, volumeClaimTemplates=[{
        "metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}])


def fetched(space, name, *urls):
    """What a pod gets from each, once it gets it."""
    script = "; ".join(f"until timeout 1 wget -q -O - http://{url} 2> /dev/null; do sleep 0.1; done" for url in urls)
    space.apply(pod(name, shell(script), restartPolicy="Never"))
    space.ended(name)
    return space.logs(name).splitlines()


@pytest.mark.long
def test_members_that_keep_their_names_and_their_data(space):
    space.apply(service("db", clusterIP="None", publishNotReadyAddresses=True), database())
    space.kubectl("rollout", "status", "statefulset/db", "--timeout=30s")
    before = fetched(space, "first", "db-0.db:8080/who", f"db-1.db.{space.name}.svc.cluster.local:8080/who")
    assert [line.split()[0] for line in before] == ["db-0", "db-1"]
    assert {line.split()[-1] for line in before} == {"node-1", "node-2"}

    space.kubectl("delete", "pod", "db-0", "db-1")
    space.kubectl("rollout", "status", "statefulset/db", "--timeout=30s")
    after = fetched(space, "second", "db-0.db:8080/who", "db-1.db:8080/who", "db-0.db:8080/runs", "db-1.db:8080/runs")
    assert after == [*before, "2", "2"]

    volume = space.get("pvc", "data-db-0")["spec"]["volumeName"]
    folder = space.nodes.data_dir / "nodes" / before[0].split()[-1] / "storage" / volume
    assert (folder / "who").read_text() == f"{before[0]}\n"
    space.kubectl("delete", "statefulset,pvc", "--all")
    deadline = time.monotonic() + 20
    while folder.exists():
        assert time.monotonic() < deadline, "the data goes with its claim"
        time.sleep(0.1)


@pytest.mark.long
def test_data_outlives_its_node(tmp_path, busybox):
    """`muster down` is a power cut for the nodes: pods start anew, volumes are where they were."""
    cluster = Nodes(tmp_path / "data", "--nodes", 2, "--load-image", busybox)
    cluster.up()
    try:
        space = Space(cluster, "default")
        cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=10s")
        space.apply(service("db", clusterIP="None"), database())
        space.kubectl("rollout", "status", "statefulset/db", "--timeout=30s")
        before = fetched(space, "first", "db-0.db:8080/who", "db-1.db:8080/who")
        cluster.down()
        assert cluster.leftovers() == []
        cluster.up()
        after = fetched(space, "second", "db-0.db:8080/who", "db-1.db:8080/who", "db-0.db:8080/runs")
        assert after == [*before, "2"]
    finally:
        cluster.down()


@pytest.mark.long
def test_no_request_fails_while_servers_are_replaced(space):
    one = shell(f"echo ok > /tmp/index.html; {HTTP}", readinessProbe=READY,
                lifecycle={"preStop": {"exec": {"command": ["sleep", "2"]}}})
    space.apply(service("web"), workload("Deployment", "web", one, spec={"terminationGracePeriodSeconds": 10}, replicas=2, strategy={
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}))
    space.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    for node in ("node-1", "node-2"):
        hammers = ("good=0; bad=0; trap 'echo $good $bad; exit 0' TERM; while :; do "
                   "if timeout 2 wget -q -O /dev/null http://web; then good=$((good+1)); else bad=$((bad+1)); fi; done")
        space.apply(pod(f"client-{node}", shell(hammers), nodeName=node, terminationGracePeriodSeconds=5))
        space.ready(f"client-{node}")
    old = {one["metadata"]["name"] for one in pods_of(space, "web")}
    space.kubectl("set", "env", "deployment/web", "RELEASE=2")
    space.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    space.kubectl("wait", "pod", *sorted(old), "--for=delete", "--timeout=30s")
    for node in ("node-1", "node-2"):
        follow = space.start("logs", "-f", f"client-{node}")
        time.sleep(0.5)
        space.kubectl("delete", "pod", f"client-{node}")
        said = follow.communicate(timeout=20)[0]
        good, bad = map(int, said.split()[-2:])
        assert bad == 0, said
        assert good > 50


def pods_of(space, app):
    return json.loads(space.kubectl("get", "pods", "-l", f"app={app}", "-o", "json"))["items"]


def test_a_volume_that_comes_and_goes_with_its_pod(space):
    """A generic ephemeral volume: a claim of the pod's own, a folder of the node's, both gone with the pod."""
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    space.apply(pod("cache", shell(f"echo kept > /scratch/file; {WAITS}", volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}]),
                    volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]))
    space.ready("cache")
    assert space.kubectl("exec", "cache", "--", "cat", "/scratch/file") == "kept\n"
    claim, node = space.get("pvc", "cache-scratch"), space.get("pod", "cache")["spec"]["nodeName"]
    folder = space.nodes.data_dir / "nodes" / node / "storage" / claim["spec"]["volumeName"]
    assert (folder / "file").read_text() == "kept\n" and claim["status"]["phase"] == "Bound"
    space.kubectl("delete", "pod", "cache")
    space.kubectl("wait", "pvc/cache-scratch", "--for=delete", "--timeout=30s", fails=None)
    until(lambda: not folder.exists())
