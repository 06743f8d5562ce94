"""What storage classes mean for a claim: which one it gets, and whether it may grow.

A claim that names no class gets the default one when it is made (where there is none yet, the controller gives
it one later).  A claim grows only if it is of a class that allows it; that it is bound, and does not shrink
below what it has, is for validation to say.

https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
"""
from __future__ import annotations

from ..api import quantities
from ..api.kinds.storage_class import RESOURCE, class_of, default_class
from ..api.objects import Key, Obj, at, name_of
from .admission import Attempt, Look, refused

CLAIMS = "persistentvolumeclaims"


def default_storage_class(attempt: Attempt, look: Look) -> Obj:
    claim = attempt.obj
    if attempt.kind.resource != CLAIMS or attempt.operation != "CREATE" or class_of(claim) is not None:
        return claim
    chosen = default_class(look.list(RESOURCE))
    return claim if chosen is None else {**claim, "spec": {**claim["spec"], "storageClassName": name_of(chosen)}}


def claim_may_grow(attempt: Attempt, look: Look) -> Obj:
    claim = attempt.obj
    if attempt.kind.resource != CLAIMS or attempt.operation != "UPDATE" or attempt.subresource:
        return claim
    if _asked(claim) > _asked(attempt.old):
        found = look.get(Key(RESOURCE, "", class_of(claim) or ""))
        if found is None or not found.get("allowVolumeExpansion"):
            raise refused(attempt, "only dynamically provisioned pvc can be resized and the storageclass that "
                                   "provisions the pvc must support resize")
    return claim


def _asked(claim: Obj) -> quantities.Number:
    return quantities.parse(at(claim, "spec.resources.requests.storage", "0"))
