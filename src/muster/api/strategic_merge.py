"""Strategic merge patch: a merge patch that knows which lists have keys.

`kubectl apply`, `set image` and `label` send these.  A list whose field says `patch=merge key=name` is merged
item by item; one of plain values is joined without repeats; any other list is replaced.  A patch may carry
directives beside the fields:

    $patch: replace | delete             take this object as it is; empty it, or drop this item of a list
    $retainKeys: [type]                  keep only these fields of the object
    $setElementOrder/containers: [...]   the order of the merged list
    $deleteFromPrimitiveList/finalizers: [...]   values to take out of a list of plain values

https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/ and
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from .errors import BadRequest
from .objects import Obj
from .schema import OBJECT, Definition, Field, Schema, Type
from .schema_json import same
from .schema_read import json_type

PATCH, RETAIN_KEYS = "$patch", "$retainKeys"
ORDER, DELETE_FROM = "$setElementOrder/", "$deleteFromPrimitiveList/"
_MISSING = object()


def strategic_merge(obj: Obj, patch: Any, definition: Definition, schema: Schema) -> Obj:
    if not isinstance(patch, dict):
        raise BadRequest(f"json: cannot unmarshal {json_type(patch)} "
                         "into Go value of type map[string]interface {}")
    return _Merge(schema).objects(obj, patch, Type(OBJECT, definition=definition.name))


class _Merge:
    def __init__(self, schema: Schema):
        self._schema = schema

    # ---- objects and maps ----

    def objects(self, original: Obj, patch: Obj, shape: Type | None) -> Obj:
        if PATCH in patch:
            return _directed(patch)
        result = _retained(original, patch)
        ordered = {key.removeprefix(ORDER): order for key, order in patch.items() if key.startswith(ORDER)}
        for name, order in ordered.items():
            result = _with(result, name, self._in_order(result, patch, name, order, self._field(shape, name)))
        for key, value in patch.items():
            if key == RETAIN_KEYS or key.startswith(ORDER) or key in ordered:
                continue
            if key.startswith(DELETE_FROM):
                name = key.removeprefix(DELETE_FROM)
                result = _with(result, name, _taken_out(result.get(name, _MISSING), value))
            elif value is None:
                result = _with(result, key, _MISSING)
            else:
                result = _with(result, key, self._value(result.get(key, _MISSING), value, shape, key))
        return result

    def _value(self, original: Any, value: Any, shape: Type | None, key: str) -> Any:
        """What the field holds afterwards."""
        if type(original) is not type(value):
            return _MISSING if _says_patch(value) else _clean(value)
        if isinstance(value, dict):
            field = self._field(shape, key)
            if field is not None and "replace" in field.patch:
                return _clean(value)
            return self.objects(original, value, field.type if field is not None else None)
        if isinstance(value, list):
            field = self._field(shape, key)
            merges = field is not None and "merge" in field.patch
            return self._lists(original, value, field) if merges else _clean_or_same(original, value)
        return original if original == value else value

    def _field(self, shape: Type | None, key: str) -> Field | None:
        """How a field merges; None where nothing is known of what is inside (a RawExtension)."""
        if shape is None:
            return None
        if shape.shape == "map":
            assert shape.item is not None, "a map has items"
            return Field(key, shape.item)
        if shape.shape != "object":
            return None
        definition = self._schema.definition(shape.definition)
        if definition.plain:
            return None
        field = definition.fields.get(key) or definition.rest
        if field is None:
            struct = shape.definition.rpartition(".")[2]
            raise BadRequest(f'unable to find api field in struct {struct} for the json field "{key}"')
        return field

    # ---- lists ----

    def _in_order(self, original: Obj, patch: Obj, name: str, order: Any, field: Field | None) -> Any:
        """The list merged as usual, then in the order the patch gives."""
        before, change = original.get(name, _MISSING), patch.get(name, _MISSING)
        key = field.merge_key if field is not None else ""
        if change is None or (before is _MISSING and change is _MISSING):
            return _MISSING
        if isinstance(change, list):
            _check_order([one for one in change if not _says_patch(one)], order, key)
            merged = self._value_of_list(before, change, field)
        elif change is _MISSING:
            merged = before
        else:
            raise _wrong_order()
        if not isinstance(order, list) or not isinstance(merged, list):
            raise _wrong_order()
        server = _server_order(before, merged, key) if isinstance(before, list) else []
        arranged = _arranged(merged, order, server, key)
        return before if isinstance(before, list) and _identical(arranged, before) else arranged

    def _value_of_list(self, before: Any, change: list[Any], field: Field | None) -> Any:
        if not isinstance(before, list):
            return _clean(change)
        merges = field is not None and "merge" in field.patch
        return self._lists(before, change, field) if merges else _clean_or_same(before, change)

    def _lists(self, original: list[Any], patch: list[Any], field: Field | None) -> list[Any]:
        assert field is not None, "only a field that says so merges its list"
        if not any(isinstance(item, dict) for item in (*original, *patch)):
            return self._plain_lists(original, patch)
        key = field.merge_key
        if not key:
            raise BadRequest(f"cannot merge lists without merge key for {field.name}")
        kept, changes, replace = _without_directives(original, patch, key)
        if replace:
            return [_clean(change) for change in changes]
        where = _places(kept, key)
        merged = list(kept)
        for change in changes:
            place = where.get(_identity(_key_of(change, key)))
            if place is None:
                merged.append(_clean(change))
            else:
                merged[place] = self.objects(merged[place], change, field.type.item)
        arranged = _arranged(merged, changes, kept, key)
        return original if _identical(arranged, original) else arranged

    @staticmethod
    def _plain_lists(original: list[Any], patch: list[Any]) -> list[Any]:
        once: dict[Any, Any] = {}
        for value in (*original, *patch):
            once.setdefault(_identity(value), value)
        arranged = _arranged(list(once.values()), patch, original, "")
        return original if _identical(arranged, original) else arranged


def _with(obj: Obj, key: str, value: Any) -> Obj:
    """A copy with the field set, or left out if it is missing now; the object itself where it holds that."""
    if value is obj.get(key, _MISSING):
        return obj
    if value is _MISSING:
        return {name: inner for name, inner in obj.items() if name != key}
    return {**obj, key: value}


def _identical(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _directed(patch: Obj) -> Obj:
    directive = patch[PATCH]
    if directive == "replace":
        return _clean({key: value for key, value in patch.items() if key != PATCH})
    if directive == "delete":
        return {}
    raise _unknown_directive(directive)


def _unknown_directive(directive: Any) -> BadRequest:
    shown = directive if isinstance(directive, str) else orjson.dumps(directive).decode()
    return BadRequest(f"unknown patch type: {shown} in map: $patch must be replace or delete")


def _wrong_order() -> BadRequest:
    return BadRequest("invalid patch format of setElementOrder list")


def _retained(original: Obj, patch: Obj) -> Obj:
    if RETAIN_KEYS not in patch:
        return original
    keep = patch[RETAIN_KEYS]
    if not isinstance(keep, list) or not all(isinstance(key, str) for key in keep):
        raise BadRequest("invalid patch format of retainKeys")
    for key, value in patch.items():
        if value is not None and key not in keep and not _is_directive(key):
            raise BadRequest("invalid patch format of retainKeys")
    if all(key in keep for key in original):
        return original
    return {key: value for key, value in original.items() if key in keep}


def _taken_out(original: Any, values: Any) -> Any:
    if not isinstance(values, list):
        raise BadRequest("invalid patch format of primitive list")
    if not isinstance(original, list):
        return original
    gone = {_identity(value) for value in values}
    kept = [value for value in original if _identity(value) not in gone]
    return original if len(kept) == len(original) else kept


def _without_directives(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any], bool]:
    """(the items that stay, the items to merge, whether those replace all), by the `$patch` items."""
    replace, changes, gone = False, [], set()
    for item in patch:
        if not isinstance(item, dict):
            raise BadRequest(f"invalid patch: an item of a list merged by {key} must be an object, "
                             f"not {json_type(item)}")
        directive = item.get(PATCH, _MISSING)
        if directive is _MISSING:
            changes.append(item)
        elif directive == "delete":
            gone.add(_identity(_key_of(item, key)))
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise BadRequest("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(directive)
    kept = [item for item in original
            if not (gone and isinstance(item, dict) and _identity(item.get(key)) in gone)]
    return kept, changes, replace


def _key_of(item: Any, key: str) -> Any:
    if not isinstance(item, dict) or key not in item:
        shown = orjson.dumps(item).decode()
        raise BadRequest(f"map: {shown} does not contain declared merge key: {key}")
    return item[key]


def _identity(value: Any) -> Any:
    """What tells values apart as JSON does; can be a key of a dict."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _places(items: Iterable[Any], key: str) -> dict[Any, int]:
    """Where each item is: by its key, or by itself in a list of plain values.  The first of equals counts."""
    places: dict[Any, int] = {}
    for place, identity in enumerate(_identities(items, key)):
        places.setdefault(identity, place)
    return places


def _check_order(changes: list[Any], order: Any, key: str) -> None:
    """What the patch changes must be in its order list, in that order."""
    if not isinstance(order, list):
        raise _wrong_order()
    places = _places(order, key)
    last = -1
    for identity in _identities(changes, key):
        place = places.get(identity, -1)
        if place < last or place < 0:
            listed, wanted = orjson.dumps(changes).decode(), orjson.dumps(order).decode()
            raise BadRequest(f"The order in patch list:\n{listed}\n "
                             f"doesn't match $setElementOrder list:\n{wanted}\n")
        last = place


def _server_order(before: list[Any], merged: list[Any], key: str) -> list[Any]:
    """The list as the server had it; the places of deleted items go to new ones, as upstream does it."""
    there, left = _identities(before, key), _identities(merged, key)
    known, staying = set(there), set(left)
    kept = [item for item, identity in zip(before, there, strict=True) if identity in staying]
    new = [item for item, identity in zip(merged, left, strict=True) if identity not in known]
    return [*kept, *new][:len(before)]


def _identities(items: Iterable[Any], key: str) -> list[Any]:
    return [_identity(_key_of(item, key) if key else item) for item in items]


def _arranged(merged: list[Any], order: list[Any], original: list[Any], key: str) -> list[Any]:
    """The merged items: those the patch orders in its order, and the others between them as they were.

    An item that only the server has goes before the first ordered item that came after it.
    """
    ordered_places, server_places = _places(order, key), _places(original, key)
    identities = _identities(merged, key)
    ordered = [(one, item) for one, item in zip(identities, merged, strict=True) if one in ordered_places]
    others = [(one, item) for one, item in zip(identities, merged, strict=True) if one not in ordered_places]
    ordered.sort(key=lambda pair: ordered_places[pair[0]])
    result: list[Any] = []
    next_other = 0
    for identity, item in ordered:
        place = server_places.get(identity)
        while next_other < len(others) and place is not None and (
                server_places.get(others[next_other][0], place) < place):
            result.append(others[next_other][1])
            next_other += 1
        result.append(item)
    result += [item for _, item in others[next_other:]]
    return result


def _is_directive(key: str) -> bool:
    return key in (PATCH, RETAIN_KEYS) or key.startswith((ORDER, DELETE_FROM))


def _clean(value: Any) -> Any:
    """A value of a patch as it stands where nothing was: without directives and nulls.

    An object that says `$patch` stands for nothing there, even one that says replace: upstream drops it.
    """
    if isinstance(value, dict):
        return {key: _clean(inner) for key, inner in value.items()
                if inner is not None and not _is_directive(key) and not _says_patch(inner)}
    if isinstance(value, list):
        return [_clean(item) for item in value if not _says_patch(item)]
    return value


def _says_patch(value: Any) -> bool:
    return isinstance(value, dict) and PATCH in value


def _clean_or_same(original: list[Any], value: list[Any]) -> list[Any]:
    cleaned = _clean(value)
    return original if same(cleaned, original) else cleaned
