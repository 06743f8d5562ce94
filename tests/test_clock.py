"""What the clock draws by chance, and a loop whose time passes when it is told to."""
from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest

from muster.clock import Clock, SteppedLoop, run_virtual


def test_uids_are_random_uuids_of_version_4():
    clock = Clock(seed=3)
    seen = [uuid.UUID(clock.uid("pods")) for _ in range(500)]
    assert {(one.version, one.variant) for one in seen} == {(4, uuid.RFC_4122)}
    assert len(set(seen)) == 500


def test_what_a_resource_is_given_does_not_depend_on_the_others():
    alone, among, other = Clock(seed=3), Clock(seed=3), Clock(seed=4)
    given = []
    for _ in range(5):
        among.uid("services")
        among.suffix("nodes")
        given.append((among.uid("pods"), among.suffix("pods")))
    assert given == [(alone.uid("pods"), alone.suffix("pods")) for _ in range(5)]
    assert given != [(other.uid("pods"), other.suffix("pods")) for _ in range(5)]
    assert among.fork("a").random() == alone.fork("a").random() != alone.fork("b").random()


def test_without_a_seed_no_two_clocks_draw_the_same():
    assert Clock().uid("pods") != Clock().uid("pods")


def test_a_fresh_clock_may_be_given_another_seed():
    def drawn(clock, part):
        return part.random(), clock.uid("pods"), clock.fork("another").random()

    clock = Clock(seed=1)
    part = clock.fork("part")
    clock.reseed(2)
    other = Clock(seed=2)
    assert drawn(clock, part) == drawn(other, other.fork("part")), "as if it had been made so"


@pytest.mark.parametrize("draw", [lambda clock, part: part.random(), lambda clock, part: clock.uid("pods")])
def test_a_clock_that_was_drawn_from_is_not_fresh(draw):
    clock = Clock(seed=1)
    part = clock.fork("part")
    assert clock.is_fresh
    draw(clock, part)
    assert not clock.is_fresh


def test_virtual_time_passes_by_the_year():
    """Where the numbers are so large that asyncio's own idea of "just now" is lost in their last digit."""
    async def main(clock):
        for years in (0.1, 1, 10, 100):
            before = clock.now()
            await asyncio.sleep(years * 365 * 24 * 3600)
            assert clock.now() - before == years * 365 * 24 * 3600
    run_virtual(main)


def test_timers_of_one_instant_ring_in_the_order_in_which_they_were_set():
    heard = []

    async def main(clock):
        loop = asyncio.get_running_loop()
        for number in range(50):
            loop.call_at(loop.time() + 1.0, heard.append, number)
        loop.call_later(0.5, heard.append, "before")
        await asyncio.sleep(2)
    run_virtual(main)
    assert heard == ["before", *range(50)]


def test_a_timer_that_was_cancelled_never_rings_and_is_not_kept():
    """A time-out around everything that is waited for: they are set and cancelled by the million."""
    async def main(clock):
        loop = asyncio.get_running_loop()
        for number in range(10_000):
            loop.call_later(3600, pytest.fail, str(number)).cancel()
        assert len(loop._timers) < 2_000
        await asyncio.sleep(7200)
    run_virtual(main)


def test_what_a_callback_raises_is_told_and_ends_nobody_else(caplog):
    async def main(clock):
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)
        return "went on"
    assert run_virtual(main) == "went on"
    assert "ZeroDivisionError" in caplog.text


def test_nobody_left_to_wake_anybody_is_a_deadlock():
    async def main(clock):
        with contextlib.suppress(asyncio.CancelledError):  # when the loop is cleared away
            await asyncio.Event().wait()
    with pytest.raises(RuntimeError, match="deadlock in virtual time"):
        run_virtual(main)


def test_a_generator_that_nobody_reads_to_its_end_is_closed_in_virtual_time():
    closed = []

    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(5)
            closed.append(asyncio.get_running_loop().time())

    async def main(clock):
        async for _ in numbers():
            break
        await asyncio.sleep(10)
    run_virtual(main)
    assert closed == [5.0]


# ------------------------------------------------------------------ time that is stepped

def stepped(main):
    """Runs `main(loop)` on a stepped loop."""
    with asyncio.Runner(loop_factory=lambda: SteppedLoop(1000.0)) as runner:
        return runner.run(main(runner.get_loop()))


def test_stepped_time_stands_still_while_the_machine_s_passes():
    async def main(loop):
        sleeper = loop.create_stepped_task(asyncio.sleep(0.001))
        await asyncio.sleep(0.01)  # ten times as long, of the machine's time
        assert not sleeper.done() and loop.now() == 1000.0
        await loop.advance(0.001)
        assert loop.now() == 1000.001
        await sleeper

    stepped(main)


def test_an_advance_goes_from_timer_to_timer_and_lets_all_finish_at_each():
    heard = []

    async def work(loop, name, every_s):
        while True:
            await asyncio.sleep(every_s)
            heard.append((name, asyncio.get_running_loop().time()))
            child = asyncio.ensure_future(asyncio.sleep(0))  # what is made there lives in that time too
            await child
            asyncio.get_running_loop().call_later(0.5, lambda: heard.append((name + "'", loop.time())))

    async def main(loop):
        tasks = [loop.create_stepped_task(work(loop, "a", 1.0)), loop.create_stepped_task(work(loop, "b", 2.0))]
        assert not await loop.advance(2.25)
        assert heard == [("a", 1.0), ("a'", 1.5), ("b", 2.0), ("a", 2.0)] and loop.now() == 1002.25
        await loop.advance(0.25)
        assert heard[4:] == [("b'", 2.5), ("a'", 2.5)]
        for task in tasks:
            task.cancel()

    stepped(main)


def test_an_advance_ends_where_what_it_waits_for_holds():
    async def main(loop):
        task = loop.create_stepped_task(asyncio.sleep(5))
        assert await loop.advance(3600, until=task.done)
        assert loop.now() == 1005.0
        assert not await loop.advance(1, until=lambda: False)
        assert loop.now() == 1006.0

    stepped(main)


def test_time_is_advanced_by_one_at_a_time():
    async def main(loop):
        first = asyncio.ensure_future(loop.advance(10))
        with pytest.raises(RuntimeError, match="already being advanced"):
            await asyncio.gather(first, loop.advance(10))
        await first
        assert loop.now() == 1010.0

    stepped(main)


def test_a_timer_that_another_one_of_its_instant_cancels_does_not_fire():
    fired, complaints = [], []

    async def main(loop):
        loop.set_exception_handler(lambda _, context: complaints.append(context))

        async def setting():
            first = loop.call_at(1.0, lambda: (fired.append("first"), second.cancel()))
            second = loop.call_at(1.0, fired.append, "second")
            loop.call_at(1.0, fired.append, "third").cancel()
            assert not first.cancelled()

        await loop.create_stepped_task(setting())
        await loop.advance(2)

    stepped(main)
    assert fired == ["first"] and not complaints


def test_timers_that_were_cancelled_are_not_kept():
    async def main(loop):
        async def cancelling():
            for _ in range(20_000):
                asyncio.get_running_loop().call_later(3600, print).cancel()

        await loop.create_stepped_task(cancelling())
        assert len(loop._timers) <= 2_048

    stepped(main)
