"""When unused memory is looked for."""
from __future__ import annotations

import asyncio
import gc

import pytest

from muster import interpreter
from muster.clock import run_virtual
from muster.interpreter import OLDER_ROUNDS, STAYED, STAYED_AT_MOST, due


@pytest.mark.parametrize("counts, idle, generation", [
    pytest.param((10, 3, 0), True, None, id="hardly anything has stayed"),
    pytest.param((10, STAYED, 0), True, 1, id="enough has stayed, and there is time"),
    pytest.param((10, STAYED, 0), False, None, id="enough has stayed, but there is work"),
    pytest.param((10, STAYED_AT_MOST, 0), False, 1, id="too much has stayed to wait any longer"),
    pytest.param((10, STAYED, OLDER_ROUNDS), True, 2, id="it is time for everything"),
])
def test_due(counts, idle, generation):
    assert due(counts, idle) == generation


class Ring:
    """Holds itself: only the collector can free it."""

    def __init__(self, freed):
        self.me, self.freed = self, freed

    def __del__(self):
        self.freed.append(True)


@pytest.mark.parametrize("cpu_s_each, freed", [(0.01, [True]), (0.9, [])], ids=["idle", "busy"])
def test_what_has_stayed_is_freed_in_an_idle_moment(cpu_s_each, freed):
    seen: list[bool] = []

    async def story(clock):
        spent = iter(range(1000))
        task = asyncio.create_task(interpreter.collect_when_idle(lambda: next(spent) * cpu_s_each))
        ring = Ring(seen)
        for _ in range(STAYED):
            gc.collect(0)  # it has stayed
        del ring
        await asyncio.sleep(3.5)
        task.cancel()

    before = gc.get_threshold()
    gc.set_threshold(0)
    try:
        gc.collect()
        run_virtual(story)
        assert seen == freed
    finally:
        gc.set_threshold(*before)
