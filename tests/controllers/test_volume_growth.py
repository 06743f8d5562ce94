"""A claim that asks for more than it holds: step by step, as the claim tells it."""
from __future__ import annotations

import pytest

from muster.api.objects import at, condition, to_time
from muster.api.storage import MADE_HERE, NODE_LOCAL, SIMULATED
from muster.control.plan import Replace, SetStatus, Tell
from muster.controllers import volume_node_expansion
from muster.controllers.volume_expansion import Observed, resize

NOON = 1_767_268_800.0


def a_claim(asks: str = "2Gi", *, stage: str = "", holds: str = "1Gi", given: str = "2Gi", said: str = "") -> dict:
    status: dict = {"phase": "Bound", "capacity": {"storage": holds}, "conditions": [{"type": "Other", "status": "True"}]}
    if stage:
        status |= {"allocatedResources": {"storage": given}, "allocatedResourceStatuses": {"storage": stage}}
        status["conditions"].append({"type": said, "status": "True"})
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": "www", "namespace": "n", "uid": "c"}, "status": status,
            "spec": {"volumeName": "v", "resources": {"requests": {"storage": asks}}}}


def a_volume(size: str = "1Gi", by: str = SIMULATED, mode: str = "Filesystem") -> dict:
    return {"kind": "PersistentVolume", "metadata": {"name": "v", "annotations": {"pv.kubernetes.io/provisioned-by": by}},
            "spec": {"capacity": {"storage": size}, "volumeMode": mode, "claimRef": {"uid": "c"}}}


BEGUN = a_claim(stage="ControllerResizeInProgress", said="Resizing")
PENDING = a_claim(stage="NodeResizePending", said="FileSystemResizePending")


def summary(planned) -> str:
    said = []
    for action in planned.actions:
        match action:
            case SetStatus(_, _, status):
                conditions = [one["type"] for one in status.get("conditions", ())]
                said.append(f"{at(status, 'capacity.storage')}/{at(status, 'allocatedResources.storage')} "
                            f"{at(status, 'allocatedResourceStatuses.storage', 'done')} {','.join(conditions)}")
            case Replace(obj):
                said.append(f"volume={at(obj, 'spec.capacity.storage')}")
            case Tell(_, _, reason):
                said.append(reason)
    return "; ".join(said)


@pytest.mark.parametrize("claim, volume, does", [
    pytest.param(a_claim(), a_volume(), "1Gi/2Gi ControllerResizeInProgress Other,Resizing; Resizing", id="begins"),
    pytest.param(BEGUN, a_volume(), "volume=2Gi", id="the volume gets larger"),
    pytest.param(BEGUN, a_volume("2Gi"), "1Gi/2Gi NodeResizePending Other,FileSystemResizePending; FileSystemResizeRequired",
                 id="its file system is for a node"),
    pytest.param(BEGUN, a_volume("2Gi", mode="Block"), "2Gi/2Gi done Other; VolumeResizeSuccessful", id="a bare device is done"),
    pytest.param(BEGUN, a_volume("2Gi", NODE_LOCAL), "2Gi/2Gi done Other; VolumeResizeSuccessful", id="a folder is done"),
    pytest.param(PENDING, a_volume("2Gi"), "", id="waits for a node"),
    pytest.param({**PENDING, "spec": a_claim("3Gi")["spec"]}, a_volume("2Gi"), "", id="still more waits for its turn"),
    pytest.param({**BEGUN, "spec": a_claim("3Gi")["spec"]}, a_volume(), "volume=2Gi", id="what was begun is ended first"),
    pytest.param(a_claim(), a_volume(by="disk.csi.example.com"), "", id="made by somebody else"),
])
def test_steps(claim, volume, does):
    planned = [resize(Observed(claim, volume), NOON, provisioner) for provisioner in MADE_HERE]
    assert " ".join(filter(None, map(summary, planned))) == does


def test_what_the_claim_says():
    (status, told) = resize(Observed(BEGUN, a_volume("2Gi")), NOON, SIMULATED).actions
    assert condition({"status": status.status}, "FileSystemResizePending") == {
        "type": "FileSystemResizePending", "status": "True", "lastProbeTime": None, "lastTransitionTime": to_time(NOON),
        "message": "Waiting for user to (re-)start a pod to finish file system resize of volume on node."}
    assert told.message == "Require file system resize of volume on node"


def test_a_node_makes_the_file_system_larger():
    pod = {"kind": "Pod", "metadata": {"name": "web", "namespace": "n"}, "spec": {"nodeName": "n1"}}
    planned = volume_node_expansion.plan(volume_node_expansion.Observed(PENDING, a_volume("2Gi"), pod), NOON)
    assert summary(planned) == "2Gi/2Gi done Other; FileSystemResizeSuccessful; FileSystemResizeSuccessful"
    assert [(one.about["kind"], one.host, one.message) for one in planned.actions if isinstance(one, Tell)] == [
        (kind, "n1", 'MountVolume.NodeExpandVolume succeeded for volume "v" n1') for kind in ("Pod", "PersistentVolumeClaim")]
    (status,) = [one.status for one in planned.actions if isinstance(one, SetStatus)]
    assert "allocatedResourceStatuses" not in status
