"""Real nodes that run out of something: who goes, what is said, what is thrown away before."""
import json
from pathlib import Path

import pytest
from real_nodes import kept_so, kill, pod, shell, until

STAYS = "trap 'exit 0' TERM; while :; do sleep 0.2; done"
DATA = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


def capacity():
    words = Path("/proc/meminfo").read_text().split()
    return int(words[words.index("MemTotal:") + 1]) // 1024


def evicted(space, name):
    seen = space.until(name, lambda pod: pod["status"]["phase"] == "Failed", within_s=60.0)
    assert seen["status"]["reason"] == "Evicted"
    return seen


def condition(cluster, type_):
    node = json.loads(cluster.kubectl("get", "node", "node-1", "-o", "json"))
    return (next(one for one in node["status"]["conditions"] if one["type"] == type_)["status"],
            {taint["key"] for taint in node["spec"].get("taints", ())})


def of_node(cluster):
    listed = json.loads(cluster.kubectl("get", "events", "-o", "json", "--field-selector", "involvedObject.kind=Node"))
    return {(one["reason"], one["message"]) for one in listed["items"]}


def test_an_emptydir_that_grows_too_large(space):
    """Without any pressure; what an evicted pod held is free again, and its other containers end within a second."""
    one = shell("head -c 6000000 /dev/zero > /data/x; " + STAYS, **DATA)
    space.apply(pod("sized", one, shell("trap '' TERM; while :; do sleep 1; done", "stubborn"), terminationGracePeriodSeconds=60,
                    volumes=[{"name": "data", "emptyDir": {"sizeLimit": "5Mi"}}]))
    seen = evicted(space, "sized")
    assert seen["status"]["message"] == 'Usage of EmptyDir volume "data" exceeds the limit "5Mi". '
    assert any(line.startswith("Warning Evicted Usage of EmptyDir volume") for line in space.events("sized"))
    folder = space.nodes.data_dir / "nodes" / seen["spec"]["nodeName"] / "pods" / seen["metadata"]["uid"]
    until(lambda: not (folder / "volumes").exists())


@pytest.mark.long
def test_memory(tmp_path, busybox):
    """Pods have 300 MiB together, of which 100 are kept back."""
    asks = {"resources": {"requests": {"memory": "150Mi"}}}
    with kept_so(tmp_path, busybox, systemReserved={"memory": f"{capacity() - 300}Mi"},
                 evictionHard={"memory.available": "100Mi"}, evictionPressureTransitionPeriod="5s") as (cluster, space):
        space.apply(pod("asked", shell(STAYS, **asks)), pod("modest", shell(STAYS)))
        space.ready("asked")
        space.ready("modest")
        space.apply(pod("hog", shell("head -c 220000000 /dev/zero > /data/x; " + STAYS, **DATA),
                        volumes=[{"name": "data", "emptyDir": {"medium": "Memory"}}]))
        seen = evicted(space, "hog")
        said = seen["status"]["message"]
        assert said.startswith("The node was low on resource: memory. Threshold quantity: 100Mi, available: "), said
        assert "Container app was using " in said and said.endswith("request is 0, has larger consumption of memory. ")
        assert [one["reason"] for one in seen["status"]["conditions"] if one["type"] == "DisruptionTarget"] == ["TerminationByKubelet"]
        assert space.get("pod", "asked")["status"]["phase"] == space.get("pod", "modest")["status"]["phase"] == "Running"
        assert ("EvictionThresholdMet", "Attempting to reclaim memory") in of_node(cluster)
        until(lambda: condition(cluster, "MemoryPressure") == ("False", set()))


@pytest.mark.long
def test_disk(tmp_path, busybox, collector):
    """Images that nobody uses go first; then whoever holds most, and asked for least."""
    hundred = "head -c 100000000 /dev/zero > /data/x; " + STAYS
    with kept_so(tmp_path, busybox, collector, disk_mi=300, imageMinimumGCAge="1s", evictionHard={"nodefs.available": "60%"},
                 evictionPressureTransitionPeriod="5s") as (cluster, space):
        space.apply(pod("small", shell(STAYS)))
        space.ready("small")
        space.apply(pod("logs", shell("head -c 30000000 /dev/zero > /tmp/x; " + STAYS)),
                    pod("holds", shell(hundred, **DATA), volumes=[{"name": "data", "emptyDir": {}}]))
        seen = evicted(space, "holds")
        assert seen["status"]["message"].startswith("The node was low on resource: ephemeral-storage. Threshold quantity: ")
        until(lambda: condition(cluster, "DiskPressure") == ("False", set()))
        assert space.get("pod", "small")["status"]["phase"] == "Running"
        node = json.loads(cluster.kubectl("get", "node", "node-1", "-o", "json"))
        names = [name for image in node["status"]["images"] for name in image["names"]]
        assert any("busybox" in name for name in names) and not any("collector" in name for name in names), names


@pytest.mark.long
def test_inodes(tmp_path, busybox):
    """What is said of these names no container."""
    files = "i=0; while [ $i -lt 9000 ]; do : > /data/$i; i=$((i+1)); done; " + STAYS
    with kept_so(tmp_path, busybox, disk_mi=300, imageMinimumGCAge="1s", evictionHard={"nodefs.inodesFree": "60%"},
                 evictionPressureTransitionPeriod="5s") as (cluster, space):
        space.apply(pod("small", shell(STAYS)), pod("many", shell(files, **DATA), volumes=[{"name": "data", "emptyDir": {}}]))
        said = evicted(space, "many")["status"]["message"]
        assert said.startswith("The node was low on resource: inodes. Threshold quantity: 12000, available: ") and "Container" not in said
        assert space.get("pod", "small")["status"]["phase"] == "Running"


@pytest.mark.long
def test_process_numbers(tmp_path, busybox):
    from muster.node.host_facts import process_room
    kept_back = process_room()[0] - 500
    forks = "i=0; while [ $i -lt 1000 ]; do sleep 1000 & i=$((i+1)); done; wait"
    with kept_so(tmp_path, busybox, evictionHard={"pid.available": str(kept_back)}, evictionPressureTransitionPeriod="5s") as (cluster, space):
        space.apply(pod("small", shell(STAYS)), pod("important", shell(STAYS), priorityClassName="system-node-critical"), pod("forks", shell(forks)))
        said = evicted(space, "forks")["status"]["message"]
        assert said.startswith(f"The node was low on resource: pids. Threshold quantity: {kept_back}, available: "), said
        assert ("NodeHasInsufficientPID", "Node node-1 status is now: NodeHasInsufficientPID") in of_node(cluster)
        until(lambda: condition(cluster, "PIDPressure") == ("False", set()))
        assert space.get("pod", "small")["status"]["phase"] == "Running"


@pytest.mark.long
def test_images_that_nobody_uses(tmp_path, busybox, collector):
    """A disk that is too full for images: those that no container has go, and it is said that it was not enough."""
    with kept_so(tmp_path, busybox, collector) as (cluster, space):
        space.apply(pod("stays", shell(STAYS)))
        space.ready("stays")
        kill(cluster.pid)
        file = cluster.data_dir / "kubelet.yaml"
        file.write_text(file.read_text() + "imageGCHighThresholdPercent: 1\nimageGCLowThresholdPercent: 0\n")
        cluster.up()

        def there():
            node = json.loads(cluster.kubectl("get", "node", "node-1", "-o", "json"))
            return " ".join(name for image in node["status"]["images"] for name in image["names"])
        until(lambda: "collector" not in there())
        assert "busybox" in there() and "pause" in there()
        until(lambda: any(reason == "FreeDiskSpaceFailed" for reason, _ in of_node(cluster)))
        said = next(message for reason, message in of_node(cluster) if reason == "FreeDiskSpaceFailed")
        assert said.startswith("Failed to garbage collect required amount of images. Attempted to free ")
        assert space.get("pod", "stays")["status"]["containerStatuses"][0]["restartCount"] == 0


@pytest.mark.long
def test_limits_of_pods_hold_without_pressure(tmp_path, busybox):
    writes = "head -c 6000000 /dev/zero > /data/x; " + STAYS
    with kept_so(tmp_path, busybox, podPidsLimit=20) as (cluster, space):
        space.apply(
            pod("sized", shell(writes, **DATA), volumes=[{"name": "data", "emptyDir": {"sizeLimit": "5Mi"}}]),
            pod("limited", shell(writes, **DATA, resources={"limits": {"ephemeral-storage": "5Mi"}}), volumes=[{"name": "data", "emptyDir": {}}]),
            pod("within", shell(writes, **DATA), volumes=[{"name": "data", "emptyDir": {"sizeLimit": "50Mi"}}]),
            pod("forks", shell("for i in $(seq 30); do sleep 100 & done; wait"), restartPolicy="Never"))
        assert evicted(space, "sized")["status"]["message"] == 'Usage of EmptyDir volume "data" exceeds the limit "5Mi". '
        assert evicted(space, "limited")["status"]["message"] == "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "
        assert space.get("pod", "within")["status"]["phase"] == "Running"
        space.ended("forks")
        assert "can't fork" in space.logs("forks")
