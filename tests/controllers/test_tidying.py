"""Garbage collection, namespaces, accounts, certificates, old news: decision by decision."""
import pytest

from muster.api.objects import Key, to_time
from muster.control.plan import Create, Delete, Patch, Replace, SetStatus
from muster.controllers import event_expiry, garbage_collector, namespace, root_certificate, service_account

NOW = 1_767_225_600.0
GC = garbage_collector


def reference(name, uid=None, blocks=False):
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": name, "uid": uid or f"uid-{name}",
            **({"blockOwnerDeletion": True} if blocks else {})}


def obj(name, owners=(), finalizers=(), deleting=False, kind="Pod"):
    metadata = {"name": name, "namespace": "x", "uid": f"uid-{name}", "resourceVersion": "7"}
    if owners:
        metadata["ownerReferences"] = list(owners)
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    if deleting:
        metadata["deletionTimestamp"] = to_time(NOW)
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def key(name, resource="pods"):
    return Key(resource, "x", name)


def owner(name, there=True, **more):
    return GC.Owner(reference(name), key(name, "daemonsets.apps"), obj(name, kind="DaemonSet", **more) if there else None)


def collected(target, owners=(), unknown=0, dependents=(), circle=()):
    """`-p` deleted, `-p!Foreground` deleted so, `p:owners=a` or `p:finalizers=a` patched: short enough for a table."""
    said = []
    for action in GC.plan(GC.Observed(key(target["metadata"]["name"]), target, list(owners), unknown,
                                      [(key(one["metadata"]["name"]), one) for one in dependents], circle), NOW).actions:
        if isinstance(action, Delete):
            said.append(f"-{action.key.name}" + (f"!{action.propagation}" if action.propagation not in (None, "Background") else ""))
        elif isinstance(action, Patch):
            for field in ("ownerReferences", "finalizers"):
                if field in action.patch["metadata"]:
                    left = [one["name"] if isinstance(one, dict) else one for one in action.patch["metadata"][field] or ()]
                    said.append(f"{action.key.name}:{field}={','.join(left)}")
    return " ".join(said)


WAITING = {"deleting": True, "finalizers": [GC.FOREGROUND]}


@pytest.mark.parametrize("seen, does", [
    pytest.param((obj("p", [reference("a")]), [owner("a")]), "", id="its owner is there"),
    pytest.param((obj("p", [reference("a")]), [owner("a", there=False)]), "-p", id="its owner is gone"),
    pytest.param((obj("p", [reference("a"), reference("b")]), [owner("a", there=False), owner("b")]),
                 "p:ownerReferences=b", id="one of two is gone"),
    pytest.param((obj("p", [reference("a")]), [], 1), "", id="an owner of an unknown kind may be there"),
    pytest.param((obj("p", [reference("a")]), [owner("a", **WAITING)]), "-p", id="its owner waits for it"),
    pytest.param((obj("p", [reference("a")]), [owner("a", **WAITING)], 0, [obj("c")]), "-p!Foreground",
                 id="its owner waits, and it has dependents itself"),
    pytest.param((obj("p", [reference("a")]), [owner("a", deleting=True)]), "", id="its owner is on its way, in the background"),
    pytest.param((obj("o", deleting=True, finalizers=[GC.ORPHAN]), [], 0, [obj("p", [reference("o"), reference("b")])]),
                 "p:ownerReferences=b", id="orphaning: dependents forget it"),
    pytest.param((obj("o", deleting=True, finalizers=[GC.ORPHAN, "z"]),), "o:finalizers=z", id="orphaning: all have forgotten it"),
    pytest.param((obj("o", **WAITING), [], 0, [obj("p", [reference("o", blocks=True)])]), "", id="foreground: dependents first"),
    pytest.param((obj("o", **WAITING), [], 0, [obj("p", [reference("o", blocks=True)], deleting=True)]), "",
                 id="foreground: waits for the last"),
    pytest.param((obj("o", **WAITING), [], 0, [obj("p", [reference("o", blocks=True)], **WAITING)], {"uid-p"}), "o:finalizers=",
                 id="foreground: but not for one that waits for it in turn"),
    pytest.param((obj("o", **WAITING), [], 0, [obj("p", [reference("o")])]), "o:finalizers=",
                 id="foreground: one that does not block holds nothing up"),
    pytest.param((obj("o", **WAITING),), "o:finalizers=", id="foreground: none is left"),
    pytest.param((obj("p", deleting=True),), "", id="deleting without finalizers is not ours"),
])
def test_collects(seen, does):
    assert collected(*seen) == does


def test_asks_the_api_before_it_believes_that_an_owner_is_gone():
    decided = GC.plan(GC.Observed(key("p"), obj("p", [reference("a")]), [owner("a", there=False)], 0, []), NOW)
    assert decided.actions[0].unless == ((key("a", "daemonsets.apps"), "uid-a"),)
    assert decided.actions[0].revision == 7, "and only as it was seen: it may have another owner by then"


def a_namespace(deleting=True, finalizers=("kubernetes",)):
    found = obj("x", deleting=deleting, kind="Namespace")
    return {**found, "spec": {"finalizers": list(finalizers)}, "status": {"phase": "Terminating"}}


def test_a_namespace_takes_its_contents_along():
    contents = [(key("a"), obj("a")), (key("b"), obj("b", deleting=True))]
    decided = namespace.plan(namespace.Observed(Key("namespaces", "", "x"), a_namespace(), contents), NOW)
    assert [one.key.name for one in decided.actions if isinstance(one, Delete)] == ["a"]
    status = next(one for one in decided.actions if isinstance(one, SetStatus)).status
    assert status["conditions"][0]["message"] == "Some resources are remaining: pods has 2 resource instances"


def test_an_empty_namespace_goes():
    decided = namespace.plan(namespace.Observed(Key("namespaces", "", "x"), a_namespace(finalizers=["a", "kubernetes"]), []), NOW)
    [action] = decided.actions
    assert isinstance(action, Replace) and action.subresource == "finalize" and action.obj["spec"]["finalizers"] == ["a"]


def test_a_namespace_in_use_is_left_alone():
    assert not namespace.plan(namespace.Observed(Key("namespaces", "", "x"), a_namespace(deleting=False), [(key("a"), obj("a"))]), NOW).actions


@pytest.mark.parametrize("has, creates", [(False, 1), (True, 0)])
def test_every_namespace_has_its_account(has, creates):
    decided = service_account.plan(service_account.Observed(a_namespace(deleting=False), has), NOW)
    assert len([one for one in decided.actions if isinstance(one, Create)]) == creates


@pytest.mark.parametrize("data, does", [(None, Create), ({"ca.crt": "old"}, Patch), ({"ca.crt": "new"}, None)])
def test_every_namespace_has_the_certificate(data, does):
    published = None if data is None else {**obj("kube-root-ca.crt", kind="ConfigMap"), "data": data}
    actions = root_certificate.plan(root_certificate.Observed(a_namespace(deleting=False), published, "new"), NOW).actions
    assert [type(one) for one in actions] == ([does] if does else [])


def an_event(name, made, seen):
    return Key("events", "x", name), {**(one := obj(name, kind="Event")), "lastTimestamp": to_time(seen),
                                      "metadata": {**one["metadata"], "creationTimestamp": to_time(made)}}


@pytest.mark.parametrize("made, seen, left_s", [
    pytest.param(-3600, -3600, 0, id="an hour old"),
    pytest.param(-9000, -3600, 0, id="seen last an hour ago"),
    pytest.param(-9000, -10, 3590, id="seen just now"),
    pytest.param(-60, -7200, 3540, id="told by a clock that is behind"),
    pytest.param(-60, 7200, 3540, id="told by a clock that is ahead"),
    pytest.param(-3600, 7200, 0, id="told by a clock that is ahead, an hour ago"),
])
def test_events_are_dropped_an_hour_after_they_were_last_seen(made, seen, left_s):
    decided = event_expiry.plan(event_expiry.Observed([an_event("one", NOW + made, NOW + seen)]), NOW)
    assert decided.actions == ([] if left_s else [Delete(Key("events", "x", "one"), "uid-one", revision=7)])
    assert decided.wake_at == NOW + (left_s or event_expiry.AT_MOST_EVERY_S)
