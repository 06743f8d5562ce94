"""Pods wait for their claims, and go where their volumes are."""
import pytest

from muster.api.objects import Key
from muster.control.plan import Bind, Patch, Tell
from muster.scheduler.decide import Observed, plan
from muster.scheduler.snapshot import Snapshot
from muster.scheduler.volumes import UNBOUND, VolumeNeeds
from muster.store.history import Change
from muster.store.history import Snapshot as Stored

HERE = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["b"]}]}]}


def world():
    snapshot = Snapshot()
    nodes = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"disk": name}}, "spec": {},
              "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}}} for name in "ab"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user", "namespace": "x", "uid": "u"},
           "spec": {"containers": [], "volumes": [{"name": "www", "persistentVolumeClaim": {"claimName": "www"}}]},
           "status": {"phase": "Pending"}}
    for number, (key, obj) in enumerate([*((Key("nodes", "", one["metadata"]["name"]), one) for one in nodes),
                                         (Key("pods", "x", "user"), pod)], 1):
        snapshot.apply(Change(number, key, Stored(obj, number), None))
    return snapshot


def decided(needs):
    snapshot = world()
    return plan(Observed(snapshot.ready(), snapshot.rooms, volumes={Key("pods", "x", "user"): needs}), 0).actions


def test_a_pod_waits_for_its_claim():
    patch, tell = decided(VolumeNeeds(UNBOUND))
    assert isinstance(patch, Patch) and isinstance(tell, Tell)
    assert tell.message == ("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: "
                            "0/2 nodes are available: 2 Preemption is not helpful for scheduling.")


def test_a_pod_goes_where_its_volume_is():
    (bind,) = decided(VolumeNeeds(affinities=(HERE,)))
    assert isinstance(bind, Bind) and bind.node == "b"


@pytest.mark.parametrize("tries", [1, 2])
def test_a_change_of_claims_is_a_reason_to_try_again(tries):
    snapshot = world()
    for _ in range(tries):
        assert len(snapshot.ready()) == 1
        pod = snapshot.waiting[Key("pods", "x", "user")].pod
        told = {**pod, "status": {"conditions": [{"type": "PodScheduled", "status": "False"}]}}
        snapshot.apply(Change(9, Key("pods", "x", "user"), Stored(told, 9), Stored(pod, 8)))
        snapshot.tried(Key("pods", "x", "user"))
        assert snapshot.ready() == []
        assert snapshot.try_those_with_claims()
