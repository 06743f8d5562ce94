"""A disk that is full, limited or read-only: writers are told, memory equals disk, and writing resumes."""
import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from muster.api.errors import Conflict, Unavailable
from muster.api.objects import with_
from muster.store.compaction import Keeping
from muster.store.sqlite import Limits
from muster.store.store import ANY
from store.conformance import at, pod, put, turns
from store.disk import changes_after, off_loop, open_store, state

BY_HAND = Keeping(at_least=10**6, at_most=10**6)


def limit_pages(store, pages):
    store._file._connection.execute(f"PRAGMA max_page_count = {pages}")


async def put_all(store, names, size=3000):
    """How many of them were written; the others were told Unavailable."""
    answers = await asyncio.gather(
        *(store.commit(at(name), with_(pod(name), "spec.filler", "x" * size), expect=ANY) for name in names),
        return_exceptions=True)
    for answer in answers:
        assert not isinstance(answer, BaseException) or isinstance(answer, Unavailable), answer
    return [answer.revision for answer in answers if not isinstance(answer, BaseException)]


def test_full_then_room_again(tmp_path):
    async def run():
        path = tmp_path / "muster.db"
        store = open_store(path, keeping=BY_HAND, limits=Limits(rows=16))
        follower = store.follow("pods", 0)
        await put_all(store, [f"n{n}" for n in range(40)])
        limit_pages(store, 40)
        written = await put_all(store, [f"m{n}" for n in range(200)])
        assert 0 < len(written) < 200
        assert store.history.revision == 40 + len(written) == max(written)
        with pytest.raises(Unavailable, match="the disk is full .writes resume when there is space") as caught:
            await put_all(store, ["n0"]) or await store.commit(
                at("n0"), with_(pod("n0"), "spec.filler", "x" * 9000), expect=ANY)
        assert caught.value.code == 503 and caught.value.retry_after_s == 1
        held, revision = state(store), store.history.revision
        limit_pages(store, 10_000)
        assert await put(store, "after") == revision + 1, "no revision is skipped"
        held["pods", "default", "after"] = store.get(at("after")).value
        changes = changes_after(store, 0)
        seen = []
        while not seen or seen[-1].revision < store.history.revision:
            seen.extend(await anext(follower))
        assert [change.revision for change in seen] == list(range(1, revision + 2))
        await store.close()
        store = open_store(path)
        assert state(store) == held
        assert changes_after(store, 0) == changes
        await store.close()

    asyncio.run(run())


def test_what_waited_behind_a_failed_flush_is_judged_afresh(tmp_path):
    """The write behind a failed one to the same key finds the key as it was before; others are not to blame."""
    async def run():
        failures, gate = iter([True]), asyncio.Event()

        async def disk(function, *arguments):
            if function.__name__ == "append":
                await gate.wait()
                if next(failures, False):
                    raise sqlite3.OperationalError("disk I/O error")
            return await off_loop(function, *arguments)

        store = open_store(tmp_path / "muster.db", off_loop=disk)
        first = asyncio.create_task(store.commit(at("a"), pod("a", 1), expect=0))
        await turns()
        behind = asyncio.gather(store.commit(at("a"), pod("a", 2), expect=0), put(store, "b"),
                                store.commit(at("a"), pod("a", 3), expect=1), return_exceptions=True)
        await turns()
        gate.set()
        with pytest.raises(Unavailable, match="disk I/O error"):
            await first
        second, other, third = await behind
        assert (other, second.revision) == (1, 2)
        assert isinstance(third, Conflict), "what it expected never came to be"
        expected = state(store)
        assert expected["pods", "default", "a"]["spec"]["number"] == 2
        await store.close()
        store = open_store(tmp_path / "muster.db")
        assert state(store) == expected
        await store.close()

    asyncio.run(run())


def test_a_write_that_reached_the_disk_but_was_answered_as_failed_is_taken_back(tmp_path):
    """The worst a disk can do: the rows are there, and the answer was an error.  Memory is what was told."""
    async def run():
        failing = True

        async def disk(function, *arguments):
            answer = await off_loop(function, *arguments)
            if failing and function.__name__ == "append":
                raise sqlite3.OperationalError("disk I/O error")
            return answer

        store = open_store(tmp_path / "muster.db", off_loop=disk)
        assert await put_all(store, ["a", "b"]) == []
        assert store.list("pods") == ([], 0)
        failing = False
        assert await put_all(store, ["c"]) == [1]
        await store.close()
        store = open_store(tmp_path / "muster.db")
        assert [key[2] for key in state(store)] == ["c"]
        await store.close()

    asyncio.run(run())


def test_compaction_that_fails_is_told_and_can_be_repeated(tmp_path):
    async def run():
        failing = ""

        async def disk(function, *arguments):
            if function.__name__ == failing:
                raise sqlite3.OperationalError("disk I/O error")
            return await off_loop(function, *arguments)

        store = open_store(tmp_path / "muster.db", off_loop=disk, keeping=BY_HAND)
        for number in range(10):
            await put(store, "a", number)
        failing = "set_floor"
        with pytest.raises(Unavailable):
            await store.compact(5)
        assert store.history.floor == 0 and len(changes_after(store, 0)) == 10, "a floor is told once it is kept"
        failing = "drop"
        with pytest.raises(Unavailable):
            await store.compact(5)
        failing = ""
        await store.compact(5)
        changes = changes_after(store, 5)
        await store.close()
        store = open_store(tmp_path / "muster.db")
        assert store.history.floor == 5 and changes_after(store, 5) == changes
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("drops", range(8))
@pytest.mark.parametrize("reopened", [False, True], ids=["running", "reopened"])
def test_rows_dropped_in_part_bring_nothing_back(tmp_path, drops, reopened):
    """Compaction that stops after any of its slices, and then the process with it."""
    async def run():
        allowed = iter(range(drops))

        async def disk(function, *arguments):
            if function.__name__ == "drop" and next(allowed, None) is None:
                raise sqlite3.OperationalError("disk I/O error")
            return await off_loop(function, *arguments)

        options = {"off_loop": disk, "keeping": BY_HAND, "limits": Limits(rows=1)}
        store = open_store(tmp_path / "muster.db", **options)
        for name in ("deleted", "kept", "deleted", "made again"):
            await put(store, name)
        await store.commit(at("deleted"), None, expect=ANY)
        await store.commit(at("made again"), None, expect=ANY)
        await put(store, "made again", 2)
        if reopened:
            await store.close()
            store = open_store(tmp_path / "muster.db", **options)
        held = state(store)
        try:
            await store.compact(store.history.revision)
        except Unavailable:
            assert drops < 5
        await store.close()
        store = open_store(tmp_path / "muster.db")
        assert state(store) == held and sorted(key[2] for key in held) == ["kept", "made again"]
        await store.close()

    asyncio.run(run())


LIMITED = """
import asyncio, json, resource, sys
from pathlib import Path
from store.conformance import pod, at
from store.disk import open_store, state
from muster.api.errors import Unavailable

async def main(path):
    store = open_store(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    refused = 0
    for round in range(6):
        limit = 300_000 if round % 2 else soft
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        for start in range(0, 60, 20):
            answers = await asyncio.gather(
                *(store.commit(at(f"n{start + n}"), {**pod("x", round), "filler": "x" * 2000}, expect=-1)
                  for n in range(20)), return_exceptions=True)
            for answer in answers:
                assert not isinstance(answer, BaseException) or isinstance(answer, Unavailable), answer
            refused += sum(isinstance(answer, BaseException) for answer in answers)
    print(json.dumps([refused, store.history.revision, sorted([list(k), v] for k, v in state(store).items())]))

asyncio.run(main(Path(sys.argv[1])))
"""


def subprocess_environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def test_a_limit_on_file_sizes(tmp_path):
    """The operating system itself refuses to let a file grow, and lets it again: at the end, memory is disk."""
    path = tmp_path / "muster.db"
    run = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True,
                         env=subprocess_environment(), timeout=60)
    assert run.returncode == 0, run.stderr
    refused, revision, held = json.loads(run.stdout)
    assert refused > 0
    store = open_store(path)
    assert store.history.revision == revision
    assert sorted([list(key), value] for key, value in state(store).items()) == held
    asyncio.run(store.close())


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting needs root on Linux")
def test_a_full_file_system(tmp_path):
    """A small file system, filled by someone else while the store writes, and emptied again."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        async def run():
            store = open_store(small / "muster.db", keeping=BY_HAND)
            assert len(await put_all(store, [f"a{n}" for n in range(50)])) == 50
            ballast = small / "ballast"
            with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError):
                while True:
                    file.write(b"x" * 65536)
            for _ in range(20):
                await put_all(store, [f"b{n}" for n in range(50)])
            with pytest.raises(Unavailable):
                await store.commit(at("c"), with_(pod("c"), "spec.filler", "x" * 2_000_000), expect=ANY)
            revision = store.history.revision
            ballast.unlink()
            assert await put(store, "again") == revision + 1
            held, changes = state(store), changes_after(store, 0)
            await store.close()
            store = open_store(small / "muster.db")
            assert state(store) == held and changes_after(store, 0) == changes
            await store.close()

        asyncio.run(run())
    finally:
        subprocess.run(["umount", str(small)], check=True)
        shutil.rmtree(small, ignore_errors=True)
