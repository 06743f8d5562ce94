"""All kinds a server knows, and how to find one.

`BUILT_IN` names the rows that come with Muster; a CRD adds a row at run time (`Kinds.add`).
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..objects import Key, Obj, name_of, namespace_of
from .kind import Kind


class Kinds:
    """The rows, found by the route (`/apis/apps/v1/daemonsets`), by resource, or by an object's own words."""

    def __init__(self, rows: Iterable[Kind] = ()):
        self._by_route: dict[tuple[str, str, str], Kind] = {}
        self._by_name: dict[tuple[str, str], Kind] = {}
        self._by_resource: dict[str, Kind] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Kind) -> None:
        self._by_route[row.group, row.version, row.plural] = row
        self._by_name[row.api_version, row.name] = row
        if row.stored_as != row.resource:  # of two versions of one resource, the one that is kept
            self._by_resource[row.resource] = row

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_route.values())

    def at_route(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_route.get((group, version, plural))

    def named(self, api_version: str, name: str) -> Kind | None:
        return self._by_name.get((api_version, name))

    def resource(self, resource: str) -> Kind:
        """The row of "daemonsets.apps".  KeyError for one that is not served."""
        return self._by_resource[resource]

    def get(self, resource: str) -> Kind | None:
        return self._by_resource.get(resource)

    def spoken_of(self, word: str) -> Kind | None:
        """As people name it, and kubectl too: "pods", "po", "Pod", "daemonsets.apps"."""
        word = word.lower()
        return next((row for row in self if word in (
            row.resource, row.plural, row.singular, row.name.lower(), *row.short_names)), None)

    def stored(self) -> list[Kind]:
        """The kinds that are kept as themselves (not a second form of another one)."""
        return [row for row in self if row.stored_as is None]

    def key_of(self, obj: Obj) -> Key:
        """Where an object with apiVersion and kind lives.  KeyError for a kind that is not served."""
        row = self._by_name[obj["apiVersion"], obj["kind"]]
        return row.key(namespace_of(obj), name_of(obj))
