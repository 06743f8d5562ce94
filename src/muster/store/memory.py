"""The store that forgets: a History that accepts writes.  Rehearsals and tests run on it."""
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from ..api.errors import conflict
from ..api.objects import Key, Obj
from .history import KEEP, Change, History, Snapshot, at_revision
from .store import ANY


class MemoryStore:
    def __init__(self, *, keep: int = KEEP):
        self.history = History(keep=keep)

    def get(self, key: Key) -> Snapshot | None:
        return self.history.get(key)

    def list(self, resource: str) -> tuple[Sequence[Snapshot], int]:
        return self.history.lane(resource).snapshots(), self.history.revision

    async def commit(self, key: Key, value: Obj | None, *, expect: int) -> Snapshot | None:
        before = self.history.get(key)
        if expect not in (ANY, before.revision if before else 0):
            raise conflict(key.resource, key.name)
        if value is None and before is None:
            return None
        revision = self.history.revision + 1
        after = at_revision(value, revision) if value is not None else None
        change = Change(revision, key, after, before)
        self.history.append([change])
        return change.last

    def follow(self, resource: str, after: int) -> AsyncIterator[Sequence[Change]]:
        return self.history.lane(resource).follow(after)

    async def compact(self, revision: int) -> None:
        self.history.forget(min(revision, self.history.revision))

    async def close(self) -> None:
        return None
