"""Keeps the logs of real containers within bounds: a daemon that talks for years does not fill its node's disk.

    0.log                         the runtime writes here
    0.log.20260131-081500         put aside last, so that whoever reads it may finish
    0.log.20260131-080000.gz      those before; with 0.log no more than there may be, the oldest go

Every ten seconds the log of each container that runs is looked at, and put aside where it has grown too large: it
is given another name, and the runtime is told to begin anew.  `kubectl logs` shows 0.log, and follows from one to the
next.  Numbers and names are the kubelet's.
https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-rotation
"""
from __future__ import annotations

import asyncio
import gzip
import logging
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .cri.client import RuntimeFailed

if TYPE_CHECKING:
    from .agent import Agent

log = logging.getLogger(__name__)

PACKED, HALF_PACKED = ".gz", ".tmp"
STAMP = "%Y%m%d-%H%M%S"


class Tidying(NamedTuple):
    """What becomes of the files that were put aside, by name."""

    remove: list[str]
    pack: list[str]


def tidying(aside: Iterable[str], most: int) -> Tidying:
    """Before one more is put aside.  `most` files of a container may be there: with the one that is written now, and
    the one that will be put aside next."""
    there = sorted(aside)
    useless = [name for name in there if name.endswith(HALF_PACKED) or name + PACKED in there]
    kept = [name for name in there if name not in useless]
    surplus = kept[:max(0, len(kept) - max(0, most - 2))]
    return Tidying(useless + surplus, [name for name in kept if name not in surplus and not name.endswith(PACKED)])


class LogRotation:
    def __init__(self, agent: Agent):
        self._agent = agent

    async def run(self) -> None:
        settings = self._agent.settings
        while settings.log_bytes is not None:
            await asyncio.sleep(settings.log_look_s)
            for id_, file in [one for runner in self._agent.runners.values() for one in runner.containers.written()]:
                try:
                    await self._look(id_, file, settings.log_bytes)
                except (OSError, RuntimeFailed) as error:  # of this one: the others are looked at all the same
                    log.warning("%s: the log %s stays as it is: %s", self._agent.name, file, error)

    async def _look(self, id_: str, file: Path, most_bytes: int) -> None:
        """Raises OSError, RuntimeFailed."""
        try:
            is_too_large = file.stat().st_size >= most_bytes
        except FileNotFoundError:  # put aside by somebody who was ended before the runtime was told
            await self._agent.runtime.call("ReopenContainerLog", container_id=id_)
            return
        if is_too_large:
            await self._tidy(file)
            await self._put_aside(id_, file)

    async def _tidy(self, file: Path) -> None:
        found = tidying((one.name for one in file.parent.glob(f"{file.name}.*")), self._agent.settings.log_files)
        for name in found.remove:
            file.with_name(name).unlink(True)
        for name in found.pack:
            try:
                await asyncio.to_thread(pack, file.with_name(name))
            except OSError as error:  # a full disk, say: it stays as it is until its turn comes to go
                log.warning("%s: the log %s can not be packed: %s", self._agent.name, name, error)

    async def _put_aside(self, id_: str, file: Path) -> None:
        aside = file.with_name(f"{file.name}.{datetime.fromtimestamp(self._agent.now(), UTC).strftime(STAMP)}")
        if aside.exists():
            return  # of this very second: the next look is soon
        file.rename(aside)
        try:
            await self._agent.runtime.call("ReopenContainerLog", container_id=id_)
        except RuntimeFailed:
            if not file.exists():
                aside.rename(file)  # where it goes on being written, or has ended
            raise


def pack(file: Path) -> None:
    """Raises OSError; nothing is lost then."""
    half, packed = (file.with_name(file.name + ending) for ending in (HALF_PACKED, PACKED))
    try:
        with file.open("rb") as plain, gzip.open(half, "wb", compresslevel=6) as into:
            shutil.copyfileobj(plain, into, 1 << 20)
        shutil.copymode(file, half)
        half.rename(packed)
    except OSError:
        half.unlink(True)
        raise
    file.unlink(True)
