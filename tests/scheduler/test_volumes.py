"""Pods wait for their claims, and go where their volumes are or can be."""
import pytest
from scheduling_world import NOW, World, bound, node, pod, told

from muster.api.objects import Key, annotations_of, name_of
from muster.control.plan import Patch, Replace
from muster.scheduler.volumes import NO_PROVISIONER, UNBOUND, VolumeNeeds, volume_needs

ONLY_B = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["b"]}]}]}
USER = Key("pods", "x", "user")


def user(*names):
    return pod("user", volumes=[{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names or ["www"]])


def nodes():
    return [node(name, labels={"disk": name}) for name in "ab"]


class Stored:
    """What a mirror would answer."""

    def __init__(self, *objects):
        self._objects = {}
        for resource, obj in objects:
            self._objects[Key(resource, obj["metadata"].get("namespace", ""), name_of(obj))] = obj

    def get(self, key):
        return self._objects.get(key)

    def objects(self, resource):
        return {(key.namespace, key.name): obj for key, obj in self._objects.items() if key.resource == resource}


def claim(name="www", phase="Pending", volume="", selected="", class_="late", **metadata):
    return "persistentvolumeclaims", {
        "metadata": {"name": name, "namespace": "x", "uid": f"uid-{name}",
                     "annotations": {"volume.kubernetes.io/selected-node": selected} if selected else {}, **metadata},
        "spec": {"storageClassName": class_, "volumeName": volume, "accessModes": ["ReadWriteOnce"],
                 "resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": phase}}


def volume(name, on=None, size="1Gi", claimed=None):
    spec = {"storageClassName": "late", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}}
    if on:
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "disk", "operator": "In", "values": [on]}]}]}}
    if claimed:
        spec["claimRef"] = {"namespace": "x", "name": claimed, "uid": f"uid-{claimed}"}
    return "persistentvolumes", {"metadata": {"name": name}, "spec": spec}


def class_(provisioner="muster.dev/simulated", mode="WaitForFirstConsumer", topologies=None):
    found = {"metadata": {"name": "late"}, "provisioner": provisioner, "volumeBindingMode": mode}
    return "storageclasses.storage.k8s.io", {**found, "allowedTopologies": topologies} if topologies else found


IN_B = [{"matchLabelExpressions": [{"key": "disk", "values": ["b"]}]}]


def decided(needs, *names):
    return World(*nodes(), user(*names)).decide(volumes={USER: needs})


def test_a_pod_waits_for_its_claim():
    assert told(decided(VolumeNeeds(UNBOUND))) == [
        "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: "
        "0/2 nodes are available: 2 Preemption is not helpful for scheduling."]


def test_a_pod_goes_where_its_volume_is():
    assert bound(decided(VolumeNeeds(affinities=(ONLY_B,)))) == {"user": "b"}


@pytest.mark.parametrize("objects, why", [
    pytest.param([], 'persistentvolumeclaim "www" not found', id="no claim"),
    pytest.param([claim(deletionTimestamp="t")], 'persistentvolumeclaim "www" is being deleted', id="going"),
    pytest.param([claim(phase="Lost", volume="v")], 'persistentvolumeclaim "www" bound to non-existent persistentvolume "v"',
                 id="lost"),
    pytest.param([claim(), class_(mode="Immediate")], UNBOUND, id="not bound yet"),
    pytest.param([claim(class_="other")], UNBOUND, id="no such class"),
])
def test_no_node_will_do(objects, why):
    assert volume_needs(user(), Stored(*objects)).why_not == why


OWN = [{"apiVersion": "v1", "kind": "Pod", "name": "user", "uid": "uid-user", "controller": True}]


@pytest.mark.parametrize("objects, why", [
    pytest.param([], 'waiting for ephemeral volume controller to create the persistentvolumeclaim "user-www"', id="not yet"),
    pytest.param([claim("user-www", phase="Bound", volume="v")],
                 "PVC x/user-www was not created for pod x/user (pod is not owner)", id="somebody else's"),
    pytest.param([claim("user-www", phase="Bound", volume="v", ownerReferences=OWN), volume("v")], "", id="its own"),
])
def test_a_claim_that_is_made_for_the_pod(objects, why):
    waits = pod("user", volumes=[{"name": "www", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}])
    waits["metadata"]["uid"] = "uid-user"
    assert volume_needs(waits, Stored(*objects)).why_not == why


@pytest.mark.parametrize("objects, does", [
    pytest.param([claim(), class_(topologies=IN_B)], "www selects b", id="where the class allows it"),
    pytest.param([claim(), class_(NO_PROVISIONER), volume("v", on="b")], "v reserved for www", id="a local volume"),
    pytest.param([claim(), class_(NO_PROVISIONER), volume("large", on="b", size="9Gi"), volume("small", on="b")],
                 "small reserved for www", id="the smallest that suits"),
    pytest.param([claim(selected="b"), class_(topologies=IN_B)], "", id="told already"),
    pytest.param([claim(volume="v"), class_(NO_PROVISIONER), volume("v", on="b", claimed="www")], "", id="reserved already"),
])
def test_the_node_comes_first_then_the_volume(objects, does):
    """Nothing is bound yet, and room is kept."""
    found = decided(volume_needs(user(), Stored(*objects)))
    said = [f"{action.key.name} selects {annotations_of(action.patch)['volume.kubernetes.io/selected-node']}"
            if isinstance(action, Patch) else f"{name_of(action.obj)} reserved for {action.obj['spec']['claimRef']['name']}"
            for action in found.actions]
    assert said == ([does] if does else [])
    assert found.binding_volumes == {USER: "b"} and all(isinstance(one, Patch | Replace) for one in found.actions)


def test_no_node_has_a_volume():
    needs = volume_needs(user("one", "two"), Stored(claim("one"), claim("two"), class_(NO_PROVISIONER), volume("v")))
    assert told(decided(needs, "one", "two")) == [
        "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. preemption: "
        "0/2 nodes are available: 2 Preemption is not helpful for scheduling."], "one volume is not for two claims"


def test_once_bound_the_pod_goes_to_the_node_that_was_selected():
    needs = volume_needs(user(), Stored(claim(phase="Bound", volume="v", selected="b"), volume("v", claimed="www")))
    world = World(*nodes(), pod("crowd", cpu="1", bound="b"), user())
    assert bound(world.decide(volumes={USER: needs})) == {"user": "b"}


def test_a_volume_that_is_gone_keeps_the_pod_from_every_node():
    needs = volume_needs(user(), Stored(claim(phase="Bound", volume="v")))
    assert told(decided(needs))[0].startswith(
        "0/2 nodes are available: 2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s). ")


def test_a_change_of_claims_is_a_reason_to_try_again():
    world = World(*nodes(), user())
    world.line.refused(world.seen().waiting[0].key, {"VolumeBinding"}, NOW)
    assert world.line.take(NOW + 60, 9) == []
    assert world.line.wake_those_refused_by({"VolumeBinding"})
    assert [one.key for one in world.line.take(NOW + 60, 9)] == [USER]
