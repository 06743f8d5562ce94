"""`muster rehearse` on what the real kubectl records, and on the cluster itself: it is read, and left as it was."""
import json
import subprocess
import sys

from conftest import is_ready


def daemonset(image):
    labels = {"app": "rehearsed"}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "rehearsed"},
            "spec": {"selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}}}


def rehearsed(*arguments):
    done = subprocess.run([sys.executable, "-m", "muster", "rehearse", *map(str, arguments), "-o", "json"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    return found, found["alternatives"][0]["outcomes"][0]


def test_a_snapshot_and_the_cluster_itself_tell_the_same(space, tmp_path):
    space.apply(daemonset("agent:1"))
    space.until("pods", lambda there: there and all(map(is_ready, there.values())))
    pods = {pod["metadata"]["uid"] for pod in space.get("pods")["items"]}
    snapshot, change = tmp_path / "snapshot.yaml", tmp_path / "change.json"
    snapshot.write_text(space.kubectl("get", "nodes,pods,ds,deploy,sts,pdb,priorityclasses", "-A", "-o", "yaml").stdout)
    obj = daemonset("agent:2")
    obj["metadata"]["namespace"] = space.name
    change.write_text(json.dumps(obj))
    recorded, from_file = rehearsed("--on", snapshot, "-f", change, "--pull", "20s")
    _, from_cluster = rehearsed("--on", space.cluster.kubeconfig, "-f", change, "--pull", "20s")
    name = f"ds/{space.name}/rehearsed"
    for outcome in (from_file, from_cluster):
        assert outcome["replaced"] == {name: len(pods)}, "and no other pod"
        assert outcome["finishedSeconds"] > 20 * len(pods)
        (work,) = [one for one in outcome["workloads"] if one["changed"]]
        assert (work["name"], work["worstUnavailable"]) == (name, 1)
    assert any("ControllerRevisions" in note for note in recorded["assumed"])
    assert {pod["metadata"]["uid"] for pod in space.get("pods")["items"]} == pods, "the cluster was only read"
