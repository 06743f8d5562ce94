"""How a DaemonSet goes from one template to the next, and back, as kubectl shows it."""
import json
import re

import pytest
from conftest import daemonset, is_ready

from rows import rows

POOL = {"muster.dev/pool": "default-pool"}  # other tests add nodes of their own
GENERATION = "deprecated.daemonset.template.generation"


def agent(image="agent:1", **more):
    return daemonset("agent", image, nodeSelector=POOL, **more)


def image(pod):
    return pod["spec"]["containers"][0]["image"]


def images(space):
    return [image(pod) for pod in space.get("pods", "-l", "app=agent")["items"]]


def seen_but_not_updated(space, generation):
    """Waits until the controller has taken note of a template that it does not roll out."""
    space.until("ds", lambda there: there["agent"]["status"].get("observedGeneration") == generation)
    assert "updatedNumberScheduled" not in space.get("ds", "agent")["status"]


def waits_for(pod):
    (status,) = pod.get("status", {}).get("containerStatuses") or [{}]
    return status.get("state", {}).get("waiting", {}).get("reason")


@pytest.fixture
def running(space):
    """The DaemonSet `agent` at agent:1 on four nodes."""
    space.apply(agent())
    space.rolled_out("agent")
    return space


@rows("67-68", 70, 77, 93)
def test_set_image_replaces_one_pod_after_the_other(space):
    space.apply(agent(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}))
    space.settled("agent", 4)
    with space.watching("pods", "-l", "app=agent", "--output-watch-events", "-o", "json") as lines:
        there = {}
        while len(there) < 4:
            pod = json.loads(next(lines))["object"]
            there[pod["metadata"]["name"]] = pod
        old = set(there)
        said = space.kubectl("set", "image", "ds", "agent", "main=agent:2")
        assert said.lines == ["daemonset.apps/agent image updated"]
        while not (len(there) == 4 and all(image(pod) == "agent:2" and is_ready(pod) for pod in there.values())):
            event = json.loads(next(lines))
            pod = event["object"]
            there[pod["metadata"]["name"]] = pod
            if event["type"] == "DELETED":
                del there[pod["metadata"]["name"]]
            at = [pod["spec"]["nodeName"] for pod in there.values()
                  if "nodeName" in pod["spec"] and pod["status"]["phase"] not in ("Succeeded", "Failed")]
            assert len(at) == len(set(at)), f"two daemons on a node: {at}"
            assert sum(is_ready(pod) for pod in there.values()) >= 3, "more than one is down"
    assert not old & set(there)
    assert all(re.fullmatch(r"agent-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in there)
    status = space.rolled_out("agent")
    assert status.lines[-1] == 'daemon set "agent" successfully rolled out'


def test_rollout_status_counts_what_is_done(space):
    space.apply(agent())
    status = space.rolled_out("agent")
    waiting = re.compile(r'Waiting for daemon set "agent" rollout to finish: '
                         r"(\d out of 4 new pods have been updated|\d of 4 updated pods are available)\.\.\.|"
                         r"Waiting for daemon set spec update to be observed\.\.\.")
    assert all(waiting.fullmatch(line) for line in status.lines[:-1])
    assert space.kubectl("rollout", "status", "ds/agent").lines == ['daemon set "agent" successfully rolled out']
    assert "not found" in space.kubectl("rollout", "status", "ds", "nobody", fails=True).stderr


@rows(69)
def test_on_delete_waits_for_the_user(space):
    space.apply(agent(strategy={"type": "OnDelete"}))
    space.settled("agent", 4)
    before = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in space.get("pods")["items"]}
    space.kubectl("set", "image", "ds", "agent", "main=agent:2")
    said = space.kubectl("rollout", "status", "ds", "agent", fails=True)
    assert said.stderr.strip() == "error: rollout status is only available for RollingUpdate strategy type"
    seen_but_not_updated(space, 2)
    assert {pod["metadata"]["name"] for pod in space.get("pods")["items"]} == set(before)
    gone = sorted(before)[0]
    assert space.kubectl("delete", "pod", gone).lines == [f'pod "{gone}" deleted']
    past = space.until("pods", lambda there: sorted(map(image, there.values())) == 3 * ["agent:1"] + ["agent:2"]
                       and all(map(is_ready, there.values())))
    (new,) = set(past[-1]) - set(before)
    assert past[-1][new]["spec"]["nodeName"] == before[gone]


@rows(71, 78, 189, 190)
def test_every_way_to_change_the_template_makes_a_revision(running):
    space = running
    assert space.apply(agent()).lines == ["daemonset.apps/agent unchanged"]
    assert space.apply(agent("agent:2")).lines == ["daemonset.apps/agent configured"]
    space.settled("agent", 4)  # kubectl replaces what it has read: a status written meanwhile is a conflict
    assert space.kubectl("replace", "-f", "-", given=agent("agent:3")).lines == ["daemonset.apps/agent replaced"]
    editor = "sed -i s/agent:3/agent:4/"
    assert space.kubectl("edit", "ds", "agent", env={"EDITOR": editor, "KUBE_EDITOR": editor}).lines \
        == ["daemonset.apps/agent edited"]
    patch = '{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"agent:5"}]}}}}'
    assert space.kubectl("patch", "ds", "agent", "-p", patch).lines == ["daemonset.apps/agent patched"]
    assert space.kubectl("rollout", "restart", "ds/agent").lines == ["daemonset.apps/agent restarted"]
    space.rolled_out("agent")
    revisions = space.get("controllerrevisions", "--sort-by", "{.revision}")["items"]
    assert [one["revision"] for one in revisions] == [1, 2, 3, 4, 5, 6]
    assert [one["data"]["spec"]["template"]["spec"]["containers"][0]["image"] for one in revisions] \
        == ["agent:1", "agent:2", "agent:3", "agent:4", "agent:5", "agent:5"]
    table = space.kubectl("get", "controllerrevisions").table
    assert list(table[0]) == ["NAME", "CONTROLLER", "REVISION", "AGE"]
    assert {row["CONTROLLER"] for row in table} == {"daemonset.apps/agent"}
    shown = space.get("ds", "agent")
    assert shown["metadata"]["annotations"][GENERATION] == "6"
    assert "kubectl.kubernetes.io/restartedAt" in shown["spec"]["template"]["metadata"]["annotations"]
    # What is not the template makes no revision.
    space.kubectl("patch", "ds", "agent", "--type", "merge", "-p", '{"spec":{"minReadySeconds":1}}')
    space.until("ds", lambda there: there["agent"]["status"]["observedGeneration"] == 7)
    assert len(space.get("controllerrevisions")["items"]) == 6
    assert space.get("ds", "agent")["metadata"]["annotations"][GENERATION] == "6"


@rows(72)
def test_what_can_not_be_pulled_is_replaced_first(running):
    space = running
    space.kubectl("set", "image", "ds", "agent", "main=agent:404")
    past = space.until("pods", lambda there: any(waits_for(pod) == "ImagePullBackOff" for pod in there.values()))
    (stuck,) = [name for name, pod in past[-1].items() if waits_for(pod) == "ImagePullBackOff"]
    shown = next(row for row in space.kubectl("get", "pods").table if row["NAME"] == stuck)
    assert (shown["READY"], shown["STATUS"], shown["RESTARTS"]) == ("0/1", "ImagePullBackOff", "0")
    assert len(space.get("pods")["items"]) == 4, "one node at a time: the others keep their pods"
    space.kubectl("set", "image", "ds", "agent", "main=agent:2")
    space.settled("agent", 4)
    events = space.get("events", "--field-selector", "involvedObject.kind=DaemonSet")["items"]
    gone = [one["message"].removeprefix("Deleted pod: ") for one in sorted(
        events, key=lambda one: int(one["metadata"]["resourceVersion"])) if one["reason"] == "SuccessfulDelete"]
    # The first update took one healthy pod; the next takes the stuck one, then the three that are healthy.
    assert len(gone) == 5 and gone[1] == stuck
    assert set(images(space)) == {"agent:2"}
    failures = space.get("events", "--field-selector", f"involvedObject.name={stuck},type=Warning")["items"]
    assert {one["reason"] for one in failures} == {"Failed"}


@rows(73, 182)
def test_a_watch_shows_a_replacement_line_by_line(running):
    space = running
    with space.watching("pods", "-l", "app=agent") as lines:
        assert next(lines).split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
        old = {next(lines).split()[0] for _ in range(4)}
        space.kubectl("set", "image", "ds", "agent", "main=agent:2")
        seen = []
        for line in lines:
            name, ready, status, restarts, age = line.split()
            assert restarts == "0" and re.fullmatch(r"\d+s", age)
            seen.append((name, ready, status))
            if name not in old and status == "Running" and ready == "1/1":
                break
    first, last = seen[0][0], seen[-1][0]
    went = [row[1:] for row in seen if row[0] == first]
    came = [row[1:] for row in seen if row[0] == last]
    assert first in old and went[0] == ("1/1", "Terminating")
    assert went[-1][0] == "0/1" and {status for _, status in went} <= {"Terminating", "Completed", "Error"}
    assert [status for _, status in came] == ["Pending", "Pending", "ContainerCreating", "Running"]
    assert [ready for ready, _ in came] == ["0/1", "0/1", "0/1", "1/1"]
    assert seen.index((first, *went[-1])) < seen.index((last, *came[0]))


@rows("74-76", 175)
def test_events_tell_the_rollout_in_order(running):
    space = running
    space.kubectl("set", "image", "ds", "agent", "main=agent:2")
    space.rolled_out("agent")
    space.settled("agent", 4)
    lines = space.kubectl("describe", "ds", "agent").lines
    start = lines.index("Events:")
    assert lines[start + 1].split() == ["Type", "Reason", "Age", "From", "Message"]
    assert set(lines[start + 2].split()) == {"----", "------", "-------"} | {"----"}
    told = [re.fullmatch(r"  Normal  (SuccessfulCreate|SuccessfulDelete)  (\d+s) +daemonset-controller  "
                         r"(Created|Deleted) pod: (agent-\w{5})", line) for line in lines[start + 3:]]
    assert all(told) and len(told) == 12
    created = [one[4] for one in told if one[1] == "SuccessfulCreate"]
    deleted = [one[4] for one in told if one[1] == "SuccessfulDelete"]
    assert sorted(created[:4]) == sorted(deleted), "all that were made first went"
    assert sorted(created[4:]) == sorted(pod["metadata"]["name"] for pod in space.get("pods")["items"])
    assert all((one[1], one[3]) in {("SuccessfulCreate", "Created"), ("SuccessfulDelete", "Deleted")} for one in told)
    ages = [int(one[2][:-1]) for one in told]
    assert ages == sorted(ages, reverse=True)
    # One after the other: four are made, then one goes and one comes, four times.
    assert [one[3] for one in told] == 4 * ["Created"] + 4 * ["Deleted", "Created"]


@rows("79-80", "82-86")
def test_history_and_undo(running):
    space = running
    for image in ("agent:2", "agent:3"):
        space.kubectl("set", "image", "ds", "agent", f"main={image}")
    space.rolled_out("agent")
    old = {pod["metadata"]["name"] for pod in space.get("pods")["items"]}
    history = space.kubectl("rollout", "history", "ds", "agent")
    assert history.stdout == ("daemonset.apps/agent \nREVISION  CHANGE-CAUSE\n"
                              "1         <none>\n2         <none>\n3         <none>\n\n")
    one = space.kubectl("rollout", "history", "daemonset", "agent", "--revision=2")
    assert one.lines[0] == "daemonset.apps/agent with revision #2"
    assert "agent:2" in one.stdout and "Pod Template:" in one.stdout
    # to a revision that is named
    said = space.kubectl("rollout", "undo", "ds", "agent", "--to-revision=1")
    assert said.lines == ["daemonset.apps/agent rolled back"]
    space.rolled_out("agent")
    space.settled("agent", 4)
    assert images(space) == 4 * ["agent:1"]
    assert not old & {pod["metadata"]["name"] for pod in space.get("pods")["items"]}
    assert [line.split()[0] for line in space.kubectl("rollout", "history", "ds", "agent").lines[2:]] == ["2", "3", "4"]
    # to the one before
    assert space.kubectl("rollout", "undo", "daemonset", "agent").lines == ["daemonset.apps/agent rolled back"]
    space.settled("agent", 4)
    assert images(space) == 4 * ["agent:3"]
    # to where it is already
    said = space.kubectl("rollout", "undo", "daemonset/agent", "--to-revision=5")
    assert said.lines == ["daemonset.apps/agent skipped rollback (current template already matches revision 5)"]
    said = space.kubectl("rollout", "undo", "ds", "agent", "--to-revision=77", fails=True)
    assert said.stderr.strip() == "error: unable to find specified revision 77 in history"
    dry = space.kubectl("rollout", "undo", "ds", "agent", "--dry-run=server")
    assert dry.lines == ["daemonset.apps/agent rolled back (server dry run)"]
    assert space.get("ds", "agent")["spec"]["template"]["spec"]["containers"][0]["image"] == "agent:3"


@rows(80, 81, 194)
def test_record_is_the_change_cause(running):
    space = running
    said = space.kubectl("set", "image", "ds", "agent", "main=agent:2", "--record")
    assert "deprecated" in said.stderr
    space.rolled_out("agent")
    space.kubectl("annotate", "ds", "agent", "kubernetes.io/change-cause=by hand", "--overwrite")
    space.kubectl("set", "image", "ds", "agent", "main=agent:3")
    space.rolled_out("agent")
    causes = [line.split(None, 1) for line in space.kubectl("rollout", "history", "ds", "agent").lines[2:]]
    assert [number for number, _ in causes] == ["1", "2", "3"]
    assert causes[0][1] == "<none>" and causes[2][1] == "by hand"
    assert " set image ds agent main=agent:2" in causes[1][1] and causes[1][1].endswith("--record=true")


@rows(87)
def test_a_rollout_is_halted_and_resumed(running):
    """kubectl pauses Deployments only, and says so; the annotation pauses a DaemonSet."""
    space = running
    said = space.kubectl("rollout", "pause", "ds", "agent", fails=True)
    assert said.stderr.strip() == "error: daemonsets.apps \"agent\" pausing is not supported"
    said = space.kubectl("rollout", "resume", "ds", "agent", fails=True)
    assert said.stderr.strip() == "error: daemonsets.apps \"agent\" resuming is not supported"
    space.kubectl("annotate", "ds", "agent", "muster.dev/paused=true")
    space.kubectl("set", "image", "ds", "agent", "main=agent:2")
    seen_but_not_updated(space, 2)
    assert images(space) == 4 * ["agent:1"]
    space.kubectl("annotate", "ds", "agent", "muster.dev/paused-")
    space.rolled_out("agent")
    space.settled("agent", 4)
    assert images(space) == 4 * ["agent:2"]


@rows(88, 185, 187)
def test_a_node_selector_added_by_apply_shrinks_the_set(space, cluster):
    nodes = [node["metadata"]["name"] for node in space.get("nodes", "-l", "muster.dev/pool=default-pool")["items"]]
    key = f"disk-{space.name}"
    space.apply(agent())
    space.settled("agent", 4)
    old = {pod["metadata"]["name"] for pod in space.get("pods")["items"]}
    try:
        for node in nodes[:2]:
            assert cluster.kubectl("label", "node", node, f"{key}=ssd").lines == [f"node/{node} labeled"]
        space.apply(daemonset("agent", nodeSelector={**POOL, key: "ssd"}))
        space.settled("agent", 2)
        pods = space.pods("app=agent")
        assert sorted(pods) == sorted(nodes[:2])
        assert not old & {pod["metadata"]["name"] for pod in pods.values()}, "fresh pods"
        table = cluster.kubectl("get", "node", "-l", f"{key}=ssd", "-L", key).table
        assert [(row["NAME"], row[key.upper()]) for row in table] == [(node, "ssd") for node in nodes[:2]]
        row = space.kubectl("get", "ds", "agent").table[0]
        assert row["DESIRED"] == "2" and row["NODE SELECTOR"] == f"{key}=ssd,muster.dev/pool=default-pool"
    finally:
        cluster.kubectl("label", "node", *nodes[:2], f"{key}-")


def test_history_keeps_as_many_as_it_should(space):
    space.apply({**agent(), "spec": {**agent()["spec"], "revisionHistoryLimit": 1}})
    space.settled("agent", 4)
    for image in ("agent:2", "agent:3", "agent:4"):
        space.kubectl("set", "image", "ds", "agent", f"main={image}")
        space.rolled_out("agent")
    space.until("controllerrevisions", lambda there: sorted(one["revision"] for one in there.values()) == [3, 4])


def test_a_diff_shows_what_apply_would_change(running):
    space = running
    assert not space.kubectl("diff", "-f", "-", given=agent()).stdout
    said = space.kubectl("diff", "-f", "-", given=agent("agent:2"), fails=True)
    assert said.returncode == 1
    assert "-      - image: agent:1" in said.lines and "+      - image: agent:2" in said.lines
    assert "-  generation: 1" in said.lines and "+  generation: 2" in said.lines
    assert space.get("ds", "agent")["metadata"]["generation"] == 1, "nothing was written"
