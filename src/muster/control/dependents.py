"""Whom a change concerns: the keys of owners whose dependents changed.

    wakes = the owner that controls the object, before or now; for an orphan, each owner that would adopt it

An owner is found by its reference's name and uid, so a namesake that came later is not woken in its place.
Orphans are looked at only when they became orphans, or when their labels changed: a heartbeat costs nothing.
"""
from __future__ import annotations

from ..api.objects import Key, Obj, controller_of, labels_of, namespace_of, uid_of
from ..api.selectors import selector_of
from ..client.mirror import Mirror
from ..store.history import Change


def owner_of(obj: Obj, mirror: Mirror, resource: str, kind: str) -> Key | None:
    """The key of the owner of that kind which controls the object, if it is still there."""
    reference = controller_of(obj)
    if reference is None or reference["kind"] != kind:
        return None
    key = Key(resource, namespace_of(obj), reference["name"])
    owner = mirror.get(key)
    return key if owner is not None and uid_of(owner) == reference["uid"] else None


def woken_by_dependent(change: Change, mirror: Mirror, resource: str, kind: str) -> list[Key]:
    """The owners of `resource` that the change of a dependent concerns."""
    old, new = change.previous, change.value
    owners = [owner_of(obj, mirror, resource, kind) for obj in (old, new) if obj is not None]
    woken = [key for key in dict.fromkeys(owners) if key is not None]
    if new is not None and controller_of(new) is None and (
            old is None or labels_of(old) != labels_of(new) or controller_of(old) is not None):
        namespace, labels = namespace_of(new), labels_of(new)
        for name, owner in mirror.in_namespace(resource, namespace).items():
            if selector_of(owner).matches(labels):
                woken.append(Key(resource, namespace, name))
    return woken
