"""Keys that wait: each once, never by two at a time, none too often, and none is lost."""
from __future__ import annotations

import asyncio
import random

import pytest

from muster.clock import run_virtual
from muster.control.queue import Queue


def virtually(test):
    """Runs the test in virtual time."""
    return lambda: run_virtual(lambda clock: test())


async def taken_within(queue: Queue, seconds: float) -> list:
    """What can be taken in that time; each is done at once."""
    keys = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                keys.append(await queue.take())
                queue.done(keys[-1])
    except TimeoutError:
        return keys


@virtually
async def test_a_key_is_taken_once_however_often_it_was_added():
    queue = Queue()
    for key in "abaab":
        queue.add(key)
    assert len(queue) == 2
    assert await taken_within(queue, 10) == ["a", "b"], "in the order in which they came"


@virtually
async def test_a_key_that_is_added_while_it_is_busy_comes_again_afterwards():
    queue = Queue()
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0, "not by two at a time"
    queue.done("a")
    assert await taken_within(queue, 10) == ["a"]


@virtually
async def test_a_key_rests_after_it_was_looked_at_and_its_changes_are_seen_together():
    queue, loop = Queue(), asyncio.get_running_loop()
    queue.add("a")
    await queue.take()
    queue.done("a", 0.5)
    for _ in range(4):
        queue.add("a")
        queue.add("b")
        await asyncio.sleep(.1)
    assert await queue.take() == "b", "others do not wait for it"
    queue.done("b")
    assert await queue.take() == "a" and loop.time() == pytest.approx(.5)
    queue.done("a")
    assert await taken_within(queue, 10) == []


@virtually
async def test_a_key_added_while_busy_rests_too():
    queue, loop = Queue(), asyncio.get_running_loop()
    queue.add("a")
    await queue.take()
    queue.add("a")
    queue.done("a", 0.5)
    assert await queue.take() == "a" and loop.time() == pytest.approx(.5)


@pytest.mark.parametrize("asked, rings", [
    pytest.param([5], [5], id="later"),
    pytest.param([5, 3], [3], id="sooner wins"),
    pytest.param([3, 5], [3], id="the later one is forgotten"),
    pytest.param([3, 3], [3], id="once"),
    pytest.param([0], [0], id="now"),
])
def test_alarms(asked, rings):
    async def story(clock):
        queue, loop, rang = Queue(), asyncio.get_running_loop(), []
        for seconds in asked:
            queue.add_in("a", seconds)
        try:
            async with asyncio.timeout(20):
                while True:
                    queue.done(await queue.take())
                    rang.append(loop.time())
        except TimeoutError:
            assert rang == pytest.approx(rings)

    run_virtual(story)


@virtually
async def test_an_alarm_that_rings_while_the_key_is_busy_is_not_lost():
    queue = Queue()
    queue.add("a")
    await queue.take()
    queue.add_in("a", 1)
    await asyncio.sleep(2)
    assert len(queue) == 0
    queue.done("a")
    assert await taken_within(queue, 1) == ["a"]


@virtually
async def test_resting_keys_are_forgotten_in_the_end():
    queue = Queue()
    for key in range(10_000):
        queue.add(key)
        queue.done(await queue.take(), .001)
        await asyncio.sleep(.001)
    assert len(queue._resting) <= 4097, "what it remembers has a bound"


@pytest.mark.parametrize("seed", range(30))
def test_whoever_is_added_is_looked_at_afterwards(seed):
    """Any number of workers, any order: never two at one key, and after its last change each key is looked at."""
    rng = random.Random(seed)

    async def story(clock):
        queue, loop = Queue(), asyncio.get_running_loop()
        busy: set[str] = set()
        changed: dict[str, float] = {}
        looked: dict[str, list[float]] = {}

        async def work():
            while True:
                key = await queue.take()
                assert key not in busy, "never by two at a time"
                busy.add(key)
                looked.setdefault(key, []).append(loop.time())
                await asyncio.sleep(rng.choice((0, .1, 1)))
                busy.discard(key)
                queue.done(key, rng.choice((0, .01, 2)))

        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(work()) for _ in range(rng.randint(1, 4))]
            for _ in range(60):
                key = rng.choice("abcde")
                if rng.random() < .8:
                    queue.add(key)
                    changed[key] = loop.time()
                else:
                    queue.add_in(key, rng.choice((0, .5, 3)))
                await asyncio.sleep(rng.choice((0, 0, .05, .7)))
            await asyncio.sleep(20)
            for worker in workers:
                worker.cancel()
        assert all(looked[key][-1] >= when for key, when in changed.items())
        assert len(queue) == 0 and not queue._busy and not queue._timers

    run_virtual(story)
