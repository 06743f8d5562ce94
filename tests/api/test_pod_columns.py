"""What `kubectl get pods -o wide` prints."""
import pytest

from muster.api.kinds.pod import POD
from muster.api.objects import to_time

NOW = 1_767_225_600.0


def state(ready=False, restarts=0, last=None, **given):
    found = {"name": given.pop("name", "c"), "ready": ready, "restartCount": restarts, "state": given}
    if "started" in given:
        found["started"] = given.pop("started")
    if last is not None:
        found["lastState"] = {"terminated": {"finishedAt": to_time(last)}}
    return found


RUNNING = {"running": {"startedAt": "x"}}
READY = {"type": "Ready", "status": "True"}


def row(status, containers=1, init=(), metadata=None, **spec):
    pod = {"metadata": {"name": "p", "creationTimestamp": to_time(NOW - 104), **(metadata or {})}, "status": status,
           "spec": {"containers": [{"name": f"c{n}"} for n in range(containers)], "initContainers": list(init), **spec}}
    return [column.cell(pod, NOW) for column in POD.columns]


def test_the_header():
    assert [(column.name, column.priority) for column in POD.columns] == [
        ("Name", 0), ("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0), ("IP", 1), ("Node", 1),
        ("Nominated Node", 1), ("Readiness Gates", 1)]


def test_a_whole_row():
    status = {"phase": "Running", "podIP": "172.25.244.226", "podIPs": [{"ip": "172.25.244.226"}],
              "conditions": [READY, {"type": "a/b", "status": "False"}], "containerStatuses": [state(True, **RUNNING)]}
    assert row(status, nodeName="n1", readinessGates=[{"conditionType": "a/b"}]) == [
        "p", "1/1", "Running", "0", "104s", "172.25.244.226", "n1", "<none>", "0/1"]


def test_a_row_of_nothing_yet():
    assert row({"phase": "Pending"}) == ["p", "0/1", "Pending", "0", "104s", "<none>", "<none>", "<none>", "<none>"]


@pytest.mark.parametrize("status, containers, expected", [
    pytest.param({"phase": "Pending", "containerStatuses": [state(waiting={"reason": "ContainerCreating"})]}, 1,
                 ("0/1", "ContainerCreating", "0"), id="being created"),
    pytest.param({"phase": "Pending", "containerStatuses": [state(waiting={"reason": "ImagePullBackOff"})]}, 1,
                 ("0/1", "ImagePullBackOff", "0"), id="no such image"),
    pytest.param({"phase": "Running", "containerStatuses": [
        state(waiting={"reason": "CrashLoopBackOff"}, restarts=3, last=NOW - 130)]}, 1,
        ("0/1", "CrashLoopBackOff", "3 (2m10s ago)"), id="crashes"),
    pytest.param({"phase": "Running", "containerStatuses": [state(True, **RUNNING), state(waiting={"reason": "X"})]}, 2,
                 ("1/2", "X", "0"), id="one of two waits"),
    pytest.param({"phase": "Running", "containerStatuses": [state(terminated={"reason": "Error", "exitCode": 1}),
                                                            state(waiting={"reason": "X"})]}, 2,
                 ("0/2", "Error", "0"), id="the first container's word wins"),
    pytest.param({"phase": "Succeeded", "containerStatuses": [state(terminated={"reason": "Completed",
                                                                                "exitCode": 0})]},
                 1, ("0/1", "Completed", "0"), id="completed"),
    pytest.param({"phase": "Failed", "containerStatuses": [state(terminated={"exitCode": 3})]}, 1,
                 ("0/1", "ExitCode:3", "0"), id="an exit code"),
    pytest.param({"phase": "Failed", "containerStatuses": [state(terminated={"exitCode": 137, "signal": 9})]}, 1,
                 ("0/1", "Signal:9", "0"), id="a signal"),
    pytest.param({"phase": "Failed", "reason": "Evicted"}, 1, ("0/1", "Evicted", "0"), id="evicted"),
    pytest.param({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                                                      "reason": "SchedulingGated"}]}, 1,
                 ("0/1", "SchedulingGated", "0"), id="gated"),
    pytest.param({"phase": "Running", "conditions": [READY], "containerStatuses": [
        state(terminated={"reason": "Completed", "exitCode": 0}), state(True, **RUNNING)]}, 2,
        ("1/2", "Running", "0"), id="one completed, ready all the same"),
    pytest.param({"phase": "Running", "containerStatuses": [
        state(terminated={"reason": "Completed", "exitCode": 0}), state(True, **RUNNING)]}, 2,
        ("1/2", "NotReady", "0"), id="one completed, not ready"),
    pytest.param({"phase": "Running", "containerStatuses": [state(False, restarts=1, **RUNNING)]}, 1,
                 ("0/1", "Running", "1"), id="restarted, nobody knows when"),
])
def test_main_containers(status, containers, expected):
    assert tuple(row(status, containers)[1:4]) == expected


SIDECAR = {"name": "s", "restartPolicy": "Always"}
SETUP = {"name": "i"}
DONE = state(name="i", terminated={"exitCode": 0, "reason": "Completed"})


@pytest.mark.parametrize("init, states, expected", [
    pytest.param([SETUP], [state(name="i", waiting={"reason": "PodInitializing"})], ("0/1", "Init:0/1", "0"),
                 id="first"),
    pytest.param([SETUP, SETUP], [DONE, state(name="i", **RUNNING)], ("0/1", "Init:1/2", "0"), id="second"),
    pytest.param([SETUP], [state(name="i", waiting={"reason": "ImagePullBackOff"}, restarts=2, last=NOW - 5)],
                 ("0/1", "Init:ImagePullBackOff", "2 (5s ago)"), id="waits"),
    pytest.param([SETUP], [state(name="i", terminated={"exitCode": 1, "reason": "Error"})], ("0/1", "Init:Error", "0"),
                 id="failed"),
    pytest.param([SETUP], [state(name="i", terminated={"exitCode": 1})], ("0/1", "Init:ExitCode:1", "0"), id="exit "
                                                                                                             "code"),
    pytest.param([SIDECAR, SETUP], [state(True, name="s", started=True, **RUNNING), state(name="i", **RUNNING)],
                 ("1/2", "Init:1/2", "0"), id="after a sidecar"),
])
def test_init_containers(init, states, expected):
    assert tuple(row({"phase": "Pending", "initContainerStatuses": states}, init=init)[1:4]) == expected


def test_restarts_of_init_containers_are_forgotten_but_those_of_sidecars_count():
    status = {"phase": "Running", "initContainerStatuses": [
        state(True, restarts=2, last=NOW - 60, name="s", started=True, **RUNNING), {**DONE, "restartCount": 5}],
        "containerStatuses": [state(True, restarts=1, last=NOW - 3600, **RUNNING)]}
    assert row(status, init=[SIDECAR, SETUP])[1:4] == ["2/2", "Running", "3 (60s ago)"]


@pytest.mark.parametrize("status, expected", [
    pytest.param({"phase": "Running"}, "Terminating", id="running"),
    pytest.param({"phase": "Running", "reason": "NodeLost"}, "Unknown", id="its node is lost"),
    pytest.param({"phase": "Succeeded"}, "Succeeded", id="already over"),
])
def test_deletion(status, expected):
    assert row(status, metadata={"deletionTimestamp": to_time(NOW)})[2] == expected
