"""Makes a volume larger where its claim asks for more than it holds, told as v1.32 and the CSI resizer tell it.

    ControllerResizeInProgress   the claim says Resizing; the volume gets the capacity that was asked for
    NodeResizePending            the claim says FileSystemResizePending, until a node that runs one of its pods has
                                 made the file system larger too         (volume_node_expansion.py)
    none                         status.capacity says what it holds now, status.allocatedResources what it was given

Whether a claim may ask for more was decided when it did (its class allows it).  What asks for still more meanwhile
waits for its turn.  A simulated volume with a file system behaves as a disk does, one without or a folder of a node
(muster.dev/node-local) is larger at once; any other waits for whoever made it.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..api import quantities
from ..api.objects import Key, Obj, annotations_of, at, is_deleting, name_of, namespace_of, to_time, uid_of, with_
from ..api.storage import MADE_HERE, PROVISIONED_BY, SIMULATED
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Plan, Replace, SetStatus, Tell
from ..control.runtime import Controller
from ..store.history import Change

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
IN_PROGRESS, NODE_PENDING = "ControllerResizeInProgress", "NodeResizePending"
ACCOUNT = "expand-controller"
_CONDITIONS = ("Resizing", "FileSystemResizePending", "ControllerResizeError", "NodeResizeError")
_WAITS_FOR_POD = "Waiting for user to (re-)start a pod to finish file system resize of volume on node."


@dataclass(frozen=True, slots=True)
class Observed:
    claim: Obj
    volume: Obj


def stage_of(claim: Obj) -> str:
    return str(at(claim, "status.allocatedResourceStatuses.storage", ""))


def bound_volume(mirror: Mirror, claim: Obj | None) -> Obj | None:
    """The volume of a claim that wants it larger than it is."""
    if claim is None or is_deleting(claim) or at(claim, "status.phase") != "Bound":
        return None
    if _asked(claim) <= _size(at(claim, "status.capacity")):
        return None
    volume = mirror.get(Key(VOLUMES, "", at(claim, "spec.volumeName", "")))
    return volume if volume is not None and at(volume, "spec.claimRef.uid") == uid_of(claim) else None


def observe(mirror: Mirror, key: Key) -> Observed | None:
    claim = mirror.get(key)
    volume = bound_volume(mirror, claim)
    return Observed(claim, volume) if claim is not None and volume is not None else None


def resized(claim: Obj, stage: str, condition: Obj | None = None, **more: Obj) -> SetStatus:
    """The claim's status at a stage ("": it is done), with the one condition that goes with it."""
    status = {**(claim.get("status") or {}), **more}
    conditions = [one for one in status.get("conditions") or () if one["type"] not in _CONDITIONS]
    stages = {**(status.get("allocatedResourceStatuses") or {}), "storage": stage}
    new = {"conditions": [*conditions, condition] if condition else conditions,
           "allocatedResourceStatuses": {resource: one for resource, one in stages.items() if one}}
    status = {**status, **new}
    return SetStatus(Key(CLAIMS, namespace_of(claim), name_of(claim)), uid_of(claim),
                     {field: value for field, value in status.items() if value or field not in new})


# ------------------------------------------------------------------ who made the volume makes it larger

def resizer_wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    if change.key.resource == CLAIMS:
        return (change.key,)
    reference = at(change.value or {}, "spec.claimRef") or {}
    return (Key(CLAIMS, reference.get("namespace", ""), reference.get("name", "")),) if reference else ()


def resize(seen: Observed, now: float, provisioner: str) -> Plan:
    claim, volume = seen.claim, seen.volume
    if annotations_of(volume).get(PROVISIONED_BY) != provisioner:
        return NOTHING
    match stage_of(claim):
        case "":
            asked = {"storage": at(claim, "spec.resources.requests.storage")}
            return Plan([resized(claim, IN_PROGRESS, _condition("Resizing", now), allocatedResources=asked),
                         Tell(claim, "Normal", "Resizing", f"External resizer is resizing volume {name_of(volume)}")])
        case "ControllerResizeInProgress":
            given = at(claim, "status.allocatedResources", {})
            if _size(at(volume, "spec.capacity")) < _size(given):
                return Plan([Replace(with_(volume, "spec.capacity.storage", given["storage"]))])
            if provisioner == SIMULATED and at(volume, "spec.volumeMode") != "Block":
                return Plan([
                    resized(claim, NODE_PENDING, _condition("FileSystemResizePending", now, _WAITS_FOR_POD)),
                    Tell(claim, "Normal", "FileSystemResizeRequired", "Require file system resize of volume on node")])
            return Plan([resized(claim, "", capacity={**at(claim, "status.capacity", {}), "storage": given["storage"]}),
                         Tell(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")])
    return NOTHING  # its node comes next


def _condition(type_: str, now: float, message: str = "") -> Obj:
    condition: Obj = {"type": type_, "status": "True", "lastProbeTime": None, "lastTransitionTime": to_time(now)}
    return {**condition, "message": message} if message else condition


def resizer(provisioner: str) -> Controller:
    return Controller(f"external-resizer {provisioner}", (CLAIMS, VOLUMES), resizer_wakes, observe,
                      lambda seen, now: resize(seen, now, provisioner), account=ACCOUNT)


resizers = tuple(map(resizer, MADE_HERE))


# ------------------------------------------------------------------ the cluster itself makes none larger

def announcement_wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    """A claim that asks for more than it did."""
    if change.value is not None and change.previous is not None and _asked(change.value) > _asked(change.previous):
        yield change.key


def announce(seen: Observed, now: float) -> Plan:
    waits = "waiting for an external controller to expand this PVC"
    return Plan([Tell(seen.claim, "Normal", "ExternalExpanding", waits)])


announcer = Controller("volume_expand", (CLAIMS, VOLUMES), announcement_wakes, observe, announce, account=ACCOUNT)


def _asked(claim: Obj) -> quantities.Number:
    return _size(at(claim, "spec.resources.requests"))


def _size(amounts: Mapping[str, str] | None) -> quantities.Number:
    return quantities.parse((amounts or {}).get("storage", "0"))
