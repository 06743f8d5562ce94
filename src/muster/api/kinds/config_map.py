"""ConfigMap: settings kept apart from the images that read them.

https://kubernetes.io/docs/concepts/configuration/configmap/
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, forbidden, invalid, too_long
from ..objects import Obj
from ..tables import AGE, NAME
from ..validation.metadata import validate_metadata, validate_metadata_update
from .kind import Column, Kind

LARGEST = 1024 * 1024  # bytes of all values together
FROZEN = "field is immutable when `immutable` is set"


def byte_size(encoded: str) -> int:
    """How many bytes a base64 text stands for."""
    return len(encoded) * 3 // 4 - encoded.count("=", -2)


def validate(config_map: Obj) -> list[Cause]:
    wrong = validate_metadata(config_map, namespaced=True)
    text, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    for field, values, other, others in (("data", text, "binaryData", binary), ("binaryData", binary, "data", text)):
        for key in values:
            if complaints := names.is_config_key(key):
                wrong += [invalid(f"{field}[{key}]", key, complaint) for complaint in complaints]
            if key in others:
                wrong.append(invalid(f"{field}[{key}]", key, f"duplicate of key present in {other}"))
    if len("".join(text.values()).encode()) + sum(map(byte_size, binary.values())) > LARGEST:
        wrong.append(too_long("[]", LARGEST))
    return wrong


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    return validate_metadata_update(new, old) + frozen(new, old, "data", "binaryData")


def frozen(new: Obj, old: Obj, *fields: str) -> list[Cause]:
    """Once `immutable` is set, it and these fields stay as they are."""
    if not old.get("immutable"):
        return []
    changed = [] if new.get("immutable") else [forbidden("immutable", FROZEN)]
    return changed + [forbidden(field, FROZEN) for field in fields
                      if (new.get(field) or {}) != (old.get(field) or {})]


def _count(config_map: Obj, now: float) -> int:
    return len(config_map.get("data") or ()) + len(config_map.get("binaryData") or ())


CONFIG_MAP = Kind(
    group="", version="v1", name="ConfigMap", plural="configmaps", singular="configmap", namespaced=True,
    definition="io.k8s.api.core.v1.ConfigMap", short_names=("cm",),
    columns=(NAME, Column("Data", _count, description="How many keys it holds."), AGE),
    generation_fields=(), validate=validate, validate_update=validate_update,
)
