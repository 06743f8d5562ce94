"""Filling in what a user left out, without copying what needs nothing.

Each function hands back the very object it was given where there is nothing to fill, so that a stored
object that passes through defaulting again stays shared.
"""
from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import Any

from .objects import Obj


def filled(obj: Obj, **values: Any) -> Obj:
    """`filled(port, protocol="TCP")`: the fields that are missing or null get these values."""
    missing = {name: value for name, value in values.items() if obj.get(name) is None}
    return {**obj, **missing} if missing else obj


def put(obj: Obj, field: str, value: Any) -> Obj:
    """A copy with the field set; the object itself where it already holds this very value."""
    if field in obj and obj[field] is value:
        return obj
    return {**obj, field: value}


def inside(obj: Obj, field: str, change: Callable[[Obj], Obj]) -> Obj:
    """`change` applied to what the field holds, if it holds anything."""
    inner = obj.get(field)
    return obj if inner is None else put(obj, field, change(inner))


def within(obj: Obj, field: str, change: Callable[[Obj], Obj]) -> Obj:
    """The same for a part that every object of the kind has, said or not: an absent one is filled from nothing."""
    inner = obj.get(field)
    return put(obj, field, change({} if inner is None else inner))


def each(obj: Obj, field: str, change: Callable[[Obj], Obj]) -> Obj:
    """`change` applied to every item of the list in that field."""
    items = obj.get(field)
    return put(obj, field, every(items, change)) if items else obj


def every(items: list[Any], change: Callable[[Any], Any]) -> list[Any]:
    """`change` applied to each; the very same list where that changes none."""
    changed = [change(item) for item in items]
    return items if all(map(is_, changed, items)) else changed


def rolling_update(strategy: Obj, **usual: Any) -> Obj:
    """An update strategy rolls where it does not say otherwise, and then has these values."""
    strategy = strategy if strategy.get("type") else {**strategy, "type": "RollingUpdate"}
    if strategy["type"] != "RollingUpdate":
        return strategy
    return within(strategy, "rollingUpdate", lambda rolling: filled(rolling, **usual))


def status_stays(new: Obj, old: Obj) -> Obj:
    """As an update has it that goes past the status: what that came with does not count."""
    return {**new, "status": old.get("status") or {}}


def kept(new: Obj, old: Obj, *fields: str) -> Obj:
    """`new` with these top-level fields as they are in `old` (left out where `old` has none)."""
    for field in fields:
        if field in old:
            new = put(new, field, old[field])
        elif field in new:
            new = {name: value for name, value in new.items() if name != field}
    return new
