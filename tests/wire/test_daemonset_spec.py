"""What a DaemonSet may say, what is filled in for it, and what its update strategy does, as kubectl shows it."""
import re

import pytest
from conftest import daemonset, is_ready, needs_kubectl

from rows import rows

OLD, NEW, BROKEN = "agent:1", "agent:2", "agent:404"
ROLLING = "spec.updateStrategy.rollingUpdate"


def changed(manifest, **spec):
    return {**manifest, "spec": {**manifest["spec"], **spec}}


def without(manifest, field):
    return {**manifest, "spec": {name: value for name, value in manifest["spec"].items() if name != field}}


def rolling(**limits):
    return {"type": "RollingUpdate", "rollingUpdate": limits}


AGENT = daemonset("agent")
LABELS = {"app": "agent"}


@rows(3, 12, 13, 14, 16, 17, 18, 19, 20, 21, 26, 27)
@pytest.mark.parametrize(("manifest", "complaints"), [
    pytest.param(daemonset("Agent_1"), ["metadata.name: Invalid value: \"Agent_1\": a lowercase RFC 1123 subdomain must consist "
                 "of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"],
                 id="a name that is no DNS subdomain"),
    pytest.param(without(AGENT, "selector"), ["spec.selector: Required value"], id="no selector"),
    pytest.param(changed(AGENT, selector={"matchLabels": {"app": "other"}}), ["spec.template.metadata.labels: Invalid value: ",
                 "`selector` does not match template `labels`"], id="a selector that finds other pods"),
    pytest.param(changed(AGENT, selector={"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["x"]}]}),
                 ["spec.selector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or "
                  "'DoesNotExist'"], id="an expression that can not be"),
    pytest.param(without(AGENT, "template"), ["spec.template.spec.containers: Required value"], id="no template"),
    pytest.param(daemonset("agent", restartPolicy="OnFailure"), [
        'spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"'],
        id="containers that are not restarted"),
    pytest.param(changed(AGENT, updateStrategy={"type": "Recreate"}), [
        "spec.updateStrategy", 'supported values: "RollingUpdate", "OnDelete"'], id="a strategy that there is not"),
    pytest.param(changed(AGENT, updateStrategy=rolling(maxUnavailable=0)), [
        f"{ROLLING}.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"], id="neither way to go on"),
    pytest.param(changed(AGENT, updateStrategy=rolling(maxUnavailable=1, maxSurge=1)), [
        f'{ROLLING}.maxSurge: Invalid value: intstr.IntOrString{{Type:0, IntVal:1, StrVal:""}}: '
        "may not be set when maxUnavailable is non-zero"], id="both ways at once"),
    pytest.param(changed(AGENT, updateStrategy=rolling(maxUnavailable="101%")), [
        f'{ROLLING}.maxUnavailable: Invalid value: intstr.IntOrString{{Type:1, IntVal:0, StrVal:"101%"}}: '
        "must not be greater than 100%"], id="more than all"),
    pytest.param(changed(AGENT, minReadySeconds=-1), [
        "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"], id="ready before it is"),
    pytest.param(changed(AGENT, revisionHistoryLimit=-1), [
        "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"], id="less than no history"),
])
def test_what_is_refused(cluster, manifest, complaints):
    said = cluster.kubectl("create", "--dry-run=server", "-f", "-", given=manifest, fails=True).stderr
    assert f'The DaemonSet "{manifest["metadata"]["name"]}" is invalid' in said
    for complaint in complaints:
        assert complaint in said


@rows(13)
def test_a_selector_of_expressions(space, pool):
    node, = pool(1)
    manifest = daemonset("agent", labels={"app": "agent", "tier": "node"}, nodeSelector={"test": space.name})
    space.apply(changed(manifest, selector={"matchExpressions": [
        {"key": "app", "operator": "In", "values": ["agent", "daemon"]}, {"key": "canary", "operator": "DoesNotExist"}]}))
    space.on_nodes("tier=node", node)
    assert space.kubectl("get", "ds", "agent", "-o", "wide").table[0]["SELECTOR"] == "app in (agent,daemon),!canary"


@rows(15)
def test_the_selector_stays_as_it_was_created(space):
    space.apply(daemonset("agent", nodeSelector={"no": "node"}))
    labels = {"app": "agent", "more": "yes"}
    said = space.kubectl("apply", "-f", "-", given=daemonset("agent", labels=labels), fails=True).stderr
    assert 'The DaemonSet "agent" is invalid: spec.selector: Invalid value: ' in said
    assert said.rstrip().endswith("field is immutable")
    assert space.get("ds", "agent")["spec"]["selector"] == {"matchLabels": LABELS}


@rows(16)
def test_the_template_takes_what_a_pod_takes_but_its_type(space):
    needs_kubectl(1, 25)  # older ones do not ask the server to refuse unknown fields
    wrong = daemonset("agent")
    wrong["spec"]["template"] = {"apiVersion": "v1", "kind": "Pod", **wrong["spec"]["template"]}
    said = space.kubectl("create", "-f", "-", given=wrong, fails=True).stderr
    assert 'unknown field "spec.template.apiVersion"' in said and 'unknown field "spec.template.kind"' in said
    pod = {"initContainers": [{"name": "first", "image": "busybox", "command": ["true"]}], "hostPID": True,
           "dnsPolicy": "Default", "serviceAccountName": "default", "automountServiceAccountToken": False}
    space.apply(daemonset("agent", nodeSelector={"no": "node"}, **pod))
    kept = space.get("ds", "agent")["spec"]["template"]["spec"]
    assert {name: kept[name] for name in pod if name != "initContainers"} == {
        name: value for name, value in pod.items() if name != "initContainers"}
    assert kept["initContainers"][0]["command"] == ["true"]


@rows(17, 18, 19, 20, 21, 26, 27, 30, 102)
def test_what_is_filled_in(space):
    space.apply(daemonset("usual", nodeSelector={"no": "node"}),
                daemonset("manual", nodeSelector={"no": "node"}, strategy={"type": "OnDelete"}, restartPolicy="Always"))
    usual, manual = (one["spec"] for one in (space.get("ds", "usual"), space.get("ds", "manual")))
    assert usual["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert manual["updateStrategy"] == {"type": "OnDelete"}
    assert usual["revisionHistoryLimit"] == 10 and "minReadySeconds" not in usual
    assert usual["template"]["spec"]["restartPolicy"] == manual["template"]["spec"]["restartPolicy"] == "Always"
    assert space.get("ds", "usual")["metadata"]["annotations"]["deprecated.daemonset.template.generation"] == "1"


@rows(28)
def test_the_fields_that_the_source_of_the_type_lists(cluster):
    """The source numbers them for protobuf; over JSON, which is what Muster answers with, their names count."""
    needs_kubectl(1, 27)
    for field, kind in (("selector", "LabelSelector"), ("template", "PodTemplateSpec"),
                        ("updateStrategy", "DaemonSetUpdateStrategy"), ("minReadySeconds", "integer"),
                        ("revisionHistoryLimit", "integer")):
        assert f"FIELD: {field} <{kind}>" in cluster.kubectl("explain", f"ds.spec.{field}").lines
    rolling_update = cluster.kubectl("explain", "daemonset.spec.updateStrategy.rollingUpdate").stdout
    assert re.findall(r"^  (\w+)\t", rolling_update, flags=re.MULTILINE) == ["maxSurge", "maxUnavailable"]


@rows(29, 174)
def test_the_numbers_of_the_status(space, pool):
    pool(2)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}))
    space.settled("agent", 2)
    status = space.get("ds", "agent")["status"]
    assert status == {"currentNumberScheduled": 2, "desiredNumberScheduled": 2, "numberAvailable": 2, "numberMisscheduled": 0,
                      "numberReady": 2, "observedGeneration": 1, "updatedNumberScheduled": 2}
    said = space.kubectl("describe", "ds", "agent").lines
    for line in ("Desired Number of Nodes Scheduled: 2", "Current Number of Nodes Scheduled: 2",
                 "Number of Nodes Scheduled with Up-to-date Pods: 2", "Number of Nodes Scheduled with Available Pods: 2",
                 "Number of Nodes Misscheduled: 0", "Pods Status:  2 Running / 0 Waiting / 0 Succeeded / 0 Failed"):
        assert line in said
    row, = space.kubectl("get", "ds").table
    assert [row[name] for name in ("DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE")] == ["2"] * 5


@rows(30, 78)
def test_the_template_generation_rises_with_the_template_only(space):
    def generations():
        metadata = space.get("ds", "agent")["metadata"]
        return metadata["annotations"]["deprecated.daemonset.template.generation"], metadata["generation"]
    space.apply(daemonset("agent", nodeSelector={"no": "node"}))
    assert generations() == ("1", 1)
    space.kubectl("label", "ds", "agent", "x=y")
    assert generations() == ("1", 1)
    space.kubectl("patch", "ds", "agent", "-p", '{"spec":{"minReadySeconds":1}}')
    assert generations() == ("1", 2)
    space.kubectl("set", "image", "ds/agent", "main=agent:2")
    assert generations() == ("2", 3)


@rows(27)
def test_how_many_revisions_are_kept(space, pool):
    pool(1)
    space.apply(changed(daemonset("agent", nodeSelector={"test": space.name}), revisionHistoryLimit=0))
    assert space.get("ds", "agent")["spec"]["revisionHistoryLimit"] == 0
    space.settled("agent", 1)
    space.kubectl("set", "image", "ds/agent", "main=agent:2")
    space.settled("agent", 1)
    past = space.until("controllerrevisions", lambda there: [one["revision"] for one in there.values()] == [2])
    assert len(past[-1]) == 1


@rows(26)
def test_a_pod_is_available_once_it_was_ready_for_long_enough(space, pool):
    pool(1)
    space.apply(changed(daemonset("agent", nodeSelector={"test": space.name}), minReadySeconds=3600))
    def numbers(ready, available):
        def holds(there):
            status = there.get("agent", {}).get("status", {})
            return (status.get("numberReady"), status.get("numberAvailable", 0)) == (ready, available)
        return holds
    space.until("ds", numbers(1, 0))
    assert space.kubectl("get", "ds").table[0]["AVAILABLE"] == "0"
    space.kubectl("patch", "ds", "agent", "-p", '{"spec":{"minReadySeconds":1}}')
    space.until("ds", numbers(1, 1))


# ------------------------------------------------------------------ how many at a time

def roll(space, strategy, count, pool):
    """A DaemonSet on `count` new nodes, all well."""
    nodes = pool(count)
    space.apply(daemonset("agent", OLD, nodeSelector={"test": space.name}, strategy=strategy))
    space.settled("agent", count)
    return nodes


def images(there):
    """The images of the pods that are not on their way out, with whether they are ready."""
    return sorted((pod["spec"]["containers"][0]["image"], is_ready(pod)) for pod in there.values()
                  if "deletionTimestamp" not in pod["metadata"])


def ready_ones(there):
    return sum(is_ready(pod) for pod in there.values() if "deletionTimestamp" not in pod["metadata"])


@rows(20, 22, 67)
def test_thirty_percent_of_five_are_two(space, pool):
    """A share is rounded up.  A bad image stops the update there; the next one goes on, and 3 of 5 run throughout."""
    roll(space, rolling(maxUnavailable="30%"), 5, pool)
    space.kubectl("set", "image", "ds/agent", f"main={BROKEN}")
    past = space.until("pods", lambda there: images(there) == [(OLD, True)] * 3 + [(BROKEN, False)] * 2, "-l", "app=agent")
    space.until("ds", lambda there: there["agent"]["status"].get("numberUnavailable") == 2
                and there["agent"]["status"]["observedGeneration"] == 2)
    assert space.kubectl("get", "ds").lines[1].split()[1:6] == ["5", "5", "3", "2", "3"]
    space.kubectl("set", "image", "ds/agent", f"main={NEW}")
    past += space.until("pods", lambda there: images(there) == [(NEW, True)] * 5, "-l", "app=agent")[5:]
    assert all(ready_ones(there) >= 3 for there in past if len(there) >= 5)
    space.settled("agent", 5)


@rows(21, 23, 25)
def test_with_surge_the_new_pod_comes_first(space, pool):
    """20% of 3 are 1.  Every old pod runs until the new one on its node is ready: no node is ever without."""
    nodes = roll(space, rolling(maxUnavailable=0, maxSurge="20%"), 3, pool)
    space.kubectl("set", "image", "ds/agent", f"main={BROKEN}")
    stuck = [(OLD, True)] * 3 + [(BROKEN, False)]
    space.until("pods", lambda there: images(there) == stuck, "-l", "app=agent")
    doubled = [pod["spec"]["nodeName"] for pod in space.get("pods", "-l", "app=agent")["items"]]
    assert sorted(set(doubled)) == nodes and len(doubled) == 4, "one node holds two: its daemon takes twice as much"
    assert space.kubectl("get", "ds").lines[1].split()[1:3] == ["3", "3"], "what is counted is nodes and not pods"
    space.kubectl("set", "image", "ds/agent", f"main={NEW}")
    past = space.until("pods", lambda there: images(there) == [(NEW, True)] * 3, "-l", "app=agent")
    for there in past[4:]:
        served = {pod["spec"].get("nodeName") for pod in there.values()
                  if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]}
        assert served == set(nodes)
    space.settled("agent", 3)


@rows(24)
def test_with_surge_a_node_whose_old_pod_fails_gets_its_new_one_at_once(space, pool):
    nodes = roll(space, rolling(maxUnavailable=0, maxSurge=1), 3, pool)
    space.kubectl("set", "image", "ds/agent", f"main={BROKEN}")
    space.until("pods", lambda there: images(there) == [(OLD, True)] * 3 + [(BROKEN, False)], "-l", "app=agent")
    pods = space.get("pods", "-l", "app=agent")["items"]
    stuck, = (pod["spec"]["nodeName"] for pod in pods if pod["spec"]["containers"][0]["image"] == BROKEN)
    drained, fails = (pod for pod in pods if pod["spec"]["nodeName"] != stuck)
    space.kubectl("delete", "pod", drained["metadata"]["name"])
    two = [(OLD, True)] * 2 + [(BROKEN, False)] * 2
    space.until("pods", lambda there: images(there) == two, "-l", "app=agent")
    not_ready = {**fails, "status": {**fails["status"], "conditions": [
        {**one, "status": "False"} if one["type"] in ("Ready", "ContainersReady") else one
        for one in fails["status"]["conditions"]]}}
    del not_ready["metadata"]["resourceVersion"]
    path = f"/api/v1/namespaces/{space.name}/pods/{fails['metadata']['name']}/status"
    space.kubectl("replace", "--raw", path, "-f", "-", given=not_ready)
    def updated_everywhere(there):
        return {pod["spec"].get("nodeName") for pod in there.values()
                if pod["spec"]["containers"][0]["image"] == BROKEN} == set(nodes)
    space.until("pods", updated_everywhere, "-l", "app=agent")
