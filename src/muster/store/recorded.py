"""A history that was: read from a recording, or from what a data directory still holds, as one stream.

    Begin      a cluster starts, or starts again; `whole`: what follows first is all that it holds
    Entry      one object at one revision: there at the beginning (`there`), or a change
    End        the recording was ended in order, and says what it should add up to

Reading takes the memory of one block, and objects stay the bytes they are.  A recording that a crash cut off is
read up to there, and `torn` says so; one that is damaged in its middle is refused with the place.

A data directory's log has no times of its own.  They are read from the objects: what a change says of itself
(created, transition, renewed, last seen) is when it was, and nodes renew their leases every ten seconds.
"""
from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import orjson

from ..api.objects import Key, from_time
from ..clock import Now
from .history import History
from .log_file import Contents, check_header
from .recording import VERSION, Digest, Recording, RecordingUnusable
from .store import StoreUnusable

_CHUNK = 256 * 1024
_LONGEST_BLOCK = 64 << 20  # bytes of lines: far more than a block may hold, however large its one object
_MAGIC = b"\x1f\x8b"
# What says when it was.  Times that may lie ahead (deletionTimestamp, a lease's end) are not among them.
_TIMES = re.compile(rb'"(?:creationTimestamp|lastTransitionTime|lastHeartbeatTime|renewTime|lastTimestamp|eventTime'
                    rb'|startedAt|finishedAt|startTime|completionTime|lastObservedTime|lastScheduleTime)":"([^"]{20,40})"')


_OLDEST = Key("namespaces", "", "kube-system")  # every cluster has one of its own from the start


class Begin(NamedTuple):
    about: dict[str, Any]  # the header
    whole: bool  # what was known before is over: the entries that are `there` are all there is


class Entry(NamedTuple):
    revision: int
    at: float
    key: Key
    value: bytes | None  # None: deleted
    there: bool = False  # since before the recording began


class End(NamedTuple):
    revision: int
    at: float
    changes: int  # in the whole file until here
    sha256: str


class Recorded(Protocol):
    """A source of entries, in the order of their revisions; may be read more than once."""

    name: str
    torn: bool  # after reading: its end is missing

    def read(self) -> Iterator[Begin | Entry | End]: ...


class RecordingFile:
    """A file that `--record` wrote."""

    def __init__(self, path: Path):
        self.name = str(path)
        self.path = path
        self.torn = False
        self.whole = 0  # bytes that were read and found complete

    def read(self) -> Iterator[Begin | Entry | End]:
        self.torn, self.whole = False, 0
        begun, there = False, 0
        try:
            with open(self.path, "rb") as file:
                for line in self._lines(file):
                    if line.startswith(b"{"):
                        said = self._said(line)
                        if "end" in said:
                            yield End(said["end"], said["at"], said["changes"], said["sha256"])
                            continue
                        self._check(said)
                        there = said.get("objects", 0)
                        yield Begin(said, "objects" in said)
                        begun = True
                        continue
                    if not begun:
                        raise self._foreign()
                    head, _, value = line.partition(b"\t")
                    revision, at, resource, namespace, name = orjson.loads(head)
                    yield Entry(revision, at, Key(resource, namespace, name), value if value != b"null" else None,
                                there > 0)
                    there -= 1
        except OSError as error:
            raise RecordingUnusable(f"{self.path} can not be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged(str(error)) from error
        if not begun:
            raise RecordingUnusable(f"{self.path} holds nothing: its recording was cut off as it began")

    def _said(self, line: bytes) -> dict[str, Any]:
        try:
            said = orjson.loads(line)
        except ValueError:
            raise self._foreign() from None
        if not {"end", "recording"} & said.keys():
            raise self._foreign()
        return said

    def _check(self, said: dict[str, Any]) -> None:
        version = said["recording"]
        if not isinstance(version, int):
            raise self._foreign()
        if version > VERSION:
            raise RecordingUnusable(f"{self.path} was recorded by a newer Muster (format {version}, this one reads up "
                                    f"to {VERSION}): upgrade Muster")

    def _lines(self, file: BinaryIO) -> Iterator[bytes]:
        for block in self._blocks(file):
            yield from block.splitlines()

    def _blocks(self, file: BinaryIO) -> Iterator[bytes]:
        waiting = file.read(_CHUNK)
        if waiting[:2] != _MAGIC[:len(waiting)] or not waiting:
            raise self._foreign() if waiting else RecordingUnusable(f"{self.path} is empty")
        while waiting:
            unpacking, parts, size = zlib.decompressobj(31), [], 0
            start = self.whole
            while not unpacking.eof:
                if not waiting and not (waiting := file.read(_CHUNK)):
                    self.torn = True  # the block that was being written when it ended
                    return
                start += len(waiting)
                try:
                    parts.append(unpacking.decompress(waiting))
                except zlib.error as error:
                    if not waiting.strip(b"\0") and not file.read(_CHUNK).strip(b"\0"):
                        self.torn = True  # room that a file system had made for what never came
                        return
                    raise self._foreign() if not self.whole else self._damaged(str(error)) from error
                waiting = b""
                size += len(parts[-1])
                if size > _LONGEST_BLOCK:
                    raise self._foreign()
            waiting = unpacking.unused_data
            self.whole = start - len(waiting)
            yield b"".join(parts)
            waiting = waiting or file.read(_CHUNK)

    def _foreign(self) -> RecordingUnusable:
        return RecordingUnusable(f"{self.path} is no recording of Muster: name a file that --record wrote")

    def _damaged(self, why: str) -> RecordingUnusable:
        return RecordingUnusable(f"{self.path} is damaged at byte {self.whole} ({why}): restore it from a copy")


class DataDirectoryLog:
    """What a cluster's data directory still holds: the state at its floor, and every change since."""

    torn = False

    def __init__(self, name: str, database: Path):
        self.name = name
        self._database = database

    def read(self) -> Iterator[Begin | Entry | End]:
        try:
            if not self._database.is_file():
                raise RecordingUnusable(f"there is no cluster in {self.name}: its {self._database.name} is missing")
            check_header(self._database)
            contents = Contents(self._database)
        except StoreUnusable as error:
            raise RecordingUnusable(str(error)) from error
        try:
            yield Begin({"revision": contents.floor}, True)
            at = 0.0
            # What is older than the floor is the state there; of a key with several such rows only the last counts.
            before: dict[Key, Entry] = {}
            for revision, resource, namespace, name, value in contents.rows():
                at = max(at, _latest(value))
                key = Key(resource, namespace, name)
                if revision <= contents.floor:
                    before.pop(key, None)
                    if value is not None:
                        before[key] = Entry(revision, at, key, value, True)
                    continue
                yield from before.values()
                before = {}
                yield Entry(revision, at, key, value)
            yield from before.values()
        except StoreUnusable as error:
            raise RecordingUnusable(str(error)) from error
        finally:
            contents.close()


def _latest(value: bytes | None) -> float:
    return max((_time(text) for text in set(_TIMES.findall(value or b""))), default=0.0)


def _time(text: bytes) -> float:
    try:
        return from_time(text.decode())
    except ValueError:  # what a user wrote there, in an annotation or elsewhere
        return 0.0


def go_on(path: Path, history: History, now: Now) -> Recording:
    """A recording to `path`: a new file, or more in one of the same cluster.  Call `follow` next.

    Raises RecordingUnusable for a file of another cluster, and for anything that is no recording.
    """
    if not path.exists():
        return Recording.create(path, now)
    file, digest, last, uid = RecordingFile(path), Digest(), 0, ""
    for item in file.read():
        if isinstance(item, Entry):
            digest.add(item.revision, item.key, item.value)
            last = max(last, item.revision)
            if item.key == _OLDEST and item.value is not None:
                uid = _uid(item.value)
    there = history.get(_OLDEST)
    if last > history.revision or there is None or _uid(there.encoded()) != uid:
        raise RecordingUnusable(f"{path} is the recording of another cluster: name a new file to record to")
    return Recording.append(path, file.whole, now, digest, last)


def anew(path: Path, now: Now) -> Recording:
    """A recording in the place of an older one; what is no recording is never replaced."""
    if path.exists():
        if path.stat().st_size:
            next(iter(RecordingFile(path).read()))
        path.unlink()
    return Recording.create(path, now)


def _uid(encoded: bytes) -> str:
    return str(orjson.loads(encoded)["metadata"]["uid"])


def check(recorded: Recorded) -> Digest:
    """Reads it all.  Raises RecordingUnusable where it is not what it says it is."""
    digest, last = Digest(), 0
    for item in recorded.read():
        if isinstance(item, End) and (item.changes, item.sha256) != (digest.changes, str(digest)):
            raise RecordingUnusable(
                f"{recorded.name} was changed: up to revision {item.revision} it holds {digest.changes} objects with "
                f"sha256 {digest}, and says {item.changes} with {item.sha256}")
        if isinstance(item, Entry):
            if not item.there and item.revision <= last:
                raise RecordingUnusable(f"{recorded.name} was changed: revision {item.revision} follows {last}")
            last = item.revision if not item.there else last
            digest.add(item.revision, item.key, item.value)
    return digest
