"""What `kubectl apply` does, for manifests that Muster applies itself (`muster up -f`).

The manifest that was applied last is kept in an annotation.  A field that stood there and is gone from the new
manifest is removed; what others have set stays.  The annotation is kubectl's own, so both can take turns.
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/#how-apply-calculates-differences-and-merges-changes
"""
from __future__ import annotations

from typing import Any

import orjson

from .errors import BadRequest
from .objects import Obj, annotations_of, with_
from .schema import LIST, MAP, OBJECT, Definition, Field, Schema

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def recorded(manifest: Obj) -> Obj:
    """The manifest with itself in the annotation, as it is sent."""
    annotations = {name: text for name, text in annotations_of(manifest).items() if name != LAST_APPLIED}
    bare = with_(manifest, "metadata.annotations", annotations)
    text = orjson.dumps(bare, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
    return with_(manifest, "metadata.annotations", {**annotations, LAST_APPLIED: text})


def apply_patch(current: Obj, manifest: Obj, definition: Definition, schema: Schema) -> Obj:
    """The strategic merge patch that brings `current` to what the manifest says.

    Raises BadRequest when the annotation on the current object can not be read.
    """
    wanted = recorded(manifest)
    text = annotations_of(current).get(LAST_APPLIED)
    if text is None:
        return wanted
    try:
        last = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"annotation {LAST_APPLIED} is not JSON ({error}); remove it and apply again") from error
    return _with_removals(last, wanted, definition, schema)


def _with_removals(last: Any, wanted: Obj, definition: Definition | None, schema: Schema) -> Obj:
    """`wanted`, and a null for each field that `last` has and `wanted` has not."""
    if not isinstance(last, dict):
        return wanted
    patch = dict(wanted)
    for name, old in last.items():
        if name not in wanted:
            patch[name] = None
            continue
        new, field = wanted[name], definition.fields.get(name) if definition is not None else None
        if isinstance(old, dict) and isinstance(new, dict):
            patch[name] = _with_removals(old, new, _inner(field, schema), schema)
        elif isinstance(old, list) and isinstance(new, list) and field is not None and field.merge_key:
            patch[name] = _merged_items(old, new, field, schema)
    return patch


def _inner(field: Field | None, schema: Schema) -> Definition | None:
    """What the objects in this field look like; None for maps of plain values."""
    kind = field.type if field is not None else None
    while kind is not None and kind.shape in (LIST, MAP):
        kind = kind.item
    return schema.definition(kind.definition) if kind is not None and kind.shape == OBJECT else None


def _merged_items(old: list[Any], new: list[Any], field: Field, schema: Schema) -> list[Any]:
    """Items are the same when their merge keys are; those that are gone are deleted by name."""
    inner, key = _inner(field, schema), field.merge_key
    before = {item.get(key): item for item in old if isinstance(item, dict)}
    kept = [_with_removals(before.pop(item.get(key), {}), item, inner, schema) if isinstance(item, dict) else item
            for item in new]
    return kept + [{"$patch": "delete", key: gone} for gone in before if gone is not None]
