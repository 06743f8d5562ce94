"""What real pods hold of their node's disk: what containers wrote, their logs, their emptyDirs.

    measure(runtime, pods)    {uid: DiskUse}; asked only when disk is short, or where somebody set a limit

What a container wrote beside its volumes its runtime knows, as of ten seconds ago; volumes are added up by `du`.
https://kubernetes.io/docs/concepts/storage/ephemeral-storage/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..api.objects import Obj, uid_of
from ..api.samples import Used
from .cri.client import Runtime
from .host_command import CommandFailed, run
from .pod_files import PodFiles
from .pressure import NOTHING

COUNTED_WITHIN_S = 60.0


class Housed(NamedTuple):
    """A pod, where its files are, and the ids of its containers that are there, by name."""

    pod: Obj
    files: PodFiles
    containers: Mapping[str, Sequence[str]]


class DiskUse(NamedTuple):
    containers: Mapping[str, Used]  # written, and logs
    volumes: Mapping[str, Used]  # its emptyDirs on disk, by name


async def measure(runtime: Runtime, pods: Sequence[Housed]) -> dict[str, DiskUse]:
    """Raises RuntimeFailed."""
    told = (await runtime.call("ListContainerStats")).stats
    written = {one.attributes.id: Used(0, 0, one.writable_layer.used_bytes.value, one.writable_layer.inodes_used.value)
               for one in told}
    folders = {folder: None for housed in pods for folder in _volumes(housed).values()}
    counted = await _counted(list(folders))
    return {uid_of(housed.pod): DiskUse(
        {name: added([_logs(housed.files.logs / name), *(written.get(id_, NOTHING) for id_ in ids)])
         for name, ids in housed.containers.items()},
        {name: counted.get(folder, NOTHING) for name, folder in _volumes(housed).items()}) for housed in pods}


def added(parts: Iterable[Used]) -> Used:
    return Used(*(sum(column) for column in zip(NOTHING, *parts, strict=True)))


def _volumes(housed: Housed) -> dict[str, Path]:
    found = {}
    for volume in housed.pod["spec"].get("volumes") or ():
        empty = volume.get("emptyDir")
        if empty is not None and empty.get("medium") != "Memory":
            found[volume["name"]] = housed.files.volume(volume["name"])
    return found


def _logs(folder: Path) -> Used:
    found = [file.stat() for file in folder.glob("*.log*")]
    return Used(0, 0, sum(512 * one.st_blocks for one in found), len(found))


async def _counted(folders: Sequence[Path]) -> dict[Path, Used]:
    there = [str(folder) for folder in folders if folder.is_dir()]
    if not there:
        return {}
    try:
        sizes, inodes = [_read(await run("du", "--summarize", "--one-file-system", how, "--", *there, may_fail=True,
                                         within_s=COUNTED_WITHIN_S)) for how in ("--block-size=1", "--inodes")]
    except CommandFailed:
        return {}
    return {Path(folder): Used(0, 0, size, inodes.get(folder, 0)) for folder, size in sizes.items()}


def _read(output: str) -> dict[str, int]:
    """ "4096\t/folder" """
    lines = (line.partition("\t") for line in output.splitlines())
    return {folder: int(number) for number, _, folder in lines if number.isdigit()}
