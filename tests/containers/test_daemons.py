"""The tutorials' DaemonSets as real containers: their images replaced, everything else as it is written."""
import json
from pathlib import Path

import pytest
from real_nodes import WAITS, Space, pod, shell

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def talkers(space):
    """A pod on each node that says where it is."""
    for node in ("node-1", "node-2"):
        space.apply(pod(f"talker-{node}", shell(f"echo said on {node}; {WAITS}"), nodeName=node))
    for node in ("node-1", "node-2"):
        space.ready(f"talker-{node}")


def test_a_log_collector_reads_the_logs_of_its_own_node(nodes, talkers):
    manifest = EXAMPLES / "fluentd-elasticsearch.yaml"
    system = Space(nodes, "kube-system")
    system.kubectl("apply", "-f", manifest)
    system.kubectl("rollout", "status", "daemonset/fluentd-elasticsearch", "--timeout=30s")
    listed = json.loads(system.kubectl("get", "pods", "-l", "name=fluentd-elasticsearch", "-o", "json"))
    pods = {one["spec"]["nodeName"]: one for one in listed["items"]}
    assert sorted(pods) == ["node-1", "node-2"]
    for node, one in pods.items():
        name, told = one["metadata"]["name"], one["status"]["containerStatuses"][0]
        assert told["image"] == "localhost/collector:1" and told["ready"]
        other = "node-1" if node == "node-2" else "node-2"
        follow = system.start("logs", "-f", name)
        line = next(line for line in follow.stdout if "said on" in line)
        follow.kill()
        follow.communicate()
        assert f"said on {node}" in line
        assert f"said on {other}" not in system.logs(name)
    system.kubectl("delete", "-f", manifest)


@pytest.mark.long
def test_a_daemon_is_rolled_out_node_by_node(nodes):
    manifest = EXAMPLES / "filebeat-ds.yaml"
    system = Space(nodes, "kube-system")
    system.kubectl("apply", "-f", manifest)
    system.kubectl("rollout", "status", "daemonset/filebeat-ds", "--timeout=30s")
    system.kubectl("patch", "daemonset", "filebeat-ds", "-p", json.dumps(
        {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1,
                                        "containers": [{"name": "filebeat", "env": [{"name": "NEW", "value": "yes"}]}]}}}}))
    system.kubectl("rollout", "status", "daemonset/filebeat-ds", "--timeout=60s")
    for name in system.kubectl("get", "pods", "-l", "name=filebeat", "-o", "name").split():
        assert system.kubectl("exec", name, "--", "sh", "-c", "echo $NEW") == "yes\n"
    system.kubectl("delete", "-f", manifest)
