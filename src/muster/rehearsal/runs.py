"""One rehearsal: the stage as it stands, the files applied at t = 0, and what follows until it is over.

A run is over when everything is at rest; or when nothing has come any further for so long that it will not (every
back-off and deadline is shorter, and no pull, start or stop is under way); or when its time is up.  In virtual time
waiting for that costs nothing.
"""
from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..api.objects import at
from ..clock import Clock, VirtualTime
from . import options
from .alternatives import Alternative
from .faults import carry_out
from .invariants import Laws
from .measure import Measure
from .outcome import FINISHED, INTERRUPTED, STUCK, TIME_IS_UP, Outcome
from .stage import Stage
from .world import World, at_work, gone_on

if TYPE_CHECKING:
    from ..store.recording import Recording

STILL_S = 2.0  # at rest for so long is at rest
LOOK_AGAIN_S = 31.0  # whether something is still under way; no divisor of any back-off
# Longer than every back-off: of images and crashes 5 min, of a DaemonSet's failed pods 15 min.
HOPELESS_AFTER_S = 16 * 60.0
MOST_VIOLATIONS = 100
MOST_NODES_WATCHED = 1_000  # by the laws, unless they are asked for: a run takes a quarter longer with them
LONGEST_S = 30 * 24 * 3600.0
SHOWN_EVERY_S = 5.0  # of virtual time

Show = Callable[[float], None]  # how much is done, 0 to 1


def seed_of(stage: Stage, run: int) -> str:
    """The same for all alternatives: they are compared on the same luck."""
    return f"{stage.options.seed}/{run}"


class Beginning:
    """The world of a stage, at work and at rest, before anything is applied: what follows is one run.

    Where nothing has been drawn by then (of a stage at rest nothing is), it is the beginning of all runs alike, and a
    process may be forked here for each of them (forked.py).
    """

    def __init__(self, stage: Stage, run: int, time: VirtualTime):
        self._stage, self._time, self._run = stage, time, run
        self._begun, self._asked = time.loop.create_future(), time.loop.create_future()
        self._life: asyncio.Task[Outcome] = time.loop.create_task(self._live())
        gone_on(time, time.loop.create_task(self._begin()))

    async def _live(self) -> Outcome:
        world = World(self._stage.state.store(), self._time.clock, self._stage.behaviour)
        async with at_work(world):
            self._begun.set_result(None)
            one: _Run = await self._asked
            return await one.play(world)

    async def _begin(self) -> None:
        await asyncio.wait((self._begun, self._life), return_when=asyncio.FIRST_COMPLETED)
        if not self._begun.done():
            await self._life  # which raises what is wrong

    def is_of(self, run: int) -> bool:
        """Would this run begin just so?"""
        return run == self._run or self._time.clock.is_fresh

    def play(self, alternative: Alternative, run: int, show: Show | None = None) -> Outcome:
        """What follows in this run of this alternative.  Can be asked once."""
        assert self.is_of(run), "its luck has begun already, and it is another's"
        seed = seed_of(self._stage, run)
        if run != self._run:
            self._time.clock.reseed(seed)
        self._asked.set_result(_Run(self._stage, alternative, run, show))
        return gone_on(self._time, self._life)


@contextmanager
def beginning(stage: Stage, run: int = 0) -> Iterator[Beginning]:
    with _no_collections(), VirtualTime(stage.state.now, seed_of(stage, run)) as time:
        yield Beginning(stage, run, time)


def rehearse(stage: Stage, alternative: Alternative, run: int, show: Show | None = None) -> Outcome:
    """One run of one alternative, from its beginning.  Ctrl-C ends it with what is known so far."""
    with beginning(stage, run) as begun:
        return begun.play(alternative, run, show)


class _Run:
    """`is_first`: with what every node did when, and with its history recorded where that is asked for."""

    def __init__(self, stage: Stage, alternative: Alternative, run: int, show: Show | None):
        self.stage, self.alternative, self.seed, self.is_first = stage, alternative, seed_of(stage, run), run == 0
        self._show = show

    async def play(self, world: World) -> Outcome:
        clock = world.clock
        recording = self._record(world, clock)
        measure = Measure(world, draws=self.is_first)
        laws = Laws(world.store.history, clock.now, who=lambda: world.writers.who,
                    seen_until=world.writers.began) if self._is_under_laws(len(measure.nodes)) else None
        measure.begin()

        story = asyncio.create_task(self._happen(world, measure, clock))
        showing = asyncio.create_task(self._show_progress(measure)) if self._show is not None else None
        try:
            verdict = await story
        except asyncio.CancelledError:
            verdict = INTERRUPTED
            story.cancel()
            if (me := asyncio.current_task()) is not None:
                me.uncancel()
        finally:
            if showing is not None:
                showing.cancel()
            if recording is not None:
                recording.close()
        return measure.outcome(self.seed, verdict,
                               [str(one) for one in laws.broken[:MOST_VIOLATIONS]] if laws is not None else None)

    def _is_under_laws(self, nodes: int) -> bool:
        match self.stage.options.laws:
            case options.ALL:
                return True
            case options.FIRST:
                return self.is_first
            case options.USUAL:
                return self.is_first and nodes <= MOST_NODES_WATCHED
        return False

    def _record(self, world: World, clock: Clock) -> Recording | None:
        """Keeps the first run: what is there before, and every change."""
        path = self.stage.options.record
        if path is None or not self.is_first:
            return None
        from ..store.recorded import anew
        recording = anew(path, clock.now)
        recording.follow(world.store.history, seed=self.seed)
        return recording

    async def _happen(self, world: World, measure: Measure, clock: Clock) -> str:
        await self.stage.applying(self.alternative).carry_out(world)
        faults = asyncio.create_task(carry_out(self.stage.options.faults, world, measure.strike))
        try:
            return await self._wait(measure, clock, faults)
        finally:
            faults.cancel()

    async def _show_progress(self, measure: Measure) -> None:
        assert self._show is not None, "asked for"
        while True:
            await asyncio.sleep(SHOWN_EVERY_S)
            self._show(measure.share_done())

    # ---- until when

    async def _wait(self, measure: Measure, clock: Clock, faults: asyncio.Task[None]) -> str:
        until_s = self.stage.options.until_s
        if until_s is not None:
            await asyncio.sleep(until_s)
            return FINISHED if measure.progress.is_at_rest else TIME_IS_UP
        await faults
        measure.stir()
        deadline = clock.now() + LONGEST_S
        hopeless_s = HOPELESS_AFTER_S + _longest_wait(measure)
        while clock.now() < deadline:
            await asyncio.sleep(STILL_S)
            if measure.progress.is_at_rest:
                if measure.progress.moved_at + STILL_S <= clock.now():
                    return FINISHED
                continue
            try:
                async with asyncio.timeout(max(LOOK_AGAIN_S, measure.progress.at + hopeless_s - clock.now())):
                    await measure.progress.rest()
            except TimeoutError:
                if measure.progress.at + hopeless_s <= clock.now() and not measure.is_anything_under_way():
                    return STUCK
        return TIME_IS_UP


def _longest_wait(measure: Measure) -> float:
    """The longest that a workload's own fields make anybody wait."""
    longest = 0.0
    for one in measure.workloads.values():
        spec = one.obj["spec"]
        pod = at(one.obj, "spec.template.spec", {})
        waits = [spec.get("minReadySeconds"), spec.get("progressDeadlineSeconds"),
                 pod.get("terminationGracePeriodSeconds"),
                 *(each.get("tolerationSeconds") for each in pod.get("tolerations") or ())]
        longest = max(longest, *(float(each) for each in waits if each and each < 2**31 - 1), 0.0)
    return longest


@contextmanager
def _no_collections() -> Iterator[None]:
    """What a run makes stays until it ends; looking for garbage in it would take a fifth of the time.  What was there
    before is never looked at."""
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
