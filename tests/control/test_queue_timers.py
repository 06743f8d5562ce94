"""Keys that are to come back at once, on both event loops that Muster runs on."""
import asyncio

import pytest
import uvloop

from muster.control.queue import Queue


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_key_is_asked_for_twice_for_a_moment_that_is_here(loop):
    async def ask():
        queue = Queue()
        queue.add_in("a", -1.0)
        queue.add_in("a", 0.0)
        queue.add_in("a", -2.0)
        queue.add_in("b", 0.0)
        taken = [await queue.take(), await queue.take()]
        assert sorted(taken) == ["a", "b"] and len(queue) == 0

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(ask(), 5))
