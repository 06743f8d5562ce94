"""Which volume suits which claim: asked by the controller that binds them and by the scheduler, who must agree.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding
"""
from __future__ import annotations

from . import quantities
from .objects import Obj, at, is_deleting, labels_of, name_of
from .selectors import from_label_selector

SIMULATED = "muster.dev/simulated"  # who makes volumes: ones that hold nothing, and are on every node
NODE_LOCAL = "muster.dev/node-local"  # a folder on the node where the claim's first pod runs
MADE_HERE = (SIMULATED, NODE_LOCAL)
FOLDER = "/var/lib/muster/volumes"  # on a node: where the volumes that were made for it are
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"  # on a claim: where its first consumer will run


def suits(volume: Obj, claim: Obj) -> bool:
    """May a claim have it that asks for none in particular?"""
    selector = claim["spec"].get("selector")
    return (volume["spec"].get("claimRef") is None and not mismatch(volume, claim)
            and (not selector or from_label_selector(selector).matches(labels_of(volume))))


def suits_reserved(volume: Obj, claim: Obj) -> bool:
    """May a claim have the one that its administrator reserved for it?  Of whatever class that is."""
    return not is_deleting(volume) and _is_large_enough(volume, claim) and _has_mode(volume, claim) \
        and _has_access_modes(volume, claim)


def mismatch(volume: Obj, claim: Obj) -> str:
    """Why a claim can not have the volume that it names, in upstream's words; "" where it can."""
    if is_deleting(volume):
        return f'the volume is marked for deletion "{name_of(volume)}"'
    if not _is_large_enough(volume, claim):
        return "requested PV is too small"
    if (volume["spec"].get("storageClassName") or "") != (claim["spec"].get("storageClassName") or ""):
        return "storageClassName does not match"
    if not _has_mode(volume, claim):
        return "incompatible volumeMode"
    return "" if _has_access_modes(volume, claim) else "incompatible accessMode"


def _is_large_enough(volume: Obj, claim: Obj) -> bool:
    return size_of(volume) >= quantities.parse(at(claim, "spec.resources.requests", {}).get("storage", "0"))


def _has_mode(volume: Obj, claim: Obj) -> bool:
    return bool(volume["spec"].get("volumeMode") == claim["spec"].get("volumeMode"))


def _has_access_modes(volume: Obj, claim: Obj) -> bool:
    return set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ())


def size_of(volume: Obj) -> quantities.Number:
    return quantities.parse(at(volume, "spec.capacity", {}).get("storage", "0"))
