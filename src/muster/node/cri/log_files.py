"""The log files that a container runtime writes: read from a point, from the end, and as they grow.

    2026-01-31T08:00:00.123456789Z stdout F a whole line
    2026-01-31T08:00:00.123456789Z stderr P the beginning of a longer one

https://kubernetes.io/docs/concepts/cluster-administration/logging/#how-nodes-handle-container-logs
"""
from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...api.errors import NotFound
from ...api.logs import LogOptions
from ...api.objects import from_time

BLOCK = 64 * 1024
SECONDS = len("2026-01-31T08:00:00")
FOLLOW_S = 0.1


class Line(NamedTuple):
    stamp: bytes
    text: bytes
    is_whole: bool  # does the line end here?


def parse(raw: bytes) -> Line | None:
    parts = raw.split(b" ", 3)
    if len(parts) < 3:
        return None
    return Line(parts[0], parts[3] if len(parts) == 4 else b"", parts[2][:1] == b"F")


def last_lines(path: Path, lines: int, most_bytes: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(_from_end(path, lines))
            text = b"".join(_shown(line, False) for line in map(parse, file.read().splitlines()) if line is not None)
    except OSError:
        return ""
    return text[-most_bytes:].decode(errors="replace")


async def read(path: Path, options: LogOptions, now: float, goes_on: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log in pieces; with `follow`, until the container has ended and all of it was read.

    Where the file was put aside meanwhile (node/log_rotation.py), it goes on with the one that took its place."""
    since = now - options.since_s if options.since_s is not None else options.since_time
    left = options.limit_bytes
    try:
        file: BinaryIO = path.open("rb")
    except OSError:
        raise NotFound(f"failed to try resolving symlinks in path \"{path}\": no such file or directory") from None
    rest, next_file = b"", None
    try:
        if options.tail_lines is not None:
            file.seek(_from_end(path, options.tail_lines))
        while True:
            more, turns_to = goes_on(), next_file  # asked before reading: what is written until then is read
            if options.follow and next_file is None:
                next_file = _in_its_place(path, file)  # from the next turn on: a last line may still be on its way
            while block := file.read(BLOCK):
                piece, rest = _piece(rest + block, options.timestamps, since)
                if left is not None:
                    piece, left = piece[:left], left - len(piece[:left])
                if piece:
                    yield piece
                if left is not None and left <= 0:
                    return
            if turns_to is not None:
                file.close()
                file, rest, next_file = turns_to, b"", None
                continue
            if not options.follow or not (more or next_file):
                return
            await asyncio.sleep(FOLLOW_S)
    finally:
        file.close()
        if next_file is not None:
            next_file.close()


def _in_its_place(path: Path, file: BinaryIO) -> BinaryIO | None:
    """The file that is there now, if it is another one: the runtime no longer writes to the one before."""
    try:
        return None if os.path.samestat(path.stat(), os.fstat(file.fileno())) else path.open("rb")
    except OSError:
        return None


def _piece(data: bytes, stamps: bool, since: float | None) -> tuple[bytes, bytes]:
    """What is to be shown of it, and the beginning of a line that is not all there yet."""
    *whole, rest = data.split(b"\n")
    lines = [line for raw in whole if (line := parse(raw)) is not None and (since is None or moment(line) >= since)]
    return b"".join(_shown(line, stamps) for line in lines), rest


def moment(line: Line) -> float:
    """The stamp has nine digits; a float keeps six of them."""
    second, digits, zone = _split(line.stamp)
    return from_time((second + zone).decode()) + float(b"0." + digits)


def _shown(line: Line, stamps: bool) -> bytes:
    return (fixed(line.stamp) + b" " if stamps else b"") + line.text + (b"\n" if line.is_whole else b"")


def fixed(stamp: bytes) -> bytes:
    """With nine digits, as kubectl shows them; the runtime leaves out noughts at the end."""
    second, digits, zone = _split(stamp)
    return second + b"." + digits + zone


def _split(stamp: bytes) -> tuple[bytes, bytes, bytes]:
    """To the second, nine digits of the rest, and the zone."""
    second, rest = stamp[:SECONDS], stamp[SECONDS:]
    zone = rest.lstrip(b".0123456789")
    return second, rest.removesuffix(zone).lstrip(b".").ljust(9, b"0"), zone


def _from_end(path: Path, lines: int) -> int:
    """Where the last so many whole lines begin (a long one may be several in the file)."""
    with path.open("rb") as file:
        end = place = file.seek(0, 2)
        if lines <= 0:
            return end
        data, seen = b"", 0
        while place > 0:
            step = min(BLOCK, place)
            place -= step
            file.seek(place)
            data = file.read(step) + data
            seen = _whole_lines(data)
            if seen > lines:
                break
        if seen <= lines and place == 0:
            return 0
        skipped, offset = seen - lines, place
        for raw in data.split(b"\n"):
            if skipped <= 0:
                break
            line = parse(raw)
            skipped -= line is not None and line.is_whole
            offset += len(raw) + 1
        return offset


def _whole_lines(data: bytes) -> int:
    return sum(1 for raw in data.split(b"\n") if (line := parse(raw)) is not None and line.is_whole)
