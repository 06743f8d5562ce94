"""The log on disk: one SQLite file whose rows are the changes.  Everything here blocks; it runs off the loop.

A row is one change: its revision, whose it is, and the object's JSON (NULL for a deletion).  What is
there now is the last row of each key; there is no second table to keep in step.  Rows are only ever
added at the end, and dropped once a later row of their key is itself past the floor.

A commit is ONE statement, so that the writer thread asks for the interpreter once and not once a row.
A file that cannot be ours (foreign, newer, damaged) is only ever read: it is checked by its header
before SQLite sees it, and loaded through a read-only connection before it is opened for writing.
https://www.sqlite.org/fileformat.html (header), https://www.sqlite.org/wal.html (durability).
"""
from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from zlib import crc32

from .store import StoreUnusable

APPLICATION_ID = int.from_bytes(b"Mstr", "big")
SCHEMA_VERSION = 1
COLUMNS = 6  # of the log: the parameters a row takes
ROWS_AT_ONCE = 512  # the most one statement adds or drops
# Statements are made for these sizes only and padded with NULLs: preparing one costs 2.4 us a row.
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, ROWS_AT_ONCE)

_SCHEMA = f"""
    PRAGMA page_size = 8192;            -- three pods a page; 4096 holds one, and is half as fast
    PRAGMA auto_vacuum = INCREMENTAL;
    BEGIN;
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {SCHEMA_VERSION};
    CREATE TABLE log (
        revision INTEGER PRIMARY KEY,
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        value BLOB, checksum INTEGER NOT NULL
    );
    CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO facts VALUES ('floor', 0);
    COMMIT;
    PRAGMA journal_mode = WAL;
"""


class Row(NamedTuple):
    revision: int
    resource: str
    namespace: str
    name: str
    value: bytes | None


def checksum(value: bytes | None, revision: int) -> int:
    """SQLite does not notice a flipped bit inside a value; this does."""
    return crc32(value or b"", revision & 0xFFFFFFFF)


def create_if_missing(path: Path) -> None:
    """Makes an empty log.  It appears under its name complete or not at all."""
    wal = Path(f"{path}-wal")
    if path.exists() and path.stat().st_size:
        return
    if wal.exists() and wal.stat().st_size:
        raise StoreUnusable(f"{wal} has lost the database it belongs to: put {path.name} back beside it, "
                            "or move it away to start with an empty cluster")
    draft = Path(f"{path}.new")
    try:
        for leftover in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm"), Path(f"{draft}-journal")):
            leftover.unlink(missing_ok=True)
        draft.touch(mode=0o600)  # it will hold Secrets; SQLite gives the files beside it the same mode
        with closing(_connect(draft)) as connection:
            connection.executescript(_SCHEMA)
        os.replace(draft, path)
        _sync_directory(path.parent)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnusable(f"{path} cannot be created ({error}): make room or choose another directory "
                            "with --data-dir") from error


def check_header(path: Path) -> None:
    """Reads the first bytes, without SQLite: opening a foreign database could already change it."""
    try:
        with open(path, "rb") as file:
            header = file.read(100)
    except OSError as error:
        raise StoreUnusable(f"{path} cannot be read ({error.strerror}): give this user access to it, "
                            "or choose another directory with --data-dir") from error
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise StoreUnusable(f"{path} is not a Muster store, or its beginning is damaged: restore it from a copy, "
                            "or move it away to start with an empty cluster")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise StoreUnusable(f"{path} is the database of another application: "
                            "choose another directory with --data-dir")
    version = int.from_bytes(header[60:64], "big")
    if version > SCHEMA_VERSION:
        raise StoreUnusable(f"{path} was written by a newer Muster (format {version}, this one reads up to "
                            f"{SCHEMA_VERSION}): upgrade Muster, or choose another directory with --data-dir")


class Contents:
    """A read-only look at a whole log.  Raises StoreUnusable where it is damaged."""

    def __init__(self, path: Path):
        self._path = path
        try:
            self._connection = _connect(path, read_only=True)
            self.floor: int = self._connection.execute("SELECT value FROM facts WHERE name = 'floor'").fetchone()[0]
        except (sqlite3.Error, TypeError) as error:
            raise self._damaged(error) from error

    def rows(self) -> Iterator[Row]:
        """All rows, in the order of their revisions."""
        cursor = self._connection.execute(
            "SELECT revision, resource, namespace, name, value, checksum FROM log ORDER BY revision")
        last = 0
        try:
            for revision, resource, namespace, name, value, expected in cursor:
                if crc32(value or b"", revision & 0xFFFFFFFF) != expected:
                    raise self._damaged(f"the content of revision {revision} has changed")
                if revision > self.floor and revision != max(last, self.floor) + 1:
                    raise self._damaged(f"revision {max(last, self.floor) + 1} is missing")
                last = revision
                yield Row(revision, resource, namespace, name, value)
        except (sqlite3.Error, TypeError, OverflowError) as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        self._connection.close()

    def _damaged(self, why: object) -> StoreUnusable:
        return StoreUnusable(f"{self._path} cannot be read ({why}): restore it from a copy, "
                             "or move it away to start with an empty cluster")


class LogFile:
    """A log that is open for writing, by one thread at a time."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._connection = _connect(path)
            self._connection.executescript("""
                PRAGMA journal_mode = WAL;
                PRAGMA synchronous = FULL;
                PRAGMA secure_delete = OFF;             -- dropped rows need not be overwritten
                PRAGMA wal_autocheckpoint = 1000;       -- 8 MB: small enough that no commit waits for long
                PRAGMA journal_size_limit = 16777216;
                PRAGMA cache_size = -16384;
            """)
        except sqlite3.Error as error:
            raise StoreUnusable(f"{path} cannot be opened for writing ({error}): "
                                "choose another directory with --data-dir") from error

    def append(self, parameters: list[Any]) -> None:
        """Adds rows (COLUMNS parameters each, at most ROWS_AT_ONCE) and returns once they are on the disk."""
        rows = len(parameters) // COLUMNS
        size = next(size for size in _SIZES if size >= rows)
        self._connection.execute(_INSERTS[size], parameters + [None] * ((size - rows) * COLUMNS))

    def discard_after(self, revision: int) -> None:
        """Takes back whatever a failed write may have left, so that the disk holds what was answered for."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._connection.execute("DELETE FROM log WHERE revision > ?", (revision,))

    def set_floor(self, revision: int) -> None:
        self._connection.execute("UPDATE facts SET value = ? WHERE name = 'floor'", (revision,))

    def drop(self, revisions: Sequence[int]) -> None:
        """Deletes rows (at most ROWS_AT_ONCE), in one transaction."""
        size = next(size for size in _SIZES if size >= len(revisions))
        self._connection.execute(_DELETES[size], [*revisions, *[None] * (size - len(revisions))])

    def give_back(self, pages: int = 2_000) -> bool:
        """Returns some free pages to the file system where most of the file is free; True if there are more."""
        total, = self._connection.execute("PRAGMA page_count").fetchone()
        free, = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free <= total // 2 or free < pages:
            return False
        self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")
        return True

    def close(self) -> None:
        self._connection.close()


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, isolation_level=None,
                           check_same_thread=False, cached_statements=64, timeout=5.0)


def _sync_directory(directory: Path) -> None:
    with suppress(OSError):  # not every file system can; those that cannot need not
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _insert(rows: int) -> str:
    values = ",".join(["(" + ",".join("?" * COLUMNS) + ")"] * rows)
    return f"INSERT INTO log SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL"


_INSERTS = {size: _insert(size) for size in _SIZES}
_DELETES = {size: f"DELETE FROM log WHERE revision IN ({','.join('?' * size)})" for size in _SIZES}
