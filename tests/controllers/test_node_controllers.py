"""What happens to nodes that fall silent, and to the pods on them: decision by decision."""
from types import SimpleNamespace

import pytest

from muster.api.objects import Key, to_time
from muster.control.plan import Delete, Patch, Tell
from muster.controllers import node_lifecycle, pod_garbage, taint_eviction
from muster.store.history import Change, Snapshot

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
    return {"metadata": {}, "spec": {"renewTime": to_time(renewed), "leaseDurationSeconds": duration}}


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


@pytest.mark.parametrize("seen, ago, writes", [
    pytest.param((node(), lease(NOW)), 0, {}, id="well"),
    pytest.param((node(heard=NOW - 300), lease(NOW - 10)), 10, {}, id="the lease alone is a sign of life"),
    pytest.param((node(), None), 49, {}, id="silent, within the grace period"),
    pytest.param((node(), lease(NOW)), 50, ALL_UNKNOWN | {"taints": KEYS["unreachable"]}, id="silent for too long"),
    pytest.param((node(heard=NOW - 3600), lease(NOW - 3600)), 10, {}, id="its clock is an hour behind: it is heard of"),
    pytest.param((node(heard=NOW + 3600), lease(NOW + 3600)), 51, ALL_UNKNOWN | {"taints": KEYS["unreachable"]},
                 id="its clock is an hour ahead: it is lost"),
    pytest.param((node(ready="False", taints=UNREACHABLE), lease(NOW)), 0,
                 {"taints": [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]}, id="its pods were leaving: they still do"),
    pytest.param((node(), lease(NOW, 200)), 51, {}, id="its lease lasts longer"),
    pytest.param((node(ready="Unknown", taints=UNREACHABLE), lease(NOW - 500)), 500, {}, id="known to be lost"),
    pytest.param((node(taints=UNREACHABLE), lease(NOW)), 0, {"taints": []}, id="back again"),
    pytest.param((node(ready="False"), lease(NOW)), 0, {"taints": KEYS["not-ready"]}, id="says that it is not ready"),
    pytest.param((node(ready=""), None), 59, {"taints": KEYS["not-ready"]}, id="new: nothing said yet"),
    pytest.param((node(ready=""), lease(NOW)), 9, {"taints": KEYS["not-ready"]}, id="new: it renews its lease, and says no more"),
    pytest.param((node(ready=""), None), 60, ALL_UNKNOWN | {"taints": KEYS["unreachable"]}, id="never said anything"),
    pytest.param((node(true=["DiskPressure"]), lease(NOW)), 0, {"taints": [("disk-pressure", "NoSchedule")]}, id="disk pressure"),
    pytest.param((node(unschedulable=True), lease(NOW)), 0, {"taints": [("unschedulable", "NoSchedule")]}, id="cordoned"),
    pytest.param((node(taints=[taint("unschedulable", "NoSchedule")]), lease(NOW)), 0, {"taints": []}, id="uncordoned"),
    pytest.param((node(taints=[OWN]), lease(NOW)), 0, {}, id="the user's taint stays"),
    pytest.param((node(ready="False", taints=[OWN]), lease(NOW)), 0,
                 {"taints": [("dedicated", "NoSchedule"), *KEYS["not-ready"]]}, id="beside the user's taint"),
])
def test_a_node_is_judged(seen, ago, writes):
    assert summary(node_lifecycle.plan(node_lifecycle.Observed(*seen, [], NOW - ago), NOW)) == writes


def test_looks_again_when_the_node_would_have_been_silent_for_too_long():
    decided = node_lifecycle.plan(node_lifecycle.Observed(node(), lease(NOW + 900), [], NOW - 5), NOW)
    assert decided.wake_at == NOW - 5 + node_lifecycle.GRACE_S


class Listener:
    """What the controller hears of n1, each thing at a moment of its own clock."""

    def __init__(self):
        self.now, self.there = NOW, {}
        self.last_heard = node_lifecycle.LastHeard(lambda: self.now)

    def hear(self, after_s, obj):
        self.now = NOW + after_s
        is_node = obj is not None and obj.get("kind") == "Node"
        resource, place = ("nodes", "") if is_node else (node_lifecycle.LEASES, node_lifecycle.LEASE_NAMESPACE)
        old, self.there[resource] = self.there.get(resource), obj
        snapshots = (Snapshot(one, 1) if one else None for one in (obj, old))
        self.last_heard.hear(Change(1, Key(resource, place, "n1"), *snapshots))


@pytest.mark.parametrize("heard, last", [
    pytest.param([(0, node(heard=NOW - 900))], 0, id="who was just started has heard of it just now"),
    pytest.param([(0, node()), (30, lease(NOW + 30))], 30, id="its lease is renewed"),
    pytest.param([(0, node()), (20, lease(NOW + 7000)), (30, lease(NOW + 7010))], 30, id="its clock is ahead"),
    pytest.param([(0, node()), (20, lease(NOW - 7000)), (30, lease(NOW - 6990))], 30, id="its clock is behind"),
    pytest.param([(0, node()), (20, lease(NOW + 20)), (30, lease(NOW - 100))], 30, id="its clock was put back"),
    pytest.param([(0, node()), (20, lease(NOW + 20)), (30, lease(NOW + 20, 90))], 20, id="its lease changes, and was not renewed"),
    pytest.param([(0, node()), (10, lease(NOW, 10**9)), (5000, None)], 5000, id="its lease held until it was taken away"),
    pytest.param([(0, node()), (10, lease(NOW, 40)), (60, None)], 10, id="its lease had run out when it was taken away"),
    pytest.param([(0, node()), (40, node(heard=NOW - 60))], 40, id="it reports its status"),
    pytest.param([(0, node()), (40, node(taints=[OWN]))], 0, id="somebody else writes it"),
    pytest.param([(0, node()), (60, node("Unknown"))], 0, id="this controller writes it"),
    pytest.param([(0, node(ready="", age=50)), (5, node(ready="", age=50, taints=[OWN]))], -50, id="it never spoke: since it was made"),
    pytest.param([(0, node(ready="", age=50)), (5, lease(NOW + 5))], 5, id="it never spoke, but renews its lease"),
    pytest.param([(0, node()), (30, {**lease(NOW), "metadata": {"annotations": {node_lifecycle.RENEWED_AGO: "7.5"}}})], 22.5,
                 id="the last renewal of a simulated node"),
])
def test_when_a_node_was_last_heard_of(heard, last):
    listener = Listener()
    for after_s, obj in heard:
        listener.hear(after_s, obj)
    assert listener.last_heard.of("n1") == NOW + last


def test_pods_of_a_lost_node_are_no_longer_ready():
    seen = node_lifecycle.Observed(node(ready="False"), lease(NOW), [(key(), pod())], NOW)
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


def test_finished_pods_are_looked_at_only_once_too_many_stay():
    there, kept = {Key("nodes", "", "n1"): node()}, pod_garbage.FINISHED_KEPT
    mirror = SimpleNamespace(get=there.get)
    collector = pod_garbage.pod_garbage_collector()

    def put(name, phase="Succeeded", **metadata):
        """The looks that come of it."""
        before, one = there.get(key(name)), pod(name)
        after = {**one, "status": {"phase": phase}, "metadata": {**one["metadata"], **metadata}} if phase else None
        there[key(name)] = after
        return list(collector.wakes(Change(1, key(name), *(Snapshot(each, 1) if each else None for each in (after, before))),
                                    mirror))

    assert not any(put(f"p{number}") for number in range(kept))
    assert put("running", "Running") == put("going", deletionTimestamp=to_time(NOW)) == []
    assert put("one-more") == [""]
    assert put("one-more", labels={"a": "b"}) == [], "it is known"
    assert len(collector.observe(mirror, "").pods) == kept + 1
    assert put("p0", deletionTimestamp=to_time(NOW)) == put("p1", None) == []
    assert len(collector.observe(mirror, "").pods) == kept - 1
    assert put("another") == [] and put("and-another") == [""]


def test_only_the_oldest_finished_pods_go():
    pods = [(key(f"p{i:05}"), {**pod(f"p{i:05}"), "metadata": {**pod(f"p{i:05}")["metadata"], "creationTimestamp": to_time(NOW - i)}})
            for i in range(pod_garbage.FINISHED_KEPT + 3)]
    decided = pod_garbage.plan(pod_garbage.Observed("", pods), NOW)
    assert sorted(one.key.name for one in decided.actions) == ["p12500", "p12501", "p12502"]
