"""Recordings: what is written is what happened, whatever cuts them off; and the states that they had."""
from __future__ import annotations

import asyncio
import errno
import gzip
import hashlib
import random

import orjson
import pytest

from muster.api.errors import BadRequest
from muster.api.objects import Key
from muster.store.instants import Instant, pasts
from muster.store.log_file import LogFile
from muster.store.memory import MemoryStore
from muster.store.recorded import (
    Begin,
    DataDirectoryLog,
    End,
    Entry,
    RecordingFile,
    check,
    go_on,
)
from muster.store.recording import Recording, RecordingUnusable
from muster.store.sqlite import SqliteStore
from muster.store.store import ANY

START = 1_767_225_600.0  # 2026-01-01T00:00:00Z
NAMES = [f"x{number}" for number in range(8)]


class Clockwork:
    """A second a look."""

    def __init__(self):
        self.at = START

    def __call__(self):
        return self.at


def obj(name, uid="u", **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default", "uid": uid}, **more}


def key(name, resource="configmaps"):
    return Key(resource, "default", name)


SYSTEM = Key("namespaces", "", "kube-system")


async def first(store, uid="one"):
    await store.commit(SYSTEM, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": uid}}, expect=0)


async def scribble(store, clock, count, seed=0):
    """Random changes, one a second; returns the state after each revision."""
    chance, states = random.Random(seed), {}
    for number in range(count):
        clock.at += 1
        name = chance.choice(NAMES)
        where = key(name, chance.choice(["configmaps", "secrets"]))
        goes = chance.random() < 0.3 and store.get(where) is not None
        value = None if goes else obj(name, data={"n": str(number), "pad": "x" * chance.randrange(400)})
        await store.commit(where, value, expect=ANY)
        states[store.history.revision] = state(store)
    return states


def state(store):
    return {Key(lane.resource, *place): one.encoded() for lane in store.history.lanes() for place, one in lane.objects.items()}


def told(past):
    return {key: entry.value for key, entry in past.objects.items()}


def recorded(path, count=200, seed=0):
    """A recording of random changes, and the state after each."""
    async def main():
        store, clock = MemoryStore(), Clockwork()
        recording = Recording.create(path, clock)
        recording.follow(store.history, seed=seed)
        await first(store)
        states = await scribble(store, clock, count, seed)
        return recording.close(), states
    return asyncio.run(main())


def entries(path):
    return [one for one in RecordingFile(path).read() if isinstance(one, Entry)]


# ------------------------------------------------------------------ what is written

def test_every_change_is_there_in_order(tmp_path):
    summary, states = recorded(tmp_path / "a")
    begin, *changes, end = RecordingFile(tmp_path / "a").read()
    assert isinstance(begin, Begin) and begin.about["seed"] == 0 and begin.about["started"] == START
    assert [one.revision for one in changes] == list(range(1, summary.revision + 1))
    assert [one.at for one in changes][:3] == [START, START + 1, START + 2]
    assert isinstance(end, End) and end[0] == summary.revision and end[2:] == summary[1:]
    assert oct((tmp_path / "a").stat().st_mode & 0o777) == "0o600", "it holds Secrets"


def test_the_sha256_is_that_of_revision_key_and_json(tmp_path):
    summary, _ = recorded(tmp_path / "a", count=30)
    lines = [b"%d %s %s\n" % (one.revision, str(one.key).encode(), one.value or b"-") for one in entries(tmp_path / "a")]
    assert hashlib.sha256(b"".join(lines)).hexdigest() == summary.sha256 == str(check(RecordingFile(tmp_path / "a")))


def test_any_zcat_reads_it(tmp_path):
    recorded(tmp_path / "a", count=30)
    lines = gzip.decompress((tmp_path / "a").read_bytes()).splitlines()
    head, value = lines[1].split(b"\t")
    assert orjson.loads(head) == [1, START, "namespaces", "", "kube-system"]
    assert orjson.loads(value)["metadata"]["resourceVersion"] == "1"


def test_two_runs_of_one_seed_are_the_same_file(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        recorded(tmp_path / name, seed=seed)
    first, second, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second != other


def test_the_memory_it_takes_is_a_block(tmp_path):
    async def main():
        store, clock = MemoryStore(keep=10), Clockwork()
        recording = Recording.create(tmp_path / "a", clock)
        recording.follow(store.history)
        most = 0
        for number in range(3000):
            await store.commit(key("x"), obj("x", data={"pad": f"{number}" * 100}), expect=ANY)
            most = max(most, sum(map(len, recording._lines)))
        recording.close()
        return most
    assert asyncio.run(main()) < 140_000


# ------------------------------------------------------------------ the states it had

@pytest.mark.parametrize("seed", range(3))
def test_the_state_at_every_revision(tmp_path, seed):
    _, states = recorded(tmp_path / "a", seed=seed)
    asked = random.Random(seed).sample(sorted(states), 40)  # in no order
    for revision, past in zip(asked, pasts(RecordingFile(tmp_path / "a"), [Instant.parse(str(one)) for one in asked]), strict=True):
        assert told(past) == states[revision] and past.revision == revision
        assert state(past.store()) == states[revision] and past.store().history.revision == revision


@pytest.mark.parametrize("text, revision", [
    ("1", 1), ("17", 17), ("last", 201), ("+16s", 17), ("+16.5s", 17), ("+0s", 1), ("2026-01-01T00:00:16Z", 17),
    ("2026-01-01T01:00:16.9+01:00", 17), ("2026-01-01T00:03:20Z", 201), ("0", 0),
])
def test_an_instant_is_found(tmp_path, text, revision):
    recorded(tmp_path / "a")
    past, = pasts(RecordingFile(tmp_path / "a"), [Instant.parse(text)])
    assert past.revision == revision


@pytest.mark.parametrize("text", ["202", "2025-12-31T00:00:00Z", "2026-01-01T00:04:00Z", "+1h"])
def test_an_instant_that_is_not_there_names_what_is(tmp_path, text):
    recorded(tmp_path / "a")
    with pytest.raises(BadRequest) as refused:
        pasts(RecordingFile(tmp_path / "a"), [Instant.parse(text)])
    what = "revision 202" if text == "202" else text
    assert str(refused.value) == (f"{what} is not in {tmp_path / 'a'}, which holds revisions 1 to 201 "
                                  "(2026-01-01T00:00:00Z to 2026-01-01T00:03:20Z)")


@pytest.mark.parametrize("text", ["", "soon", "-5", "+", "+x", "1e3", "9" * 30, "12:00"])
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(BadRequest, match="an instant is a revision"):
        Instant.parse(text)


# ------------------------------------------------------------------ going on

def test_a_later_start_goes_on_and_a_gap_is_known(tmp_path):
    path = tmp_path / "a"

    async def main():
        store, clock = MemoryStore(), Clockwork()
        await first(store)
        await scribble(store, clock, 10)  # before it was recorded: it begins with what is there then
        recording = go_on(path, store.history, clock)
        recording.follow(store.history)
        states = {store.history.revision: state(store), **await scribble(store, clock, 50, seed=1)}
        recording.close()
        recording = go_on(path, store.history, clock)  # nothing happened in between
        recording.follow(store.history)
        states.update(await scribble(store, clock, 50, seed=2))
        recording.close()
        gap = store.history.revision + 1
        clock.at += 1000
        await scribble(store, clock, 50, seed=3)
        clock.at += 1000
        recording = go_on(path, store.history, clock)
        recording.follow(store.history)
        states.update({store.history.revision: state(store), **await scribble(store, clock, 50, seed=4)})
        return recording.close(), states, gap

    summary, states, gap = asyncio.run(main())
    file = RecordingFile(path)
    asked = sorted(states)
    for revision, past in zip(asked, pasts(file, [Instant.parse(str(one)) for one in asked]), strict=True):
        assert told(past) == states[revision], revision
    assert sum(isinstance(one, Begin) and one.whole for one in file.read()) == 2, "what follows without a gap is not told again"
    assert (check(file).changes, str(check(file))) == summary[1:]
    for text in (str(gap), "+800s"):
        with pytest.raises(BadRequest, match=r"holds revisions \d+ to \d+ \(.*\) and revisions \d+ to \d+ \("):
            pasts(file, [Instant.parse(text)])


@pytest.mark.parametrize("uid, revisions", [pytest.param("other", 300, id="another cluster"),
                                            pytest.param("one", 3, id="an older one"), pytest.param("", 0, id="an empty one")])
def test_another_cluster_does_not_write_into_it(tmp_path, uid, revisions):
    recorded(tmp_path / "a")
    before = (tmp_path / "a").read_bytes()

    async def main():
        store = MemoryStore()
        if uid:
            await first(store, uid)
            await scribble(store, Clockwork(), revisions)
        with pytest.raises(RecordingUnusable, match="is the recording of another cluster: name a new file"):
            go_on(tmp_path / "a", store.history, Clockwork())

    asyncio.run(main())
    assert (tmp_path / "a").read_bytes() == before


# ------------------------------------------------------------------ files that are not whole

def several_blocks(path):
    async def main():
        store, clock = MemoryStore(), Clockwork()
        recording = Recording.create(path, clock)
        recording.follow(store.history)
        await first(store)
        for seed in range(5):
            await scribble(store, clock, 20, seed)
            recording.flush()
        recording.close()
    asyncio.run(main())
    return path.read_bytes()


def test_cut_off_anywhere_it_gives_what_was_whole(tmp_path):
    whole = several_blocks(tmp_path / "a")
    full = entries(tmp_path / "a")
    lengths, torn = set(), RecordingFile(tmp_path / "torn")
    for size in [*range(100, len(whole), 97), len(whole) - 1]:
        (tmp_path / "torn").write_bytes(whole[:size])
        found = [one for one in torn.read() if isinstance(one, Entry)]
        assert found == full[:len(found)]
        assert torn.torn == (torn.whole < size)
        lengths.add(len(found))
    assert lengths == {0, 21, 41, 61, 81, 101}


def test_what_was_torn_is_cut_off_when_it_goes_on(tmp_path):
    path = tmp_path / "a"
    whole = several_blocks(path)
    path.write_bytes(whole[:len(whole) * 2 // 3] + bytes(500))

    async def main():
        store, clock = MemoryStore(), Clockwork()
        await first(store)
        for seed in range(5):
            await scribble(store, clock, 20, seed)
        recording = go_on(path, store.history, clock)
        recording.follow(store.history)
        states = {store.history.revision: state(store), **await scribble(store, clock, 5, seed=9)}
        recording.close()
        return states

    states = asyncio.run(main())
    file = RecordingFile(path)
    assert check(file) and not file.torn
    for revision in states:
        assert told(pasts(file, [Instant.parse(str(revision))])[0]) == states[revision]


def test_zeros_that_a_file_system_left_are_a_torn_tail(tmp_path):
    whole = several_blocks(tmp_path / "a")
    (tmp_path / "a").write_bytes(whole + bytes(5000))
    file = RecordingFile(tmp_path / "a")
    assert len([one for one in file.read() if isinstance(one, Entry)]) == 101 and file.torn


def packed(*lines):
    return gzip.compress(b"".join(line + b"\n" for line in lines))


@pytest.mark.parametrize("content, says", [
    pytest.param(b"", "is empty", id="empty"),
    pytest.param(b"apiVersion: v1\n", "is no recording of Muster: name a file that --record wrote", id="text"),
    pytest.param(b"\x1f\x8bnothing of the sort", "is no recording of Muster", id="almost gzip"),
    pytest.param(packed(b"hello"), "is no recording of Muster", id="other gzip"),
    pytest.param(packed(b'{"a": 1}'), "is no recording of Muster", id="other JSON"),
    pytest.param(packed(b'[1,2,"pods","","x"]\tnull'), "is no recording of Muster", id="no header"),
    pytest.param(packed(b'{"recording":99}'), "was recorded by a newer Muster (format 99, this one reads up to 1)", id="newer"),
    pytest.param(packed(b'{"recording":1,"revision":0,"objects":0}', b"[1,2"), "is damaged at byte", id="half a line"),
    pytest.param(packed(b'{"recording":1,"revision":0,"objects":0}')[:10], "holds nothing: its recording was cut off", id="cut off"),
])
def test_files_that_can_not_be_read_say_why(tmp_path, content, says):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(RecordingUnusable) as refused:
        list(RecordingFile(tmp_path / "a").read())
    assert str(refused.value).startswith(f"{tmp_path / 'a'} ") and says in str(refused.value)


def test_a_file_that_was_damaged_or_changed_is_found_out(tmp_path):
    whole = several_blocks(tmp_path / "a")
    middle = len(whole) // 2
    (tmp_path / "a").write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:])
    with pytest.raises(RecordingUnusable, match="is damaged at byte"):
        check(RecordingFile(tmp_path / "a"))
    (tmp_path / "a").write_bytes(gzip.compress(gzip.decompress(whole).replace(b'"n":"7"', b'"n":"8"', 1)))
    with pytest.raises(RecordingUnusable, match="was changed: up to revision 101 it holds 101 objects with sha256"):
        check(RecordingFile(tmp_path / "a"))


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    recorded(tmp_path / "a", count=1)
    with pytest.raises(RecordingUnusable, match="exists already: name a new file to record to"):
        Recording.create(tmp_path / "a", Clockwork())
    with pytest.raises(RecordingUnusable, match="nowhere/a can not be recorded to: No such file or directory"):
        Recording.create(tmp_path / "nowhere" / "a", Clockwork())


def test_a_full_disk_ends_the_recording_and_not_the_cluster(tmp_path, caplog):
    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, block):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            self.file.close()

    async def main():
        store, clock = MemoryStore(), Clockwork()
        recording = Recording.create(tmp_path / "a", clock)
        recording._file = Full(recording._file)
        recording.follow(store.history)
        await scribble(store, clock, 2000)
        assert recording.failure is not None and not recording._lines
        with pytest.raises(RecordingUnusable, match="is not whole: No space left on device"):
            recording.close()

    asyncio.run(main())
    assert [one.getMessage() for one in caplog.records] == [
        f"the recording {tmp_path / 'a'} ended: No space left on device; the cluster goes on without it"]


# ------------------------------------------------------------------ a data directory

def test_a_data_directory_holds_the_state_at_its_floor_and_what_followed(tmp_path):
    async def off_loop(function, *arguments):
        return function(*arguments)

    async def main():
        store, clock = SqliteStore.open(tmp_path / "muster.db", off_loop=off_loop), Clockwork()
        states = await scribble(store, clock, 100)
        await store.compact(60)
        states.update(await scribble(store, clock, 20, seed=1))
        await store.close()
        return states

    states = asyncio.run(main())
    log = DataDirectoryLog(str(tmp_path), tmp_path / "muster.db")
    last = max(states)
    for revision in (60, 61, 100, last):
        past, = pasts(log, [Instant.parse(str(revision))])
        assert told(past) == states[revision], revision
    with pytest.raises(BadRequest, match=rf"revision 59 is not in {tmp_path}, which holds revisions 60 to {last} "):
        pasts(log, [Instant.parse("59")])


def test_rows_below_the_floor_that_are_not_dropped_yet_do_not_come_back(tmp_path):
    """The floor moves first; what a crash then leaves below it is superseded all the same, deletions too."""
    async def off_loop(function, *arguments):
        return function(*arguments)

    async def main():
        store = SqliteStore.open(tmp_path / "muster.db", off_loop=off_loop)
        states = await scribble(store, Clockwork(), 100)
        await store.close()
        return states

    states = asyncio.run(main())
    file = LogFile(tmp_path / "muster.db")
    file.set_floor(60)
    file.close()
    log = DataDirectoryLog(str(tmp_path), tmp_path / "muster.db")
    for past, revision in zip(pasts(log, [Instant.parse("60"), Instant.parse("90")]), (60, 90), strict=True):
        assert told(past) == states[revision]


def test_its_times_are_those_that_objects_tell(tmp_path):
    async def off_loop(function, *arguments):
        return function(*arguments)

    async def main():
        store = SqliteStore.open(tmp_path / "muster.db", off_loop=off_loop)
        for minute in range(5):
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {
                "name": "x", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"renewTime": f"2026-01-01T00:0{minute}:00.000000Z"}}
            await store.commit(key("x", "leases"), lease, expect=ANY)
            await store.commit(key(f"quiet{minute}"), obj("quiet"), expect=0)
        await store.close()

    asyncio.run(main())
    log = DataDirectoryLog(str(tmp_path), tmp_path / "muster.db")
    assert [one.at - START for one in log.read() if isinstance(one, Entry)] == [0, 0, 60, 60, 120, 120, 180, 180, 240, 240]
    past, = pasts(log, [Instant.parse("2026-01-01T00:02:30Z")])
    assert past.revision == 6


@pytest.mark.parametrize("content, says", [
    pytest.param(None, "there is no cluster in", id="nothing"), pytest.param(b"hello", "is not a Muster store", id="foreign")])
def test_a_directory_without_a_cluster_says_so(tmp_path, content, says):
    if content is not None:
        (tmp_path / "muster.db").write_bytes(content)
    with pytest.raises(RecordingUnusable, match=says):
        list(DataDirectoryLog(str(tmp_path), tmp_path / "muster.db").read())
