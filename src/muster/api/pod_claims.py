"""Which claims the volumes of a pod are of: claims that somebody made, and such as are made for the pod alone.

    persistentVolumeClaim    the claim that it names
    ephemeral                `<pod>-<volume>`, which comes with the pod and goes with it (generic ephemeral volumes)

A claim that happens to have the name of one made for a pod, and is not the pod's own, is never used: what is on it is
somebody else's.
https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes
"""
from __future__ import annotations

from typing import NamedTuple

from .objects import Obj, controller_of, name_of, namespace_of, uid_of


class Claimed(NamedTuple):
    claim: str  # its name, in the pod's namespace
    is_own: bool = False  # made for the pod


def claims_of(pod: Obj) -> list[Claimed]:
    """In the order of its volumes."""
    found = (claim_behind(pod, volume) for volume in pod["spec"].get("volumes") or ())
    return [one for one in found if one is not None]


def claim_behind(pod: Obj, volume: Obj) -> Claimed | None:
    """The claim behind one of the pod's volumes, if there is one."""
    if (named := volume.get("persistentVolumeClaim")) is not None:
        return Claimed(named.get("claimName", ""))
    if volume.get("ephemeral") is not None:
        return Claimed(own_claim(name_of(pod), volume.get("name", "")), True)
    return None


def own_claim(pod: str, volume: str) -> str:
    """The name of the claim that is made for a pod's volume."""
    return f"{pod}-{volume}"


def mismatch(pod: Obj, claim: Obj) -> str:
    """Why a claim is not the one that was made for the pod; "" where it is."""
    owner = controller_of(claim)
    if owner is not None and owner.get("uid") == uid_of(pod):
        return ""
    return (f"PVC {namespace_of(claim)}/{name_of(claim)} was not created for pod {namespace_of(pod)}/{name_of(pod)} "
            "(pod is not owner)")
