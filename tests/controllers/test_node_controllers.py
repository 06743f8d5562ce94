"""What happens to nodes that fall silent, and to the pods on them: decision by decision."""
import pytest

from muster.api.objects import Key, to_time
from muster.control.plan import Delete, Patch, Tell
from muster.controllers import node_lifecycle, pod_garbage, taint_eviction

NOW = 1_767_225_600.0
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")


def taint(key, effect, added=NOW):
    return {"key": f"node.kubernetes.io/{key}", "effect": effect, "timeAdded": to_time(added)}


NOT_READY = [taint("not-ready", "NoSchedule"), taint("not-ready", "NoExecute")]
UNREACHABLE = [taint("unreachable", "NoSchedule"), taint("unreachable", "NoExecute")]
OWN = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}


def node(ready="True", heard=NOW, taints=(), true=(), unschedulable=False, age=1000):
    conditions = [{"type": name, "status": "True" if name in true else "Unknown" if ready == "Unknown" else "False",
                   "lastHeartbeatTime": to_time(heard), "lastTransitionTime": to_time(heard)} for name in PRESSURES]
    if ready:
        conditions.append({"type": "Ready", "status": ready, "lastHeartbeatTime": to_time(heard),
                           "lastTransitionTime": to_time(heard)})
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "n1", "uid": "u", "resourceVersion": "7", "creationTimestamp": to_time(NOW - age)},
            "spec": {"taints": list(taints), "unschedulable": unschedulable},
            "status": {"conditions": conditions if ready else []}}


def lease(renewed, duration=40):
    return {"spec": {"renewTime": to_time(renewed), "leaseDurationSeconds": duration}}


def pod(name="p", ready=True, tolerations=()):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "x", "uid": f"uid-{name}",
                                                          "creationTimestamp": to_time(NOW)},
            "spec": {"nodeName": "n1", "tolerations": list(tolerations)},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


def key(name="p"):
    return Key("pods", "x", name)


def summary(decided):
    """`Ready=Unknown taints=...`: what would be written about the node."""
    said = {}
    for action in decided.actions:
        if isinstance(action, Patch) and action.key.resource == "nodes":
            for one in action.patch.get("status", {}).get("conditions", ()):
                said[one["type"]] = one["status"]
            if "spec" in action.patch:
                said["taints"] = [(one["key"].rpartition("/")[2], one["effect"]) for one in action.patch["spec"]["taints"] or ()]
    return said


ALL_UNKNOWN = dict.fromkeys(("Ready", *PRESSURES), "Unknown")
KEYS = {"not-ready": [("not-ready", "NoSchedule")], "unreachable": [("unreachable", "NoSchedule")]}


@pytest.mark.parametrize("seen, writes", [
    pytest.param((node(), lease(NOW)), {}, id="well"),
    pytest.param((node(heard=NOW - 300), lease(NOW - 10)), {}, id="the lease alone is a sign of life"),
    pytest.param((node(heard=NOW - 49), None), {}, id="silent, within the grace period"),
    pytest.param((node(heard=NOW - 51), lease(NOW - 51)), ALL_UNKNOWN | {"taints": KEYS["unreachable"]}, id="silent for too long"),
    pytest.param((node(ready="False", taints=UNREACHABLE), lease(NOW)), {"taints": [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]},
                 id="its pods were leaving: they still do"),
    pytest.param((node(heard=NOW - 51), lease(NOW - 51, 200)), {}, id="its lease lasts longer"),
    pytest.param((node(ready="Unknown", heard=NOW - 500, taints=UNREACHABLE), lease(NOW - 500)), {}, id="known to be lost"),
    pytest.param((node(taints=UNREACHABLE), lease(NOW)), {"taints": []}, id="back again"),
    pytest.param((node(ready="False"), lease(NOW)), {"taints": KEYS["not-ready"]}, id="says that it is not ready"),
    pytest.param((node(ready="", age=1), None), {"taints": KEYS["not-ready"]}, id="new: nothing said yet"),
    pytest.param((node(ready="", age=60), None), ALL_UNKNOWN | {"taints": KEYS["unreachable"]}, id="never said anything"),
    pytest.param((node(true=["DiskPressure"]), lease(NOW)), {"taints": [("disk-pressure", "NoSchedule")]}, id="disk pressure"),
    pytest.param((node(unschedulable=True), lease(NOW)), {"taints": [("unschedulable", "NoSchedule")]}, id="cordoned"),
    pytest.param((node(taints=[taint("unschedulable", "NoSchedule")]), lease(NOW)), {"taints": []}, id="uncordoned"),
    pytest.param((node(taints=[OWN]), lease(NOW)), {}, id="the user's taint stays"),
    pytest.param((node(ready="False", taints=[OWN]), lease(NOW)), {"taints": [("dedicated", "NoSchedule"), *KEYS["not-ready"]]},
                 id="beside the user's taint"),
])
def test_a_node_is_judged(seen, writes):
    assert summary(node_lifecycle.plan(node_lifecycle.Observed(*seen, []), NOW)) == writes


def test_looks_again_when_the_lease_would_run_out():
    decided = node_lifecycle.plan(node_lifecycle.Observed(node(heard=NOW - 20), lease(NOW - 5), []), NOW)
    assert decided.wake_at == NOW - 5 + node_lifecycle.GRACE_S


def test_pods_of_a_lost_node_are_no_longer_ready():
    seen = node_lifecycle.Observed(node(ready="False"), lease(NOW), [(key(), pod())])
    actions = node_lifecycle.plan(seen, NOW).actions
    patch = next(one for one in actions if isinstance(one, Patch) and one.key == key())
    assert patch.patch["status"]["conditions"][0]["status"] == "False"
    assert [one.reason for one in actions if isinstance(one, Tell)] == ["NodeNotReady"]


def toleration(name="not-ready", seconds=None, effect="NoExecute"):
    found = {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": effect}
    return found if seconds is None else {**found, "tolerationSeconds": seconds}


@pytest.mark.parametrize("tolerations, since, leaves, wakes", [
    pytest.param([], 0, True, None, id="tolerates nothing"),
    pytest.param([toleration()], 9999, False, None, id="a daemon stays for ever"),
    pytest.param([toleration(seconds=300)], 299, False, 1, id="not yet"),
    pytest.param([toleration(seconds=300)], 300, True, None, id="time is up"),
    pytest.param([toleration(seconds=0)], 0, True, None, id="no time at all"),
    pytest.param([toleration(seconds=300), toleration(seconds=10)], 5, False, 5, id="the shortest counts"),
    pytest.param([toleration("unreachable")], 0, True, None, id="tolerates another taint"),
    pytest.param([toleration(effect="NoSchedule")], 0, True, None, id="tolerates another effect"),
    pytest.param([{"operator": "Exists"}], 9999, False, None, id="tolerates everything"),
])
def test_pods_leave_a_tainted_node(tolerations, since, leaves, wakes):
    tainted = node(taints=[taint("not-ready", "NoExecute", NOW - since)])
    decided = taint_eviction.plan(taint_eviction.Observed(tainted, [(key(), pod(tolerations=tolerations))]), NOW)
    assert [one.uid for one in decided.actions if isinstance(one, Delete)] == (["uid-p"] if leaves else [])
    assert decided.wake_at == (None if wakes is None else NOW + wakes)
    if leaves:
        assert [one.message for one in decided.actions if isinstance(one, Tell)] == ["Marking for deletion Pod x/p"]
        said, = decided.actions[0].first.patch["status"]["conditions"]
        assert (said["type"], said["reason"]) == ("DisruptionTarget", "DeletionByTaintManager")


def test_noschedule_evicts_nobody():
    tainted = node(taints=[taint("not-ready", "NoSchedule")])
    assert not taint_eviction.plan(taint_eviction.Observed(tainted, [(key(), pod())]), NOW).actions


def test_pods_of_a_node_that_is_gone_go_at_once_unless_it_is_there_after_all():
    ended = {**pod("q"), "status": {"phase": "Succeeded"}}
    decided = pod_garbage.plan(pod_garbage.Observed("n1", [(key(), pod()), (key("q"), ended)]), NOW)
    running, finished = decided.actions
    unless = ((Key("nodes", "", "n1"), ""),)
    assert running == Delete(key(), "uid-p", grace_period_s=0, unless=unless, first=running.first)
    assert finished == Delete(key("q"), "uid-q", grace_period_s=0, unless=unless)
    assert running.first.patch["status"] == {"phase": "Failed", "conditions": [{
        "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists", "lastTransitionTime": to_time(NOW)}]}


def test_only_the_oldest_finished_pods_go():
    pods = [(key(f"p{i:05}"), {**pod(f"p{i:05}"), "metadata": {**pod(f"p{i:05}")["metadata"], "creationTimestamp": to_time(NOW - i)}})
            for i in range(pod_garbage.FINISHED_KEPT + 3)]
    decided = pod_garbage.plan(pod_garbage.Observed("", pods), NOW)
    assert sorted(one.key.name for one in decided.actions) == ["p12500", "p12501", "p12502"]
