"""A store closed and opened again is the same store: a model (a dict and a list) beside it, at any point."""
import asyncio
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from muster.api.errors import Conflict, Gone, Unavailable
from muster.api.objects import Key, with_
from muster.clock import run_virtual
from muster.store.compaction import Keeping
from muster.store.history import History, Snapshot, UnreadChange
from muster.store.log_file import LogFile
from muster.store.sqlite import Limits
from muster.store.store import ANY
from store.conformance import at, pod, put, turns
from store.disk import changes_after, off_loop, open_store, state

KEYS = st.builds(Key, st.sampled_from(["pods", "daemonsets.apps"]), st.sampled_from(["", "x", "y"]),
                 st.sampled_from(["a", "b", "ü"]))
BY_HAND = Keeping(at_least=10**6, at_most=10**6)


class Model(RuleBasedStateMachine):
    """Whatever is committed, refused, compacted and reopened, the store says what the dict says."""

    @initialize(rows=st.integers(1, 4))
    def begin(self, rows):
        self.directory = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.limits = Limits(rows=rows)
        self.objects: dict[tuple[str, ...], dict] = {}
        self.changes: list[tuple] = []
        self.revision = self.floor = 0
        self.open()

    def open(self):
        self.store = open_store(self.directory / "muster.db", keeping=BY_HAND, limits=self.limits)

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def expected(self, key, value):
        """What a commit does to the model; None where nothing happens."""
        before = self.objects.get(key)
        if value is None and before is None:
            return None
        self.revision += 1
        after = with_(value, "metadata.resourceVersion", str(self.revision)) if value is not None else None
        self.changes.append((self.revision, key, after, before))
        if after is None:
            del self.objects[key]
            return with_(before, "metadata.resourceVersion", str(self.revision))
        self.objects[key] = after
        return after

    @rule(key=KEYS, number=st.none() | st.integers(0, 9), off_by=st.sampled_from([0, 0, 0, 1, -1]))
    def commit(self, key, number, off_by):
        value = pod(key.name, number, key.namespace) if number is not None else None
        there = int(self.objects[key]["metadata"]["resourceVersion"]) if key in self.objects else 0
        if off_by:
            with pytest.raises(Conflict):
                self.run(self.store.commit(key, value, expect=max(there + off_by, 0) or there + 1))
            return
        written = self.run(self.store.commit(key, value, expect=there))
        assert (written.value if written else None) == self.expected(key, value)

    @rule(keys=st.lists(KEYS, min_size=2, max_size=8), number=st.integers(0, 9))
    def commit_together(self, keys, number):
        async def together():
            return await asyncio.gather(*(
                self.store.commit(key, pod(key.name, number + n, key.namespace) if n % 3 else None, expect=ANY)
                for n, key in enumerate(keys)))

        answers = self.run(together())
        order = sorted((n for n, answer in enumerate(answers) if answer), key=lambda n: answers[n].revision)
        for n in order:
            key = keys[n]
            value = pod(key.name, number + n, key.namespace) if n % 3 else None
            assert answers[n].value == self.expected(key, value)

    @precondition(lambda self: self.revision > self.floor)
    @rule(part=st.floats(0, 1))
    def compact(self, part):
        self.floor = max(self.floor, int(self.floor + (self.revision - self.floor) * part))
        self.run(self.store.compact(self.floor))

    @rule()
    def reopen(self):
        self.run(self.store.close())
        self.open()
        if self.floor:
            with pytest.raises(Gone):
                for lane in self.store.history.lanes():
                    lane.since(self.floor - 1)
                self.store.history.lane("of no objects").since(self.floor - 1)

    @invariant()
    def the_store_says_what_the_model_says(self):
        if not hasattr(self, "store"):
            return
        assert self.store.history.revision == self.revision
        assert self.store.history.floor == self.floor
        assert state(self.store) == self.objects
        assert changes_after(self.store, self.floor) == [c for c in self.changes if c[0] > self.floor]
        for resource in ("pods", "daemonsets.apps"):
            found, revision = self.store.list(resource)
            assert revision == self.revision
            assert [one.value for one in found] == [self.objects[key] for key in sorted(self.objects)
                                                    if key[0] == resource]

    def teardown(self):
        if hasattr(self, "store"):
            self.run(self.store.close())
            self.loop.close()
            shutil.rmtree(self.directory)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_watches_resume_after_a_restart(tmp_path):
    async def run():
        store = open_store(tmp_path / "muster.db")
        for number in range(5):
            await put(store, "a", number)
        await store.close()
        store = open_store(tmp_path / "muster.db")
        resumed = store.follow("pods", 3)
        assert [change.revision for change in await anext(resumed)] == [4, 5]
        await put(store, "b")
        assert [change.revision for change in await anext(resumed)] == [6]
        await store.close()

    asyncio.run(run())


def test_a_lane_keeps_no_more_after_a_restart_than_before(tmp_path):
    async def run():
        store = open_store(tmp_path / "muster.db")
        await asyncio.gather(*(put(store, f"n{number}") for number in range(50)))
        await store.close()
        store = open_store(tmp_path / "muster.db", keep=10)
        assert [change.revision for change in store.history.lane("pods").since(40)] == list(range(41, 51))
        with pytest.raises(Gone):
            store.history.lane("pods").since(39)
        assert len(store.list("pods")[0]) == 50
        await store.close()

    asyncio.run(run())


def test_close_waits_for_what_is_on_its_way_and_takes_nothing_more(tmp_path):
    async def run():
        store = open_store(tmp_path / "muster.db")
        writes = [asyncio.create_task(put(store, f"n{number}")) for number in range(20)]
        await turns(1)
        await store.close()
        assert [await write for write in writes] == list(range(1, 21))
        with pytest.raises(Unavailable, match="closed"):
            await put(store, "late")
        await store.close()
        store = open_store(tmp_path / "muster.db")
        assert len(store.list("pods")[0]) == 20
        await store.close()

    asyncio.run(run())


def test_nothing_is_visible_before_it_is_durable(tmp_path):
    """With the disk held back, readers, followers and the writer itself see nothing; writes gather meanwhile."""
    async def run():
        gate, flushed = asyncio.Event(), []

        async def held_back(function, *arguments):
            if function.__name__ == "append":
                await gate.wait()
                flushed.append(len(arguments[0]))
            return await off_loop(function, *arguments)

        store = open_store(tmp_path / "muster.db", off_loop=held_back)
        first, on_its_way = asyncio.create_task(put(store, "a")), asyncio.create_task(put(store, "b"))
        await turns()
        others = [asyncio.create_task(put(store, f"n{number}")) for number in range(10)]
        waiting = asyncio.create_task(put(store, "never"))
        behind = asyncio.create_task(put(store, "b"))
        await turns()
        assert store.get(at("a")) is None and store.list("pods") == ([], 0) and not first.done()
        on_its_way.cancel()
        waiting.cancel()
        gate.set()
        assert [await first, *[await other for other in others]] == [1, *range(3, 13)]
        assert await behind == 13, "who waited for a write that was given up goes on all the same"
        assert len(flushed) == 3, "those that came during a flush share the next"
        assert [c.revision for c in store.history.lane("pods").since(0) if c.key.name == "b"] == [2, 13]
        assert store.get(at("never")) is None, "given up before its flush began, it never happened"
        await store.close()

    asyncio.run(run())


def test_too_many_waiting_writes_are_refused(tmp_path):
    async def run():
        store = open_store(tmp_path / "muster.db", limits=Limits(rows=4, waiting=10))
        answers = await asyncio.gather(*(put(store, f"n{n}") for n in range(30)), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Unavailable)]
        assert len(refused) == 20 and store.history.revision == 10
        assert await put(store, "later") == 11
        await store.close()

    asyncio.run(run())


def test_what_is_no_json_is_refused_and_leaves_no_trace(tmp_path):
    async def run():
        store = open_store(tmp_path / "muster.db")
        bad = with_(pod("bad"), "spec.number", {1, 2})
        answers = await asyncio.gather(put(store, "a"), store.commit(at("bad"), bad, expect=0), put(store, "b"),
                                       return_exceptions=True)
        assert isinstance(answers[1], TypeError)
        assert [one.value["metadata"]["name"] for one in store.list("pods")[0]] == ["a", "b"]
        assert await put(store, "bad") == 3
        await store.close()

    asyncio.run(run())


def test_a_listener_that_fails_leaves_no_writer_waiting(tmp_path):
    async def run():
        store = open_store(tmp_path / "muster.db", limits=Limits(rows=2))
        asyncio.get_running_loop().set_exception_handler(lambda _, context: None)

        def fails(changes):
            if changes[0].revision == 1:
                raise RuntimeError("a bug elsewhere")

        store.history.on_append(fails)
        assert sorted(await asyncio.gather(*(put(store, f"n{n}") for n in range(7)))) == list(range(1, 8))
        await store.close()

    asyncio.run(run())


def rows_on_disk(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*) FROM log").fetchone()[0]
    finally:
        connection.close()


def test_the_file_stays_bounded_under_steady_updates(tmp_path):
    """Automatic compaction by count: the same few objects written again and again reuse the same pages."""
    async def run():
        path = tmp_path / "muster.db"
        store = open_store(path, keeping=Keeping(at_least=50, at_most=400))
        large = with_(pod("x"), "spec.filler", "x" * 2000)
        sizes = []
        for number in range(60):
            await asyncio.gather(*(store.commit(at(f"n{n}"), with_(large, "spec.number", number), expect=ANY)
                                   for n in range(50)))
            sizes.append(path.stat().st_size + Path(f"{path}-wal").stat().st_size)
        assert store.history.floor >= 2000, "compaction keeps up"
        await store.compact(store.history.floor)  # has its turn after the one that may be on its way
        changes = store.history.revision - store.history.floor
        await store.close()
        assert rows_on_disk(path) <= changes + 50
        assert max(sizes) < 12 << 20, "3000 rows of 2 KB are 8 MB, besides the 8 MB that wait for a checkpoint"
        store = open_store(path)
        assert {one.value["spec"]["number"] for one in store.list("pods")[0]} == {59}
        await store.close()

    asyncio.run(run())


def test_old_changes_go_by_themselves(tmp_path):
    """By age, in the loop's own time: changes stay five minutes, and the last few however old they are."""
    async def on_the_loop(function, *arguments):
        return function(*arguments)

    async def run(_):
        store = open_store(tmp_path / "muster.db", off_loop=on_the_loop,
                           keeping=Keeping(for_s=300, at_least=5, at_most=1000, step=1))
        floors = []
        for number in range(0, 60):
            await put(store, "a", number)
            await asyncio.sleep(20)
            floors.append(store.history.floor)
        assert floors[:15] == [0] * 15, "nothing is five minutes old yet"
        assert floors[15:] == list(range(1, 46)), "then one goes as one comes"
        await asyncio.sleep(100_000)
        for name in "bcd":
            await put(store, name)
            await asyncio.sleep(1)
        assert store.history.floor == 58, "the last five stay"
        assert store.history.revision == 63
        await store.close()

    run_virtual(run)
    assert rows_on_disk(tmp_path / "muster.db") == 6  # and the object as it was before them


def test_a_file_that_was_mostly_emptied_shrinks(tmp_path):
    async def run():
        path = tmp_path / "muster.db"
        store = open_store(path)
        large = with_(pod("x"), "spec.filler", "x" * 4000)
        names = [f"n{number}" for number in range(6000)]
        await asyncio.gather(*(store.commit(at(name), large, expect=0) for name in names))
        await store.close()
        full = path.stat().st_size
        store = open_store(path)
        await asyncio.gather(*(store.commit(at(name), None, expect=ANY) for name in names))
        await store.compact(store.history.revision)
        await store.close()
        assert path.stat().st_size < full // 2
        assert rows_on_disk(path) == 0
        store = open_store(path)
        assert store.history.revision == 12000
        assert await put(store, "next") == 12001
        await store.close()

    asyncio.run(run())


def test_a_snapshot_is_read_from_its_json_only_when_asked_and_shares_equal_parts():
    one, two = (Snapshot.from_encoded(f'{{"metadata":{{"name":"{name}","labels":{{"a":"b"}}}}}}'.encode(), 1)
                for name in "xy")
    assert one.value["metadata"]["name"] == "x" and one.value is one.value
    assert one.value["metadata"]["labels"] is two.value["metadata"]["labels"]
    two.superseded()
    assert two.encoded() == b'{"metadata":{"name":"y","labels":{"a":"b"}}}'
    with pytest.raises(AttributeError):
        one.colour  # noqa: B018


def test_a_change_that_a_store_remembers_reads_its_objects_only_when_asked():
    there, torn = Snapshot.from_encoded(b'{"metadata":{"name":"x"}}', 2), Snapshot.from_encoded(b"{", 1)
    change = UnreadChange(2, Key("pods", "n", "x"), there, torn)
    assert change.value is there.value and change.last is there
    with pytest.raises(ValueError):
        change.previous  # noqa: B018
    assert UnreadChange(3, change.key, None, there).value is None
    assert UnreadChange(3, change.key, None, there).previous is there.value
    assert UnreadChange(2, change.key, there, None).previous is None
    with pytest.raises(AttributeError):
        change.colour  # noqa: B018


def test_a_history_is_restored_only_when_empty(tmp_path):
    history = History()
    history.restore(7, 5, {})
    assert (history.revision, history.floor, history.lane("pods").floor) == (7, 5, 5)
    with pytest.raises(AssertionError):
        history.restore(8, 5, {})


def test_padding_never_reaches_the_table(tmp_path):
    """Statements come in fixed sizes; the rest of their parameters is NULL and must add or drop nothing."""
    store = open_store(tmp_path / "muster.db")
    file: LogFile = store._file
    for rows, first in ((1, 1), (5, 10), (7, 20), (130, 100), (512, 1000)):
        file.append([value for n in range(rows) for value in (first + n, "pods", "", f"n{n}", None, 0)])
    file.drop([first + n for first, n in ((1, 0), (10, 1), (1000, 5))])
    asyncio.run(store.close())
    assert rows_on_disk(tmp_path / "muster.db") == 1 + 5 + 7 + 130 + 512 - 3
