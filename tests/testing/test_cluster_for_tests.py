"""A cluster in the test's own process: in real time and in virtual time, without pytest's help."""
from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import threading
import urllib.request
from datetime import UTC, datetime

import pytest

from muster.api.errors import ApiError, BadRequest, NotFound
from muster.store.recorded import Entry, RecordingFile, check
from muster.testing import Cluster, KubectlFailed, KubectlNotFound, NotYet
from muster.testing.cluster import _condition


def deployment(name="web", replicas=3, image="nginx:1.27"):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}}}}


def job(name="once", image="busybox", run="5s", fails=False, **spec):
    container = {"name": "main", "image": image, "command": ["sh", "-c", f"sleep {run[:-1]}" + ("; exit 1" if fails else "")]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {
        "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}, **spec}}


def cron_job(name="hourly", schedule="0 * * * *", **spec):
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": {
        "schedule": schedule, "jobTemplate": {"spec": job()["spec"]}, **spec}}


@pytest.fixture(scope="module")
def real():
    with Cluster(nodes=2) as cluster:
        yield cluster


@pytest.fixture
def virtual():
    with Cluster(nodes=2, virtual=True) as cluster:
        yield cluster


def ask(cluster, path):
    context = ssl.create_default_context(cafile=cluster.client_files.ca)
    context.load_cert_chain(cluster.client_files.certificate, cluster.client_files.key)
    with urllib.request.urlopen(cluster.url + path, context=context, timeout=10) as answer:
        return json.load(answer)


# ------------------------------------------------------------------ in real time

def test_its_nodes_are_ready_when_it_is_there(real):
    nodes = real.list("nodes")
    assert len(nodes) == 2
    assert all(not node["spec"].get("taints") for node in nodes)
    assert len(ask(real, "/api/v1/nodes")["items"]) == 2, "and it answers over HTTPS, to the holder of its certificate"


def test_what_is_applied_comes_to_run(real):
    real.apply(deployment("first"))
    found = real.wait_for("deploy/first", "Available")
    assert found["status"]["availableReplicas"] == 3
    assert len(real.list("pods", labels="app=first")) == 3
    assert real.apply(deployment("first", replicas=1))["spec"]["replicas"] == 1, "applied again it is changed"
    real.wait_for(lambda cluster: len(cluster.list("pods", labels="app=first")) == 1)
    real.delete("deployment/first")
    real.wait_for("deployments.apps/first", "deleted")
    assert real.get("deployment/first") is None


@pytest.mark.parametrize("shape", ["object", "list", "text", "file", "path"])
def test_manifests_come_in_any_shape(real, tmp_path, shape):
    name = f"shape-{shape}"
    one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}
    file = tmp_path / "one.yaml"
    file.write_text(json.dumps(one))
    given = {"object": one, "list": [one], "text": f"{json.dumps(one)}\n", "file": file, "path": str(file)}[shape]
    assert real.apply(given)["metadata"]["namespace"] == "default"
    assert real.get(f"cm/{name}")["data"] == {"a": "b"}


def test_several_objects_are_a_list(real):
    made = real.apply("""
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: one}
""", namespace="shop")
    assert [one["kind"] for one in made] == ["Namespace", "ConfigMap"]
    assert made[1]["metadata"]["namespace"] == "shop" and "namespace" not in made[0]["metadata"]


@pytest.mark.parametrize("given, says", [
    pytest.param({"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "x"}},
                 'the manifest, line 1: no matches for kind "Nothing" in version "v1"', id="kind"),
    pytest.param({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "dada": {}},
                 'the manifest, line 1: ConfigMap in version "v1" cannot be handled as a ConfigMap: '
                 'strict decoding error: unknown field "dada"', id="field"),
    pytest.param({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "X"}}, 'metadata.name: Invalid value: "X"',
                 id="value"),
    pytest.param("a: [", "the manifest: ", id="no YAML"),
])
def test_a_bad_manifest_is_refused_in_the_server_s_words(real, given, says):
    with pytest.raises(ApiError) as refused:
        real.apply(given)
    assert says in str(refused.value)


def said(status="True", generation=2, seen=None, seen_by_condition=None):
    found = {"type": "Ready", "status": status}
    if seen_by_condition is not None:
        found["observedGeneration"] = seen_by_condition
    return {"metadata": {"generation": generation},
            "status": {"conditions": [found], **({"observedGeneration": seen} if seen is not None else {})}}


@pytest.mark.parametrize("until, obj, holds", [
    pytest.param("Ready", said(), True, id="true"),
    pytest.param("Ready", said("False"), False, id="false"),
    pytest.param("Ready=False", said("False"), True, id="another status"),
    pytest.param("condition=Ready=false", said("False"), True, id="as kubectl wait"),
    pytest.param("Other", said(), False, id="another condition"),
    pytest.param("Ready", {"metadata": {}}, False, id="no status"),
    pytest.param("Ready", None, False, id="not there"),
    pytest.param("Ready", said(seen=1), False, id="of an older generation"),
    pytest.param("Ready", said(seen=2), True, id="of this generation"),
    pytest.param("Ready", said(seen=2, seen_by_condition=1), False, id="the condition is older"),
    pytest.param("deleted", None, True, id="deleted"),
    pytest.param("deleted", said(), False, id="not deleted"),
    pytest.param("exists", None, False, id="does not exist"),
])
def test_what_is_waited_for(until, obj, holds):
    assert bool(_condition(until)(obj)) == holds


def test_what_does_not_come_is_told_with_how_things_stand(real):
    real.apply(deployment("stuck", image="nginx:404"))
    with pytest.raises(NotYet) as late:
        real.wait_for("deployment/stuck", "Available", timeout=0.3)
    assert str(late.value).startswith("deployment/stuck in default: not Available within 0.3 s; it is there: ")
    assert "Available=False (MinimumReplicasUnavailable)" in str(late.value)
    with pytest.raises(NotYet, match="pod/none in default: not exists within 0 s; it is not there"):
        real.wait_for("pod/none", timeout=0)


def test_what_a_caller_s_function_raises_is_raised(real):
    with pytest.raises(KeyError, match="nothing"):
        real.wait_for("ns/default", lambda namespace: namespace["nothing"])


@pytest.mark.parametrize("call, error, says", [
    pytest.param(lambda cluster: cluster.get("web"), BadRequest, 'an object is named as "pod/web-0"', id="no kind"),
    pytest.param(lambda cluster: cluster.get("nothing/web"), NotFound, 'a resource type "nothing"', id="unknown kind"),
    pytest.param(lambda cluster: cluster.advance("1h"), BadRequest, "ask for virtual=True", id="advance in real time"),
    pytest.param(lambda cluster: cluster.wait_for("pod/x", timeout="soon"), BadRequest, "timeout 'soon': must be", id="timeout"),
    pytest.param(lambda cluster: cluster.start(), RuntimeError, "started already", id="started twice"),
    pytest.param(lambda _: Cluster(pools=["gpu"]), BadRequest, "begin with NAME=N", id="pool"),
    pytest.param(lambda _: Cluster(start="soon", virtual=True), BadRequest, "start 'soon': a time such as", id="start"),
    pytest.param(lambda _: Cluster(seed=1), BadRequest, "for virtual time: say virtual=True too", id="seed"),
    pytest.param(lambda _: Cluster().url, RuntimeError, "not running: use it inside its `with` block", id="not started"),
])
def test_bad_calls_are_told_in_one_sentence(real, call, error, says):
    with pytest.raises(error) as refused:
        call(real)
    assert says in str(refused.value)


def test_a_kubectl_that_is_not_there_is_told():
    with Cluster(nodes=1, kubectl="/nowhere/kubectl") as cluster, pytest.raises(KubectlNotFound) as missing:
        cluster.kubectl("get", "pods")
    assert str(missing.value).startswith("/nowhere/kubectl was not found: install it (https://")


def test_a_cluster_that_can_not_start_says_why_and_leaves_nothing():
    pool = {"apiVersion": "muster.dev/v1alpha1", "kind": "NodePool", "metadata": {"name": "Bad Name"}, "spec": {"replicas": 1}}
    before = set(threading.enumerate())
    with pytest.raises(ApiError, match="Bad Name"):
        Cluster(pools=[pool]).start()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("virtual", [False, True])
def test_nothing_is_left_of_it(virtual):
    before = set(threading.enumerate())
    with Cluster(nodes=1, virtual=virtual) as cluster:
        folder = cluster.kubeconfig.parent
        assert folder.is_dir() and set(threading.enumerate()) != before
        assert oct(cluster.kubeconfig.stat().st_mode & 0o777) == "0o600"
    assert not folder.exists() and set(threading.enumerate()) == before
    with pytest.raises(RuntimeError, match="not running"):
        cluster.list("pods")


def test_several_live_side_by_side():
    with Cluster(nodes=1) as one, Cluster(nodes=2) as other, Cluster(nodes=0, virtual=True) as third:
        assert [len(cluster.list("nodes")) for cluster in (one, other, third)] == [1, 2, 0]
        assert len({cluster.url for cluster in (one, other, third)}) == 3


def test_pools_are_as_for_muster_up():
    with Cluster(pools=["gpu=2,nvidia.com/gpu=4,zone=a+b", {
            "apiVersion": "muster.dev/v1alpha1", "kind": "NodePool", "metadata": {"name": "own"}, "spec": {"replicas": 1}}]) as cluster:
        nodes = cluster.list("nodes")
    assert sorted(node["metadata"]["labels"]["muster.dev/pool"] for node in nodes) == ["gpu", "gpu", "own"]
    assert nodes[0]["status"]["capacity"]["nvidia.com/gpu"] == "4"


def test_a_test_on_asyncio_waits_in_a_thread():
    async def main():
        beats = 0

        async def heart():
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        beating = asyncio.ensure_future(heart())
        with Cluster(nodes=1, virtual=True) as cluster:
            cluster.apply(deployment())
            await asyncio.to_thread(cluster.wait_for, "deployment/web", "Available")
            await asyncio.to_thread(cluster.advance, "1m")
        beating.cancel()
        assert beats > 1, "the test's own loop went on"

    asyncio.run(main())


# ------------------------------------------------------------------ in virtual time

def test_time_stands_still_until_it_is_advanced(virtual):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert virtual.now == start
    virtual.apply(deployment())
    assert ask(virtual, "/apis/apps/v1/namespaces/default/deployments/web")["metadata"]["name"] == "web"
    assert virtual.now == start
    assert virtual.advance("1h30m") == datetime(2026, 1, 1, 1, 30, tzinfo=UTC)
    assert ask(virtual, "/apis/apps/v1/namespaces/default/deployments/web")["status"]["availableReplicas"] == 3


def test_a_cron_job_makes_a_job_each_hour(virtual):
    virtual.apply(cron_job(successfulJobsHistoryLimit=9))
    virtual.advance("3h1m")
    assert [one["status"]["startTime"] for one in virtual.list("jobs")] == [
        f"2026-01-01T0{hour}:00:00Z" for hour in (1, 2, 3)]
    assert all(one["status"]["succeeded"] == 1 for one in virtual.list("jobs"))


def test_a_job_s_time_to_live_runs_out(virtual):
    virtual.apply(job(ttlSecondsAfterFinished=600))
    done = virtual.wait_for("job/once", "Complete")
    virtual.wait_for("job/once", "deleted", timeout="1h")
    passed = virtual.now - datetime.fromisoformat(done["status"]["completionTime"])
    assert 600 <= passed.total_seconds() < 602


def test_a_failing_job_backs_off_twice_as_long_each_time(virtual):
    virtual.apply(job(fails=True, run="1s", backoffLimit=3))
    virtual.wait_for("job/once", "Failed", timeout="1h")
    starts = sorted(datetime.fromisoformat(pod["status"]["startTime"]) for pod in virtual.list("pods"))
    pauses = [(later - sooner).total_seconds() for sooner, later in zip(starts, starts[1:], strict=False)]
    assert len(starts) == 4
    assert [round(pause, -1) for pause in pauses] == [10, 20, 40]


def test_waiting_takes_no_more_virtual_time_than_it_needs(virtual):
    virtual.apply(job(run="90s"))
    virtual.wait_for("job/once", "Complete", timeout="1h")
    assert 90 <= (virtual.now - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() < 95
    with pytest.raises(NotYet):
        virtual.wait_for("pod/none", timeout="5m")
    assert (virtual.now - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() > 390


def test_the_same_seed_tells_the_same_story():
    def names(seed):
        with Cluster(nodes=2, virtual=True, seed=seed, start="2026-03-29T00:30:00Z") as cluster:
            cluster.apply(deployment())
            cluster.advance("10s")
            assert cluster.now == datetime(2026, 3, 29, 0, 30, 10, tzinfo=UTC)
            return [pod["metadata"]["name"] for pod in cluster.list("pods")]

    assert names(1) == names(1) != names(2)


def test_the_same_seed_leaves_the_same_recording(tmp_path):
    def story(name, seed=3):
        with Cluster(nodes=2, virtual=True, seed=seed, record=tmp_path / name) as cluster:
            cluster.apply(deployment())
            cluster.advance("1m")
            cluster.apply(deployment(image="nginx:1.28"))
            cluster.wait_for("deploy/web", "Available")
            cluster.advance("10m")
        file = RecordingFile(tmp_path / name)
        assert check(file).changes > 100
        # The certificate authority and the port are each start's own.
        return [one if one.key.name not in ("kube-root-ca.crt", "kubernetes") else one.key
                for one in file.read() if isinstance(one, Entry)]

    first = story("a")
    assert story("b") == story("a") == first, "an older recording is replaced"
    assert story("c", seed=4) != first
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ApiError, match="is no recording of Muster"):
        Cluster(record=tmp_path / "notes").start()
    assert (tmp_path / "notes").read_text() == "mine"


# ------------------------------------------------------------------ kubectl

@pytest.fixture
def kubectl_there():
    if shutil.which(os.environ.get("KUBECTL", "kubectl")) is None:
        pytest.skip("no kubectl on this machine")


def test_the_real_kubectl_talks_to_it(kubectl_there, real, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    real.kubectl("apply", "-f", "-", given=deployment("by-kubectl"))
    real.kubectl("rollout", "status", "deploy/by-kubectl", "--timeout=30s")
    assert [pod["status"]["phase"] for pod in real.kubectl("get", "pods", "-l", "app=by-kubectl", "-o", "json").json["items"]] == [
        "Running"] * 3
    assert real.kubectl("get", "nodes").lines[0].startswith("NAME")
    assert not any(tmp_path.iterdir()), "its cache is not in the user's home"


def test_a_kubectl_that_fails_says_what_it_said(kubectl_there, real):
    with pytest.raises(KubectlFailed) as failed:
        real.kubectl("get", "pod", "none")
    assert str(failed.value) == 'kubectl get pod none ended with 1: Error from server (NotFound): pods "none" not found'
    assert real.kubectl("get", "pod", "none", check=False).returncode == 1


def test_waiting_where_time_stands_still_is_told(kubectl_there, virtual):
    virtual.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"},
                   "spec": {"containers": [{"name": "main", "image": "nginx"}]}})
    virtual.wait_for("pod/one", "Ready")
    with pytest.raises(KubectlFailed, match=r"--for=delete pod/one did not end within 0.5 s; time stands still in this"):
        virtual.kubectl("wait", "--for=delete", "pod/one", timeout=0.5)
    assert virtual.now.second == 0
