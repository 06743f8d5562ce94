"""The commands of kubectl that change things, and what it says when they can not."""
import json
import re

import pytest
from conftest import daemonset, needs_kubectl

from rows import rows

POOL = {"muster.dev/pool": "default-pool"}  # other tests add nodes of their own
NOWHERE = {"muster.dev/pool": "nowhere"}  # a DaemonSet without pods, for what is not about pods
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def agent(image="agent:1", name="agent", **more):
    return daemonset(name, image, nodeSelector=NOWHERE, **more)


def image_of(space, name="agent"):
    return space.get("ds", name)["spec"]["template"]["spec"]["containers"][0]["image"]


def error(space, *arguments, **more):
    return space.kubectl(*arguments, fails=True, **more).stderr.strip()


@rows(189)
def test_apply_creates_configures_and_leaves(space):
    manifest = agent(metadata={"labels": {"a": "1", "b": "1"}})
    assert space.kubectl("apply", "-f", "-", given=manifest).lines == ["daemonset.apps/agent created"]
    assert space.kubectl("apply", "-f", "-", given=manifest).lines == ["daemonset.apps/agent unchanged"]
    applied = json.loads(space.get("ds", "agent")["metadata"]["annotations"][LAST_APPLIED])
    assert applied["spec"] == manifest["spec"] and applied["metadata"]["namespace"] == space.name
    # A label that others set stays; one that is no longer in the manifest goes.
    space.kubectl("label", "ds", "agent", "own=yes")
    manifest = agent("agent:2", metadata={"labels": {"a": "2"}})
    assert space.kubectl("apply", "-f", "-", given=manifest).lines == ["daemonset.apps/agent configured"]
    assert space.get("ds", "agent")["metadata"]["labels"] == {"a": "2", "own": "yes"}
    assert image_of(space) == "agent:2"


def test_apply_merges_containers_by_name(space):
    two = agent()
    containers = two["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "side", "image": "side:1", "env": [{"name": "A", "value": "1"}]})
    space.apply(two)
    containers[1]["env"] = [{"name": "B", "value": "2"}]
    space.apply(two)
    shown = space.get("ds", "agent")["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in shown] == ["main", "side"] and shown[1]["env"] == [{"name": "B", "value": "2"}]
    del containers[0]
    space.apply(two)
    assert [one["name"] for one in space.get("ds", "agent")["spec"]["template"]["spec"]["containers"]] == ["side"]


def test_server_side_apply_says_that_it_is_not_there(space):
    """Until it is: an error in words, and nothing written."""
    said = space.kubectl("apply", "--server-side", "-f", "-", given=agent(), fails=True).stderr
    assert said.startswith("Error from server") and "Traceback" not in said
    assert space.kubectl("get", "ds", "-o", "name").stdout == ""


@rows(190)
def test_replace_and_create(space):
    assert "NotFound" in error(space, "replace", "-f", "-", given=agent())
    assert space.kubectl("create", "-f", "-", given=agent()).lines == ["daemonset.apps/agent created"]
    assert error(space, "create", "-f", "-", given=agent()) == (
        'Error from server (AlreadyExists): error when creating "STDIN": daemonsets.apps "agent" already exists')
    assert space.kubectl("replace", "-f", "-", given=agent("agent:2")).lines == ["daemonset.apps/agent replaced"]
    assert image_of(space) == "agent:2"
    stale = {**agent("agent:3"), "metadata": {"name": "agent", "resourceVersion": "1"}}
    assert error(space, "replace", "-f", "-", given=stale) == (
        'Error from server (Conflict): error when replacing "STDIN": Operation cannot be fulfilled on daemonsets.apps '
        '"agent": the object has been modified; please apply your changes to the latest version and try again')
    uid = space.get("ds", "agent")["metadata"]["uid"]
    assert space.kubectl("replace", "--force", "-f", "-", given=agent("agent:4")).lines[-1] \
        == "daemonset.apps/agent replaced"
    assert space.get("ds", "agent")["metadata"]["uid"] != uid


@rows(71, 178)
def test_edit_one_and_edit_the_whole_list(space):
    space.apply(agent(), agent(name="other"))
    assert space.kubectl("edit", "ds", "agent").stderr.strip() == "Edit cancelled, no changes made."
    editor = {"KUBE_EDITOR": "sed -i s/agent:1/agent:2/"}
    assert space.kubectl("edit", "daemonset", env=editor).lines == [
        "daemonset.apps/agent edited", "daemonset.apps/other edited"]
    assert image_of(space) == image_of(space, "other") == "agent:2"
    # What the server refuses goes back into the editor with the reason; the same edit again ends it.
    editor = {"KUBE_EDITOR": "sed -i s/maxUnavailable:.1/maxUnavailable:\\ 0/"}
    said = space.kubectl("edit", "ds", "agent", env=editor, fails=True).stderr
    assert 'daemonsets.apps "agent" is invalid' in said or 'daemonsets.apps "agent" was not valid' in said
    assert image_of(space) == "agent:2"


def test_three_kinds_of_patch(space):
    space.apply(agent())
    strategic = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}}
    assert space.kubectl("patch", "ds", "agent", "-p", json.dumps(strategic)).lines == ["daemonset.apps/agent patched"]
    containers = space.get("ds", "agent")["spec"]["template"]["spec"]["containers"]
    assert sorted(one["name"] for one in containers) == ["main", "side"]
    assert space.kubectl("patch", "ds", "agent", "-p", json.dumps(strategic)).lines \
        == ["daemonset.apps/agent patched (no change)"]
    merge = {"spec": {"template": {"spec": {"containers": [{"name": "only", "image": "only:1"}]}}}}
    space.kubectl("patch", "ds", "agent", "--type=merge", "-p", json.dumps(merge))
    containers = space.get("ds", "agent")["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in containers] == ["only"]
    change = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "only:2"}]
    space.kubectl("patch", "ds", "agent", "--type=json", "-p", json.dumps(change))
    assert image_of(space) == "only:2"
    change = [{"op": "test", "path": "/spec/minReadySeconds", "value": 7}]
    assert "the server rejected our request due to an error in our request" in error(
        space, "patch", "ds", "agent", "--type=json", "-p", json.dumps(change))
    assert "(NotFound)" in error(space, "patch", "ds", "nobody", "-p", "{}")


def test_set_and_annotate(space):
    space.apply(agent())
    assert space.kubectl("set", "image", "ds/agent", "main=agent:2").lines == ["daemonset.apps/agent image updated"]
    assert error(space, "set", "image", "ds/agent", "nobody=agent:2") == 'error: unable to find container named "nobody"'
    assert space.kubectl("set", "env", "ds/agent", "LEVEL=debug").lines == ["daemonset.apps/agent env updated"]
    assert space.kubectl("set", "resources", "ds/agent", "--limits=cpu=100m").lines \
        == ["daemonset.apps/agent resource requirements updated"]
    container = space.get("ds", "agent")["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "LEVEL", "value": "debug"}]
    assert container["resources"] == {"limits": {"cpu": "100m"}}
    # kubectl 1.27 says "annotate"
    assert space.kubectl("annotate", "ds", "agent", "note=a b").stdout.startswith("daemonset.apps/agent annotate")
    assert space.get("ds", "agent")["metadata"]["annotations"]["note"] == "a b"
    space.kubectl("annotate", "ds", "agent", "note-")
    assert "note" not in space.get("ds", "agent")["metadata"]["annotations"]
    assert space.kubectl("label", "ds", "agent", "tier=a").lines == ["daemonset.apps/agent labeled"]


@rows(194)
def test_dry_runs_write_nothing(space):
    said = space.kubectl("create", "-f", "-", "--dry-run=client", "-oyaml", given=agent()).stdout
    assert said.startswith("apiVersion: apps/v1\nkind: DaemonSet\n") and "status" not in said
    assert space.kubectl("apply", "-f", "-", "--dry-run=server", given=agent()).lines \
        == ["daemonset.apps/agent created (server dry run)"]
    assert space.kubectl("apply", "-f", "-", "--dry-run=client", given=agent()).lines \
        == ["daemonset.apps/agent created (dry run)"]
    filled = space.kubectl("create", "-f", "-", "--dry-run=server", "-o", "json", given=agent()).json
    assert filled["spec"]["revisionHistoryLimit"] == 10 and filled["metadata"]["uid"]
    assert space.kubectl("get", "ds", "-o", "name").stdout == ""
    said = space.kubectl("create", "ns", f"{space.name}-dry", "--dry-run=client", "-o", "name")
    assert said.lines == [f"namespace/{space.name}-dry"]


@rows(192)
def test_create_namespaces_and_small_things(cluster, space):
    assert cluster.kubectl("create", "ns", f"{space.name}-logging").lines == [f"namespace/{space.name}-logging created"]
    try:
        assert error(cluster, "create", "ns", f"{space.name}-logging") == (
            f'Error from server (AlreadyExists): namespaces "{space.name}-logging" already exists')
        shown = cluster.kubectl("get", "ns", f"{space.name}-logging", "-o", "json").json
        assert shown["metadata"]["labels"] == {"kubernetes.io/metadata.name": f"{space.name}-logging"}
        assert shown["status"]["phase"] == "Active"
    finally:
        cluster.kubectl("delete", "ns", f"{space.name}-logging", "--wait=false")
    assert "is invalid: metadata.name: Invalid value" in error(cluster, "create", "ns", "Not_A_Name")
    assert space.kubectl("create", "cm", "conf", "--from-literal=a=b").lines == ["configmap/conf created"]
    assert space.kubectl("create", "secret", "generic", "key", "--from-literal=a=b").lines == ["secret/key created"]
    assert space.get("cm", "conf")["data"] == {"a": "b"} and space.get("secret", "key")["data"] == {"a": "Yg=="}
    assert space.kubectl("create", "sa", "bob").lines == ["serviceaccount/bob created"]


INVALID = [
    pytest.param({"spec": {**agent()["spec"], "selector": {"matchLabels": {"app": "other"}}}},
                 'The DaemonSet "agent" is invalid: spec.template.metadata.labels: Invalid value: '
                 'map[string]string{"app":"agent"}: `selector` does not match template `labels`', id="selector"),
    pytest.param({"spec": {"template": agent()["spec"]["template"]}},
                 'The DaemonSet "agent" is invalid: \n* spec.selector: Required value', id="no selector"),
    pytest.param(daemonset(restartPolicy="Never"),
                 'The DaemonSet "agent" is invalid: spec.template.spec.restartPolicy: Unsupported value: "Never": '
                 'supported values: "Always"', id="restart policy"),
    pytest.param(daemonset(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}),
                 'The DaemonSet "agent" is invalid: spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: '
                 'cannot be 0 when maxSurge is 0', id="nobody may go"),
    pytest.param(daemonset(image=""), 'The DaemonSet "agent" is invalid: spec.template.spec.containers[0].image: '
                 'Required value', id="no image"),
    pytest.param({"metadata": {"name": "Not_A_Name"}},
                 'The DaemonSet "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name": a lowercase RFC 1123 '
                 "subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
                 "alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?"
                 "(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')", id="name"),
]


@rows(3, 12, 14, 17, 20)
@pytest.mark.parametrize(("change", "said"), INVALID)
def test_an_invalid_daemonset_is_refused_in_words(space, change, said):
    assert error(space, "create", "-f", "-", given={**agent(), **change}).startswith(said)
    assert space.kubectl("get", "ds", "-o", "name").stdout == ""


@rows(15)
def test_the_selector_stays(space):
    space.apply(agent())
    changed = daemonset("agent", labels={"app": "changed"}, nodeSelector=NOWHERE)
    said = error(space, "apply", "-f", "-", given=changed)
    assert said.startswith('The DaemonSet "agent" is invalid: spec.selector: Invalid value: ')
    assert said.endswith(": field is immutable")


def test_fields_that_do_not_exist(space):
    needs_kubectl(1, 25)  # the one from which on the server is asked
    manifest = agent()
    manifest["spec"]["replicas"] = 3
    manifest["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    assert error(space, "create", "-f", "-", given=manifest) == (
        'Error from server (BadRequest): error when creating "STDIN": DaemonSet in version "v1" cannot be handled as a '
        'DaemonSet: strict decoding error: unknown field "spec.replicas", '
        'unknown field "spec.template.spec.containers[0].imagePolicy"')
    said = space.kubectl("create", "-f", "-", "--validate=warn", given=manifest)
    assert said.lines == ["daemonset.apps/agent created"]
    assert 'Warning: unknown field "spec.replicas"' in said.stderr
    assert "replicas" not in space.get("ds", "agent")["spec"]
    assert not space.kubectl("replace", "-f", "-", "--validate=ignore", given=manifest).stderr
    # kubectl would send a field that is there twice only once, but for this.
    twice = json.dumps(agent(name="other")).replace('"selector"', '"minReadySeconds": 1, "minReadySeconds": 2, "selector"')
    place = f"/apis/apps/v1/namespaces/{space.name}/daemonsets?fieldValidation=Strict"
    assert 'strict decoding error: duplicate field "spec.minReadySeconds"' in error(
        space, "create", "--raw", place, "-f", "-", given=twice)


@rows(9)
def test_a_daemonset_can_not_be_scaled(space):
    space.apply(agent())
    assert error(space, "scale", "ds", "agent", "--replicas=3") == (
        "Error from server (NotFound): the server could not find the requested resource")


def test_names_that_mean_nothing(space):
    assert error(space, "get", "gizmos") == 'error: the server doesn\'t have a resource type "gizmos"'
    assert error(space, "get", "ds", "nobody") == 'Error from server (NotFound): daemonsets.apps "nobody" not found'
    assert error(space, "set", "image", "ds", "nobody", "main=x") \
        == 'Error from server (NotFound): daemonsets.apps "nobody" not found'
    assert "no matches for kind" in error(space, "apply", "-f", "-", given={**agent(), "apiVersion": "extensions/v1beta1"})
    elsewhere = {**agent(), "metadata": {"name": "agent", "namespace": "default"}}
    assert "the namespace from the provided object \"default\" does not match the namespace" in error(
        space, "apply", "-f", "-", given=elsewhere)
    nowhere = error(space.cluster, "-n", f"{space.name}-nowhere", "create", "-f", "-", given=agent())
    assert nowhere == (f'Error from server (NotFound): error when creating "STDIN": namespaces "{space.name}-nowhere" '
                       "not found")


def test_who_may(space):
    assert space.kubectl("auth", "can-i", "create", "ds").lines == ["yes"]
    assert space.kubectl("auth", "can-i", "create", "ds", "--as=nobody", fails=True).lines == ["no"]
    said = error(space, "get", "ds", "--as=nobody")
    assert said == ('Error from server (Forbidden): daemonsets.apps is forbidden: User "nobody" cannot list resource '
                    f'"daemonsets" in API group "apps" in the namespace "{space.name}"')


def test_what_the_server_is(cluster):
    assert {"apps/v1", "v1", "scheduling.k8s.io/v1", "muster.dev/v1alpha1"} <= set(cluster.kubectl("api-versions").lines)
    (row,) = [row for row in cluster.kubectl("api-resources", "--api-group=apps").table if row["NAME"] == "daemonsets"]
    assert (row["SHORTNAMES"], row["APIVERSION"], row["NAMESPACED"], row["KIND"]) == ("ds", "apps/v1", "true", "DaemonSet")
    told = cluster.kubectl("version", "-o", "json").json["serverVersion"]
    assert (told["major"], told["minor"]) == ("1", "32") and told["gitVersion"].startswith("v1.32.")
    assert cluster.kubectl("get", "--raw", "/readyz").stdout == "ok"
    assert "is running at" in cluster.kubectl("cluster-info").stdout


@pytest.fixture
def running(space):
    space.apply(daemonset("agent", nodeSelector=POOL))
    space.settled("agent", 4)
    return space


def test_logs_are_there_and_exec_says_why_not(running):
    space = running
    pod = space.get("pods")["items"][0]["metadata"]["name"]
    said = space.kubectl("logs", pod).stdout
    assert pod in said and "(simulated)" in said
    assert space.kubectl("logs", pod, "--tail=1").stdout == said.splitlines()[-1] + "\n"
    assert space.kubectl("logs", "ds/agent", "-c", "main").stdout
    assert len(space.kubectl("logs", "-l", "app=agent", "--tail=1", "--prefix").lines) == 4
    said = error(space, "logs", pod, "-c", "nobody")
    assert f'container nobody is not valid for pod {pod}' in said
    said = error(space, "exec", pod, "--", "ls")
    assert "it is simulated" in said and "kubectl logs" in said


def test_wait_for_what_will_be(space):
    space.apply(daemonset("agent", nodeSelector=POOL))
    space.settled("agent", 4)
    said = space.kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=agent", "--timeout=30s").lines
    assert len(said) == 4 and all(re.fullmatch(r"pod/agent-\w{5} condition met", line) for line in said)
    pod = space.get("pods")["items"][0]["metadata"]["name"]
    assert error(space, "wait", "--for=condition=Ready=false", f"pod/{pod}", "--timeout=1s") \
        == f"error: timed out waiting for the condition on pods/{pod}"


def test_cordon_drain_uncordon(running):
    """A drain evicts what is not a daemon; daemons stay, and go on being rolled out on a cordoned node."""
    space, cluster = running, running.cluster
    node = space.get("nodes", "-l", "muster.dev/pool=default-pool")["items"][0]["metadata"]["name"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lonely"},
           "spec": {"nodeName": node, "containers": [{"name": "c", "image": "web:1"}]}}
    space.apply(pod)
    space.kubectl("wait", "--for=condition=Ready", "pod/lonely", "--timeout=30s")
    try:
        assert cluster.kubectl("cordon", node).lines == [f"node/{node} cordoned"]
        assert cluster.kubectl("cordon", node).lines == [f"node/{node} already cordoned"]
        assert cluster.kubectl("get", "node", node).table[0]["STATUS"] == "Ready,SchedulingDisabled"
        said = error(cluster, "drain", node, "--pod-selector=app=agent")
        assert "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)" in said
        said = error(cluster, "drain", node, "--ignore-daemonsets")
        assert "cannot delete" in said and f"{space.name}/lonely" in said and "--force" in said
        said = cluster.kubectl("drain", node, "--ignore-daemonsets", "--force", "--timeout=30s")
        assert f"evicting pod {space.name}/lonely" in said.lines and said.lines[-1] == f"node/{node} drained"
        assert space.kubectl("get", "pod", "lonely", fails=True)
        space.settled("agent", 4)
        space.kubectl("set", "image", "ds", "agent", "main=agent:2")
        space.settled("agent", 4)
        assert space.pods("app=agent")[node]["spec"]["containers"][0]["image"] == "agent:2"
    finally:
        assert cluster.kubectl("uncordon", node).lines == [f"node/{node} uncordoned"]
    assert cluster.kubectl("get", "node", node).table[0]["STATUS"] == "Ready"


@rows(64)
def test_taint_says_what_it_did(cluster, space):
    node = space.get("nodes", "-l", "muster.dev/pool=default-pool")["items"][0]["metadata"]["name"]
    key = f"key-{space.name}"
    try:
        assert cluster.kubectl("taint", "nodes", node, f"{key}=v:PreferNoSchedule").lines == [f"node/{node} tainted"]
        said = error(cluster, "taint", "nodes", node, f"{key}=w:PreferNoSchedule")
        assert said == f"error: node {node} already has {key} taint(s) with same effect(s) and --overwrite is false"
        said = cluster.kubectl("taint", "nodes", node, f"{key}=w:PreferNoSchedule", "--overwrite")
        assert said.lines == [f"node/{node} modified"]
        assert "invalid taint effect: Never" in error(cluster, "taint", "nodes", node, f"{key}=w:Never")
    finally:
        cluster.kubectl("taint", "nodes", node, f"{key}-")
    assert error(cluster, "taint", "nodes", node, f"{key}-") == f'error: taint "{key}" not found'
