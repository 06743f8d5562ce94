"""Which volume suits which claim: asked by the controller that binds them and by the scheduler, who must agree.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding
"""
from __future__ import annotations

from . import quantities
from .objects import Obj, at, is_deleting, labels_of
from .selectors import from_label_selector

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
