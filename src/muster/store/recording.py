"""A whole history in a file, as it happens: what `--record FILE` keeps.

    {"recording": 1, "muster": "0.1.0", "seed": 7, "started": 1767225600.0, "revision": 0, "objects": 0}
    [1,1767225600.0,"namespaces","","default"]<TAB>{"apiVersion":"v1","kind":"Namespace", ...}
    [812,1767229200.01,"pods","default","web-0"]<TAB>null
    {"end": 812, "at": 1767229205.0, "changes": 812, "sha256": "9f2c..."}

One line a change: revision, time, resource, namespace, name; then the object's JSON as it was stored, null for a
deletion.  A cluster that already holds something is written down first (`objects` lines, each at its own revision).
A later start of the same cluster goes on in the same file with a header of its own.

The lines are packed in blocks of about 128 KB, each a whole gzip member, so the file is one that `zcat` reads, the
memory it takes is one block, and a crash costs the block that was being written (a second's changes at most where
`flush` is called that often).  The sha256 is that of every object line as `REVISION KEY JSON\\n` ("-" for a deletion);
times are not in it, so it is the history's own: the same for two runs of one seed, wherever they ran.
"""
from __future__ import annotations

import gzip
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from ..api.errors import ApiError
from ..api.objects import Key
from ..clock import Now
from .history import Change, History, Snapshot

log = logging.getLogger(__name__)

VERSION = 1
BLOCK = 128 * 1024  # bytes of lines in one member
LEVEL = 4  # of gzip: 9 % larger than the best, in a third of its time


class RecordingUnusable(ApiError):
    """A file that can not be recorded to, or read as a recording.  The message says why and what to do."""

    code, reason = 400, "BadRequest"


class Summary(NamedTuple):
    revision: int
    changes: int  # lines of objects, those that were there at the start included
    sha256: str


class Digest:
    """The sha256 of a history, line by line."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.changes = 0

    def add(self, revision: int, key: Key, value: bytes | None) -> None:
        self.changes += 1
        self._hash.update(b"%d %s %s\n" % (revision, str(key).encode(), value if value is not None else b"-"))

    def __str__(self) -> str:
        return self._hash.hexdigest()


class Recording:
    """A file that a history is being written to.  A disk that fails ends the recording, not the cluster."""

    def __init__(self, path: Path, file: BinaryIO, now: Now, digest: Digest, revision: int = 0):
        self.path = path
        self.failure: OSError | None = None
        self._file = file
        self._now = now
        self._digest = digest
        self._revision = revision
        self._lines: list[bytes] = []
        self._size = 0
        self._closed = False

    @classmethod
    def create(cls, path: Path, now: Now) -> Recording:
        """A new file.  Raises RecordingUnusable where one is there already, or none can be made."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # it will hold Secrets
        except FileExistsError:
            raise RecordingUnusable(f"{path} exists already: name a new file to record to") from None
        except OSError as error:
            raise RecordingUnusable(f"{path} can not be recorded to: {error.strerror}") from error
        return cls(path, os.fdopen(descriptor, "wb", buffering=0), now, Digest())

    @classmethod
    def append(cls, path: Path, whole: int, now: Now, digest: Digest, revision: int) -> Recording:
        """Goes on after the first `whole` bytes of a file; what was torn behind them is cut off."""
        try:
            file = open(path, "r+b", buffering=0)  # noqa: SIM115  # closed by `close`
            file.truncate(whole)
            file.seek(whole)
        except OSError as error:
            raise RecordingUnusable(f"{path} can not be recorded to: {error.strerror}") from error
        return cls(path, file, now, digest, revision)

    def follow(self, history: History, **about: Any) -> None:
        """Writes down what is there, unless it was in the file already, and from now on every change."""
        there: list[tuple[Snapshot, Key]] = []
        if history.revision != self._revision:
            there = sorted(((one, Key(lane.resource, *place)) for lane in history.lanes()
                            for place, one in lane.objects.items()), key=lambda pair: pair[0].revision)
        header: dict[str, Any] = {"recording": VERSION, **about, "started": round(self._now(), 6),
                                  "revision": history.revision}
        if history.revision != self._revision or not self._revision:
            header["objects"] = len(there)
        self._write(orjson.dumps(header) + b"\n")
        for snapshot, key in there:
            self._add(snapshot.revision, key, snapshot.encoded())
        self._revision = history.revision
        self.flush()
        history.on_append(self._hear)

    def _hear(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._add(change.revision, change.key, change.after.encoded() if change.after is not None else None)
            self._revision = change.revision

    def _add(self, revision: int, key: Key, value: bytes | None) -> None:
        if self._closed or self.failure is not None:
            return
        self._digest.add(revision, key, value)
        head = orjson.dumps((revision, round(self._now(), 6), *key))
        self._write(b"%b\t%b\n" % (head, value if value is not None else b"null"))

    def _write(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size >= BLOCK:
            self.flush()

    def flush(self) -> None:
        """Writes what is waiting, as a block."""
        if not self._lines or self.failure is not None:
            return
        block = gzip.compress(b"".join(self._lines), LEVEL, mtime=0)
        self._lines.clear()
        self._size = 0
        try:
            written = self._file.write(block)
            while written < len(block):
                written += self._file.write(block[written:])
        except OSError as error:
            self.failure = error
            log.error("the recording %s ended: %s; the cluster goes on without it", self.path, error.strerror)

    def close(self) -> Summary:
        """Ends the file.  Raises RecordingUnusable where not all of the history could be written to it."""
        summary = Summary(self._revision, self._digest.changes, str(self._digest))
        if not self._closed:
            self._write(orjson.dumps({"end": self._revision, "at": round(self._now(), 6), "changes": summary.changes,
                                      "sha256": summary.sha256}) + b"\n")
            self.flush()
            self._closed = True
            self._file.close()
        if self.failure is not None:
            raise RecordingUnusable(f"{self.path} is not whole: {self.failure.strerror}")
        return summary
