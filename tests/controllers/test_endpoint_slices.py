"""Who is behind a service: what an endpoint says, which slice it is in, and that little is written for little."""
from __future__ import annotations

import random

import pytest

from muster.api.objects import Key, controller_reference, is_deleting, is_true, labels_of, name_of, uid_of, with_
from muster.control.plan import Create, Delete, Replace
from muster.controllers import endpoint_slices, endpoints
from muster.controllers.endpoint_slices import MANAGER, MANAGER_LABEL, SERVICE_LABEL
from muster.store.history import Change, Snapshot

NODES = {"n1": "zone-a", "n2": ""}


def a_service(**spec):
    ports = [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop", "uid": "service-1", "labels": {"team": "a"}},
            "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.9", "ports": ports, **spec}}


def a_pod(number, *, ready=True, going=False, phase="Running", address=True, node="n1", labels=None, ports=(), **spec):
    metadata = {"name": f"web-{number}", "namespace": "shop", "uid": f"pod-{number}", "labels": labels or {"app": "web"}}
    if going:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    if address:
        status["podIP"] = f"10.0.{number // 250}.{number % 250 + 1}"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status,
            "spec": {"nodeName": node, "containers": [{"name": "app", "ports": list(ports)}], **spec}}


def stored(slice_, name):
    return {**slice_, "metadata": {**slice_["metadata"], "name": name, "uid": name, "resourceVersion": "1"}}


def seen(service, pods, slices=()):
    return endpoint_slices.Observed(service, pods, slices, NODES)


def written(plan):
    return [action.obj for action in plan.actions if isinstance(action, Create | Replace)]


def carried_out(plan, slices, number):
    """What is there after the plan."""
    there = {name_of(one): one for one in slices}
    for action in plan.actions:
        match action:
            case Delete(key):
                del there[key.name]
            case Replace(obj):
                there[name_of(obj)] = obj
            case Create(obj):
                number += 1
                there[f"s{number:03}"] = stored(obj, f"s{number:03}")
    return [there[name] for name in sorted(there)], number


def only_endpoint(service, pod):
    (slice_,) = written(endpoint_slices.plan(seen(service, [pod]), 0))
    return next(iter(slice_["endpoints"]), None)


# ------------------------------------------------------------------ what an endpoint says

@pytest.mark.parametrize("pod, service, conditions", [
    pytest.param(a_pod(1), a_service(), (True, True, False), id="ready"),
    pytest.param(a_pod(1, ready=False), a_service(), (False, False, False), id="not ready"),
    pytest.param(a_pod(1, going=True), a_service(), (False, True, True), id="ending, still serving"),
    pytest.param(a_pod(1, going=True, ready=False), a_service(), (False, False, True), id="ending"),
    pytest.param(a_pod(1, ready=False), a_service(publishNotReadyAddresses=True), (True, False, False), id="published"),
    pytest.param(a_pod(1, going=True), a_service(publishNotReadyAddresses=True), (True, True, True), id="published to the end"),
    pytest.param(a_pod(1, address=False), a_service(), None, id="no address yet"),
    pytest.param(a_pod(1, phase="Failed"), a_service(), None, id="failed"),
    pytest.param(a_pod(1, phase="Succeeded"), a_service(publishNotReadyAddresses=True), None, id="succeeded"),
    pytest.param(a_pod(1, node="gone"), a_service(), None, id="its node is gone"),
    pytest.param(a_pod(1, node="gone"), a_service(publishNotReadyAddresses=True), (True, True, False), id="gone, published"),
])
def test_conditions(pod, service, conditions):
    found = only_endpoint(service, pod)
    expected = dict(zip(("ready", "serving", "terminating"), conditions, strict=True)) if conditions else None
    assert (found and found["conditions"]) == expected


@pytest.mark.parametrize("pod, hostname, zone", [
    pytest.param(a_pod(1, hostname="web-0", subdomain="web"), "web-0", "zone-a", id="a name below the service's"),
    pytest.param(a_pod(1, hostname="web-0", subdomain="other"), None, "zone-a", id="below another's"),
    pytest.param(a_pod(1, hostname="web-0"), None, "zone-a", id="without subdomain"),
    pytest.param(a_pod(1, subdomain="web", node="n2"), None, None, id="a node without zone"),
])
def test_where_it_is(pod, hostname, zone):
    found = only_endpoint(a_service(), pod)
    assert (found.get("hostname"), found.get("zone")) == (hostname, zone)
    assert found["nodeName"] == pod["spec"]["nodeName"]
    assert found["targetRef"] == {"kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "pod-1"}


def test_labels_owner_and_headless():
    (slice_,) = written(endpoint_slices.plan(seen(a_service(), [a_pod(1)]), 0))
    assert labels_of(slice_) == {"team": "a", SERVICE_LABEL: "web", MANAGER_LABEL: MANAGER}
    assert slice_["metadata"]["ownerReferences"] == [controller_reference(a_service())]
    assert slice_["metadata"]["generateName"] == "web-" and slice_["addressType"] == "IPv4"
    (headless,) = written(endpoint_slices.plan(seen(a_service(clusterIP="None"), [a_pod(1)]), 0))
    assert labels_of(headless)["service.kubernetes.io/headless"] == ""


def test_a_port_name_means_what_each_pod_says():
    service = a_service(ports=[{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web", "appProtocol": "h2c"}])
    old = a_pod(1, ports=[{"name": "web", "containerPort": 8080}])
    new = a_pod(2, ports=[{"name": "web", "containerPort": 9090, "protocol": "TCP"}])
    other = a_pod(3, ports=[{"name": "web", "containerPort": 53, "protocol": "UDP"}])
    slices = written(endpoint_slices.plan(seen(service, [old, new, other]), 0))
    assert [(slice_["ports"], [one["targetRef"]["name"] for one in slice_["endpoints"]]) for slice_ in slices] == [
        ([{"name": "http", "protocol": "TCP", "port": 8080, "appProtocol": "h2c"}], ["web-1"]),
        ([{"name": "http", "protocol": "TCP", "port": 9090, "appProtocol": "h2c"}], ["web-2"]),
        ([], ["web-3"])]


# ------------------------------------------------------------------ what is written

def settled(service, pods):
    return carried_out(endpoint_slices.plan(seen(service, pods), 0), [], 0)[0]


def test_nothing_is_written_where_nothing_differs():
    pods = [a_pod(number) for number in range(250)]
    assert endpoint_slices.plan(seen(a_service(), pods, settled(a_service(), pods)), 0).actions == []
    assert endpoint_slices.plan(seen(a_service(), [], settled(a_service(), [])), 0).actions == []


@pytest.mark.parametrize("before, after, sizes, writes", [
    pytest.param(range(250), range(250), [100, 100, 50], 0, id="as it was"),
    pytest.param(range(250), range(251), [100, 100, 51], 1, id="one more goes where there is room"),
    pytest.param(range(200), range(201), [100, 100, 1], 1, id="no room: a slice of its own"),
    pytest.param(range(250), range(1, 251), [100, 100, 50], 1, id="the newcomer takes the place of the one that left"),
    pytest.param(range(250), range(50, 250), [50, 100, 50], 1, id="others stay where they are"),
    pytest.param(range(150), range(100), [100], 1, id="an empty slice goes"),
    pytest.param(range(3), [], [0], 1, id="the last slice is kept, empty"),
    pytest.param([], range(3), [3], 1, id="and used again"),
])
def test_few_writes(before, after, sizes, writes):
    service = a_service()
    slices = settled(service, [a_pod(number) for number in before])
    plan = endpoint_slices.plan(seen(service, [a_pod(number) for number in after], slices), 0)
    there, _ = carried_out(plan, slices, 100)
    assert [len(slice_["endpoints"]) for slice_ in there] == sizes
    assert len(plan.actions) == writes


def test_new_ports_use_the_old_slices():
    pods = [a_pod(number) for number in range(150)]
    slices = settled(a_service(), pods)
    changed = a_service(ports=[{"port": 80, "protocol": "TCP", "targetPort": 8080}])
    plan = endpoint_slices.plan(seen(changed, pods, slices), 0)
    assert [type(action) for action in plan.actions] == [Replace, Replace]
    there, _ = carried_out(plan, slices, 100)
    assert {slice_["ports"][0]["port"] for slice_ in there} == {8080}


def test_slices_of_a_former_service_of_the_name_go():
    slices = settled({**a_service(), "metadata": {**a_service()["metadata"], "uid": "service-0"}}, [a_pod(1)])
    plan = endpoint_slices.plan(seen(a_service(), [a_pod(1)], slices), 0)
    assert [type(action) for action in plan.actions] == [Delete, Create]


# ------------------------------------------------------------------ laws

def any_pods(rng, pods):
    """Pods some time later."""
    later = []
    for pod in pods:
        if rng.random() < .1:
            continue
        number = int(name_of(pod).removeprefix("web-"))
        later.append(a_pod(number, ready=rng.random() < .8, going=is_deleting(pod) or rng.random() < .05)
                     if rng.random() < .2 else pod)
    first = 1 + max([int(name_of(pod).removeprefix("web-")) for pod in pods] or [0])
    return later + [a_pod(first + i, ready=rng.random() < .5, address=rng.random() < .9,
                          node=rng.choice(["n1", "n2", "gone"])) for i in range(rng.choice([0, 1, 5, 60, 130]))]


@pytest.mark.parametrize("seed", range(20))
def test_slices_and_endpoints_say_what_the_pods_do(seed):
    rng = random.Random(seed)
    service = a_service(publishNotReadyAddresses=seed % 3 == 0)
    pods, slices, older, made = [], [], None, 0
    for _ in range(12):
        pods = any_pods(rng, pods)
        before = {one["targetRef"]["uid"]: name_of(slice_) for slice_ in slices for one in slice_["endpoints"]}
        old = {name_of(slice_): slice_ for slice_ in slices}
        plan = endpoint_slices.plan(seen(service, pods, slices), 0)
        assert all(action.obj != old[name_of(action.obj)] for action in plan.actions if isinstance(action, Replace)), (
            "what says the same is not written again")
        slices, made = carried_out(plan, slices, made)
        assert endpoint_slices.plan(seen(service, pods, slices), 0).actions == [], "once is enough"

        told = [(one["targetRef"]["uid"], one["addresses"][0], one["conditions"]["ready"])
                for slice_ in slices for one in slice_["endpoints"]]
        published = seed % 3 == 0
        listed = [pod for pod in pods if "podIP" in pod["status"] and (published or pod["spec"]["nodeName"] != "gone")]
        assert sorted(told) == sorted(
            (uid_of(pod), pod["status"]["podIP"], published or is_true(pod, "Ready") and not is_deleting(pod))
            for pod in listed), "each pod once, as it is"
        assert all(len(slice_["endpoints"]) <= 100 for slice_ in slices) and slices
        after = {one["targetRef"]["uid"]: name_of(slice_) for slice_ in slices for one in slice_["endpoints"]}
        assert all(after[uid] == before[uid] for uid in after if uid in before), "nobody moves"

        done = written(endpoints.plan(endpoints.Observed(service, pods, older), 0))
        older = done[0] if done else older
        subsets = older.get("subsets", [])
        ready = {one["ip"] for subset in subsets for one in subset.get("addresses", ())}
        others = {one["ip"] for subset in subsets for one in subset.get("notReadyAddresses", ())}
        alive = [pod for pod in pods if "podIP" in pod["status"] and (published or not is_deleting(pod))]
        assert ready == {pod["status"]["podIP"] for pod in alive if published or is_true(pod, "Ready")}
        assert ready | others == {pod["status"]["podIP"] for pod in alive} and not ready & others
        assert endpoints.plan(endpoints.Observed(service, pods, older), 0).actions == []


# ------------------------------------------------------------------ the older list

def test_endpoints_of_a_service():
    service = a_service(ports=[{"name": "http", "port": 80, "targetPort": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"}])
    pods = [a_pod(9, hostname="db", subdomain="web"), a_pod(1), a_pod(2, ready=False), a_pod(3, going=True)]
    (made,) = written(endpoints.plan(endpoints.Observed(service, pods, None), 0))
    (subset,) = made["subsets"]
    assert [(one["ip"], one.get("hostname")) for one in subset["addresses"]] == [("10.0.0.2", None), ("10.0.0.10", "db")]
    assert [one["ip"] for one in subset["notReadyAddresses"]] == ["10.0.0.3"]
    assert subset["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}, {"name": "dns", "protocol": "UDP", "port": 53}]
    assert labels_of(made) == {"team": "a"}


@pytest.mark.parametrize("ready, other, listed, is_cut", [
    pytest.param(1000, 0, (1000, 0), False, id="just as many as may be"),
    pytest.param(1001, 0, (1000, 0), True, id="one too many"),
    pytest.param(900, 300, (900, 100), True, id="ready ones first"),
    pytest.param(1200, 300, (1000, 0), True, id="ready ones only"),
])
def test_over_capacity(ready, other, listed, is_cut):
    pods = [a_pod(number, ready=number < ready, ports=[{"name": "web", "containerPort": 80 + number % 3}])
            for number in range(ready + other)]
    service = a_service(ports=[{"port": 80, "targetPort": "web"}])
    (made,) = written(endpoints.plan(endpoints.Observed(service, pods, None), 0))
    counts = tuple(sum(len(subset.get(field, ())) for subset in made["subsets"]) for field in ("addresses", "notReadyAddresses"))
    assert counts == listed
    assert made["metadata"].get("annotations") == ({"endpoints.kubernetes.io/over-capacity": "truncated"} if is_cut else None)
    few = written(endpoints.plan(endpoints.Observed(service, pods[:3], stored(made, "web")), 0))
    assert "annotations" not in few[0]["metadata"]


def test_endpoints_go_with_their_service():
    older = stored(written(endpoints.plan(endpoints.Observed(a_service(), [a_pod(1)], None), 0))[0], "web")
    (action,) = endpoints.plan(endpoints.Observed(None, (), older), 0).actions
    assert action == Delete(Key("endpoints", "shop", "web"), "web")


# ------------------------------------------------------------------ who is woken

class Mirrored:
    """What `wakes` asks of a mirror."""

    def __init__(self, *services):
        self._services = {name_of(one): one for one in services}

    def in_namespace(self, resource, namespace):
        return self._services if (resource, namespace) == ("services", "shop") else {}


@pytest.mark.parametrize("before, after, is_woken", [
    pytest.param(None, a_pod(1), True, id="it came with an address"),
    pytest.param(None, a_pod(1, address=False), False, id="it has no address yet"),
    pytest.param(a_pod(1, address=False), a_pod(1, ready=False), True, id="it got one"),
    pytest.param(a_pod(1), a_pod(1, ready=False), True, id="no longer ready"),
    pytest.param(a_pod(1), a_pod(1, going=True), True, id="ending"),
    pytest.param(a_pod(1), None, True, id="gone"),
    pytest.param(a_pod(1), with_(a_pod(1), "status.startTime", "now"), False, id="a status nobody tells"),
    pytest.param(a_pod(1), a_pod(1, labels={"app": "other"}), True, id="it left by its labels"),
    pytest.param(a_pod(1, labels={"app": "other"}), a_pod(1), True, id="it joined by its labels"),
    pytest.param(a_pod(1, labels={"app": "x"}), a_pod(1, labels={"app": "x"}, ready=False), False, id="somebody else's"),
])
def test_who_is_woken(before, after, is_woken):
    change = Change(2, Key("pods", "shop", "web-1"), Snapshot(after, 2) if after else None, Snapshot(before, 1) if before else None)
    unfed = with_(with_(a_service(), "spec.selector", None), "metadata.name", "by-hand")
    elsewhere = with_(a_service(type="ExternalName"), "metadata.name", "elsewhere")
    mirror = Mirrored(a_service(), unfed, elsewhere)
    keys = [Key("services", "shop", "web")] if is_woken else []
    assert list(endpoint_slices.wakes(change, mirror)) == list(endpoints.wakes(change, mirror)) == keys


def test_endpoints_written_by_hand_wake_nobody():
    by_hand = {"metadata": {"name": "db", "namespace": "shop"}, "subsets": [{"addresses": [{"ip": "1.2.3.4"}]}]}
    change = Change(1, Key("endpoints", "shop", "db"), Snapshot(by_hand, 1), None)
    assert list(endpoints.wakes(change, Mirrored())) == []
