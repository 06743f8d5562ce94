"""A store in memory that takes its time, as a disk does: other writers come between a look and its commit.

`MemoryStore` commits at once, so two writers in one loop never meet there.  Here, as in the SQLite store, a change is
seen when it is durable, and who wants to write to the same object meanwhile waits and is then checked again.
"""
from __future__ import annotations

import asyncio

from muster.api.errors import conflict
from muster.api.objects import Key, Obj
from muster.store.history import Snapshot
from muster.store.memory import MemoryStore
from muster.store.store import ANY

FLUSH_S = 0.003


class SlowStore(MemoryStore):
    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._writing: dict[Key, asyncio.Lock] = {}

    async def commit(self, key: Key, value: Obj | None, *, expect: int) -> Snapshot | None:
        async with self._writing.setdefault(key, asyncio.Lock()):
            before = self.history.get(key)
            if expect not in (ANY, before.revision if before is not None else 0):
                raise conflict(key.resource, key.name)
            await asyncio.sleep(FLUSH_S)
            return await super().commit(key, value, expect=expect)
