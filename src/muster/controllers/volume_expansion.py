"""Makes a volume larger where its claim asks for more than it holds.

Whether a claim may ask for more was decided when it did (its class allows it).  A volume that was made here
grows at once, and the claim's status follows it; any other waits for whoever made it.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
"""
from __future__ import annotations

from ..api import quantities
from ..api.objects import Obj, annotations_of, at, name_of, with_
from ..api.storage import MADE_HERE, PROVISIONED_BY
from ..control.plan import Plan, Replace, Tell

_NOBODY = ("Ignoring the PVC: didn't find a plugin capable of expanding the volume; waiting for an external controller "
           "to process this PVC.")


def expansion(claim: Obj, volume: Obj) -> Plan | None:
    """Of a volume and the claim it is bound to; None where the volume is large enough."""
    wanted = at(claim, "spec.resources.requests.storage", "0")
    if quantities.parse(wanted) <= quantities.parse(at(volume, "spec.capacity.storage", "0")):
        return None
    if annotations_of(volume).get(PROVISIONED_BY) not in MADE_HERE:
        return Plan([Tell(claim, "Normal", "ExternalExpanding", _NOBODY)])
    return Plan([
        Tell(claim, "Normal", "Resizing", f"External resizer is resizing volume {name_of(volume)}"),
        Replace(with_(volume, "spec.capacity.storage", wanted)),
        Tell(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")])
