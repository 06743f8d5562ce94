"""StorageClasses: who makes the volumes for claims of a class, when, and what becomes of them.

https://kubernetes.io/docs/concepts/storage/storage-classes/
"""
from __future__ import annotations

from collections.abc import Iterable

from ..defaults import filled
from ..objects import Obj, annotations_of, name_of
from ..tables import AGE
from ..validation.storage import validate_class, validate_class_update
from .kind import Column, Kind

RESOURCE = "storageclasses.storage.k8s.io"
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"  # how a claim named its class before it had a field for it
IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def is_default(found: Obj) -> bool:
    return annotations_of(found).get(IS_DEFAULT) == "true"


def default_class(classes: Iterable[Obj]) -> Obj | None:
    """The youngest, where several say that they are the default."""
    found = sorted(filter(is_default, classes), key=name_of)
    return max(found, key=lambda one: one["metadata"].get("creationTimestamp") or "", default=None)


def class_of(claim: Obj) -> str | None:
    """None where it does not say; "" where it wants none."""
    return annotations_of(claim).get(OLD_CLASS, (claim.get("spec") or {}).get("storageClassName"))


def defaults(found: Obj) -> Obj:
    return filled(found, reclaimPolicy="Delete", volumeBindingMode="Immediate")


STORAGE_CLASS = Kind(
    group="storage.k8s.io", version="v1", name="StorageClass", plural="storageclasses", singular="storageclass",
    namespaced=False,
    definition="io.k8s.api.storage.v1.StorageClass",
    short_names=("sc",),
    columns=(
        Column("Name", lambda found, now: name_of(found) + (" (default)" if is_default(found) else ""), format="name",
               description="Its name, and whether claims that name no class get this one."),
        Column("Provisioner", lambda found, now: found.get("provisioner", ""), description="Who makes its volumes."),
        Column("ReclaimPolicy", lambda found, now: found.get("reclaimPolicy", ""),
               description="What becomes of a volume once its claim is gone."),
        Column("VolumeBindingMode", lambda found, now: found.get("volumeBindingMode", ""),
               description="Whether a claim gets its volume at once, or with its first pod."),
        Column("AllowVolumeExpansion", lambda found, now: bool(found.get("allowVolumeExpansion")), "boolean",
               description="Whether its claims may grow."),
        AGE,
    ),
    generation_fields=(),
    defaults=defaults,
    validate=validate_class,
    validate_update=validate_class_update,
)
