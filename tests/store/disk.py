"""A SqliteStore as the tests open it, and what it holds as plain values."""
from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from muster.store.sqlite import SqliteStore
from muster.store.store import Store

_disk = ThreadPoolExecutor(1, thread_name_prefix="disk")


async def off_loop(function: Any, *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_disk, function, *arguments)


def open_store(path: Path, **options: Any) -> SqliteStore:
    return SqliteStore.open(path, **{"off_loop": off_loop, **options})


def state(store: Store) -> dict[tuple[str, ...], Any]:
    """Everything that is there now, by key."""
    return {(lane.resource, *place): snapshot.value
            for lane in store.history.lanes() for place, snapshot in lane.objects.items()}


def changes_after(store: Store, revision: int) -> list[tuple[Any, ...]]:
    """All kept changes after a revision, in order."""
    found = [change for lane in store.history.lanes() for change in lane.since(max(revision, lane.floor))]
    return [(change.revision, change.key, change.value, change.previous)
            for change in sorted(found, key=lambda change: change.revision)]
