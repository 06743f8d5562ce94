"""Gives each claim a volume, and says what becomes of a volume once its claim is gone.

    a claim without a volume    the one reserved for it, else the smallest that suits, else a new one of its class
                                (at once, or once a pod asks for it: WaitForFirstConsumer)
    a volume                    Available, Bound to a claim, Released; with the policy Delete it goes with its claim
    one that is deleted         stays while it is used: a claim by pods on nodes, a volume by its claim

The volume says first whose it is (bound to the revision that was seen, so that two claims never get one
volume), then the claim names the volume, then both say Bound: each a look of its own, and each may be the
first after a restart.  Volumes are made by `muster.dev/simulated` (they hold nothing and are on every node) and by
`muster.dev/node-local` (a folder on the node that the claim's first pod was scheduled to, and there alone).
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..api import pod_claims
from ..api.kinds import persistent_volume, persistent_volume_claim
from ..api.kinds.storage_class import RESOURCE as CLASSES
from ..api.kinds.storage_class import default_class
from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    finalizers_of,
    is_deleting,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
    with_,
)
from ..api.storage import (
    FOLDER,
    MADE_HERE,
    NODE_LOCAL,
    PROVISIONED_BY,
    SELECTED_NODE,
    mismatch,
    size_of,
    suits,
    suits_reserved,
)
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Action, Create, Delete, Patch, Plan, Replace, SetStatus, Tell
from ..control.runtime import Controller
from ..store.history import Change

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"


@dataclass(frozen=True, slots=True)
class SeenClaim:
    claim: Obj
    volumes: Mapping[str, Obj] = field(default_factory=dict)
    classes: Mapping[str, Obj] = field(default_factory=dict)
    pods: Iterable[Obj] = ()  # that name the claim


@dataclass(frozen=True, slots=True)
class SeenVolume:
    volume: Obj
    claim: Obj | None = None  # that it is reserved for


# ------------------------------------------------------------------ when to look

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    match change.key.resource:
        case "pods":
            pod = change.value or change.previous
            return claims_of(pod) if pod is not None else ()
        case "persistentvolumeclaims":
            claim = change.value or change.previous
            name = at(claim or {}, "spec.volumeName")
            if change.value is None and claim is not None:
                return _volumes_of(claim, mirror)
            return (change.key, Key(VOLUMES, "", name)) if name else (change.key,)
        case "persistentvolumes":
            return (change.key, *_claims_for(change.value or change.previous or {}, mirror))
        case _:
            return _unbound(mirror)


def claims_of(pod: Obj) -> list[Key]:
    return [Key(CLAIMS, namespace_of(pod), one.claim) for one in pod_claims.claims_of(pod)]


def _volumes_of(claim: Obj, mirror: Mirror) -> list[Key]:
    return [Key(VOLUMES, "", name) for (_, name), volume in mirror.objects(VOLUMES).items() if _is_of(volume, claim)]


def _claims_for(volume: Obj, mirror: Mirror) -> Iterable[Key]:
    reference = at(volume, "spec.claimRef")
    if reference:
        return (Key(CLAIMS, reference.get("namespace", ""), reference.get("name", "")),)
    return _unbound(mirror, name_of(volume))


def _unbound(mirror: Mirror, volume: str = "") -> list[Key]:
    """The claims without a volume, and those that name this one: they may have waited for it."""
    return [Key(CLAIMS, namespace, name) for (namespace, name), claim in mirror.objects(CLAIMS).items()
            if at(claim, "spec.volumeName", "") in ("", volume)]


# ------------------------------------------------------------------ the look

def observe(mirror: Mirror, key: Key) -> SeenClaim | SeenVolume | None:
    found = mirror.get(key)
    if found is None:
        return None
    if key.resource == VOLUMES:
        reference = at(found, "spec.claimRef") or {}
        return SeenVolume(found, mirror.get(Key(CLAIMS, reference.get("namespace", ""), reference.get("name", ""))))
    bound_to = at(found, "spec.volumeName")
    if bound_to and not is_deleting(found):  # the usual case: no walk over all volumes and pods
        volume = mirror.get(Key(VOLUMES, "", bound_to))
        return SeenClaim(found, {bound_to: volume} if volume is not None else {})
    return SeenClaim(
        found,
        {name: volume for (_, name), volume in mirror.objects(VOLUMES).items()},
        {name: one for (_, name), one in mirror.objects(CLASSES).items()},
        [pod for pod in mirror.in_namespace("pods", key.namespace).values() if key in claims_of(pod)])


# ------------------------------------------------------------------ the decision

def plan(seen: SeenClaim | SeenVolume, now: float) -> Plan:
    return _plan_volume(seen) if isinstance(seen, SeenVolume) else _plan_claim(seen)


def _plan_claim(seen: SeenClaim) -> Plan:
    claim = seen.claim
    if is_deleting(claim):
        used = any(pod["spec"].get("nodeName") for pod in seen.pods)
        return NOTHING if used else _freed(claim, CLAIMS, persistent_volume_claim.IN_USE)
    name = at(claim, "spec.volumeName")
    if not name:
        return _seek(seen)
    volume = seen.volumes.get(name)
    if volume is None:
        return _lost(claim) if BIND_COMPLETED in annotations_of(claim) else NOTHING
    if _is_reserved(volume, claim):
        return _reserve(volume, claim)
    if at(volume, "spec.claimRef") is None:
        why = mismatch(volume, claim)
        return Plan([Tell(claim, "Warning", "VolumeMismatch", f'Cannot bind to requested volume "{name}": {why}')]) \
            if why else _reserve(volume, claim)
    if not _is_of(volume, claim):
        return NOTHING
    status = {"phase": "Bound", "accessModes": volume["spec"].get("accessModes") or []}
    if at(claim, "status.phase") != "Bound" or not at(claim, "status.capacity"):
        status["capacity"] = volume["spec"].get("capacity") or {}  # later it is for who makes it larger to say
    return _written(claim, CLAIMS, {**(claim.get("status") or {}), **status})


def _seek(seen: SeenClaim) -> Plan:
    claim = seen.claim
    wanted = claim["spec"].get("storageClassName")
    if wanted is None:
        chosen = default_class(seen.classes.values())
        if chosen is not None:
            return Plan([Patch(_key(claim, CLAIMS), uid_of(claim), {"spec": {"storageClassName": name_of(chosen)}})])
    mine = next((one for _, one in sorted(seen.volumes.items()) if _is_of(one, claim)), None)
    if mine is not None:
        return Plan([Patch(_key(claim, CLAIMS), uid_of(claim), {
            "metadata": {"annotations": {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"}},
            "spec": {"volumeName": name_of(mine)}})])
    class_ = seen.classes.get(wanted or "")
    waits = class_ is not None and class_.get("volumeBindingMode") == "WaitForFirstConsumer" \
        and SELECTED_NODE not in annotations_of(claim)
    reserved = next((one for _, one in sorted(seen.volumes.items())
                     if _is_reserved(one, claim) and suits_reserved(one, claim)), None)
    if reserved is not None:
        return _reserve(reserved, claim)
    if waits:
        waiting = sorted(name_of(pod) for pod in seen.pods if not pod["spec"].get("nodeName"))
        return Plan([Tell(claim, "Normal", "WaitForPodScheduled", f"waiting for pod {waiting[0]} to be scheduled")
                     if waiting else Tell(claim, "Normal", "WaitForFirstConsumer",
                                          "waiting for first consumer to be created before binding")])
    suiting = [one for one in seen.volumes.values() if suits(one, claim)]
    if suiting:
        return _reserve(min(suiting, key=lambda one: (size_of(one), name_of(one))), claim)
    return _provision(claim, wanted or "", class_)


def _is_of(volume: Obj, claim: Obj) -> bool:
    return at(volume, "spec.claimRef.uid", "") == uid_of(claim)


def _is_reserved(volume: Obj, claim: Obj) -> bool:
    """By its administrator, for a claim of this name."""
    reference = at(volume, "spec.claimRef") or {}
    return (not reference.get("uid") and reference.get("name") == name_of(claim)
            and reference.get("namespace") == namespace_of(claim))


def _reserve(volume: Obj, claim: Obj) -> Plan:
    return Plan([Replace(with_(volume, "spec.claimRef", _reference(claim)))])


def _reference(claim: Obj) -> Obj:
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace_of(claim),
            "name": name_of(claim), "uid": uid_of(claim)}


def _provision(claim: Obj, wanted: str, class_: Obj | None) -> Plan:
    if not wanted:
        return Plan([Tell(claim, "Normal", "FailedBinding",
                          "no persistent volumes available for this claim and no storage class is set")])
    if class_ is None:
        return Plan([Tell(claim, "Warning", "ProvisioningFailed", f'storageclass.storage.k8s.io "{wanted}" not found')])
    provisioner = class_["provisioner"]
    if provisioner == NODE_LOCAL and SELECTED_NODE not in annotations_of(claim):
        return Plan([Tell(claim, "Warning", "ProvisioningFailed",
                          f'failed to provision volume with StorageClass "{wanted}": no node was selected; '
                          "the class needs volumeBindingMode: WaitForFirstConsumer")])
    if provisioner in MADE_HERE:
        volume = new_volume(claim, class_)
        return Plan([Create(volume), Tell(claim, "Normal", "ProvisioningSucceeded",
                                          f"Successfully provisioned volume {name_of(volume)}")])
    if provisioner == "kubernetes.io/no-provisioner":
        return NOTHING
    return Plan([Tell(claim, "Normal", "ExternalProvisioning",
                      f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or "
                      "manually by the system administrator. If volume creation is delayed, please verify that the "
                      "provisioner is running and correctly registered.")])


def new_volume(claim: Obj, class_: Obj) -> Obj:
    asks, name = claim["spec"], f"pvc-{uid_of(claim)}"
    spec: Obj = {
        "accessModes": asks.get("accessModes") or [], "capacity": {"storage": asks["resources"]["requests"]["storage"]},
        "claimRef": _reference(claim), "persistentVolumeReclaimPolicy": class_.get("reclaimPolicy") or "Delete",
        "storageClassName": name_of(class_), "volumeMode": asks.get("volumeMode") or "Filesystem",
        **_source(f"{FOLDER}/{name}", class_["provisioner"], claim)}
    if class_.get("mountOptions"):
        spec["mountOptions"] = class_["mountOptions"]
    return {"apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {PROVISIONED_BY: class_["provisioner"]}}, "spec": spec}


def _source(path: str, provisioner: str, claim: Obj) -> Obj:
    if provisioner != NODE_LOCAL:
        return {"hostPath": {"path": path, "type": "DirectoryOrCreate"}}
    only = {"key": "kubernetes.io/hostname", "operator": "In", "values": [annotations_of(claim)[SELECTED_NODE]]}
    return {"local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [only]}]}}}


def _lost(claim: Obj) -> Plan:
    if at(claim, "status.phase") == "Lost":
        return NOTHING
    return Plan([SetStatus(_key(claim, CLAIMS), uid_of(claim), {"phase": "Lost"}),
                 Tell(claim, "Warning", "ClaimLost",
                      "Bound claim has lost its PersistentVolume. Data on the volume is lost!")])


def _plan_volume(seen: SeenVolume) -> Plan:
    volume, claim = seen.volume, seen.claim
    reference = at(volume, "spec.claimRef")
    is_bound = bool(reference) and claim is not None and reference.get("uid") == uid_of(claim)
    if is_deleting(volume):
        return NOTHING if is_bound else _freed(volume, VOLUMES, persistent_volume.IN_USE)
    if is_bound:
        if at(claim or {}, "spec.volumeName") != name_of(volume):
            return NOTHING  # the claim will name it, and wake us
        return _written(volume, VOLUMES, {"phase": "Bound"})
    if not reference or not reference.get("uid"):
        return _written(volume, VOLUMES, {"phase": "Available"})
    released = _written(volume, VOLUMES, {"phase": "Released"})
    if at(volume, "spec.persistentVolumeReclaimPolicy") != "Delete":
        return released
    # What it holds goes with it: the API is asked whether the claim is gone indeed and the volume still as it was.
    bound_to = Key(CLAIMS, reference["namespace"], reference["name"]), reference["uid"]
    return Plan([*released.actions, Delete(_key(volume, VOLUMES), uid_of(volume), unless=(bound_to,),
                                           revision=revision_of(volume))])


def _freed(obj: Obj, resource: str, finalizer: str) -> Plan:
    held = finalizers_of(obj)
    if finalizer not in held:
        return NOTHING
    return Plan([Patch(_key(obj, resource), uid_of(obj),
                       {"metadata": {"finalizers": [one for one in held if one != finalizer]}})])


def _written(obj: Obj, resource: str, status: Obj) -> Plan:
    if all((obj.get("status") or {}).get(field) == value for field, value in status.items()):
        return NOTHING
    actions: list[Action] = [SetStatus(_key(obj, resource), uid_of(obj), status)]
    return Plan(actions)


def _key(obj: Obj, resource: str) -> Key:
    return Key(resource, namespace_of(obj), name_of(obj))


controller = Controller("persistentvolume-controller", (CLAIMS, VOLUMES, CLASSES, Changes("pods", concerning=CLAIMS)),
                        wakes, observe, plan, account="persistent-volume-binder")
