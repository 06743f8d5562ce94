"""PersistentVolumes: places to keep things, made by an administrator or for a claim.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""
from __future__ import annotations

from ..defaults import filled, inside, status_stays, within
from ..objects import Obj, at, is_deleting
from ..tables import AGE, NAME
from ..validation.metadata import validate_metadata_update
from ..validation.storage import validate_volume, validate_volume_update
from .kind import STATUS, Column, Kind
from .persistent_volume_claim import VOLUME_MODE, held, modes_text

IN_USE = "kubernetes.io/pv-protection"


def defaults(volume: Obj) -> Obj:
    return within(volume, "spec", lambda spec: filled(inside(spec, "hostPath", lambda one: filled(one, type="")),
                                                      persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem"))


def prepare_create(volume: Obj) -> Obj:
    return {**held(volume, IN_USE), "status": {"phase": "Pending"}}


def _claim(volume: Obj, now: float) -> str:
    reference = at(volume, "spec.claimRef")
    return f"{reference.get('namespace', '')}/{reference.get('name', '')}" if reference else ""


PERSISTENT_VOLUME = Kind(
    group="", version="v1", name="PersistentVolume", plural="persistentvolumes", singular="persistentvolume",
    namespaced=False,
    definition="io.k8s.api.core.v1.PersistentVolume",
    short_names=("pv",),
    subresources=(STATUS,),
    columns=(
        NAME,
        Column("Capacity", lambda volume, now: at(volume, "spec.capacity", {}).get("storage", ""),
               description="How much it holds."),
        Column("Access Modes", lambda volume, now: modes_text(at(volume, "spec.accessModes")),
               description="How it may be mounted."),
        Column("Reclaim Policy", lambda volume, now: at(volume, "spec.persistentVolumeReclaimPolicy", ""),
               description="What becomes of it once its claim is gone."),
        Column("Status", lambda volume, now: "Terminating" if is_deleting(volume) else at(volume, "status.phase", ""),
               description="Available, Bound, Released or Failed."),
        Column("Claim", _claim, description="Whose it is."),
        Column("StorageClass", lambda volume, now: at(volume, "spec.storageClassName", ""),
               description="The class it belongs to."),
        Column("VolumeAttributesClass", lambda volume, now: at(volume, "spec.volumeAttributesClassName", "<unset>"),
               description="The class of its attributes."),
        Column("Reason", lambda volume, now: at(volume, "status.reason", ""), description="Why it is as it is."),
        AGE,
        VOLUME_MODE,
    ),
    generation_fields=(),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=status_stays,
    validate=validate_volume,
    validate_update=validate_volume_update,
    validate_status_update=validate_metadata_update,
)
