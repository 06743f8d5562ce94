"""Changes in order, and the state they add up to.

Everything that holds objects is a History: the memory store, the copy that a durable store keeps of
itself, a controller's mirror.  It has one lane a resource; all lanes share one revision, which orders
every change of the cluster.

    append(changes)      the only way in; revisions only grow
    lane.objects         what is there now, in key order
    lane.since(rev)      what changed after `rev`, or Gone if that is no longer kept
    lane.follow(rev)     the same for ever, as it happens

A reader holds a position, never a queue of its own: a slow reader costs nothing, and one that fell
behind what is kept is told so (Gone, HTTP 410) and lists again.  One that has seen everything is never
told so, however much is forgotten behind it.
"""
from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson
from sortedcontainers import SortedDict

from ..api.errors import Gone
from ..api.objects import Key, Obj
from .sharing import read

KEEP = 20_000  # changes a lane keeps at least, for readers that are behind
BATCH = 1_000  # changes a follower is handed at once, at most


class Snapshot:
    """One object at one revision: the value, and its JSON.  Either is made from the other at most once."""

    __slots__ = ("value", "revision", "_encoded")

    value: Obj  # metadata.resourceVersion is str(revision)
    revision: int

    def __init__(self, value: Obj, revision: int, encoded: bytes | None = None):
        self.value = value
        self.revision = revision
        self._encoded = encoded

    @staticmethod
    def from_encoded(encoded: bytes, revision: int) -> Snapshot:
        """One whose value is read from its JSON when first asked for (opening a large store stays fast)."""
        snapshot = _UnreadSnapshot.__new__(_UnreadSnapshot)
        snapshot.revision = revision
        snapshot._encoded = encoded
        return snapshot

    def encoded(self) -> bytes:
        if self._encoded is None:
            # Copied: what orjson returns keeps the whole buffer that it wrote in, 8 KB for a pod of 2.6 (and for an
            # event of 0.7); ten thousand nodes with a daemon each would take 700 MB more.
            self._encoded = bytes(memoryview(orjson.dumps(self.value)))
        return self._encoded

    def superseded(self) -> None:
        """Lets go of the JSON: whoever is quick has sent it on, a late reader makes it again (3 us)."""
        self.value, self._encoded = self.value, None  # the value may be read from the JSON only now

    def __repr__(self) -> str:
        return f"Snapshot({self.value.get('kind')} {self.value['metadata'].get('name')} @{self.revision})"


class _UnreadSnapshot(Snapshot):
    """One that has its JSON alone.  A class of its own: a `__getattr__` makes every look at any attribute slower."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        # Called only for a slot that is still empty.
        if name != "value":
            raise AttributeError(name)
        assert self._encoded is not None, "a snapshot has a value or its JSON"
        self.value = read(self._encoded)
        return self.value


def at_revision(value: Obj, revision: int) -> Snapshot:
    """The snapshot of a value that was just given its revision."""
    return Snapshot({**value, "metadata": {**value["metadata"], "resourceVersion": str(revision)}}, revision)


class Change:
    """`before` is None for a creation, `after` is None for a deletion."""

    __slots__ = ("revision", "key", "after", "before", "value", "previous", "_last", "_is_of_status")

    value: Obj | None  # the object after it, and before: all who hear of the change ask for them
    previous: Obj | None

    def __init__(self, revision: int, key: Key, after: Snapshot | None, before: Snapshot | None):
        self.revision = revision
        self.key = key
        self.after = after
        self.before = before
        self.value = after.value if after is not None else None
        self.previous = before.value if before is not None else None
        self._last: Snapshot | None = after
        self._is_of_status: bool | None = None

    @property
    def last(self) -> Snapshot:
        """The object as this change leaves it; for a deletion, as it was, at the deletion's revision."""
        if self._last is None:
            assert self.before is not None, "a change has a before or an after"
            self._last = at_revision(self.before.value, self.revision)
        return self._last

    @property
    def is_of_status(self) -> bool:
        """Is everything but the status as it was before?  Compared once, for all who hear of the change."""
        if self._is_of_status is None:
            self._is_of_status = (self.after is not None and self.before is not None
                                  and _differ_in_status(self.before.value, self.after.value))
        return self._is_of_status

    def __repr__(self) -> str:
        what = "created" if self.before is None else "deleted" if self.after is None else "changed"
        return f"Change({self.key} {what} @{self.revision})"


class UnreadChange(Change):
    """One that a store remembers: its objects are read when first asked for, and by most readers never."""

    __slots__ = ()

    def __init__(self, revision: int, key: Key, after: Snapshot | None, before: Snapshot | None):
        self.revision = revision
        self.key = key
        self.after = after
        self.before = before
        self._last = after
        self._is_of_status = None

    def __getattr__(self, name: str) -> Any:
        # Called only for a slot that is still empty.
        if name == "value":
            self.value = self.after.value if self.after is not None else None
            return self.value
        if name == "previous":
            self.previous = self.before.value if self.before is not None else None
            return self.previous
        raise AttributeError(name)


def _differ_in_status(old: Obj, new: Obj) -> bool:
    return ({**old, "status": None, "metadata": None} == {**new, "status": None, "metadata": None}
            and {**old["metadata"], "resourceVersion": ""} == {**new["metadata"], "resourceVersion": ""})


# (namespace, name) -> what is there now, and the changes that are kept
Restored = tuple[dict[tuple[str, str], Snapshot], list[Change]]


class Lane:
    """The changes of one resource, and the objects they add up to."""

    def __init__(self, resource: str, floor: int = 0, keep: int = KEEP):
        self.resource = resource
        self.objects: SortedDict[tuple[str, str], Snapshot] = SortedDict()  # (namespace, name) -> now
        self.revision = floor  # of the last change here
        self.floor = floor  # the last change here that is forgotten: whoever has seen it misses nothing
        self._keep = keep
        self._kept: list[Change] = []
        self._followers: list[asyncio.Future[None]] = []  # who have seen everything, and wait for more

    def snapshots(self) -> list[Snapshot]:
        """What is there now, in key order."""
        return list(map(self.objects.__getitem__, self.objects))

    def append(self, change: Change) -> None:
        self.revision = change.revision
        self._kept.append(change)
        place = change.key[1:]
        if change.after is None:
            self.objects.pop(place, None)
        else:
            self.objects[place] = change.after
        before = change.before
        if before is not None and before._encoded is not None:
            before.superseded()  # 100 MB of JSON less behind a lane that keeps 40,000 changes
        if len(self._kept) >= 2 * self._keep:
            self._forget_all_but_the_last()

    def restore(self, objects: dict[tuple[str, str], Snapshot], kept: list[Change]) -> None:
        """Fills an empty lane with what a durable store remembers (sorts once, not per object)."""
        self.objects = SortedDict(objects)
        self._kept = kept
        self.revision = kept[-1].revision if kept else self.floor
        if len(kept) > self._keep:
            self._forget_all_but_the_last()

    def _forget_all_but_the_last(self) -> None:
        self.forget(self._kept[-self._keep - 1].revision)

    def wake(self) -> None:
        followers, self._followers = self._followers, []
        for one in followers:
            if not one.done():  # or it was cancelled
                one.set_result(None)

    def forget(self, revision: int) -> None:
        """Drops the changes up to `revision`; what is there now stays."""
        dropped = self._index_after(revision)
        if dropped:
            self.floor = self._kept[dropped - 1].revision
            del self._kept[:dropped]

    def since(self, revision: int, limit: int | None = None) -> Sequence[Change]:
        """The changes after `revision`, oldest first.  Raises Gone when some of them are no longer kept."""
        if revision < self.floor:
            raise Gone(f"too old resource version: {revision} ({self.floor})")
        if revision >= self.revision:
            return ()
        start = self._index_after(revision)
        return self._kept[start:None if limit is None else start + limit]

    async def follow(self, after: int) -> AsyncIterator[Sequence[Change]]:
        """Every change after `after`, in batches, for ever.  Raises Gone when the reader fell too far behind."""
        while True:
            while after >= self.revision:
                more = asyncio.get_running_loop().create_future()
                self._followers.append(more)
                try:
                    await more
                except asyncio.CancelledError:
                    if more in self._followers:
                        self._followers.remove(more)
                    raise
            batch = self.since(after, BATCH)
            after = batch[-1].revision
            yield batch

    def _index_after(self, revision: int) -> int:
        kept = self._kept
        if len(kept) > 1 and kept[-2].revision <= revision < kept[-1].revision:
            return len(kept) - 1  # of one who keeps up
        return bisect_right(kept, revision, key=_revision)


def _revision(change: Change) -> int:
    return change.revision


class History:
    """All lanes, in one order."""

    def __init__(self, *, keep: int = KEEP):
        self.revision = 0
        self.floor = 0  # lanes made from now on start here: nothing older is known
        self._keep = keep
        self._lanes: dict[str, Lane] = {}
        self._listeners: list[tuple[str, Callable[[Sequence[Change]], Any]]] = []  # with the resource each wants

    def lane(self, resource: str) -> Lane:
        if resource not in self._lanes:
            self._lanes[resource] = Lane(resource, self.floor, self._keep)
        return self._lanes[resource]

    def lanes(self) -> list[Lane]:
        return list(self._lanes.values())

    def on_append(self, listener: Callable[[Sequence[Change]], Any], resource: str = "") -> None:
        """Calls `listener(changes)` with every batch (of one resource only, where it is named), once it is visible,
        before anyone else can run."""
        self._listeners.append((resource, listener))

    def append(self, changes: Sequence[Change]) -> None:
        touched: dict[str, Lane] = {}
        for change in changes:
            assert change.revision > self.revision, "revisions only grow"
            self.revision = change.revision
            resource = change.key.resource
            lane = touched[resource] = self._lanes.get(resource) or self.lane(resource)
            lane.append(change)
        for lane in touched.values():
            lane.wake()  # followers run later; a listener that fails must not leave them asleep
        for wanted, listener in self._listeners:
            if not wanted:
                listener(changes)
            elif wanted in touched:
                listener([change for change in changes if change.key.resource == wanted])

    def restore(self, revision: int, floor: int, lanes: Mapping[str, Restored]) -> None:
        """Fills an empty history: for every resource what is there now, and its changes after `floor`."""
        assert self.revision == 0 and not self._lanes, "restored before anything else happens"
        self.revision, self.floor = revision, floor
        for resource, (objects, kept) in lanes.items():
            self.lane(resource).restore(objects, kept)

    def get(self, key: Key) -> Snapshot | None:
        lane = self._lanes.get(key.resource)
        return lane.objects.get(key[1:]) if lane is not None else None

    def forget(self, revision: int) -> None:
        self.floor = max(self.floor, revision)
        for lane in self._lanes.values():
            lane.forget(revision)
