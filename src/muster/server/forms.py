"""Objects in the form a kind is asked for, where it is stored in another (events.k8s.io in "events").

A snapshot is converted once and then shared by all who read it; what was converted last is kept, bounded.
"""
from __future__ import annotations

from collections import OrderedDict

from ..api.kinds.kind import Kind
from ..store.history import Snapshot

KEPT = 8192


class Forms:
    def __init__(self, kept: int = KEPT):
        self._kept = kept
        self._converted: OrderedDict[tuple[str, int], Snapshot] = OrderedDict()

    def of(self, kind: Kind, stored: Snapshot) -> Snapshot:
        if kind.stored_as is None:
            return stored
        place = (kind.resource, stored.revision)  # a revision is one change of one object
        found = self._converted.get(place)
        if found is None:
            found = self._converted[place] = Snapshot(kind.from_stored(stored.value), stored.revision)
            if len(self._converted) > self._kept:
                self._converted.popitem(last=False)
        return found
