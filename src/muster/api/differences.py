"""What is different between two versions of an object: which fields, from what to what.

Lists whose items have a name (containers), a type (conditions) or a key are compared item by item; what the server
counts for itself (resourceVersion, managedFields) is left out.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from .objects import Obj

_COUNTED = ("resourceVersion", "managedFields")
_NAMES = ("name", "type", "uid", "key", "ip", "containerPort")
_SHORT = 40  # characters of a value in a summary


class Difference(NamedTuple):
    path: str  # "spec.containers[main].image"
    before: Any  # None: not there
    after: Any


def shown(obj: Obj) -> Obj:
    """The object without what the server counts for itself."""
    metadata = {name: value for name, value in obj.get("metadata", {}).items() if name not in _COUNTED}
    return {**obj, "metadata": metadata}


def differences(before: Obj, after: Obj) -> list[Difference]:
    return list(_between("", shown(before), shown(after)))


def summary(found: list[Difference], most: int = 3) -> str:
    """In one line: `spec.nodeName=n1, status.phase: Pending -> Running, and 4 more`."""
    said = [_said(one) for one in found[:most]]
    if len(found) > most:
        said.append(f"and {len(found) - most} more")
    return ", ".join(said)


def _said(one: Difference) -> str:
    if one.before is None:
        return f"{one.path}={_short(one.after)}"
    if one.after is None:
        return f"{one.path} removed"
    return f"{one.path}: {_short(one.before)} -> {_short(one.after)}"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return str(value["status"]) if {"type", "status"} <= value.keys() else "{...}"  # a condition is what it says
    if isinstance(value, list):
        return f"[{len(value)}]"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _SHORT else text[:_SHORT - 3] + "..."


def _between(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if before is after or before == after:
        return
    if isinstance(before, list) and isinstance(after, list):
        named_before, named_after = _by_name(before), _by_name(after)
        if named_before is not None and named_after is not None:
            for name in dict.fromkeys([*named_before, *named_after]):
                yield from _between(f"{path}[{name}]", named_before.get(name), named_after.get(name))
            return
    if not isinstance(before, dict) or not isinstance(after, dict):
        yield Difference(path, before, after)
        return
    for name in dict.fromkeys([*before, *after]):
        yield from _between(f"{path}.{name}" if path else name, before.get(name), after.get(name))


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    """None where the items have no names, or not one each."""
    if not items:
        return {}
    if not all(isinstance(item, dict) for item in items):
        return None
    name = next((name for name in _NAMES if name in items[0]), None)
    named = {str(item.get(name)): item for item in items} if name else {}
    return named if len(named) == len(items) else None
