"""Services of real pods: whom a packet for a service's address reaches, and what names mean in a pod."""
import json

import pytest
from real_nodes import pod, shell

SERVES = "echo $(hostname) > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"


def server(name, node=None, **more):
    one = shell(SERVES, ports=[{"name": "http", "containerPort": 8080}],
                readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})
    made = pod(name, one, **({"nodeName": node} if node else {}), **more)
    made["metadata"]["labels"] = {"app": "web"}
    return made


def service(name="web", **spec):
    port = {"name": "http", "port": 80, "targetPort": "http", **spec.pop("port", {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": "web"}, "ports": [port], **spec}}


def asker(name="client", node=None, **more):
    return pod(name, shell("trap 'exit 0' TERM; while :; do sleep 0.1; done"), **({"nodeName": node} if node else {}), **more)


@pytest.fixture
def shop(space):
    """Two servers behind a service, a client on each node."""
    space.apply(service(), server("one", "node-1"), server("two", "node-2"))
    script = "for i in $(seq 40); do wget -q -O - http://web/index.html; done | sort | uniq -c; echo end"
    for node in ("node-1", "node-2"):
        space.apply(pod(f"asks-{node}", shell("sleep 1; until wget -q -O - http://web/index.html; do sleep 0.1; done; " + script),
                        nodeName=node, restartPolicy="Never"))
    return space


def test_each_endpoint_gets_its_share(shop):
    for node in ("node-1", "node-2"):
        shop.ended(f"asks-{node}")
        print(shop.logs(f"asks-{node}"))
