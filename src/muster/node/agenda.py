"""What one loop has before it: who is to be looked at when, and what is to be written.

    set_timer / take_due      one heap for all nodes and pods; of a subject's timers of one kind the newest holds
    submit / start_writers    as many writers as there is something to write, and no more than `in_flight`
    rest                      until something changes (`stir`) or a timer is due
"""
from __future__ import annotations

import asyncio
import heapq
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from ..clock import Clock
from .machines import Machine, Resident

log = logging.getLogger(__name__)

EARLY_S = 1e-6  # a timer may come this much too early: loops and clocks round

Subject = Machine | Resident
Write = Callable[[Any], Awaitable[None]]


class Due(NamedTuple):
    when: float
    what: str
    subject: Subject


class Agenda:
    def __init__(self, clock: Clock, in_flight: int):
        self.writes = 0  # so far
        self._clock, self._in_flight = clock, in_flight
        self._timers: list[tuple[float, int, str, Subject]] = []
        self._timers_set = 0
        self._to_write: deque[tuple[Write, Any]] = deque()
        self._writers = 0
        self._resting: asyncio.Future[None] | None = None  # done once it is over
        self._alarm: tuple[float, asyncio.TimerHandle] | None = None  # stirs when the first timer is due
        self._rests_until = -math.inf  # while the loop rests: when it would look around by itself

    def set_timer(self, subject: Subject, what: str, when: float) -> None:
        if subject.timers.get(what) != when:
            subject.timers[what] = when
            self._timers_set += 1
            heapq.heappush(self._timers, (when, self._timers_set, what, subject))
            if when < self._rests_until:  # set by a writer, which tries again sooner than anything else is due
                self.stir()

    def take_due(self, now: float) -> Due | None:
        while self._timers and self._timers[0][0] <= now + EARLY_S:
            when, _, what, subject = heapq.heappop(self._timers)
            if subject.timers.get(what) == when:  # else it was set anew since, or its subject is gone
                del subject.timers[what]
                return Due(when, what, subject)
        return None

    def submit(self, write: Write, subject: Any, first: bool = False) -> None:
        (self._to_write.appendleft if first else self._to_write.append)((write, subject))
        self.stir()

    def start_writers(self, group: asyncio.TaskGroup) -> None:
        while self._to_write and self._writers < self._in_flight:
            self._writers += 1
            group.create_task(self._write(*self._to_write.popleft()))

    async def _write(self, write: Write, subject: Any) -> None:
        """Writes until there is nothing left to write."""
        try:
            while True:
                try:
                    await write(subject)
                except Exception:
                    log.exception("the fleet could not write")  # our own mistake: the others go on
                self.writes += 1
                if not self._to_write:
                    return
                write, subject = self._to_write.popleft()
        finally:
            self._writers -= 1

    def stir(self) -> None:
        """Ends the rest; what comes while the loop is at work it finds by itself before it rests."""
        if self._resting is not None and not self._resting.done():
            self._resting.set_result(None)

    async def rest(self) -> None:
        """Only after a look at everything, in which nobody else had a turn."""
        due = self._timers[0][0] if self._timers else math.inf
        self._set_alarm(due)
        self._resting, self._rests_until = asyncio.get_running_loop().create_future(), due
        await self._resting
        self._rests_until = -math.inf

    def _set_alarm(self, due: float) -> None:
        """One that is set for that moment already will do."""
        if self._alarm is not None:
            if self._alarm[0] == due:
                return
            self._alarm[1].cancel()
            self._alarm = None
        if due < math.inf:
            wait_s = max(0.0, due - self._clock.now())
            self._alarm = due, asyncio.get_running_loop().call_later(wait_s, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.stir()
