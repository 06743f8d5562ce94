"""The three ways to say what to change: each a function from an object and a patch to the next object.

    json_patch(obj, ops)                              RFC 6902: a list of operations
    merge_patch(obj, patch)                           RFC 7386: an object laid over it, null removes
    strategic_merge(obj, patch, definition, schema)   the same, but lists merge by key (strategic_merge.py)

What a patch does not touch is the same object afterwards, and a patch that changes nothing returns the very
object it was given.  A malformed patch is a BadRequest; a JSON patch that does not fit the object is Invalid,
in the one sentence that Kubernetes answers with, as is one with an operation that there is not.
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""
from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from . import causes
from .errors import ApiError, BadRequest, Invalid, TooLarge, invalid
from .objects import Obj
from .schema_json import DEEPEST, is_deeper, same
from .schema_read import WrongType, json_type
from .strategic_merge import strategic_merge as strategic_merge

MOST_OPERATIONS = 10_000  # as Kubernetes allows in one JSON patch
MOST_COPIED_BYTES = 3 * 1024 * 1024  # by all "copy" operations together: copies of copies double

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)

Change = Callable[[Any], Any]


# ---- merge patch -------------------------------------------------------------------------------------------

def merge_patch(obj: Obj, patch: Any) -> Obj:
    if not isinstance(patch, dict):
        raise BadRequest(f"error decoding patch: json: cannot unmarshal {json_type(patch)} "
                         "into Go value of type map[string]interface {}")
    return _merged(obj, patch)


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return target if same(target, patch) else patch
    before: Obj = target if isinstance(target, dict) else {}
    after: Obj | None = None
    for key, value in patch.items():
        if value is None:
            if key in before:
                after = dict(before) if after is None else after
                del after[key]
            continue
        merged = _merged(before.get(key), value)
        if key not in before or merged is not before[key]:
            after = dict(before) if after is None else after
            after[key] = merged
    return (target if before is target else before) if after is None else after


# ---- JSON patch --------------------------------------------------------------------------------------------

class _DoesNotFit(Exception):
    """The operation asks for what the object does not have."""


def json_patch(obj: Obj, ops: Any) -> Obj:
    if not isinstance(ops, list):
        raise BadRequest(f"error decoding patch: json: cannot unmarshal {json_type(ops)} "
                         "into Go value of type []handlers.jsonPatchOp")
    if len(ops) > MOST_OPERATIONS:
        raise TooLarge(f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {len(ops)}")
    result: Any = obj
    copied = 0
    try:
        for op in ops:
            name, path, start, value = _read_operation(op)
            if name == "copy":
                value = _value_at(result, start)
                copied += _size(value)
                if copied > MOST_COPIED_BYTES:
                    raise _DoesNotFit("the copies are too large")
            result = _apply(result, name, path, start, value)
        if is_deeper(result, DEEPEST):
            raise _DoesNotFit("the result nests too deep")
    except _DoesNotFit as wrong:
        raise Invalid("the server rejected our request due to an error in our request") from wrong
    return result


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise _DoesNotFit("the copy nests too deep") from None


def _read_operation(op: Any) -> tuple[str, list[str], list[str], Any]:
    """(name, path, from, value)"""
    if not isinstance(op, dict):
        raise BadRequest(f"error decoding patch: json: cannot unmarshal {json_type(op)} "
                         "into Go value of type handlers.jsonPatchOp")
    name, path, start = (_member(op, member) for member in ("op", "path", "from"))
    if name not in ("add", "remove", "replace", "move", "copy", "test"):
        raise _DoesNotFit(f"unexpected kind {name!r}")
    return name, _steps(path), _steps(start) if name in ("move", "copy") else [], op.get("value")


def _member(op: Obj, member: str) -> str | None:
    value = op.get(member)
    if value is None or isinstance(value, str):
        return value
    raise BadRequest(f"error decoding patch: json: cannot unmarshal {json_type(value)} "
                     f"into Go struct field jsonPatchOp.{member} of type string")


def _steps(pointer: str | None) -> list[str]:
    """A JSON pointer (RFC 6901) in steps: `/metadata/labels/a.b~1c` -> metadata, labels, a.b/c"""
    if pointer is None or (pointer and pointer[0] != "/"):
        raise _DoesNotFit(f"{pointer!r} is no JSON pointer")
    steps = pointer.split("/")[1:]
    if len(steps) > DEEPEST:
        raise _DoesNotFit(f"a pointer may have at most {DEEPEST} steps")
    return [step.replace("~1", "/").replace("~0", "~") for step in steps]


def _apply(doc: Any, name: str, path: Sequence[str], start: Sequence[str], value: Any) -> Any:
    if name == "test":
        if not same(_value_at(doc, path), value):
            raise _DoesNotFit("testing value failed")
        return doc
    if name == "remove":
        return _removed(doc, path)
    if name == "replace":
        _value_at(doc, path)
        return _changed(doc, path, lambda _: value)
    if name == "move":
        if list(path[:len(start)]) == list(start) and len(path) > len(start):
            raise _DoesNotFit("a value can not move into itself")
        value = _value_at(doc, start)
        doc = _removed(doc, start)
    return _added(doc, path, value)


def _value_at(doc: Any, path: Sequence[str]) -> Any:
    for step in path:
        doc = _inner(doc, step)
    return doc


def _inner(node: Any, step: str) -> Any:
    if isinstance(node, dict):
        if step in node:
            return node[step]
    elif isinstance(node, list):
        return node[_index(step, len(node))]
    raise _DoesNotFit(f"nothing at {step!r}")


def _index(step: str, end: int) -> int:
    """`end`: the first index that is too large."""
    if _INDEX.fullmatch(step) and int(step) < end:
        return int(step)
    raise _DoesNotFit(f"no index {step!r}")


def _changed(node: Any, path: Sequence[str], change: Change) -> Any:
    """The node with what is at `path` changed: copies of the containers on the way, all else shared."""
    if not path:
        return change(node)
    step, rest = path[0], path[1:]
    after = _changed(_inner(node, step), rest, change)
    if isinstance(node, dict):
        return {**node, step: after}
    index = _index(step, len(node))
    return [*node[:index], after, *node[index + 1:]]


def _added(doc: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    last = path[-1]

    def add(parent: Any) -> Any:
        if isinstance(parent, dict):
            return {**parent, last: value}
        if isinstance(parent, list):
            index = len(parent) if last == "-" else _index(last, len(parent) + 1)
            return [*parent[:index], value, *parent[index:]]
        raise _DoesNotFit(f"{last!r} can not be added to what is neither an object nor a list")
    return _changed(doc, path[:-1], add)


def _removed(doc: Any, path: Sequence[str]) -> Any:
    if not path:
        raise _DoesNotFit("the object itself can not be removed")
    last = path[-1]

    def remove(parent: Any) -> Any:
        _inner(parent, last)
        if isinstance(parent, dict):
            return {key: value for key, value in parent.items() if key != last}
        index = _index(last, len(parent))
        return [*parent[:index], *parent[index + 1:]]
    return _changed(doc, path[:-1], remove)


# ---- a patch whose outcome can not be ------------------------------------------------------------------------

def unfit(how: str, patch: Any, patched: Any, wrong: ValueError) -> ApiError:
    """The patched object does not have its kind's shape: `The request is invalid: patch: Invalid value: ...`.

    Of a strategic patch that shows the patch, of the others all that came of it.
    """
    if how != "strategic":
        shown = orjson.dumps(patched, option=orjson.OPT_SORT_KEYS).decode()
        return invalid("", "", "", [causes.invalid("patch", shown, str(wrong))])
    said = wrong.converted if isinstance(wrong, WrongType) else str(wrong)
    return invalid("", "", "", [causes.invalid("patch", _as_go_prints(patch), said)])


def _as_go_prints(value: Any) -> str:
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_as_go_prints(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_as_go_prints, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)
