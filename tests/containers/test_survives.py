"""Servers, runtimes and whole clusters that end: what was running goes on, no exit is lost, nothing is left behind."""
import json
import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from real_nodes import WAITS, Nodes, kill, pod, said_of, shell, started


def own_cluster(tmp_path, busybox):
    return started(Nodes(tmp_path / "data", "--nodes", 1, "--load-image", busybox))


def _tag(data):
    from muster.node.local_nodes import tag_of  # where the extra is missing, these tests are skipped
    return tag_of(data)


def container_of(seen):
    told = seen["status"]["containerStatuses"][0]
    return told["containerID"], told["restartCount"]


def test_a_killed_server_takes_its_pods_over(tmp_path, busybox):
    with own_cluster(tmp_path, busybox) as (cluster, space):
        space.apply(pod("stays", shell(WAITS)),
                    pod("ends", shell("until test -e /go/on; do sleep 0.1; done; exit 7",
                                      volumeMounts=[{"name": "go", "mountPath": "/go"}]),
                        restartPolicy="Never", volumes=[{"name": "go", "hostPath": {"path": str(tmp_path / "go")}}]))
        space.ready("stays")
        space.ready("ends")
        before = container_of(space.get("pod", "stays"))
        token = space.kubectl("exec", "stays", "--", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
        kill(cluster.pid)
        (tmp_path / "go" / "on").touch()
        cluster.up()
        ended = space.ended("ends")["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (7, "Error")
        space.ready("stays")
        assert container_of(space.get("pod", "stays")) == before
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        said = json.loads(space.kubectl("create", "-o", "json", "-f", "-", given=review))["status"]
        assert said["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["stays"], "its token is as good as before"

        kill(cluster.pid)
        assert cluster.leftovers() != []
        assert "taken away" in cluster.down()
        assert cluster.leftovers() == []


def test_a_killed_runtime_is_started_again(nodes, space):
    space.apply(pod("stays", shell(WAITS), nodeName="node-2"),
                pod("ends", shell("sleep 1.5; exit 7"), nodeName="node-2", restartPolicy="Never"))
    space.ready("stays")
    space.ready("ends")
    before = container_of(space.get("pod", "stays"))
    kill(int(Path(f"/run/muster/{nodes.tag}/node-2/containerd.pid").read_text()))
    assert space.ended("ends")["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    assert container_of(space.get("pod", "stays")) == before
    space.apply(pod("new", shell(WAITS), nodeName="node-2"))
    space.ready("new")


def processes_of(tag):
    """Of a cluster's control groups: its containerds, the shims, and what runs in pods."""
    found = set()
    for file in Path("/sys/fs/cgroup").rglob(f"muster-{tag}/**/cgroup.procs"):
        with suppress(OSError):  # a group that goes meanwhile
            found.update(int(pid) for pid in file.read_text().split())
    return found


@pytest.mark.long
def test_when_all_of_it_is_killed_the_next_start_goes_on(tmp_path, busybox):
    """As after a machine that lost its power, but for what the kernel forgets by itself."""
    with own_cluster(tmp_path, busybox) as (cluster, space):
        memory = {"volumeMounts": [{"name": "memory", "mountPath": "/memory"}]}
        for number in range(3):
            space.apply(pod(f"web-{number}", shell(WAITS, **memory),
                            volumes=[{"name": "memory", "emptyDir": {"medium": "Memory"}}]))
        for number in range(3):
            space.ready(f"web-{number}")
        kill(cluster.pid)
        while pids := processes_of(cluster.tag):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        cluster.up()
        for number in range(3):
            seen = space.until(f"web-{number}", lambda seen: seen["status"]["containerStatuses"][0]["ready"]
                               and seen["status"]["containerStatuses"][0]["restartCount"] == 1)
            last = seen["status"]["containerStatuses"][0]["lastState"]["terminated"]
            assert last["exitCode"] in (137, 255), last
        cluster.down()
        assert cluster.leftovers() == []


@pytest.mark.long
def test_a_pod_whose_namespaces_are_gone_is_made_anew(nodes, space):
    space.apply(pod("web", shell(WAITS)))
    space.ready("web")
    seen = space.get("pod", "web")
    mark = f"pod{seen['metadata']['uid']}".encode()
    holder = next(pid for pid in processes_of(nodes.tag)
                  if said_of(pid, "cmdline") == b"/pause\0" and mark in said_of(pid, "cgroup"))
    kill(holder)
    space.until("web", lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 1
                and "running" in pod["status"]["containerStatuses"][0]["state"])
    assert any("SandboxChanged" in line for line in space.events("web"))


@pytest.mark.parametrize("arguments, said", [
    pytest.param(["--cluster-cidr", "nonsense"], "--cluster-cidr nonsense", id="no network"),
    pytest.param(["--load-image", "/nowhere.tar"], "--load-image /nowhere.tar: no such file", id="no image"),
    pytest.param(["--image-map", "a"], "it is PATTERN=IMAGE", id="no map"),
    pytest.param(["--nodes", "1000"], "at most 50 real nodes", id="too many"),
    pytest.param(["--host", "127.0.0.1", "--port", "TAKEN"], "can not listen on 127.0.0.1", id="port in use"),
])
def test_what_can_not_be(tmp_path, arguments, said):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = [word.replace("TAKEN", str(taken.getsockname()[1])) for word in arguments]
        cluster = Nodes(tmp_path)
        assert said in cluster.muster("up", "--runtime", "containers", *words, fails=True)
    assert not list(Path("/run/netns").glob(f"muster-{_tag(tmp_path)}*"))


def test_a_network_in_use(nodes, tmp_path):
    cidr = subprocess.run(["ip", "-4", "-o", "addr", "show", f"muster{nodes.tag}"], capture_output=True, text=True,
                          check=True).stdout.split()[3].rsplit(".", 2)[0] + ".0.0/16"
    said = Nodes(tmp_path).muster("up", "--runtime", "containers", "--cluster-cidr", cidr, fails=True)
    assert "is in use on this machine" in said
