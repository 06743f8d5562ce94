"""What is told of one pod."""
import pytest
from why_world import STARTED, claim, node, pod, scene, storage_class, warning

from muster.why.answer import Answer, as_json, largest_first, names, text
from muster.why.pod import pod_answer

USES = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}
SOON, PAST = "2026-01-01T00:00:20Z", "2025-12-31T23:59:30Z"


def running(**more):
    return {"phase": "Running", "startTime": STARTED, **more}


def containers(*statuses, field="containerStatuses", **more):
    return running(**{field: [{"name": "app", **one} for one in statuses]}, **more)


def waits(reason, message="", **more):
    return {"state": {"waiting": {"reason": reason, "message": message}}, **more}


def probed(kind, probe):
    return [{"name": "app", "image": "web:1", kind: probe}]


HTTP = {"httpGet": {"path": "/up", "port": 80}}
RUNS = {"state": {"running": {"startedAt": STARTED}}}
READY = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": STARTED}]}


@pytest.mark.parametrize("one, says", [
    pytest.param(pod(bound="n1", status=running(**READY)), "it runs on n1, ready for 10m", id="ready"),
    pytest.param(pod(bound="n1", status={"phase": "Succeeded"}),
                 "it ran on n1 and has ended well; it is not started again", id="succeeded"),
    pytest.param(pod(bound="gone"), "it is bound to node gone, which is not there; make another: `kubectl delete pod -n x p`",
                 id="its node is gone"),
    pytest.param(pod(bound="n1", status={"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}),
                 "it failed on n1: Evicted: The node was low on memory.; a failed pod stays as it is; it has no controller, so "
                 "make it anew", id="evicted"),
    pytest.param(pod(bound="n1", status={"phase": "Failed", "reason": "OutOfcpu"}, metadata={
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True}]}),
                 "it failed on n1: OutOfcpu; a failed pod stays as it is; whether another comes is up to its ReplicaSet web",
                 id="rejected"),
    pytest.param(pod(bound="n1", metadata={"deletionTimestamp": SOON}),
                 "it is being deleted: 20s of its grace period are left", id="ending"),
    pytest.param(pod(bound="silent", metadata={"deletionTimestamp": PAST}),
                 "it is being deleted (its grace period ended 30s ago), but its node silent does not answer, and only it can "
                 "say that the containers have ended; `kubectl delete pod -n x p --force --grace-period=0`, if you know that "
                 "they have", id="ending on a silent node"),
    pytest.param(pod(bound="n1", metadata={"deletionTimestamp": PAST, "finalizers": ["a/b"]}),
                 "it is being deleted (its grace period ended 30s ago), but held by its finalizers a/b; whoever set them has to "
                 "take them off; by hand: `kubectl patch pod -n x p --type merge -p '{\"metadata\":{\"finalizers\":null}}'`",
                 id="held"),
    pytest.param(pod(bound="n1", status=running()), "it is on n1, but container app has not been started (for 10m)",
                 id="nothing said yet"),
    pytest.param(pod(bound="n1", status=containers(waits("ContainerCreating"))),
                 "it is on n1, but container app: ContainerCreating (for 10m)", id="being created"),
    pytest.param(pod(bound="n1", status=containers(waits("ErrImagePull", "not found"))),
                 "it is on n1, but container app: ErrImagePull (not found); is image web:1 right, and may the node pull it?",
                 id="image"),
    pytest.param(pod(bound="n1", status=containers(waits(
        "CrashLoopBackOff", "back-off 40s", restartCount=3,
        lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}}))),
                 "it is on n1, but container app: CrashLoopBackOff (back-off 40s); it ended 3 times, last: OOMKilled, exit code "
                 "137; `kubectl logs -n x p -c app --previous` may say more", id="crashes"),
    pytest.param(pod(bound="n1", status=containers(waits("CreateContainerConfigError", 'configmap "c" not found'))),
                 'it is on n1, but container app: CreateContainerConfigError (configmap "c" not found); make what it names, or '
                 "correct the template", id="configuration"),
    pytest.param(pod(bound="n1", status=containers(RUNS), containers=probed("readinessProbe", HTTP)),
                 "it is on n1, but container app runs (for 10m), but its readiness probe (httpGet :80/up) does not succeed",
                 id="readiness probe"),
    pytest.param(pod(bound="n1", status=containers(RUNS), containers=probed("startupProbe", {"exec": {"command": ["up"]}})),
                 "it is on n1, but container app runs (for 10m), but its startup probe (exec up) has not succeeded yet",
                 id="startup probe"),
    pytest.param(pod(bound="n1", status=containers({**RUNS, "ready": True}), readinessGates=[{"conditionType": "lb"}]),
                 "it is on n1, but its readiness gates are not true: lb; whoever is responsible for them has to set these "
                 "conditions", id="readiness gate"),
    pytest.param(pod(bound="n1", initContainers=[{"name": "app", "image": "i"}],
                     status=containers({"state": {"running": {"startedAt": STARTED}}}, field="initContainerStatuses")),
                 "it is on n1, but init container app is still running (for 10m): what comes after it starts once it has ended; "
                 "`kubectl logs -n x p -c app` may say more", id="init container"),
    pytest.param(pod(schedulingGates=[{"name": "a/b"}]),
                 "it is gated: no node is looked for while it has the scheduling gates a/b; whoever set them has to take them "
                 "off; by hand: `kubectl patch pod -n x p --type json -p '[{\"op\":\"remove\",\"path\":"
                 "\"/spec/schedulingGates\"}]'`", id="gated"),
    pytest.param(pod(cpu="1"), "it waits for the scheduler's next look: n1 of 2 nodes would take it", id="about to be placed"),
    pytest.param(pod(nodeSelector={"a": "b"}), "unschedulable: none of 2 nodes takes it", id="unschedulable"),
])
def test_says(one, says):
    silent = node("silent", ready="Unknown", taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}])
    assert pod_answer(one, scene(node(), silent, one)).says == says


TOLERATES = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}


@pytest.mark.parametrize("tolerations, change", [
    pytest.param([], "it will be evicted at once, and made again elsewhere if it has a controller", id="not at all"),
    pytest.param([TOLERATES], "it waits there until the node is back, for it tolerates that without end", id="without end"),
    pytest.param([{**TOLERATES, "tolerationSeconds": 900}],
                 "it tolerates that for 900 s, and is evicted in 5m unless the node is back by then", id="for a while"),
])
def test_on_a_silent_node(tolerations, change):
    taint = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": STARTED}
    one = pod(bound="n1", tolerations=tolerations, status=running(**READY))
    found = pod_answer(one, scene(node(ready="Unknown", taints=[taint]), one))
    assert found.verdict == "it is on n1, whose agent has been silent for 10m (last heard of: never)"
    assert found.change == change


@pytest.mark.parametrize("objects, says", [
    pytest.param([], 'unschedulable: persistentvolumeclaim "data" not found; make the PersistentVolumeClaim data in namespace x',
                 id="no claim"),
    pytest.param([claim(deletionTimestamp=STARTED)],
                 'unschedulable: persistentvolumeclaim "data" is being deleted; make data anew once it is gone (pods that use '
                 "it hold it)", id="claim on its way out"),
    pytest.param([claim(phase="Lost", volume="v")],
                 'unschedulable: persistentvolumeclaim "data" bound to non-existent persistentvolume "v"; delete the claim data '
                 "and make it anew: what was on the volume is lost", id="lost"),
    pytest.param([claim(), storage_class("fast")],
                 'unschedulable: claim data is of storage class "slow", which is not there (there are fast); make that class, or '
                 'make a PersistentVolume of 1Gi with the access modes ReadWriteOnce and storageClassName "slow"', id="no class"),
    pytest.param([claim(storage_class="")],
                 "unschedulable: claim data names no storage class, and no volume without one suits it; make a PersistentVolume "
                 "of 1Gi with the access modes ReadWriteOnce", id="no class named"),
    pytest.param([claim(), storage_class(), warning(claim(), "ProvisioningFailed", "no space")],
                 "unschedulable: claim data waits for example.com/disks to make its volume: ProvisioningFailed: no space",
                 id="its volume is not made"),
    pytest.param([claim(), storage_class(mode="WaitForFirstConsumer")], "it waits for its claims to be bound: data",
                 id="first consumer"),
])
def test_claims(objects, says):
    one = pod(**USES)
    assert pod_answer(one, scene(node(), one, *objects)).says == says


LEAVING = {"deletionTimestamp": SOON}


@pytest.mark.parametrize("one, others, told", [
    pytest.param(pod(cpu="2", priority=10), [pod("q", "n1", cpu="4")],
                 "preemption: it may take the place of x/q on n1, and will at its next try", id="it may"),
    pytest.param(pod(cpu="2"), [pod("q", "n1", cpu="4", priority=5)],
                 "preemption: its priority is 0; with one above 5 it could take the place of x/q on n1", id="too low"),
    pytest.param(pod(cpu="2", priority=10, preemptionPolicy="Never"), [pod("q", "n1", cpu="4")],
                 "preemption: its preemptionPolicy is Never; else it could take the place of x/q on n1", id="never"),
    pytest.param(pod(cpu="9", priority=10), [pod("q", "n1", cpu="4")],
                 "preemption: no priority would help, for even with all other pods gone no node has the room", id="too large"),
    pytest.param(pod(nodeSelector={"a": "b"}, priority=10), [pod("q", "n1", cpu="4")],
                 "preemption: pods of lower priority that left would not help", id="a label"),
])
def test_preemption(one, others, told):
    assert pod_answer(one, scene(node(), one, *others)).notes == [told]


def test_waits_for_its_victims():
    one = pod(cpu="2", priority=10, status={"nominatedNodeName": "n1"})
    found = pod_answer(one, scene(node(), one, pod("q", "n1", cpu="4", metadata=LEAVING)))
    assert found.verdict == "room is made for it on n1: it waits for x/q to end"


def test_the_last_warning_is_told():
    one = pod(bound="n1", status=containers(waits("ContainerCreating")))
    told = [warning(one, "FailedMount", "no such secret"), warning(one, "Older", "...", "2025-12-31T23:40:00Z")]
    assert pod_answer(one, scene(node(), one, *told)).notes == ["last warning: FailedMount: no such secret"]


def test_pods_that_are_alike_share_an_answer():
    alike = [pod(f"p{number}", cpu="9") for number in range(3)]
    around = scene(node(), node("n2"), *alike, pod("other", cpu="8"))
    found = [pod_answer(one, around) for one in alike]
    assert found[0].parts is found[1].parts is found[2].parts
    assert [one.about for one in found] == ["pod x/p0", "pod x/p1", "pod x/p2"]
    assert text(Answer("all", "-", parts=found)).splitlines()[1].startswith("  pod x/p0, pod x/p1 and pod x/p2: unschedulable")


# ------------------------------------------------------------------ how it is written

@pytest.mark.parametrize("given, told", [
    ([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c"),
    ([f"n{number}" for number in range(5000)], "n0, n1 and 4,998 more")])
def test_names(given, told):
    assert names(given) == told


def test_a_list_keeps_to_a_screen_and_json_has_all():
    parts = [Answer(f"n{number}", f"free {number}; `kubectl uncordon <node>`", roughly="Insufficient cpu")
             for number in range(500)]
    answer = Answer("pod x/p", "unschedulable", parts=largest_first(parts))
    lines = text(answer).splitlines()
    assert lines[1] == "  n0: free 0; `kubectl uncordon n0`" and len(lines) == 10
    assert lines[-1] == "  n8, n9 and 490 more: Insufficient cpu"
    assert [one["about"] for one in as_json(answer)["parts"]] == [f"n{number}" for number in range(500)]
    assert as_json(answer)["parts"][7]["verdict"] == "free 7; `kubectl uncordon n7`"
