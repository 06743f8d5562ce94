"""PersistentVolumeClaims: a pod's wish for a place to keep things, which outlives the pod.

A claim that is still in use is not taken away: the finalizer holds it until its last pod is gone.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
"""
from __future__ import annotations

from ..defaults import filled, inside, status_stays
from ..objects import Obj, at, finalizers_of, is_deleting, with_
from ..tables import AGE, NAME
from ..validation.metadata import validate_metadata_update
from ..validation.storage import validate_claim, validate_claim_update
from .kind import STATUS, Column, Kind

IN_USE = "kubernetes.io/pvc-protection"
VOLUME_MODE = Column("VolumeMode", lambda obj, now: at(obj, "spec.volumeMode", "<unset>"), priority=1,
                     description="A file system, or a bare device.")
_SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def modes_text(modes: list[str] | None) -> str:
    return ",".join(short for mode, short in _SHORT.items() if mode in (modes or ()))


def defaults(claim: Obj) -> Obj:
    return inside(claim, "spec", lambda spec: filled(spec, volumeMode="Filesystem"))


def held(obj: Obj, finalizer: str) -> Obj:
    """With the finalizer that says: not while it is used."""
    if finalizer in finalizers_of(obj):
        return obj
    return with_(obj, "metadata.finalizers", [*finalizers_of(obj), finalizer])


def prepare_create(claim: Obj) -> Obj:
    return {**held(claim, IN_USE), "status": {"phase": "Pending"}}


def _phase(claim: Obj, now: float) -> str:
    return "Terminating" if is_deleting(claim) else at(claim, "status.phase", "")


def _of_bound(claim: Obj, path: str) -> Obj | None:
    return at(claim, path) if at(claim, "spec.volumeName") else None


PERSISTENT_VOLUME_CLAIM = Kind(
    group="", version="v1", name="PersistentVolumeClaim", plural="persistentvolumeclaims",
    singular="persistentvolumeclaim", namespaced=True,
    definition="io.k8s.api.core.v1.PersistentVolumeClaim",
    short_names=("pvc",),
    subresources=(STATUS,),
    columns=(
        NAME,
        Column("Status", _phase, description="Pending, Bound or Lost."),
        Column("Volume", lambda claim, now: at(claim, "spec.volumeName", ""), description="The volume it got."),
        Column("Capacity", lambda claim, now: (_of_bound(claim, "status.capacity") or {}).get("storage", ""),
               description="How much the volume holds."),
        Column("Access Modes", lambda claim, now: modes_text(_of_bound(claim, "status.accessModes")),  # type: ignore
               description="How the volume may be mounted."),
        Column("StorageClass", lambda claim, now: at(claim, "spec.storageClassName", ""),
               description="The class it asks for."),
        Column("VolumeAttributesClass", lambda claim, now: at(claim, "spec.volumeAttributesClassName", "<unset>"),
               description="The class of attributes it asks for."),
        AGE,
        VOLUME_MODE,
    ),
    generation_fields=(),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=status_stays,
    validate=validate_claim,
    validate_update=validate_claim_update,
    validate_status_update=validate_metadata_update,
)
