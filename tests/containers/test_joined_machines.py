"""A second machine joins: its pods run, are reached by kubectl and by pods of the first, and it leaves without a trace."""
import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from real_nodes import PATIENCE_S, WAITS, Space, pod, program, said_to, shell
from two_machines import Machine, Wire

SERVES = "mkdir -p /w; echo $WHO > /w/index.html; exec httpd -f -p 8080 -h /w"


@contextmanager
def two_machines(folder, busybox, mark, *arguments):
    """A server with one real node, and a machine that has joined."""
    with Wire(mark) as wire:
        server = Machine(wire, 0, folder / "server", "--host", wire.addresses[0], "--nodes", "1", "--load-image", busybox)
        other = Machine(wire, 1, folder / "other", "--load-image", busybox)
        server.up()
        try:
            other.join(*server.token(), "--name", "far")
            server.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=30s")
            yield server, other, wire
        finally:
            other.muster("node", "leave")
            server.down()
        assert [*server.leftovers(), *other.left()] == []
        assert [wire.routes(end) for end in (0, 1)] == [["192.0.2.0/24"]] * 2


@pytest.fixture(scope="module")
def machines(tmp_path_factory, busybox):
    with two_machines(tmp_path_factory.mktemp("machines"), busybox, f"{os.getpid() % 10_000}m") as there:
        yield there


@pytest.fixture(scope="module")
def space(machines):
    server = machines[0]
    server.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=10s")
    return Space(server, "default")


def server_of(name, node, **more):
    made = pod(name, shell(SERVES, env=[{"name": "WHO", "value": name}], readinessProbe={
        "tcpSocket": {"port": 8080}, "periodSeconds": 1}), nodeName=node, **more)
    return {**made, "metadata": {"name": name, "labels": {"app": "web"}}}


SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
           "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}


def get(space, name, url):
    return space.kubectl("exec", name, "--", "timeout", "5", "wget", "-q", "-O-", url).strip()


def test_pods_on_both_machines(machines, space):
    server, _, _ = machines
    space.apply(SERVICE, server_of("here", "node-1"), server_of("there", "far"))
    for name in ("here", "there"):
        space.ready(name)
    told = json.loads(server.kubectl("get", "nodes", "far", "-o", "json"))
    assert told["metadata"]["annotations"]["muster.dev/machine"] == "192.0.2.2"
    addresses = {name: space.get("pod", name)["status"]["podIP"] for name in ("here", "there")}
    for name in addresses:
        for other, address in addresses.items():
            assert get(space, name, f"http://{address}:8080/") == other
        assert {get(space, name, "http://web/") for _ in range(12)} == {"here", "there"}
        assert get(space, name, "http://web.default.svc.cluster.local/") in addresses

    space.kubectl("delete", "pod", "here", "--wait=true")
    assert {get(space, "there", "http://web/") for _ in range(3)} == {"there"}


def test_a_program_there_asks_the_server_as_its_account(machines, space):
    """Its node may ask for tokens of its own pods, and for no others."""
    space.kubectl("create", "rolebinding", "view", "--clusterrole", "view", "--serviceaccount=default:default")
    space.apply(program("asker", nodeName="far"))
    ended = space.ended("asker", within_s=PATIENCE_S)
    assert ended["status"]["phase"] == "Succeeded", space.logs("asker")
    said = json.loads(space.logs("asker"))
    assert said["uid"] == ended["metadata"]["uid"] and said["extra"]["authentication.kubernetes.io/node-name"] == ["far"]


def test_kubectl_reaches_pods_on_the_other_machine(machines, space, tmp_path):
    space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"k": "secret"}},
                pod("far", shell(f"echo it is $KEY; {WAITS}", env=[
                    {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}]), nodeName="far"))
    space.ready("far")
    assert space.logs("far") == "it is secret\n"
    assert space.kubectl("exec", "-i", "far", "--", "cat", given="hello") == "hello"
    assert "exit code 7" in space.kubectl("exec", "far", "--", "sh", "-c", "exit 7", fails=True)
    assert 'container not-there is not valid for pod far' in space.kubectl("logs", "far", "-c", "not-there", fails=True)
    (tmp_path / "file").write_bytes(bytes(range(256)) * 4096)
    space.kubectl("cp", tmp_path / "file", "far:/tmp/file")
    space.kubectl("cp", "far:/tmp/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    following = space.start("logs", "-f", "far")
    assert following.stdout.readline() == "it is secret\n"
    space.kubectl("delete", "pod", "far", "--wait=true")
    assert following.wait(30) == 0


def test_a_container_there_is_attached_to_and_debugged(machines, space):
    space.apply(pod("echo", shell("while read line; do echo got $line; done", stdin=True), nodeName="far"))
    space.ready("echo")
    assert said_to(space, "echo", "words") == "got words\n"
    assert space.kubectl("attach", "-i", "-q", "echo", given="more\n") == "got more\n"
    image = ("--image=busybox", "--image-pull-policy=IfNotPresent")
    seen = space.kubectl("debug", "-i", "echo", *image, "--target=app", "--", "sh", given="ps; exit\n")
    assert "while read line" in seen
    copied = space.kubectl("run", "-i", "copies", *image, "--restart=Never", "--rm", "--quiet",
                           "--overrides", json.dumps({"spec": {"nodeName": "far"}}), "--", "cat", given="one\ntwo\n")
    assert copied == "one\ntwo\n"
    space.kubectl("delete", "pod", "echo")


def test_the_machine_tells_of_itself(machines, space):
    server, other, wire = machines
    rows = dict(line.split(":", 1) for line in other.muster("status").splitlines() if line)
    assert rows["Node"].split()[0] == "far" and rows["Ready"].strip() == "yes"
    assert rows["Cluster"].strip().startswith(f"https://{wire.addresses[0]}:")
    assert "Nodes:        2 of 2 ready" in server.muster("status")
    assert "ask on the server's machine" in other.muster("nodes", "list", fails=True)


@pytest.mark.long
def test_a_port_is_forwarded(machines, space):
    space.apply(server_of("port", "far"))
    space.ready("port")
    forwarding = space.start("port-forward", "pod/port", ":8080")
    try:
        where = forwarding.stdout.readline().split()[2]
        done = subprocess.run([*machines[0].within, "curl", "-s", f"http://{where}/"], capture_output=True, text=True,
                              check=True)
        assert done.stdout == "port\n"
    finally:
        forwarding.kill()
        forwarding.communicate()
    space.kubectl("delete", "pod", "port")


def test_a_killed_agent_takes_its_pods_over(machines, space):
    server, other, _ = machines
    space.apply(pod("stays", shell(WAITS), nodeName="far"))
    space.ready("stays")
    before = space.get("pod", "stays")["status"]["containerStatuses"][0]
    os.kill(other.pid, signal.SIGKILL)
    other.join()  # nothing to say: it has its certificate
    space.ready("stays")
    server.kubectl("wait", "node/far", "--for=condition=Ready", "--timeout=30s")
    assert space.kubectl("exec", "stays", "--", "echo", "on") == "on\n"
    after = space.get("pod", "stays")["status"]["containerStatuses"][0]
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], before["restartCount"])
    space.kubectl("delete", "pod", "stays")


@pytest.fixture(scope="module")
def token(machines):
    return machines[0].token()


@pytest.mark.long  # tests/client/test_joining.py has the same without machines
@pytest.mark.parametrize("change, said", [
    pytest.param({"--token": "abcdef.0123456789abcdef"}, "make another one with `muster node token`", id="a wrong token"),
    pytest.param({"--ca-hash": "sha256:" + "0" * 64}, "copy the whole command again from `muster node token`",
                 id="a wrong CA"),
    pytest.param({"--server": "https://192.0.2.1:1"}, "is the address right, and does a firewall let this machine through?",
                 id="no server"),
    pytest.param({"--server": "https://127.0.0.1:6443"}, "start it with `muster up --host ADDRESS`", id="loopback"),
    pytest.param({"--name": "node-1"}, "node node-1 is there and ready; choose another name", id="a name that is taken"),
    pytest.param({"--name": "No Node"}, "--name No Node: ", id="no name"),
    pytest.param({"--token": ""}, "`muster node token` on the server's machine prints the whole command", id="no token"),
])
def test_who_can_not_join(machines, token, tmp_path, change, said):
    _, _, wire = machines
    words = list(token)
    for option, value in {"--name": "new", **change}.items():
        if option in words:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    stranger = Machine(wire, 1, tmp_path / "stranger")
    told = stranger.join(*words, fails=True)
    assert said in told and len(told.splitlines()) == 1
    assert not list(Path(stranger.data_dir).glob("pki/*"))


@pytest.mark.long
def test_a_machine_stops_comes_back_and_leaves(tmp_path, busybox):
    with two_machines(tmp_path, busybox, f"{os.getpid() % 10_000}l") as (server, other, wire):
        space = Space(server, "default")
        space.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=10s")
        space.apply(pod("stays", shell(WAITS), nodeName="far"))
        space.ready("stays")
        assert "muster node join" in other.down()
        assert other.leftovers() == [] and wire.routes(1) == ["192.0.2.0/24"]
        other.join()
        space.until("stays", lambda seen: seen["status"]["containerStatuses"][0]["restartCount"] == 1
                    and seen["status"]["containerStatuses"][0]["ready"])
        os.kill(other.pid, signal.SIGKILL)
        assert "start it again with `muster node join" in other.muster("status", fails=True)
        assert other.leftovers() != []
        assert "no longer node far" in other.muster("node", "leave")
        assert other.left() == [] and wire.routes(1) == ["192.0.2.0/24"]
        assert "far" not in server.kubectl("get", "nodes", "-o", "name")
        assert "--server, --token and --ca-hash are needed" in other.join(fails=True)
        assert "no node of any cluster" in other.muster("node", "leave")


@pytest.mark.long
def test_a_server_of_simulated_nodes_alone(tmp_path, busybox):
    with Wire(f"{os.getpid() % 10_000}s") as wire:
        server = Machine(wire, 0, tmp_path / "server")
        server.muster("up", "--host", wire.addresses[0], "--nodes", "2", "--detach")
        other = Machine(wire, 1, tmp_path / "other", "--load-image", busybox)
        other.join(*server.token("--ttl", "1h"), "--name", "far")
        try:
            space = Space(server, "default")
            space.apply(SERVICE, server_of("page", "far"))
            space.ready("page")
            assert get(space, "page", "http://web/") == "page"
            server.down()
            server.muster("up", "--host", wire.addresses[0], "--detach")
            server.kubectl("wait", "node/far", "--for=condition=Ready", "--timeout=60s")
            assert get(space, "page", "http://web/") == "page"
        finally:
            other.muster("node", "leave")
            server.down()
        assert other.left() == []
