"""A Deployment goes from one template to the next and back, as kubectl shows it."""
import json
import re

import pytest
import yaml
from conftest import EXAMPLES, is_ready

from rows import rows

HASH = "[bcdfghjklmnpqrstvwxz2456789]{8,10}"
SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]{5}"
REVISION = "deployment.kubernetes.io/revision"
NAME = "nginx-deployment"


def deployment(image="web:1", replicas=3, name="web", strategy=None, container=None, **spec):
    labels = {"app": name}
    if strategy:
        spec["strategy"] = strategy
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, **spec,
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [{"name": "main", "image": image, **(container or {})}]}}}}


def image(obj):
    spec = obj["spec"].get("template", obj)["spec"]
    return spec["containers"][0]["image"]


def done(space, name="web"):
    return space.rolled_out(name, "deploy")


def sets(space):
    """{image: ReplicaSet}"""
    return {image(one): one for one in space.get("rs")["items"]}


def said_by_condition(there, name, type_):
    for one in there.get(name, {}).get("status", {}).get("conditions", ()):
        if one["type"] == type_:
            return one["status"], one["reason"]
    return None


def follow_rollout(space, act, finished, look):
    """Acts while watching the pods; calls `look` with all pods that count after each change until it is finished."""
    with space.watching("pods", "--output-watch-events", "-o", "json") as lines:
        there = {}
        count = len(space.get("pods")["items"])
        while len(there) < count:
            pod = json.loads(next(lines))["object"]
            there[pod["metadata"]["name"]] = pod
        act()
        while not finished(there):
            event = json.loads(next(lines))
            pod = event["object"]
            there[pod["metadata"]["name"]] = pod
            if event["type"] == "DELETED":
                del there[pod["metadata"]["name"]]
            look([pod for pod in there.values() if "deletionTimestamp" not in pod["metadata"]], list(there.values()))
    return there


def all_are(wanted, count):
    return lambda there: len(there) == count and all(image(pod) == wanted and is_ready(pod) for pod in there.values())


@pytest.fixture
def nginx(space):
    """The Deployment of the example, rolled out."""
    assert space.kubectl("create", "-f", EXAMPLES / "nginx-deploy.yaml").lines == [f"deployment.apps/{NAME} created"]
    done(space, NAME)
    return space


@rows(128, 129, 130, "132-134")
def test_from_a_deployment_to_its_pods(nginx):
    space = nginx
    (replica_set,) = space.get("rs")["items"]
    name = replica_set["metadata"]["name"]
    assert re.fullmatch(f"{NAME}-{HASH}", name)
    hash_ = name.removeprefix(f"{NAME}-")
    assert replica_set["spec"]["selector"]["matchLabels"] == {"app": "nginx", "pod-template-hash": hash_}
    pods = space.get("pods")["items"]
    assert len(pods) == 3
    for pod in pods:
        assert re.fullmatch(f"{name}-{SUFFIX}", pod["metadata"]["name"])
        assert pod["metadata"]["labels"] == {"app": "nginx", "pod-template-hash": hash_}
        assert pod["spec"]["nodeName"]
    (row,) = space.kubectl("get", "deploy", "-owide").table
    assert list(row) == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert [row[key] for key in list(row) if key != "AGE"] == [NAME, "3/3", "3", "3", "nginx", "nginx:1.24.0", "app=nginx"]
    shown = space.kubectl("get", "all").stdout
    assert f"deployment.apps/{NAME}" in shown and f"replicaset.apps/{name}" in shown


@rows(131, 132)
def test_a_manifest_made_by_kubectl(space):
    said = space.kubectl("create", "deploy", "nginx", "--image=nginx:1.24.0-alpine", "--replicas=3", "-oyaml",
                         "--dry-run=client")
    made = yaml.safe_load(said.stdout)
    assert (made["kind"], made["spec"]["replicas"]) == ("Deployment", 3)
    assert space.kubectl("create", "-f", "-", given=said.stdout).lines == ["deployment.apps/nginx created"]
    done(space, "nginx")
    assert space.kubectl("create", "deployment", "other", "--image=nginx:1.24.0").lines == [
        "deployment.apps/other created"]
    done(space, "other")


@rows(135)
def test_a_deleted_pod_is_replaced(nginx):
    gone = nginx.get("pods")["items"][0]["metadata"]["name"]
    assert nginx.kubectl("delete", "po", gone).lines == [f'pod "{gone}" deleted']
    past = nginx.until("pods", lambda there: gone not in there and len(there) == 3 and all(map(is_ready, there.values())))
    assert gone not in past[-1]


@rows(136, 137, 140, 141, 144)
def test_never_fewer_than_allowed_nor_more(nginx):
    space = nginx

    def look(counted, _):
        assert len(counted) <= 4, "more than a quarter too many"
        assert sum(map(is_ready, counted)) >= 3, "a quarter of three is none"
    old = sets(space)["nginx:1.24.0"]["metadata"]["name"]

    def act():
        said = space.kubectl("set", "image", "deploy", NAME, "nginx=nginx:1.25.0", "--record")
        assert said.lines == [f"deployment.apps/{NAME} image updated"]
        status = done(space, NAME)
        assert status.lines[-1] == f'deployment "{NAME}" successfully rolled out'
    follow_rollout(space, act, all_are("nginx:1.25.0", 3), look)
    new = sets(space)["nginx:1.25.0"]["metadata"]["name"]
    assert space.events("ScalingReplicaSet") == [
        f"Scaled up replica set {old} from 0 to 3",
        f"Scaled up replica set {new} from 0 to 1", f"Scaled down replica set {old} from 3 to 2",
        f"Scaled up replica set {new} from 1 to 2", f"Scaled down replica set {old} from 2 to 1",
        f"Scaled up replica set {new} from 2 to 3", f"Scaled down replica set {old} from 1 to 0"]
    described = space.kubectl("describe", "deploy", NAME).stdout
    assert re.search(r"Replicas:\s+3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable", described)
    assert re.search(r"RollingUpdateStrategy:\s+25% max unavailable, 25% max surge", described)
    assert re.search(r"Progressing\s+True\s+NewReplicaSetAvailable", described)
    assert re.search(rf"OldReplicaSets:\s+{old} \(0/0 replicas created\)", described)
    assert re.search(rf"NewReplicaSet:\s+{new} \(3/3 replicas created\)", described)
    assert re.search(rf"ScalingReplicaSet\s+\S+\s+deployment-controller\s+Scaled up replica set {new} from 0 to 1",
                     described)
    (_, cause) = space.kubectl("rollout", "history", "deploy", NAME).lines[2:]
    assert re.fullmatch(rf"2\s+kubectl set image deploy {NAME} nginx=nginx:1.25.0 --namespace=\S+ --record=true", cause)


def test_rollout_status_counts_what_is_done(space):
    space.apply(deployment())
    waiting = re.compile(r'Waiting for deployment "web" rollout to finish: '
                         r"(\d out of 3 new replicas have been updated|\d old replicas are pending termination|"
                         r"\d of 3 updated replicas are available)\.\.\.|"
                         r"Waiting for deployment spec update to be observed\.\.\.")
    status = done(space)
    assert all(waiting.fullmatch(line) for line in status.lines[:-1])
    assert status.lines[-1] == 'deployment "web" successfully rolled out'
    space.kubectl("set", "image", "deploy/web", "main=web:2")
    status = done(space)
    assert all(waiting.fullmatch(line) for line in status.lines[:-1])


@rows(138, 139, 149)
def test_every_way_to_change_it(space):
    assert space.apply(deployment()).lines == ["deployment.apps/web created"]
    done(space)
    assert space.apply(deployment()).lines == ["deployment.apps/web unchanged"]
    assert space.apply(deployment("web:2")).lines == ["deployment.apps/web configured"]
    done(space)
    space.until("deploy", lambda there: said_by_condition(there, "web", "Progressing") == (
        "True", "NewReplicaSetAvailable"), "web")
    assert space.kubectl("replace", "-f", "-", given=deployment("web:3")).lines == ["deployment.apps/web replaced"]
    done(space)
    for change, wanted in (("s/image: web:3/image: web:4/", ("web:4", 3)), ("s/replicas: 3/replicas: 2/", ("web:4", 2))):
        editor = f"sed -i '{change}'"
        assert space.kubectl("edit", "deploy", "web", env={"EDITOR": editor, "KUBE_EDITOR": editor}).lines \
            == ["deployment.apps/web edited"]
        done(space)
        found = space.get("deploy", "web")
        assert (image(found), found["spec"]["replicas"]) == wanted
    assert space.kubectl("scale", "deploy", "web", "--replicas=5").lines == ["deployment.apps/web scaled"]
    done(space)
    (row,) = space.kubectl("get", "deploy").table
    assert row["READY"] == "5/5"
    assert len(sets(space)) == 4, "a change of the size makes no new set"
    assert space.kubectl("rollout", "restart", "deploy/web").lines == ["deployment.apps/web restarted"]
    done(space)
    assert len(space.get("rs")["items"]) == 5


@rows(142)
def test_an_explicit_surge(space):
    space.apply(deployment(replicas=6, strategy={"type": "RollingUpdate",
                                                 "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 1}}))
    done(space)

    def look(counted, _):
        assert len(counted) <= 9 and sum(map(is_ready, counted)) >= 5
    follow_rollout(space, lambda: space.kubectl("set", "image", "deploy/web", "main=web:2"), all_are("web:2", 6), look)


@rows(143)
def test_recreate_never_runs_both(space):
    space.apply(deployment(strategy={"type": "Recreate"}))
    done(space)

    def look(_, there):
        assert len({image(pod) for pod in there if pod["status"]["phase"] not in ("Succeeded", "Failed")}) <= 1
    follow_rollout(space, lambda: space.kubectl("set", "image", "deploy/web", "main=web:2"), all_are("web:2", 3), look)
    done(space)


@rows(145, 146, 147, 148, 150)
def test_history_and_undo(nginx):
    space = nginx
    for tag in ("1.25.0", "1.26.0"):
        space.kubectl("set", "image", "deploy", NAME, f"nginx=nginx:{tag}")
        done(space, NAME)
    said = space.kubectl("rollout", "history", "deploy", NAME)
    assert said.lines[:2] == [f"deployment.apps/{NAME}", "REVISION  CHANGE-CAUSE"]
    assert [line.split() for line in said.lines[2:]] == [["1", "<none>"], ["2", "<none>"], ["3", "<none>"]]
    second = space.kubectl("rollout", "history", "deploy", NAME, "--revision=2")
    assert second.lines[0] == f"deployment.apps/{NAME} with revision #2"
    assert re.search(r"Image:\s+nginx:1.25.0", second.stdout) and "pod-template-hash=" in second.stdout
    before = {name: one["metadata"]["uid"] for name, one in sets(space).items()}

    assert space.kubectl("rollout", "undo", "deploy", NAME).lines == [f"deployment.apps/{NAME} rolled back"]
    done(space, NAME)
    found = sets(space)
    assert {name: one["metadata"]["uid"] for name, one in found.items()} == before, "an old set is used again"
    assert {name: one["metadata"]["annotations"][REVISION] for name, one in found.items()} == {
        "nginx:1.24.0": "1", "nginx:1.25.0": "4", "nginx:1.26.0": "3"}
    assert found["nginx:1.25.0"]["metadata"]["annotations"][f"{REVISION}-history"] == "2"
    assert {name: one["spec"]["replicas"] for name, one in found.items()} == {
        "nginx:1.24.0": 0, "nginx:1.25.0": 3, "nginx:1.26.0": 0}

    said = space.kubectl("rollout", "undo", "deploy", NAME, "--to-revision=1")
    assert said.lines == [f"deployment.apps/{NAME} rolled back"]
    done(space, NAME)
    assert {image(pod) for pod in space.get("pods")["items"] if is_ready(pod)} == {"nginx:1.24.0"}
    history = space.kubectl("rollout", "history", "deploy", NAME).lines[2:]
    assert [line.split()[0] for line in history] == ["3", "4", "5"]
    failed = space.kubectl("rollout", "undo", "deploy", NAME, "--to-revision=1", fails=True)
    assert "unable to find specified revision 1 in history" in failed.stderr


def test_the_history_is_limited(space):
    space.apply(deployment(revisionHistoryLimit=1))
    for number in (2, 3, 4):
        space.kubectl("set", "image", "deploy/web", f"main=web:{number}")
        done(space)
    space.until("rs", lambda there: sorted(map(image, there.values())) == ["web:3", "web:4"])


def test_pause_and_resume(space):
    space.apply(deployment())
    done(space)
    assert space.kubectl("rollout", "pause", "deploy/web").lines == ["deployment.apps/web paused"]
    space.until("deploy", lambda there: said_by_condition(there, "web", "Progressing") == (
        "Unknown", "DeploymentPaused"), "web")
    space.kubectl("set", "image", "deploy/web", "main=web:2")
    space.kubectl("scale", "deploy/web", "--replicas=4")
    space.until("deploy", lambda there: there["web"]["status"].get("availableReplicas") == 4, "web")
    assert list(sets(space)) == ["web:1"], "paused: it is scaled, not rolled"
    failed = space.kubectl("rollout", "undo", "deploy/web", "--to-revision=1", fails=True)
    assert "you cannot rollback a paused deployment" in failed.stderr
    assert space.kubectl("rollout", "resume", "deploy/web").lines == ["deployment.apps/web resumed"]
    done(space)
    assert {name: one["spec"]["replicas"] for name, one in sets(space).items()} == {"web:1": 0, "web:2": 4}


def test_a_rollout_that_is_stuck_says_so_and_is_left_by_undo(space, pool):
    pool(2, behaviour={"missingImages": ["web:404"]})
    given = deployment(progressDeadlineSeconds=2)
    given["spec"]["template"]["spec"]["nodeSelector"] = {"test": space.name}
    space.apply(given)
    done(space)
    space.kubectl("set", "image", "deploy/web", "main=web:404")
    failed = space.kubectl("rollout", "status", "deploy/web", fails=True)
    assert failed.stderr.strip() == 'error: deployment "web" exceeded its progress deadline'
    assert sum(map(is_ready, space.get("pods")["items"])) == 3
    space.kubectl("rollout", "undo", "deploy/web")
    done(space)
    assert space.kubectl("wait", "deploy/web", "--for=condition=Available").lines == ["deployment.apps/web condition met"]


def test_deletion_takes_all_along_or_nothing(space):
    space.apply(deployment(), deployment(name="kept"))
    done(space)
    done(space, "kept")
    assert space.kubectl("delete", "deploy", "web").lines == ['deployment.apps "web" deleted']
    space.kubectl("wait", "--for=delete", "rs,pods", "-l", "app=web")
    space.kubectl("delete", "deploy", "kept", "--cascade=orphan")
    (orphan,) = space.get("rs")["items"]
    assert not orphan["metadata"].get("ownerReferences")
    space.apply(deployment(name="kept"))
    done(space, "kept")
    (adopted,) = space.get("rs")["items"]
    assert adopted["metadata"]["uid"] == orphan["metadata"]["uid"]
    assert adopted["metadata"]["ownerReferences"][0]["kind"] == "Deployment"


def test_expose_and_explain(nginx):
    said = nginx.kubectl("expose", "deploy", NAME, "--port=80")
    assert said.lines == [f"service/{NAME} exposed"]
    explained = nginx.kubectl("explain", "deployment.spec.strategy").stdout
    assert re.search(r"KIND:\s+Deployment", explained)


@pytest.mark.parametrize("changes, words", [
    pytest.param({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
                 "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
                 id="recreate and rolling"),
    pytest.param({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
                 'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:0, IntVal:0, StrVal:""}: '
                 "may not be 0 when `maxSurge` is 0", id="nothing could move"),
    pytest.param({"progressDeadlineSeconds": 5, "minReadySeconds": 5},
                 "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds", id="deadline"),
])
def test_what_is_refused(space, changes, words):
    given = deployment()
    given["spec"].update(changes)
    said = space.kubectl("create", "-f", "-", given=given, fails=True).stderr
    assert said.rstrip() == f'The Deployment "web" is invalid: {words}'
