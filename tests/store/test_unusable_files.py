"""A file that cannot be ours, or is no longer whole, is refused in one sentence and never touched."""
import asyncio
import fcntl
import gc
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from muster.store.log_file import APPLICATION_ID, SCHEMA_VERSION
from muster.store.store import StoreUnusable
from store.conformance import put
from store.disk import open_store


def filled(path: Path, rows: int = 200) -> None:
    async def run():
        store = open_store(path)
        await asyncio.gather(*(put(store, f"n{number}", number) for number in range(rows)))
        await store.compact(rows // 2)
        await put(store, "n0", 1000)
        await store.close()

    asyncio.run(run())


def other_application(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE log (a); PRAGMA application_id = 7; PRAGMA journal_mode = WAL;")


def no_application_at_all(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE log (a); INSERT INTO log VALUES (1);")


def newer(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA user_version = {SCHEMA_VERSION + 1}; PRAGMA wal_checkpoint(TRUNCATE);")


def text(path: Path) -> None:
    path.write_text("apiVersion: v1\nkind: List\n" * 100)


def short(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


def truncated(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path, where: bytes = b'"name":"n150"') -> None:
    """One letter of one object is another one."""
    filled(path)
    content = path.read_bytes()
    assert where in content
    path.write_bytes(content.replace(where, where.replace(b"n", b"o", 1)))


def flipped_and_left_by_a_crash(path: Path) -> None:
    """With writes that only the write-ahead log holds: closing a connection would move them over."""
    whole = path.parent / "whole"
    whole.mkdir()
    flipped(whole / path.name)
    with closing(sqlite3.connect(whole / path.name)) as connection:
        connection.execute("INSERT INTO facts VALUES ('written last', 1)")
        connection.commit()
        for suffix in ("", "-wal"):
            shutil.copy(f"{whole / path.name}{suffix}", f"{path}{suffix}")


def scribbled(path: Path) -> None:
    filled(path)
    with open(path, "r+b") as file:
        file.seek(8192 * 3)
        file.write(b"\xff" * 8192)


def a_row_lost(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DELETE FROM log WHERE revision = 150; PRAGMA wal_checkpoint(TRUNCATE);")


def tables_lost(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; CREATE TABLE log (a);")


def wal_alone(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(b"left behind" * 1000)


def a_directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(("made", "says"), [
    (other_application, "is the database of another application: choose another directory with --data-dir"),
    (no_application_at_all, "is the database of another application"),
    (newer, "was written by a newer Muster (format 2, this one reads up to 1): upgrade Muster"),
    (text, "is not a Muster store, or its beginning is damaged"),
    (short, "is not a Muster store, or its beginning is damaged"),
    (truncated, "cannot be read (database disk image is malformed): restore it from a copy, or move it away"),
    (flipped, "cannot be read (the content of revision 151 has changed): restore it from a copy"),
    (flipped_and_left_by_a_crash, "cannot be read (the content of revision 151 has changed)"),
    (scribbled, "cannot be read (database disk image is malformed): restore it from a copy"),
    (a_row_lost, "cannot be read (revision 150 is missing): restore it from a copy"),
    (tables_lost, "cannot be read (no such table: facts): restore it from a copy"),
    (wal_alone, "has lost the database it belongs to: put muster.db back beside it"),
    (a_directory, "cannot be read (Is a directory)"),
], ids=lambda value: getattr(value, "__name__", None))
def test_refused_and_left_as_it_is(made, says, tmp_path):
    path = tmp_path / "muster.db"
    made(path)

    def content():
        return {one.name: one.read_bytes() for one in tmp_path.iterdir()
                if one.is_file() and not one.name.endswith((".lock", "-shm")) and one.stat().st_size}

    before = content()
    for _ in range(2):  # and the second attempt says the same: nothing was repaired or locked
        with pytest.raises(StoreUnusable) as caught:
            open_store(path)
        assert says in str(caught.value)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
        del caught  # and with it the last hold on a connection: closing one may write, too
        gc.collect()
        assert content() == before


def test_a_crash_while_a_store_is_being_made_leaves_no_half_store(tmp_path):
    path = tmp_path / "muster.db"
    Path(f"{path}.new").write_bytes(b"half a file")
    path.touch()  # an empty file holds nothing that could be lost
    filled(path)
    assert not Path(f"{path}.new").exists()


def test_nobody_else_may_read_what_may_be_secret(tmp_path):
    store = open_store(tmp_path / "muster.db")
    asyncio.run(put(store, "a"))
    assert {one.name: one.stat().st_mode & 0o077 for one in tmp_path.iterdir()} == dict.fromkeys(
        ("muster.db", "muster.db-wal", "muster.db-shm", "muster.db.lock"), 0)
    asyncio.run(store.close())


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StoreUnusable, match="cannot be made .*: choose another directory with --data-dir"):
        open_store(tmp_path / "file" / "data" / "muster.db")


def test_a_second_server_is_refused_and_told_who_the_first_is(tmp_path):
    path = tmp_path / "muster.db"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "open\n"
        for _ in range(2):
            with pytest.raises(StoreUnusable) as caught:
                open_store(path)
            assert str(caught.value) == (
                f"{path} is in use by another server (process {holder.pid}): stop that one first, "
                "or choose another directory with --data-dir")
    finally:
        holder.kill()
        holder.communicate()
    asyncio.run(open_store(path).close())  # killed, it left no lock behind


HOLDER = """
import sys
from pathlib import Path
from muster.store.sqlite import SqliteStore
store = SqliteStore.open(Path(sys.argv[1]), off_loop=None)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_store_that_did_not_open_holds_no_lock(tmp_path):
    path = tmp_path / "muster.db"
    text(path)
    with pytest.raises(StoreUnusable):
        open_store(path)
    with open(f"{path}.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
