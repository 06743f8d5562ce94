"""Who belongs to whom: a controller's objects by owner reference and label selector.

An object that matches the selector and has no controller is an orphan: it is adopted.  One that we
control and that no longer matches is released, and lives on without us.  One that somebody else controls
is never touched.  An owner that is being deleted neither adopts nor releases.
https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/

Both changes are strategic patches bound to the object's uid, so they can not hit a namesake.  They come
first: a plan with claims to carry out holds nothing else that needs them, and looks again afterwards.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from ..api.objects import (
    Key,
    Obj,
    controller_of,
    controller_reference,
    is_deleting,
    name_of,
    namespace_of,
    uid_of,
)
from ..api.selectors import Selector
from ..client.mirror import Mirror
from ..store.history import Change
from .plan import Action, Patch


@dataclass(frozen=True, slots=True)
class Claim:
    mine: list[Obj] = field(default_factory=list)  # controlled by the owner, now or after the actions
    actions: list[Action] = field(default_factory=list)


def claim(owner: Obj, selector: Selector, objects: Iterable[Obj], resource: str) -> Claim:
    """Sorts out which of these objects (of the owner's namespace) the owner controls."""
    result = Claim()
    uid, going = uid_of(owner), is_deleting(owner)
    matching: dict[int, bool] = {}  # pods of one template share their labels: each set is matched once
    for obj in objects:
        labels = obj["metadata"].get("labels")
        matches = matching.get(id(labels))
        if matches is None:
            matches = matching[id(labels)] = selector.matches(labels)
        controller = controller_of(obj)
        if controller is not None:
            if controller["uid"] != uid:
                continue
            if matches:
                result.mine.append(obj)
            elif not going:
                result.actions.append(release(owner, obj, resource))
        elif matches and not going and not is_deleting(obj) and namespace_of(obj) == namespace_of(owner):
            result.mine.append(obj)
            result.actions.append(adopt(owner, obj, resource))
    return result


def adopt(owner: Obj, obj: Obj, resource: str) -> Patch:
    return _patch(obj, resource, controller_reference(owner))


def release(owner: Obj, obj: Obj, resource: str) -> Patch:
    return _patch(obj, resource, {"$patch": "delete", "uid": uid_of(owner)})


def _patch(obj: Obj, resource: str, reference: Obj) -> Patch:
    key = Key(resource, namespace_of(obj), name_of(obj))
    return Patch(key, uid_of(obj), {"metadata": {"ownerReferences": [reference]}}, how="strategic")


class _Orphans:
    """The objects of one resource that no controller owns, by namespace, kept current by a mirror."""

    def __init__(self, mirror: Mirror, resource: str):
        self._found: dict[str, dict[str, Obj]] = {}
        for (namespace, name), obj in mirror.objects(resource).items():
            self._see(namespace, name, obj)
        mirror.on_change(self._hear, [resource])

    def of(self, namespace: str) -> Collection[Obj]:
        return self._found.get(namespace, {}).values()

    def _hear(self, change: Change) -> None:
        self._see(change.key.namespace, change.key.name, change.value)

    def _see(self, namespace: str, name: str, obj: Obj | None) -> None:
        if obj is not None and controller_of(obj) is None:
            self._found.setdefault(namespace, {})[name] = obj
            return
        space = self._found.get(namespace)
        if space is not None:
            space.pop(name, None)
            if not space:
                del self._found[namespace]


_ORPHANS: WeakKeyDictionary[Mirror, dict[str, _Orphans]] = WeakKeyDictionary()


def orphans(mirror: Mirror, resource: str, namespace: str) -> Collection[Obj]:
    """The objects of a namespace without a controller.  An index: looking costs nothing per owned object."""
    indexes = _ORPHANS.setdefault(mirror, {})
    if resource not in indexes:
        indexes[resource] = _Orphans(mirror, resource)
    return indexes[resource].of(namespace)


def candidates(mirror: Mirror, owner: Obj, resource: str) -> list[Obj]:
    """What `claim` needs to see of one resource: the owner's dependents, and the orphans around it."""
    owned = list(mirror.dependents_of(uid_of(owner), resource).values())
    owned.extend(orphans(mirror, resource, namespace_of(owner)))
    return owned
