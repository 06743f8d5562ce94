"""Services of real pods: whom a packet for a service's address reaches, and what names mean in a pod."""
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager, suppress

import pytest
from real_nodes import Nodes, Space, pod, shell

SERVES = ("mkdir -p /tmp/cgi-bin; printf '#!/bin/sh\\necho\\necho $(hostname) $REMOTE_ADDR\\n' > /tmp/cgi-bin/who; "
          "chmod +x /tmp/cgi-bin/who; exec httpd -f -p 0.0.0.0:8080 -h /tmp")
_numbers = itertools.count(1)
WHO = "/cgi-bin/who"


def server(name, node=None):
    one = shell(SERVES, ports=[{"name": "http", "containerPort": 8080}],
                readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})
    made = pod(name, one, **({"nodeName": node} if node else {}))
    made["metadata"]["labels"] = {"app": "web"}
    return made


def service(name="web", **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {
        "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}], **spec}}


def asked(space, node, script, **more):
    """What a pod on that node says when it runs the script, in words."""
    name = f"asks-{next(_numbers)}"
    space.apply(pod(name, shell(script), nodeName=node, restartPolicy="Never", **more))
    space.ended(name)
    return space.logs(name).splitlines()


def get(url, times=1):
    return f"for i in $(seq {times}); do timeout 1 wget -q -O - http://{url} 2>&1 || echo $?; done; "


@pytest.fixture(scope="module")
def shop(nodes):
    """A server on each node; tests add what they need under names of their own."""
    space = Space(nodes, "shop")
    nodes.kubectl("create", "namespace", "shop")
    space.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=10s")
    space.apply(service(type="NodePort"), server("one", "node-1"), server("two", "node-2"))
    space.ready("one")
    space.ready("two")
    for node in ("node-1", "node-2"):
        wait_for(f"http://{address_of(space, node)}:{port_of(space, 'web')}{WHO}", "one ", "two ")
    yield space
    nodes.kubectl("delete", "namespace", "shop", "--wait=false")


def port_of(space, name):
    return space.get("service", name)["spec"]["ports"][0]["nodePort"]


def fetched(url, within_s=5):
    with urllib.request.urlopen(url, timeout=within_s) as answer:
        return answer.read().decode().strip()


def by_hand(name, host, listeners, **spec):
    """A service of datagrams, and where it leads."""
    port = {"name": "talk", "port": 53, "protocol": "UDP"}
    slices = [{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
               "metadata": {"name": f"{name}-{place}", "labels": {"kubernetes.io/service-name": name}},
               "endpoints": [{"addresses": [host]}], "ports": [{**port, "port": to.getsockname()[1]}],
               } for place, to in enumerate(listeners)]
    return {"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [port], **spec}}, *slices]}


def until_heard(client, asked, listener):
    for _ in range(100):
        with suppress(OSError):  # refused, while there are no rules
            client.sendto(b"who", asked)
        time.sleep(0.02)
        with suppress(BlockingIOError):
            return listener.recv(512) == b"who"
    return False


@contextmanager
def datagrams(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((host, 0))
        listening.settimeout(0)
        yield listening


def wait_for(url, *beginnings):
    """Rules follow within moments: until each of these has been heard, or anything."""
    left, said = set(beginnings), ""
    for _ in range(200):
        with suppress(OSError):
            said = fetched(url, within_s=0.2)
            left = {one for one in left if not said.startswith(one)}
            if not left:
                return
        time.sleep(0.05)
    raise AssertionError(f"{url}: {left or 'nothing'} is not heard; {said!r} was the last")


def address_of(space, node):
    return next(one["address"] for one in space.get("node", node)["status"]["addresses"] if one["type"] == "InternalIP")


class TestClusterAddresses:
    def test_each_endpoint_gets_its_share(self, shop):
        for node, more in (("node-1", {}), ("node-2", {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"})):
            said = asked(shop, node, get(f"web{WHO}", 20) + get(f"web.{shop.name}.svc.cluster.local{WHO}", 10), **more)
            assert len(said) == 30
            assert set(Counter(line.split()[0] for line in said)) == {"one", "two"}, said

    def test_the_sender_is_seen(self, shop):
        """Nothing is masqueraded inside of the cluster."""
        own, *said = asked(shop, "node-1", "hostname -i; " + get(f"web{WHO}", 20))
        assert set(said) == {f"one {own}", f"two {own}"}

    def test_a_pod_reaches_itself(self, space):
        one = server("self")
        one["spec"]["containers"][0]["command"][2] = SERVES.replace(
            "exec", f"(until wget -q -O - http://web{WHO} 2> /dev/null; do sleep 0.1; done) & exec")
        space.apply(service(), one)
        space.ready("self")
        space.until("self", lambda _: space.logs("self").startswith("self "))

    def test_nobody_answers(self, space):
        space.apply({**service("none"), "spec": {"selector": {"app": "none"}, "ports": [{"port": 80}]}})
        refused, other_port, reached = asked(
            space, "node-1", "wget -q -O - http://none 2>&1; wget -q -O - http://none:81 2>&1; "
                             "nc -w 1 kubernetes.default 443 < /dev/null && echo reached")
        assert "Connection refused" in refused
        assert "Connection refused" in other_port
        assert reached == "reached", "the API server"

    def test_one_client_one_server(self, shop):
        shop.apply(service("same", sessionAffinity="ClientIP"))
        said = asked(shop, "node-1", f"until wget -q -O - http://same{WHO}; do sleep 0.1; done; " + get(f"same{WHO}", 15))
        assert len(said) == 16
        assert len(set(said)) == 1

    def test_datagrams(self, space):
        """To two listeners outside of the cluster, written into a slice by hand."""
        gateway = address_of(space, "node-1").rpartition(".")[0] + ".1"
        with datagrams(gateway) as one, datagrams(gateway) as two:
            space.apply(by_hand("talk", gateway, [one, two]))
            address = space.get("service", "talk")["spec"]["clusterIP"]
            asked(space, "node-1", f"for i in $(seq 20); do nslookup who {address} & done; sleep 0.5")
            assert [b"who" in to.recv(512) for to in (one, two)] == [True, True]


def test_a_machine_that_forwards_nothing_else():
    """In a network namespace of its own, which stands for the machine."""
    script = """if True:
        import asyncio, subprocess, sys
        from muster.node.network_namespace import Fabric, build_fabric, remove_fabric
        def rules():
            return subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True, check=True).stdout
        fabric = Fabric("abcdef", "10.88.0.0/16")
        asyncio.run(build_fabric(fabric))
        assert "musterabcdef" not in rules(), "nothing is dropped, nothing is let through"
        subprocess.run(["iptables", "-P", "FORWARD", "DROP"], check=True)
        for _ in range(2):
            asyncio.run(build_fabric(fabric))
            assert rules().count("musterabcdef ") == 2, rules()
        asyncio.run(remove_fabric(fabric))
        assert rules() == "-P FORWARD DROP\\n", rules()
    """
    done = subprocess.run(["unshare", "--net", sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_rules_outlive_the_server(tmp_path, busybox):
    """A killed server is not missed until something changes; the next one goes on from what is there."""
    cluster = Nodes(tmp_path / "data", "--nodes", 1, "--load-image", busybox)
    cluster.up()
    try:
        space = Space(cluster, "default")
        cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=10s")
        space.apply(service(type="NodePort"), server("one"))
        space.ready("one")
        url = f"http://{address_of(space, 'node-1')}:{port_of(space, 'web')}{WHO}"
        wait_for(url)
        os.kill(cluster.pid, signal.SIGKILL)
        assert fetched(url).startswith("one ")
        cluster.up()
        assert fetched(url).startswith("one ")
        assert asked(space, "node-1", get(f"web{WHO}"))[0].startswith("one "), "its name too"
        space.kubectl("delete", "pod", "one")
        with pytest.raises(OSError, match="Connection refused"):
            for _ in range(100):
                fetched(url)
                time.sleep(0.05)
        os.kill(cluster.pid, signal.SIGKILL)
    finally:
        cluster.down()
    assert cluster.leftovers() == []


class TestNodePorts:
    def test_from_outside(self, shop):
        """The machine that the nodes live on is no node: it asks as a stranger would."""
        shop.apply(service("open", type="NodePort"), service("near", type="NodePort", externalTrafficPolicy="Local"))
        nodes = {name: address_of(shop, name) for name in ("node-1", "node-2")}
        urls = {(name, node): f"http://{address}:{port_of(shop, name)}{WHO}"
                for name in ("open", "near") for node, address in nodes.items()}
        for url in urls.values():
            wait_for(url)
        for node, address in nodes.items():
            said = [fetched(urls["open", node]).split() for _ in range(20)]
            assert {name for name, _ in said} == {"one", "two"}, "any endpoint, over any node"
            assert {sender for _, sender in said} <= {address, f"{address.rsplit('.', 2)[0]}.{node[-1]}.1"}, "masqueraded"
        gateway = nodes["node-1"].rpartition(".")[0] + ".1"
        assert {fetched(urls["near", "node-1"]) for _ in range(10)} == {f"one {gateway}"}, "its own, who see the sender"
        assert {fetched(urls["near", "node-2"]) for _ in range(10)} == {f"two {gateway}"}

    @pytest.mark.skipif(shutil.which("conntrack") is None, reason="no conntrack on this machine")
    def test_who_keeps_asking_is_led_on(self, space):
        """Datagrams from one port are one flow, which would never notice that its endpoint has gone."""
        node = address_of(space, "node-2")
        gateway = node.rpartition(".")[0] + ".1"
        with datagrams(gateway) as one, datagrams(gateway) as two, datagrams(gateway) as client:
            space.apply(by_hand("talk", gateway, [one], type="NodePort"))
            asks = (node, port_of(space, "talk"))
            assert until_heard(client, asks, one)
            space.apply(by_hand("talk", gateway, [two], type="NodePort"))
            assert until_heard(client, asks, two)

    def test_local_alone(self, space):
        space.apply(service("near", type="NodePort", externalTrafficPolicy="Local"),
                    service("inside", internalTrafficPolicy="Local"), service("none", type="NodePort", selector={"app": "none"}),
                    server("one", "node-1"))
        space.ready("one")
        port, has, lacks = port_of(space, "near"), address_of(space, "node-1"), address_of(space, "node-2")
        space.apply(service("last", type="NodePort"))  # what came before it is in the rules when it is
        wait_for(f"http://{has}:{port_of(space, 'last')}{WHO}")
        wait_for(f"http://{lacks}:{port_of(space, 'last')}{WHO}")
        with pytest.raises(OSError, match="timed out"):
            fetched(f"http://{lacks}:{port}{WHO}", within_s=1)
        with pytest.raises(OSError, match="Connection refused"):
            fetched(f"http://{lacks}:{port_of(space, 'none')}{WHO}")
        said = asked(space, "node-2", get(f"{lacks}:{port}{WHO}") + get(f"inside{WHO}"))
        assert said[0].startswith("one"), "a pod is not from outside"
        assert "one" not in said[1], "nobody on this node"
        assert asked(space, "node-1", get(f"inside{WHO}"))[0].startswith("one")
