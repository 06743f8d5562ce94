"""What every store must do, as laws over an open store.  Memory and SQLite pass them; so must any other.

Each law is handed a fresh store and a way to reopen it (which a store that forgets answers with itself).
"""
from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson
import pytest

from muster.api.errors import Conflict, Gone
from muster.api.objects import Key, Obj, revision_of, with_
from muster.store.history import BATCH, Change
from muster.store.store import ANY, Store

Law = Callable[[Store], Awaitable[None]]
LAWS: list[Law] = []


def law(function: Law) -> Law:
    LAWS.append(function)
    return function


def pod(name: str, number: int = 0, namespace: str = "default") -> Obj:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
            "spec": {"number": number, "containers": [{"name": "c", "image": "ü:1"}]}}


def at(name: str, resource: str = "pods", namespace: str = "default") -> Key:
    return Key(resource, namespace, name)


async def put(store: Store, name: str, number: int = 0, resource: str = "pods") -> int:
    written = await store.commit(at(name, resource), pod(name, number), expect=ANY)
    assert written is not None
    return written.revision


def shown(changes: Sequence[Change]) -> list[tuple[int, str, int | None, int | None]]:
    return [(change.revision, change.key.name,
             change.value["spec"]["number"] if change.value else None,
             change.previous["spec"]["number"] if change.previous else None) for change in changes]


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@law
async def an_empty_store_holds_nothing(store: Store) -> None:
    assert store.get(at("a")) is None
    assert store.list("pods") == ([], 0)
    assert list(store.history.lane("pods").since(0)) == []


@law
async def what_is_committed_is_read_back(store: Store) -> None:
    written = await store.commit(at("a"), pod("a", 1), expect=0)
    found = store.get(at("a"))
    assert found is not None and written is not None
    assert found.value == with_(pod("a", 1), "metadata.resourceVersion", "1") == written.value
    assert found.revision == written.revision == revision_of(found.value) == 1
    assert orjson.loads(found.encoded()) == found.value


@law
async def only_the_expected_revision_is_replaced(store: Store) -> None:
    async def refused(value: Obj | None, expect: int, name: str = "a") -> None:
        with pytest.raises(Conflict):
            await store.commit(at(name), value, expect=expect)

    await refused(pod("a"), 1)  # not there at all
    await refused(None, 7)
    first = await put(store, "a", 1)
    await refused(pod("a"), 0)  # is there
    await refused(None, 0)
    second = await put(store, "a", 2)
    await refused(pod("a"), first)  # moved on
    await refused(None, first)
    assert shown(store.history.lane("pods").since(0)) == [(1, "a", 1, None), (2, "a", 2, 1)]
    written = await store.commit(at("a"), None, expect=second)
    assert written is not None and written.revision == 3
    await refused(pod("a"), second)  # gone again
    again = await store.commit(at("a"), pod("a", 4), expect=0)
    assert again is not None and again.revision == 4


@law
async def a_deletion_tells_what_was_there(store: Store) -> None:
    await put(store, "a", 1)
    last = await store.commit(at("a"), None, expect=ANY)
    assert last is not None
    assert (last.revision, revision_of(last.value), last.value["spec"]["number"]) == (2, 2, 1)
    assert store.get(at("a")) is None and store.list("pods") == ([], 2)
    assert await store.commit(at("a"), None, expect=ANY) is None
    assert await store.commit(at("a"), None, expect=0) is None
    assert store.list("pods") == ([], 2), "deleting nothing is no change"
    deletion, = store.history.lane("pods").since(1)
    assert deletion.after is None and deletion.last.revision == 2 and orjson.loads(deletion.last.encoded())


@law
async def lists_are_in_key_order_and_of_one_moment(store: Store) -> None:
    names = [f"n{number:02}" for number in range(30)]
    for name in random.Random(1).sample(names, len(names)):
        await put(store, name)
    await store.commit(Key("pods", "another", "z"), pod("z", namespace="another"), expect=0)
    await put(store, "n00", resource="nodes")
    found, revision = store.list("pods")
    assert [one.value["metadata"]["name"] for one in found] == ["z", *names]
    assert revision == 32
    await put(store, "n15", 9)
    assert [one.value["spec"]["number"] for one in found] == [0] * 31, "a list does not change under its reader"


@law
async def one_revision_orders_all_resources(store: Store) -> None:
    assert [await put(store, "a", resource=resource) for resource in ("pods", "nodes", "pods")] == [1, 2, 3]
    assert [c.revision for c in store.history.lane("pods").since(0)] == [1, 3]
    assert [c.revision for c in store.history.lane("nodes").since(0)] == [2]


@law
async def stored_objects_are_not_changed_by_later_writes(store: Store) -> None:
    value = pod("a", 1)
    written = await store.commit(at("a"), value, expect=0)
    assert written is not None
    assert "resourceVersion" not in value["metadata"], "the committer's own object stays as it is"
    before = orjson.dumps(written.value)
    assert written.encoded() == before
    await store.commit(at("a"), with_(written.value, "spec.number", 2), expect=1)
    await store.commit(at("a"), None, expect=2)
    assert orjson.dumps(written.value) == written.encoded() == before


@law
async def followers_see_every_change_once_in_order(store: Store) -> None:
    seen: list[Any] = []

    async def read(after: int) -> None:
        async for batch in store.follow("pods", after):
            seen.extend(batch)

    await put(store, "old")
    reader = asyncio.create_task(read(1))
    await turns()
    assert seen == []
    numbers = random.Random(2)
    for number in range(40):
        name = f"n{numbers.randrange(6)}"
        await asyncio.gather(put(store, name, number), put(store, name, number, resource="nodes"))
    await store.commit(at("n1"), None, expect=ANY)
    await turns()
    reader.cancel()
    assert shown(seen) == shown(store.history.lane("pods").since(1))
    assert seen[-1].after is None and len(seen) == 41
    assert [c.revision for c in seen] == sorted({c.revision for c in seen})


@law
async def a_slow_follower_misses_nothing_and_is_handed_batches(store: Store) -> None:
    follower = store.follow("pods", 0)
    await put(store, "a", 0)
    assert shown(await anext(follower)) == [(1, "a", 0, None)]
    for start in range(0, 2 * BATCH, 100):
        await asyncio.gather(*(put(store, f"b{start + n}") for n in range(100)))
    sizes, revisions = [], []
    while sum(sizes) < 2 * BATCH:
        batch = await anext(follower)
        sizes.append(len(batch))
        revisions += [change.revision for change in batch]
    assert max(sizes) <= BATCH
    assert revisions == list(range(2, 2 * BATCH + 2))


@law
async def a_follower_ahead_of_the_store_waits_for_its_revision(store: Store) -> None:
    follower = store.follow("pods", 3)
    first = asyncio.create_task(anext(follower))
    for number in range(5):
        await put(store, "a", number)
    assert shown(await first)[0][0] == 4


@law
async def compaction_forgets_changes_and_keeps_objects(store: Store) -> None:
    for number in range(10):
        await put(store, f"n{number % 3}", number)
    await store.commit(at("n0"), None, expect=ANY)
    await store.compact(8)
    lane = store.history.lane("pods")
    assert store.history.floor == 8
    with pytest.raises(Gone, match="too old resource version: 7 "):
        lane.since(7)
    with pytest.raises(Gone):
        await anext(store.follow("pods", 3))
    assert shown(lane.since(8)) == [(9, "n2", 8, 5), (10, "n0", 9, 6), (11, "n0", None, 9)]
    assert {name: store.get(at(name)) is not None for name in ("n0", "n1", "n2")} == \
        {"n0": False, "n1": True, "n2": True}
    await store.compact(3)
    assert store.history.floor == 8, "what is forgotten stays forgotten"
    await store.compact(1000)
    assert store.history.floor == 11, "what has not happened yet cannot be forgotten"
    assert await put(store, "n0") == 12
    assert shown(lane.since(11)) == [(12, "n0", 0, None)]


@law
async def who_has_missed_nothing_is_never_told_gone(store: Store) -> None:
    await put(store, "quiet", resource="nodes")
    waiting = asyncio.create_task(anext(store.follow("nodes", 1)))
    for number in range(20):
        await put(store, "a", number)
    await turns()
    await store.compact(15)
    await put(store, "quiet", 5, resource="nodes")
    assert shown(await waiting) == [(22, "quiet", 5, 0)]


@law
async def a_follower_left_behind_is_told_gone(store: Store) -> None:
    await put(store, "a")
    follower = store.follow("pods", 0)
    await anext(follower)
    for number in range(5):
        await put(store, "a", number)
    await store.compact(4)
    with pytest.raises(Gone):
        await anext(follower)


@law
async def of_many_writers_of_one_revision_one_wins(store: Store) -> None:
    revision = await put(store, "a")
    answers = await asyncio.gather(*(store.commit(at("a"), pod("a", n), expect=revision) for n in range(20)),
                                   return_exceptions=True)
    won = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(won) == 1 and all(isinstance(answer, Conflict) for answer in answers if answer not in won)
    assert store.get(at("a")) is won[0]


@law
async def unconditional_writers_of_one_key_take_turns(store: Store) -> None:
    assert sorted(await asyncio.gather(*(put(store, "a", n) for n in range(20)))) == list(range(1, 21))
    changes = store.history.lane("pods").since(0)
    assert [c.before.revision for c in changes if c.before] == list(range(1, 20))


@law
async def counters_incremented_concurrently_lose_nothing(store: Store) -> None:
    """Read, add one, write at that revision, again on Conflict: the promise every controller relies on."""
    for name in "abc":
        await put(store, name, 0)

    async def add_one(name: str) -> None:
        while True:
            found = store.get(at(name))
            assert found is not None
            with suppress(Conflict):
                await store.commit(at(name), with_(found.value, "spec.number", found.value["spec"]["number"] + 1),
                                   expect=found.revision)
                return
            await asyncio.sleep(0)

    await asyncio.gather(*(add_one(name) for name in "abc" * 15))
    assert [one.value["spec"]["number"] for one in store.list("pods")[0]] == [15, 15, 15]


@law
async def a_change_is_visible_before_its_writer_is_answered(store: Store) -> None:
    heard: list[int] = []
    store.history.on_append(lambda changes: heard.extend(change.revision for change in changes))

    async def write(number: int) -> None:
        revision = await put(store, f"n{number}")
        found = store.get(at(f"n{number}"))
        assert found is not None and found.revision == revision and revision in heard

    await asyncio.gather(*(write(number) for number in range(30)))
    assert heard == list(range(1, 31))


@law
async def who_names_a_resource_hears_of_no_other(store: Store) -> None:
    heard: list[tuple[int, str]] = []
    store.history.on_append(lambda changes: heard.extend((one.revision, one.key.resource) for one in changes), "nodes")
    await asyncio.gather(put(store, "a"), put(store, "n1", resource="nodes"), put(store, "b"),
                         put(store, "n2", resource="nodes"))
    assert heard == [(2, "nodes"), (4, "nodes")]


@law
async def a_writer_that_gives_up_harms_nobody(store: Store) -> None:
    tasks = [asyncio.create_task(put(store, name, n)) for n, name in enumerate("abcabc")]
    await turns(1)
    tasks[0].cancel()
    tasks[4].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await put(store, "a", 10) == store.history.revision
    changes = store.history.lane("pods").since(0)
    assert [c.revision for c in changes] == list(range(1, len(changes) + 1))
    assert len([c for c in changes if c.key.name == "c"]) == 2
