"""Which volume suits which claim: asked by the controller that binds them and by the scheduler, who must agree.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding
"""
from __future__ import annotations

from . import quantities
from .objects import Obj, at, is_deleting, labels_of
from .selectors import from_label_selector

SIMULATED = "muster.dev/simulated"  # who makes volumes: ones that hold nothing, and are on every node
NODE_LOCAL = "muster.dev/node-local"  # a folder on the node where the claim's first pod runs
MADE_HERE = (SIMULATED, NODE_LOCAL)
FOLDER = "/var/lib/muster/volumes"  # on a node: where the volumes that were made for it are
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"  # on a claim: where its first consumer will run


def suits(volume: Obj, claim: Obj) -> bool:
    has, asks = volume["spec"], claim["spec"]
    return (has.get("claimRef") is None and not is_deleting(volume)
            and (has.get("storageClassName") or "") == (asks.get("storageClassName") or "")
            and has.get("volumeMode") == asks.get("volumeMode")
            and set(asks.get("accessModes") or ()) <= set(has.get("accessModes") or ())
            and size_of(volume) >= quantities.parse(at(asks, "resources.requests", {}).get("storage", "0"))
            and (not asks.get("selector") or from_label_selector(asks["selector"]).matches(labels_of(volume))))


def size_of(volume: Obj) -> quantities.Number:
    return quantities.parse(at(volume, "spec.capacity", {}).get("storage", "0"))
