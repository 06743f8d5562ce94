"""What real pods use: `kubectl top`, and an autoscaler that goes by it."""
import re
import time

import pytest
from real_nodes import WAITS, pod, shell

BUSY = "trap 'exit 0' TERM; while :; do :; done"


def limited(cpu, memory="64Mi"):
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}}


def table(nodes, *arguments):
    """{name: (milli cores, MiB)} once there is one; `kubectl top` refuses while there is none."""
    deadline = time.monotonic() + 60
    while True:
        lines = nodes.kubectl("top", *arguments, "--no-headers", fails=None).splitlines()
        found = {words[0]: (int(words[-2 if len(words) == 3 else 1].removesuffix("m")), words)
                 for line in lines if re.match(r"\S+ +\d+m", line) and (words := line.split())}
        if found:
            return found
        assert time.monotonic() < deadline, lines
        time.sleep(1)


@pytest.mark.long
def test_kubectl_top(nodes, space):
    space.apply(pod("busy", shell(BUSY, **limited("200m")), nodeName="node-2"),
                pod("idle", shell(WAITS, **limited("200m")), nodeName="node-2"),
                pod("full", shell("head -c 20000000 /dev/zero > /dev/shm/x; " + WAITS, **limited("100m")), nodeName="node-2"))
    for name in ("busy", "idle", "full"):
        space.ready(name)
    deadline = time.monotonic() + 60
    while set(found := table(nodes, "pods", "-n", space.name)) != {"busy", "idle", "full"}:
        assert time.monotonic() < deadline, found
        time.sleep(1)
    assert found["idle"][0] < found["busy"][0] <= 220, "as much as it may, and what a shared machine leaves of that"
    assert 19 <= int(found["full"][1][2].removesuffix("Mi")) <= 30
    assert table(nodes, "nodes", "node-2")["node-2"][0] > found["idle"][0]


@pytest.mark.long
def test_an_autoscaler_goes_by_it(space):
    labels = {"app": "web"}
    space.apply(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
         "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
             "metadata": {"labels": labels},
             "spec": {"terminationGracePeriodSeconds": 1, "containers": [shell(BUSY, **limited("50m"))]}}}},
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
         "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 2,
                  "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}})
    seen = space.until("web", lambda one: one.get("status", {}).get("readyReplicas") == 2, "deployment", within_s=90.0)
    assert seen["spec"]["replicas"] == 2
    scaled = space.get("hpa", "web")["status"]
    assert scaled["currentMetrics"][0]["resource"]["current"]["averageUtilization"] > 50
