"""What a node says of itself and of the pods it refuses; its leases; what containers log."""
from __future__ import annotations

import pytest

from muster.api.errors import BadRequest
from muster.api.logs import LogOptions
from muster.api.objects import Obj, condition, to_time
from muster.node import leases, logs
from muster.node.addresses import PodAddresses
from muster.node.admission import Footprint, footprint_of, refusal
from muster.node.status import is_registered, node_status

NOON = 1_767_225_600.0


def node(**status: object) -> Obj:
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "n1", "uid": "u1", "labels": {"disk": "ssd"}},
            "spec": {"taints": [{"key": "out", "effect": "NoExecute"}, {"key": "new", "effect": "NoSchedule"}]},
            "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "2"}, **status}}


def pod(*, cpu: str = "0", port: int = 0, **spec: object) -> Obj:
    ports = [{"containerPort": 80, "hostPort": port}] if port else []
    return {"metadata": {"name": "web"}, "spec": {
        "containers": [{"name": "app", "resources": {"requests": {"cpu": cpu}}, "ports": ports}],
        "tolerations": [{"key": "out", "operator": "Exists"}], **spec}}


REFUSED = "Pod was rejected: "


@pytest.mark.parametrize(("asked", "others", "reason", "message"), [
    pytest.param(pod(cpu="1"), [], "", "", id="fits"),
    pytest.param(pod(cpu="1500m"), [pod(cpu="1")], "OutOfcpu",
                 "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000", id="processors"),
    pytest.param(pod(), [pod(), pod()], "OutOfpods",
                 "Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2", id="pods"),
    pytest.param(pod(port=80), [pod(port=80)], "NodePorts",
                 "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports", id="port"),
    pytest.param(pod(port=80), [pod(port=81)], "", "", id="another port"),
    pytest.param(pod(nodeSelector={"disk": "hdd"}), [], "NodeAffinity",
                 "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector", id="selector"),
    pytest.param(pod(tolerations=[]), [], "TaintToleration",
                 "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate", id="taint"),
])
def test_refusals(asked: Obj, others: list[Obj], reason: str, message: str) -> None:
    found = refusal(asked, footprint_of(asked), node(), [footprint_of(other) for other in others])
    assert found == ((reason, REFUSED + message) if reason else None)


def test_a_node_that_has_not_registered_refuses_nothing_for_its_size() -> None:
    assert refusal(pod(cpu="9"), Footprint({"cpu": 9000}, []), node(allocatable=None), []) is None


def test_a_node_registers() -> None:
    made = node(capacity={"cpu": "8", "memory": "32Gi", "pods": "110"}, nodeInfo={"kubeletVersion": "v1.30.1"},
                conditions=[{"type": "Ready", "status": "False", "reason": "KubeletNotReady"},
                            {"type": "Other", "status": "True"}])
    assert not is_registered(made)
    status = node_status(made, "10.128.0.9", ["docker.io/library/nginx:1"], NOON)
    registered = {**made, "status": status}
    assert is_registered(registered)
    ready = condition(registered, "Ready")
    assert ready is not None and ready["message"] == "kubelet is posting ready status"
    assert condition(registered, "Other") is not None
    assert status["allocatable"] == {"cpu": "8", "memory": f"{32 * 1024 * 1024 - 100 * 1024}Ki", "pods": "110"}
    assert status["nodeInfo"]["kubeletVersion"] == "v1.30.1"
    later = node_status(registered, "10.128.0.9", [], NOON + 60)
    assert [one.get("lastTransitionTime") for one in later["conditions"]] == [
        one.get("lastTransitionTime") for one in status["conditions"]]


@pytest.mark.parametrize(("nodes", "interval_s"), [(1, 10), (1000, 10), (5000, 50), (20_000, 200)])
def test_heartbeats_stay_bounded(nodes: int, interval_s: float) -> None:
    assert leases.interval_s(nodes) == interval_s
    assert nodes / leases.interval_s(nodes) <= leases.RENEWALS_PER_S
    assert leases.renewal(nodes, NOON)["spec"]["leaseDurationSeconds"] == 4 * interval_s


def test_pod_addresses_are_handed_out_once() -> None:
    addresses = PodAddresses("10.132.7.0/24")
    addresses.keep(["10.132.7.3"])
    taken = [addresses.take() for _ in range(252)]
    assert len(set(taken)) == 252 and "10.132.7.3" not in taken and addresses.take() == ""
    addresses.give_back("10.132.7.9")
    assert addresses.take() == "10.132.7.9"


# ------------------------------------------------------------------ logs


def logging_pod(state: Obj, *, last: Obj | None = None, restarts: int = 0, **container: object) -> Obj:
    return {"metadata": {"name": "web", "namespace": "shop", "uid": "u1"},
            "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "nginx", **container}]},
            "status": {"conditions": [{"type": "ContainersReady", "status": "True",
                                       "lastTransitionTime": to_time(NOON + 1)}],
                       "containerStatuses": [{"name": "app", "restartCount": restarts, "state": state,
                                              "lastState": {"terminated": last} if last else {}}]}}


RUNS = {"running": {"startedAt": to_time(NOON)}}
ENDED = {"startedAt": to_time(NOON - 60), "finishedAt": to_time(NOON - 50), "exitCode": 3}
START = "app: run 1 of image nginx in pod shop/web on node n1 (simulated)"


@pytest.mark.parametrize(("seen", "options", "lines"), [
    pytest.param(logging_pod(RUNS), {}, [START, "app: ready", "app: has been running for 1m0s",
                                         "app: has been running for 2m0s"], id="a server"),
    pytest.param(logging_pod(RUNS), {"tail_lines": 1}, ["app: has been running for 2m0s"], id="tail"),
    pytest.param(logging_pod(RUNS), {"tail_lines": 0}, [], id="tail of none"),
    pytest.param(logging_pod(RUNS), {"since_s": 100}, ["app: has been running for 1m0s",
                                                       "app: has been running for 2m0s"], id="since"),
    pytest.param(logging_pod(RUNS, last=ENDED, restarts=1), {"previous": True},
                 [START, "app: ended with exit code 3"], id="previous"),
    pytest.param(logging_pod(RUNS, command=["sh", "-c", "echo a; sleep 100; echo b; sleep 100; echo c"]), {},
                 ["a", "b"], id="what a command prints, as far as it is"),
    pytest.param(logging_pod({"terminated": {**ENDED, "exitCode": 0}}, command=["echo", "hi"]), {}, ["hi"], id="ended"),
])
def test_what_is_logged(seen: Obj, options: dict, lines: list[str]) -> None:
    asked = LogOptions("app", **options)
    assert [line.text for line in logs.written(seen, asked, NOON + 130)] == lines


@pytest.mark.parametrize(("seen", "options", "message"), [
    pytest.param(logging_pod({"waiting": {"reason": "ContainerCreating"}}), {},
                 'container "app" in pod "web" is waiting to start: ContainerCreating', id="waiting"),
    pytest.param(logging_pod({"waiting": {"reason": "ImagePullBackOff"}}), {},
                 'container "app" in pod "web" is waiting to start: trying and failing to pull image', id="no image"),
    pytest.param(logging_pod(RUNS), {"previous": True}, 'previous terminated container "app" in pod "web" not found',
                 id="no previous"),
])
def test_where_there_is_no_log(seen: Obj, options: dict, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        logs.written(seen, LogOptions("app", **options), NOON)


def test_timestamps() -> None:
    asked = LogOptions("app", timestamps=True)
    text = logs.encoded(logs.written(logging_pod(RUNS), asked, NOON + 2), asked).decode()
    assert text == f"2026-01-01T00:00:00.000000000Z {START}\n2026-01-01T00:00:01.000000000Z app: ready\n"
