"""The durable store: a History whose changes are rows of one SQLite file.

    commit -> waits in the queue -> one flush (one statement, one fsync) -> History -> answered

A write is checked against what is durable when it is asked for; a second write to the same key waits
for the first one's outcome and is checked then.  So a flush never holds a key twice, and its writes are
independent: those asked for while one flush is on its way share the next (group commit).

Revisions are given when a flush begins and there is one at a time: a failed flush has nothing to take
back but its own rows, and everything still waiting simply goes next.  Once the flush is durable, and
only then, the changes enter History, where readers see them; after that the writers are answered.

No thread is made here.  `off_loop(function, *arguments)` is handed in: a single-thread executor (calls
run in order, one at a time).  Beside a busy loop set `sys.setswitchinterval(0.0005)`: the writer needs
the interpreter only twice a flush, but would wait 5 ms for it each time.  docs/decisions/store.md has
the measurements.
"""
from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from sys import intern
from typing import Any, Self

from ..api.errors import ApiError, Unavailable, conflict
from ..api.objects import Key, Obj
from .compaction import Ages, Keeping, forgettable
from .history import KEEP, Change, History, Restored, Snapshot, UnreadChange, at_revision
from .lock import Lock
from .log_file import ROWS_AT_ONCE, Contents, LogFile, check_header, checksum, create_if_missing
from .store import ANY, StoreUnusable

OffLoop = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Limits:
    rows: int = ROWS_AT_ONCE  # in one flush, or dropped at once
    bytes: int = 8 << 20  # in one flush, give or take one object
    waiting: int = 50_000  # writes waiting for a flush; more are refused

    def __post_init__(self) -> None:
        assert 1 <= self.rows <= ROWS_AT_ONCE, "a flush is one statement"


class _Write:
    """One commit on its way to the disk."""

    __slots__ = ("key", "value", "before", "outcome", "settled")

    def __init__(self, key: Key, value: Obj | None, before: Snapshot | None, outcome: asyncio.Future[Change]):
        self.key = key
        self.value = value
        self.before = before
        self.outcome = outcome  # the committer's own: it may cancel it
        self.settled: asyncio.Event | None = None  # made by the first who waits for the key

    def change(self, revision: int) -> Change:
        after = at_revision(self.value, revision) if self.value is not None else None
        return Change(revision, self.key, after, self.before)


class _Batch:
    """What one flush carries: the writes, the change each is, and the parameters of the statement."""

    def __init__(self) -> None:
        self.writes: list[_Write] = []
        self.changes: list[Change] = []
        self.parameters: list[Any] = []
        self.bytes = 0

    def add(self, write: _Write, revision: int) -> None:
        change = write.change(revision)
        encoded = change.after.encoded() if change.after is not None else None
        self.writes.append(write)
        self.changes.append(change)
        self.parameters += (revision, *write.key, encoded, checksum(encoded, revision))
        self.bytes += len(encoded) if encoded is not None else 0


class SqliteStore:
    def __init__(self, history: History, file: LogFile, lock: Lock, superseded: deque[tuple[int, int]], *,
                 off_loop: OffLoop, keeping: Keeping, limits: Limits):
        self.history = history
        self._file = file
        self._lock = lock
        # (by which change, which row): what to drop once past the floor.  In this order, a deletion's own row
        # after those it deletes: were it dropped first, a crash would bring the object back.
        self._superseded = superseded
        self._off_loop = off_loop
        self._keeping = keeping
        self._limits = limits
        self._ages = Ages(keeping.for_s)
        self._queue: deque[_Write] = deque()
        self._pending: dict[Key, _Write] = {}  # queued or in the flush: at most one a key
        self._flusher: asyncio.Task[None] | None = None
        self._compactor: asyncio.Task[None] | None = None
        self._compacting = asyncio.Lock()
        self._in_doubt = False  # a flush failed: the disk may hold what memory does not
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, off_loop: OffLoop, keep: int = KEEP, keeping: Keeping | None = None,
             limits: Limits | None = None) -> Self:
        """Opens the log, or makes an empty one.  Blocks (about 1 s for 100,000 objects).  Raises StoreUnusable."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnusable(f"{path.parent} cannot be made ({error.strerror}): "
                                "choose another directory with --data-dir") from error
        lock = Lock(path.with_name(path.name + ".lock"), path)
        try:
            create_if_missing(path)
            check_header(path)
            history, superseded = _load(path, keep)
            file = LogFile(path)
        except BaseException:
            lock.release()
            raise
        return cls(history, file, lock, superseded, off_loop=off_loop, keeping=keeping or Keeping(),
                   limits=limits or Limits())

    # -- the five verbs

    def get(self, key: Key) -> Snapshot | None:
        return self.history.get(key)

    def list(self, resource: str) -> tuple[Sequence[Snapshot], int]:
        return self.history.lane(resource).snapshots(), self.history.revision

    async def commit(self, key: Key, value: Obj | None, *, expect: int) -> Snapshot | None:
        while (ahead := self._pending.get(key)) is not None:
            if ahead.settled is None:
                ahead.settled = asyncio.Event()
            await ahead.settled.wait()
        before = self.history.get(key)
        if expect not in (ANY, before.revision if before is not None else 0):
            raise conflict(key.resource, key.name)
        if value is None and before is None:
            return None
        if self._closed:
            raise Unavailable("the store is closed")
        if len(self._queue) >= self._limits.waiting:
            raise Unavailable("the store has too many writes waiting for the disk", retry_after_s=1)
        write = _Write(key, value, before, asyncio.get_running_loop().create_future())
        self._pending[key] = write
        self._queue.append(write)
        self._start_flushing()
        return (await write.outcome).last

    def follow(self, resource: str, after: int) -> AsyncIterator[Sequence[Change]]:
        return self.history.lane(resource).follow(after)

    async def compact(self, revision: int) -> None:
        """Returns once the changes are forgotten and their rows dropped.  Raises Unavailable like commit."""
        async with self._compacting:
            try:
                await self._forget(min(revision, self.history.revision))
                await self._drop_superseded()
            except sqlite3.Error as error:
                raise self._unavailable(error) from error

    async def close(self) -> None:
        """Waits for what is on its way, then lets go of the file."""
        if self._closed:
            return
        self._closed = True
        for task in (self._flusher, self._compactor):
            if task is not None:
                await asyncio.wait([task])
        async with self._compacting:
            try:
                await self._off_loop(self._file.close)
            finally:
                self._lock.release()

    # -- writing

    def _start_flushing(self) -> None:
        if self._flusher is None:
            self._flusher = asyncio.get_running_loop().create_task(self._flush_all(), name="store-flush")

    async def _flush_all(self) -> None:
        try:
            while self._queue:
                await self._flush()
                self._consider_compaction()
        except asyncio.CancelledError:
            self._settle(self._queue, lambda: Unavailable("the store is shutting down"))
            self._queue.clear()
            raise
        finally:
            self._flusher = None
            if self._queue:  # a listener of History failed; the writes behind it are not to blame
                self._start_flushing()

    async def _flush(self) -> None:
        batch = self._take()
        if not batch.writes:
            return
        try:
            if self._in_doubt:
                await self._off_loop(self._file.discard_after, self.history.revision)
                self._in_doubt = False
            await self._off_loop(self._file.append, batch.parameters)
        except BaseException as error:
            self._in_doubt = True
            self._settle(batch.writes, partial(self._unavailable, error))
            if not isinstance(error, Exception):
                raise
            return
        try:
            self.history.append(batch.changes)
        finally:
            for write, change in zip(batch.writes, batch.changes, strict=True):
                if change.before is not None:
                    self._superseded.append((change.revision, change.before.revision))
                if change.after is None:
                    self._superseded.append((change.revision, change.revision))
                self._let_go(write)
                if not write.outcome.done():
                    write.outcome.set_result(change)

    def _take(self) -> _Batch:
        """The next flush: as much of the queue as fits, with revisions."""
        batch = _Batch()
        while self._queue and len(batch.writes) < self._limits.rows and batch.bytes < self._limits.bytes:
            write = self._queue.popleft()
            if write.outcome.cancelled():  # nobody waits for it any more, and nothing has happened yet
                self._let_go(write)
                continue
            try:
                batch.add(write, self.history.revision + 1 + len(batch.writes))
            except (TypeError, ValueError, KeyError) as error:  # not JSON: the committer's own mistake
                self._let_go(write)
                write.outcome.set_exception(error)
        return batch

    def _settle(self, writes: Iterable[_Write], error: Callable[[], Exception]) -> None:
        for write in writes:
            self._let_go(write)
            if not write.outcome.done():
                write.outcome.set_exception(error())  # one each: a traceback belongs to one task

    def _let_go(self, write: _Write) -> None:
        del self._pending[write.key]
        if write.settled is not None:
            write.settled.set()

    def _unavailable(self, error: BaseException) -> ApiError:
        return Unavailable(f"the store cannot write to {self._file.path}: {_why(error)}", retry_after_s=1)

    # -- forgetting

    def _consider_compaction(self) -> None:
        now = asyncio.get_running_loop().time()
        self._ages.note(self.history.revision, now)
        if self._compactor is not None:
            return
        floor = forgettable(self._ages.marks, self.history.floor, self.history.revision, self._keeping, now)
        if floor > self.history.floor:
            self._compactor = asyncio.get_running_loop().create_task(self._compact_quietly(floor), name="store-compact")

    async def _compact_quietly(self, revision: int) -> None:
        try:
            await self.compact(revision)
        except Unavailable:
            pass  # the disk is in trouble, as every writer is being told; the next flush tries again
        finally:
            self._compactor = None

    async def _forget(self, revision: int) -> None:
        if revision > self.history.floor:
            await self._off_loop(self._file.set_floor, revision)  # first: a floor once told is never taken back
            self.history.forget(revision)

    async def _drop_superseded(self) -> None:
        """In slices, so that a flush never waits for more than one of them."""
        while not self._closed and self._superseded and self._superseded[0][0] <= self.history.floor:
            past = takewhile(lambda entry: entry[0] <= self.history.floor, self._superseded)
            rows = [row for _, row in islice(past, self._limits.rows)]
            await self._off_loop(self._file.drop, rows)
            for _ in rows:
                self._superseded.popleft()
            await asyncio.sleep(0)
        while not self._closed and await self._off_loop(self._file.give_back):
            await asyncio.sleep(0)


def _load(path: Path, keep: int) -> tuple[History, deque[tuple[int, int]]]:
    """The History that the rows add up to, and which rows are superseded by which change."""
    contents = Contents(path)
    floor = contents.floor
    superseded: deque[tuple[int, int]] = deque()
    lanes: dict[str, Restored] = {}
    last = 0
    try:
        for last, resource, namespace, name, value in contents.rows():
            lane = lanes.get(resource)
            if lane is None:
                lane = lanes[intern(resource)] = ({}, [])
            objects, kept = lane
            place = (intern(namespace), name)
            before = objects.get(place)
            if before is not None:
                superseded.append((last, before.revision))
            if value is None:
                after = None
                objects.pop(place, None)
                superseded.append((last, last))
            else:
                after = objects[place] = Snapshot.from_encoded(value, last)
            if last > floor:
                kept.append(UnreadChange(last, Key(resource, *place), after, before))
    finally:
        contents.close()
    history = History(keep=keep)
    history.restore(max(last, floor), floor, lanes)
    return history, superseded


def _why(error: BaseException) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name == "SQLITE_FULL":
        return "the disk is full (writes resume when there is space)"
    if name.startswith("SQLITE_READONLY"):
        return "the file or its directory is read-only"
    if name.startswith("SQLITE_BUSY"):
        return "another program holds it locked"
    return str(error) or type(error).__name__
