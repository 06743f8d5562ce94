"""What keeps the cluster: five verbs, and the History they add up to.

    get(key)                              what is there now, or None
    list(resource)                        all of one resource, in key order, and the revision of that look
    commit(key, value, expect=revision)   create (expect=0), replace, or delete (value=None) one object
    follow(resource, after)               the changes after a revision, as they become durable
    compact(revision)                     forget the changes up to it

A change is visible to `get`, `list` and `follow` only once it is durable.  One revision orders the
changes of all resources.  Memory, SQLite and etcd pass one conformance suite (tests/store/conformance.py).
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from ..api.objects import Key, Obj
from .history import Change, History, Snapshot

ANY = -1  # expect whatever is there (or nothing)


class StoreUnusable(Exception):
    """A store that can not be opened.  The message is one sentence that says why and what to do."""


class Store(Protocol):
    history: History  # what is durable, and so visible

    def get(self, key: Key) -> Snapshot | None: ...

    def list(self, resource: str) -> tuple[Sequence[Snapshot], int]: ...

    async def commit(self, key: Key, value: Obj | None, *, expect: int) -> Snapshot | None:
        """Returns the stored snapshot (for a deletion: the last one, at the deletion's revision; None where
        nothing was there), once it is durable.

        `expect` is the revision the object must be at: 0 for "must not exist", ANY for "never mind".
        Raises Conflict when it is at another one, Unavailable when the store can not write.
        """
        ...

    def follow(self, resource: str, after: int) -> AsyncIterator[Sequence[Change]]: ...

    async def compact(self, revision: int) -> None: ...

    async def close(self) -> None: ...
