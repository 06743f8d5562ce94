"""A claim for each generic ephemeral volume of a pod."""
import pytest

from muster.api.objects import Key, controller_reference, name_of, to_time
from muster.client.client import Listing
from muster.client.mirror import Mirror
from muster.control.plan import Create, Tell
from muster.controllers.ephemeral_volumes import Observed, plan, wakes
from muster.store.history import Change, Snapshot

TEMPLATE = {"metadata": {"labels": {"kind": "scratch"}, "annotations": {"a": "b"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}


def a_pod(*volumes, name="web-0", going=False, **more):
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", **({"deletionTimestamp": to_time(0)} if going else {})}
    own = [{"name": one, "ephemeral": {"volumeClaimTemplate": TEMPLATE}} for one in volumes]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"volumes": own, **more}}


def a_claim(name, of=None):
    owners = {"ownerReferences": [controller_reference(of)]} if of else {}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "shop", **owners}}


def of(pod, *volumes):
    return {f"{name_of(pod)}-{one}": a_claim(f"{name_of(pod)}-{one}", pod) for one in volumes}


POD = a_pod("one", "two")
IN_THE_WAY = ("FailedBinding: ephemeral volume one: PVC shop/web-0-one was not created for pod shop/web-0 (pod is not owner)")


@pytest.mark.parametrize("pod, claims, does", [
    pytest.param(POD, {}, "make web-0-one", id="the first"),
    pytest.param(POD, of(POD, "one"), "make web-0-two", id="then the second"),
    pytest.param(POD, of(POD, "one", "two"), "", id="all are there"),
    pytest.param(POD, {"web-0-one": a_claim("web-0-one")}, IN_THE_WAY, id="somebody's own"),
    pytest.param(POD, {"web-0-one": a_claim("web-0-one", {**POD, "metadata": {**POD["metadata"], "uid": "before"}})}, IN_THE_WAY,
                 id="of the pod that had the name before"),
    pytest.param(a_pod(volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}, {"name": "e", "emptyDir": {}}]), {}, "",
                 id="none is its own"),
])
def test_what_is_made(pod, claims, does):
    said = []
    for action in plan(Observed(pod, claims), 0.0).actions:
        match action:
            case Create(obj):
                said.append(f"make {name_of(obj)}")
            case Tell(about, "Warning", reason, message) if about is pod:
                said.append(f"{reason}: {message}")
    assert said == ([does] if does else [])


def test_a_claim_is_as_its_template_says_and_goes_with_the_pod():
    planned = plan(Observed(POD, {}), 7.0)
    (action,) = planned.actions
    assert planned.wake_at == 7.0, "for the next one"
    assert action.obj == {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": TEMPLATE["spec"],
        "metadata": {"name": "web-0-one", "namespace": "shop", "labels": {"kind": "scratch"}, "annotations": {"a": "b"},
                     "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "web-0", "uid": "uid-web-0",
                                          "controller": True, "blockOwnerDeletion": True}]}}
    (told,) = planned.otherwise("exceeded quota")
    assert (told.reason, told.message) == ("FailedBinding", "ephemeral volume one: create PVC web-0-one: exceeded quota")


@pytest.mark.parametrize("resource, before, after, woken", [
    ("pods", None, POD, ["web-0"]),
    ("pods", POD, POD, []),
    ("pods", None, a_pod(), []),
    ("persistentvolumeclaims", None, a_claim("web-0-one"), []),
    ("persistentvolumeclaims", a_claim("web-0-one"), None, ["web-0"]),
    ("persistentvolumeclaims", a_claim("web-0-three"), None, []),
    ("persistentvolumeclaims", a_claim("one"), None, []),
])
def test_who_is_looked_at(resource, before, after, woken):
    listings = {"pods": [POD], "persistentvolumeclaims": []}
    mirror = Mirror.of(None, {name: Listing([{**one, "metadata": {**one["metadata"], "resourceVersion": "1"}} for one in objects], 1)
                              for name, objects in listings.items()})
    key = Key(resource, "shop", name_of(after or before))
    change = Change(2, key, Snapshot(after, 2) if after else None, Snapshot(before, 1) if before else None)
    assert list(wakes(change, mirror)) == [Key("pods", "shop", name) for name in woken]
