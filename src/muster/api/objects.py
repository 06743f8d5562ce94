"""What every API object has, as plain functions over the JSON it came as.

An object is a dict that nobody changes once it is made: a change is a copy of the path that
differs (`with_`), everything else is shared.  That is what lets ten thousand pods share one
template, and lets every reader keep what it was handed without copying it.
"""
from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from math import floor
from typing import Any, NamedTuple

Obj = dict[str, Any]


class Key(NamedTuple):
    """Where an object lives: `Key("daemonsets.apps", "kube-system", "agent")`.

    `resource` is the plural with its group, as kubectl spells it ("pods", "daemonsets.apps");
    `namespace` is "" for objects that belong to the whole cluster.
    """

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


def with_(obj: Obj, path: str | tuple[str, ...], value: Any) -> Obj:
    """`with_(pod, "spec.nodeName", "n1")`: a copy with one field set, the rest shared.

    A key that holds dots is reached with a tuple: `("metadata", "labels", "a.b/c")`.
    """
    head, *rest = path.split(".") if isinstance(path, str) else path
    return {**obj, head: with_(obj.get(head) or {}, tuple(rest), value) if rest else value}


def without_(obj: Obj, path: str | tuple[str, ...]) -> Obj:
    """A copy with one field left out; the object itself where it has no such field."""
    head, *rest = path.split(".") if isinstance(path, str) else path
    if head not in obj:
        return obj
    if not rest:
        return {k: v for k, v in obj.items() if k != head}
    inner = obj[head]
    smaller = without_(inner, tuple(rest)) if isinstance(inner, dict) else inner
    return obj if smaller is inner else {**obj, head: smaller}


def at(obj: Obj, path: str, default: Any = None) -> Any:
    """`at(pod, "spec.securityContext.runAsUser")`: the value there, or `default` where any step is missing."""
    found: Any = obj
    try:
        for step in path.split("."):
            found = found.get(step)
            if found is None:
                return default
    except AttributeError:  # a text or a list stands where an object was expected
        return default
    return found


def name_of(obj: Obj) -> str:
    return obj["metadata"].get("name", "")


def namespace_of(obj: Obj) -> str:
    return obj["metadata"].get("namespace", "")


def uid_of(obj: Obj) -> str:
    return obj["metadata"].get("uid", "")


def labels_of(obj: Obj) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def revision_of(obj: Obj) -> int:
    """The revision this copy of the object was read at; 0 for one that was never stored."""
    return int(obj["metadata"].get("resourceVersion") or 0)


def is_deleting(obj: Obj) -> bool:
    return obj["metadata"].get("deletionTimestamp") is not None


def finalizers_of(obj: Obj) -> list[str]:
    return obj["metadata"].get("finalizers") or []


def owners_of(obj: Obj) -> list[Obj]:
    return obj["metadata"].get("ownerReferences") or []


def controller_of(obj: Obj) -> Obj | None:
    """The one owner reference that says `controller: true`, if any."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return reference
    return None


def controller_reference(owner: Obj) -> Obj:
    """The reference a controller writes into what it makes (blocks foreground deletion of the owner)."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(obj: Obj, type_: str) -> Obj | None:
    for found in (obj.get("status") or {}).get("conditions") or ():
        if found.get("type") == type_:
            return found
    return None


def is_true(obj: Obj, type_: str) -> bool:
    for found in (obj.get("status") or {}).get("conditions") or ():
        if found.get("type") == type_:
            return found.get("status") == "True"
    return False


def with_condition(conditions: Iterable[Obj], new: Obj) -> list[Obj]:
    """The list with `new` in the place of its type, or at the end.

    `lastTransitionTime` is kept where the status did not change, as upstream does.
    """
    result, placed = [], False
    for old in conditions:
        if old.get("type") == new["type"]:
            if old.get("status") == new["status"] and "lastTransitionTime" in old:
                new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
            result.append(new)
            placed = True
        else:
            result.append(old)
    if not placed:
        result.append(new)
    return result


def to_time(seconds: float) -> str:
    """Unix seconds -> `2026-01-31T08:00:00Z` (metav1.Time: whole seconds, UTC)."""
    return _whole_second(floor(seconds))


@lru_cache(maxsize=4096)
def _whole_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def to_micro_time(seconds: float) -> str:
    """Unix seconds -> `2026-01-31T08:00:00.000000Z` (metav1.MicroTime, as leases use)."""
    micros = round(seconds * 1e6)
    return f"{_whole_second(micros // 1_000_000)[:-1]}.{micros % 1_000_000:06d}Z"


@lru_cache(maxsize=16384)
def from_time(text: str) -> float:
    """An RFC 3339 time -> Unix seconds.  Raises ValueError for anything else."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
