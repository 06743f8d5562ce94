"""Objects of one namespace by their labels, so that a selector is asked once for all that are labelled alike.

A budget selects pods by labels, and the pods of one template share theirs: a namespace of a hundred thousand pods
has a few hundred sets of labels.  `selected` asks the selector about each set once and hands out what is behind
those it finds, so its cost is what it finds and not what there is.  A mirror keeps one index for each resource
that was asked for.
"""
from __future__ import annotations

from weakref import WeakKeyDictionary

from ..api.objects import Obj, labels_of
from ..api.selectors import Selector
from ..client.mirror import Mirror
from ..store.history import Change

Labels = frozenset[tuple[str, str]]


class _Alike:
    def __init__(self, mirror: Mirror, resource: str):
        self._groups: dict[str, dict[Labels, dict[str, Obj]]] = {}
        for (namespace, name), obj in mirror.objects(resource).items():
            self._enter(namespace, name, obj)
        mirror.on_change(self._hear, [resource])

    def selected(self, namespace: str, selector: Selector) -> list[Obj]:
        found: list[Obj] = []
        for labels, objects in self._groups.get(namespace, {}).items():
            if selector.matches(dict(labels)):
                found.extend(objects.values())
        return found

    def _hear(self, change: Change) -> None:
        namespace, name = change.key.namespace, change.key.name
        old, new = change.previous, change.value
        if old is not None and (new is None or labels_of(old) != labels_of(new)):
            self._leave(namespace, name, old)
        if new is not None:
            self._enter(namespace, name, new)

    def _enter(self, namespace: str, name: str, obj: Obj) -> None:
        labels = frozenset(labels_of(obj).items())
        self._groups.setdefault(namespace, {}).setdefault(labels, {})[name] = obj

    def _leave(self, namespace: str, name: str, obj: Obj) -> None:
        groups, labels = self._groups[namespace], frozenset(labels_of(obj).items())
        group = groups[labels]
        del group[name]
        if not group:
            del groups[labels]
            if not groups:
                del self._groups[namespace]


_INDEXES: WeakKeyDictionary[Mirror, dict[str, _Alike]] = WeakKeyDictionary()


def selected(mirror: Mirror, resource: str, namespace: str, selector: Selector) -> list[Obj]:
    """The objects of a namespace that the selector finds, in no particular order (it is the same at every run)."""
    indexes = _INDEXES.setdefault(mirror, {})
    if resource not in indexes:
        indexes[resource] = _Alike(mirror, resource)
    return indexes[resource].selected(namespace, selector)
