"""Logs that grow too large are put aside: what is kept of them, what is packed, and that who follows one misses nothing."""
from __future__ import annotations

import asyncio
import gzip

import pytest

from muster.api.logs import LogOptions
from muster.clock import run_virtual
from muster.node.cri import log_files
from muster.node.log_rotation import pack, tidying


@pytest.mark.parametrize("aside, most, removed, packed", [
    pytest.param("", 5, "", "", id="the first"),
    pytest.param("1", 5, "", "1", id="the last one is packed when the next comes"),
    pytest.param("1.gz 2.gz 3", 5, "", "3", id="five with the one that is written and the one that comes"),
    pytest.param("1.gz 2.gz 3.gz 4", 5, "1.gz", "4", id="the oldest goes"),
    pytest.param("1.gz 2.gz 3.gz 4.gz 5", 3, "1.gz 2.gz 3.gz 4.gz", "5", id="told of fewer than before"),
    pytest.param("1.gz 2", 2, "1.gz 2", "", id="none but the one that comes"),
    pytest.param("1.gz 1 2.tmp 2", 5, "1 2.tmp", "2", id="whoever packed was ended in the middle"),
])
def test_what_becomes_of_those_put_aside(aside, most, removed, packed):
    found = tidying(reversed(aside.split()), most)
    assert (sorted(found.remove), found.pack) == (removed.split(), packed.split())


def test_a_packed_log_says_the_same_to_the_same_people(tmp_path):
    file = tmp_path / "0.log.20260131-080000"
    file.write_bytes(b"2026-01-31T08:00:00Z stdout F a line\n" * 10_000)
    file.chmod(0o640)
    said = file.read_bytes()
    pack(file)
    (packed,) = tmp_path.iterdir()
    assert packed.name == "0.log.20260131-080000.gz" and packed.stat().st_mode & 0o777 == 0o640
    assert gzip.decompress(packed.read_bytes()) == said


def test_what_can_not_be_packed_stays(tmp_path):
    file = tmp_path / "0.log.20260131-080000"
    file.write_bytes(b"all of it")
    (tmp_path / "0.log.20260131-080000.gz").mkdir()  # in the way
    with pytest.raises(OSError):
        pack(file)
    assert file.read_bytes() == b"all of it" and len(list(tmp_path.iterdir())) == 2


def test_who_follows_a_log_reads_on_in_the_next_file(tmp_path):
    path, runs = tmp_path / "0.log", [True]

    def say(file, *texts):
        for text in texts:
            file.write(b"2026-01-31T08:00:00Z stdout F %s\n" % text)
        file.flush()

    async def write():
        with path.open("ab") as file:
            say(file, b"1", b"2")
            await asyncio.sleep(10)
            path.rename(tmp_path / "0.log.aside")
            say(file, b"3")  # before the runtime was told
            await asyncio.sleep(10)
            say(file, b"4")
        with path.open("ab") as file:
            say(file, b"5")
            await asyncio.sleep(10)
            say(file, b"6")
        path.rename(tmp_path / "0.log.aside2")
        path.write_bytes(b"")
        await asyncio.sleep(10)
        runs.clear()

    async def main(clock):
        path.write_bytes(b"2026-01-31T08:00:00Z stdout F 0\n")
        writing = asyncio.create_task(write())
        read = b"".join([piece async for piece in log_files.read(path, LogOptions("app", follow=True), clock.now(),
                                                                lambda: bool(runs))])
        await writing
        return read

    assert run_virtual(main) == b"0\n1\n2\n3\n4\n5\n6\n"


def test_who_does_not_follow_reads_the_newest_file(tmp_path):
    async def main(clock):
        path = tmp_path / "0.log"
        path.write_bytes(b"2026-01-31T08:00:00Z stdout F newest\n")
        (tmp_path / "0.log.20260131-080000").write_bytes(b"2026-01-31T08:00:00Z stdout F older\n")
        return b"".join([piece async for piece in log_files.read(path, LogOptions("app"), clock.now(), lambda: True)])

    assert run_virtual(main) == b"newest\n"
