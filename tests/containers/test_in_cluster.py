"""A program in a pod asks the API server as its service account, by what every pod is given: files, variables, a name."""
import json
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

from real_nodes import PATIENCE_S, TOKEN, pod, program, shell


def may_view(space):
    space.kubectl("create", "rolebinding", "all", "--clusterrole", "view", f"--group=system:serviceaccounts:{space.name}")


def test_by_the_client_library(space):
    may_view(space)
    space.apply(program("asker"))
    ended = space.ended("asker", within_s=PATIENCE_S)
    assert ended["status"]["phase"] == "Succeeded", space.logs("asker")
    said = json.loads(space.logs("asker"))
    assert (said["pod"], said["uid"]) == ("asker", ended["metadata"]["uid"])
    assert said["user"] == f"system:serviceaccount:{space.name}:default" and said["version"] == "32"
    assert said["extra"]["authentication.kubernetes.io/pod-uid"] == [ended["metadata"]["uid"]]
    assert said["extra"]["authentication.kubernetes.io/node-name"] == [ended["spec"]["nodeName"]]


@contextmanager
def outside(cidr):
    """A neighbour on another network of this machine, who sends packets for the nodes' network here: its namespace."""
    name, here = "muster-outside", "10.86.255.1"
    made = [f"ip netns add {name}", f"ip link add musterout type veth peer name eth0 netns {name}", f"ip addr add {here}/24 dev musterout",
            "ip link set musterout up", f"ip -n {name} addr add 10.86.255.2/24 dev eth0", f"ip -n {name} link set eth0 up",
            f"ip -n {name} route add {cidr} via {here}"]
    try:
        for command in made:
            subprocess.run(command.split(), check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


def test_the_door_for_pods_is_open_to_them_alone(space):
    """The server listens for them on the bridge of their nodes, and who comes another way finds nothing there."""
    listed = json.loads(space.kubectl("get", "endpoints", "-n", "default", "kubernetes", "-o", "json"))
    (address,), (port,) = listed["subsets"][0]["addresses"], listed["subsets"][0]["ports"]
    server = urlsplit(json.loads(space.kubectl("config", "view", "-o", "json"))["clusters"][0]["cluster"]["server"])
    assert (server.hostname, server.port) == ("127.0.0.1", port["port"]) and address["ip"] != "127.0.0.1"
    knock = ["-c", f"import socket; socket.create_connection(('{address['ip']}', {port['port']}), timeout=10)"]
    inside = f"muster-{space.nodes.tag}-node-1"
    assert subprocess.run(["ip", "netns", "exec", inside, sys.executable, *knock], check=False).returncode == 0
    with outside(json.loads((space.nodes.data_dir / "nodes.json").read_text())["cidr"]) as name:
        done = subprocess.run(["ip", "netns", "exec", name, sys.executable, *knock], capture_output=True, text=True, check=False)
        assert "ConnectionRefusedError" in done.stderr


def test_what_the_files_are_worth(space, tmp_path):
    """As long as the pod is there."""
    may_view(space)
    waits = f"cd {TOKEN}; stat -L -c '%n %a %u:%g' token ca.crt namespace; exec sleep 1000"
    space.apply(pod("web", shell(waits, securityContext={"runAsUser": 1000}), securityContext={"fsGroup": 2000}))
    space.ready("web")
    assert space.logs("web").splitlines() == ["token 640 1000:2000", "ca.crt 644 0:2000", "namespace 644 0:2000"]
    files = {name: space.kubectl("exec", "web", "--", "cat", f"{TOKEN}/{name}") for name in ("token", "ca.crt", "namespace")}
    assert files["namespace"] == space.name
    config = json.loads(space.kubectl("config", "view", "--raw", "-o", "json"))
    (tmp_path / "ca.crt").write_text(files["ca.crt"])
    config["clusters"][0]["cluster"] = {"server": config["clusters"][0]["cluster"]["server"], "certificate-authority": str(tmp_path / "ca.crt")}
    config["users"][0]["user"] = {"token": files["token"]}
    (tmp_path / "config").write_text(json.dumps(config))
    as_the_pod = ("--kubeconfig", str(tmp_path / "config"), "get", "pod", "web", "-o", "name")
    assert space.kubectl(*as_the_pod) == "pod/web\n"
    space.kubectl("delete", "pod", "web")
    assert "must be logged in to the server" in space.kubectl(*as_the_pod, fails=True)
