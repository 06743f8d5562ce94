"""A ReplicationController as kubectl makes, scales, shows and deletes it."""
from conftest import is_ready


def test_its_life(space):
    rc = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "web"}, "spec": {
        "replicas": 2, "template": {"metadata": {"labels": {"app": "web"}},
                                    "spec": {"containers": [{"name": "main", "image": "web:1"}]}}}}
    assert space.kubectl("create", "-f", "-", given=rc).lines == ["replicationcontroller/web created"]

    def has(count):
        space.until("rc", lambda there: there["web"].get("status", {}).get("readyReplicas", 0) == count, "web")
        return space.until("pods", lambda there: len(there) == count and all(map(is_ready, there.values())))[-1]

    pods = has(2)
    (row,) = space.kubectl("get", "rc", "-o", "wide").table
    assert [row[name] for name in ("DESIRED", "CURRENT", "READY", "SELECTOR")] == ["2", "2", "2", "app=web"]
    assert space.kubectl("scale", "rc", "web", "--replicas=3").lines == ["replicationcontroller/web scaled"]
    has(3)
    described = space.kubectl("describe", "rc", "web").stdout
    assert "3 Running / 0 Waiting / 0 Succeeded / 0 Failed" in described
    assert f"Created pod: {sorted(pods)[0]}" in described and "replication-controller" in described
    assert "replicationcontroller/web" in space.kubectl("get", "all").stdout
    assert "Controlled By:  ReplicationController/web" in space.kubectl("describe", "pod", sorted(pods)[0]).stdout
    space.kubectl("delete", "rc", "web", "--cascade=orphan")
    left = space.until("pods", lambda there: len(there) == 3 and not any(
        pod["metadata"].get("ownerReferences") for pod in there.values()))[-1]
    space.kubectl("create", "-f", "-", given={**rc, "spec": {**rc["spec"], "replicas": 3}})
    taken = space.until("pods", lambda there: len(there) == 3 and all(
        pod["metadata"].get("ownerReferences") for pod in there.values()))[-1]
    assert taken.keys() == left.keys(), "orphans are adopted"
    space.kubectl("delete", "rc", "web")
    space.kubectl("wait", "--for=delete", "pod", "-l", "app=web")
