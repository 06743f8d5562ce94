"""Who is told of which change: a table, so that twenty who listen to pods do not each look at every change of one.

    Listeners.add(listener, "nodes")                     all changes of nodes
    Listeners.add(listener, Changes("pods", ...))        those of pods that can matter to it

    (resource, kind of the owner, is only the status another?)  ->  those who are told, in the order they came

A row is made when a change first needs it, and all rows anew when the first object of a resource comes or its last
one goes: a cluster without Services that select pods has nobody who is told of pods on their behalf.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..api.objects import Obj, controller_of, owners_of
from ..store.history import Change

Listener = Callable[[Change], object]
Row = tuple[str, str | None, bool]  # kind of the owner: "" for none, None where that does not tell


@dataclass(frozen=True)
class Changes:
    """Of the changes of `resource` those that can matter: of all others the listener would say that they do not."""

    resource: str
    concerning: str = ""  # none, while there is no object of this resource ...
    such: Callable[[Obj], bool] | None = None  # ... for which this holds
    owned_by: str = ""  # of what such an owner controls, or nobody does
    status_too: bool = True  # False: none in which all but the status stays as it is


def resource_of(heard: str | Changes) -> str:
    return heard if isinstance(heard, str) else heard.resource


class Listeners:
    def __init__(self, there: Mapping[str, Mapping[Any, Obj]]):
        """`there` is what the changes add up to, resource by resource; a change is asked about once it is in."""
        self._there = there
        self._all: dict[str, list[tuple[Listener, Changes]]] = {resource: [] for resource in there}
        self._rows: dict[Row, tuple[Listener, ...]] = {}
        self._concerned: set[str] = set()  # resources whose being there matters
        self._judged: set[str] = set()  # resources of which it matters how they are
        self._by_owner: set[str] = set()  # resources of whose changes some hear by the kind of the owner
        self._by_status: set[str] = set()

    def add(self, listener: Listener, heard: str | Changes) -> None:
        changes = Changes(heard) if isinstance(heard, str) else heard
        self._all[changes.resource].append((listener, changes))
        self._learn()

    def remove(self, listener: Listener, heard: str | Changes) -> None:
        changes = Changes(heard) if isinstance(heard, str) else heard
        self._all[changes.resource].remove((listener, changes))
        self._learn()

    def _learn(self) -> None:
        self._rows.clear()
        all_heard = [changes for heard in self._all.values() for _, changes in heard]
        self._concerned = {one.concerning for one in all_heard if one.concerning}
        self._judged = {one.concerning for one in all_heard if one.such is not None}
        self._by_owner = {one.resource for one in all_heard if one.owned_by}
        self._by_status = {one.resource for one in all_heard if not one.status_too}

    def of(self, change: Change) -> tuple[Listener, ...]:
        """Those to tell of it."""
        resource, old, new = change.key.resource, change.previous, change.value
        if resource in self._judged or (
                (old is None or new is None) and resource in self._concerned and len(self._there[resource]) <= 1):
            self._rows.clear()
        kind = _owner_kind(old, new) if resource in self._by_owner else None
        row = resource, kind, resource in self._by_status and change.is_of_status
        found = self._rows.get(row)
        if found is None:
            found = self._rows[row] = tuple(self._row(*row))
        return found

    def _row(self, resource: str, kind: str | None, only_status: bool) -> Iterable[Listener]:
        for listener, changes in self._all[resource]:
            if ((changes.status_too or not only_status)
                    and (not kind or changes.owned_by in ("", kind))
                    and (not changes.concerning or self._is_there(changes))):
                yield listener

    def _is_there(self, changes: Changes) -> bool:
        there = self._there[changes.concerning]
        return bool(there) if changes.such is None else any(map(changes.such, there.values()))


def _owner_kind(old: Obj | None, new: Obj | None) -> str | None:
    if old is None or new is None or owners_of(old) is owners_of(new):
        present = new if new is not None else old
        assert present is not None, "a change has a before or an after"
        reference = controller_of(present)
        return reference.get("kind", "") if reference is not None else ""
    before, after = _owner_kind(old, None), _owner_kind(None, new)
    return after if before == after else None
