"""Keys waiting to be looked at: each once, never by two at a time, and none too often.

A key that is added while it is being looked at comes again afterwards.  `done(key, pace_s)` says how long
to leave it alone: changes that come together in that time are seen together, which is what keeps a rollout
over N nodes from costing N looks at N nodes.
"""
from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
REMEMBERED = 4096  # keys that rest, at least, before those that no longer do are forgotten


class Queue(Generic[K]):
    def __init__(self) -> None:
        self._waiting: dict[K, None] = {}  # an ordered set
        self._busy: set[K] = set()
        self._again: set[K] = set()
        # When it rings, and its handle: uvloop's handle of a moment that is already here has no `when()`.
        self._timers: dict[K, tuple[float, asyncio.Handle]] = {}
        self._resting: dict[K, float] = {}  # loop time before which a key is left alone
        self._forget_beyond = REMEMBERED
        self._takers: deque[asyncio.Future[None]] = deque()  # who have nothing to do; a key calls one of them

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K) -> None:
        if key in self._waiting:
            return
        if key in self._busy:
            self._again.add(key)
            return
        loop = asyncio.get_running_loop()
        rest = self._resting.get(key)
        if rest is not None and rest > loop.time():
            self._ring_at(key, rest)
            return
        self._resting.pop(key, None)
        self._waiting[key] = None
        self._call_one()

    def add_in(self, key: K, seconds: float) -> None:
        """Adds `key` after a while, or sooner where that was asked before."""
        self._ring_at(key, asyncio.get_running_loop().time() + seconds)

    def _ring_at(self, key: K, when: float) -> None:
        timer = self._timers.get(key)
        if timer is not None:
            rings_at, handle = timer
            if rings_at <= when:
                return
            handle.cancel()
        self._timers[key] = when, asyncio.get_running_loop().call_at(when, self._ring, key)

    def _ring(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    async def take(self) -> K:
        while not self._waiting:
            called = asyncio.get_running_loop().create_future()
            self._takers.append(called)
            try:
                await called
            except asyncio.CancelledError:
                if called.done() and not called.cancelled():
                    self._call_one()  # in its place
                raise
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._busy.add(key)
        return key

    def _call_one(self) -> None:
        while self._takers:
            called = self._takers.popleft()
            if not called.done():  # or it was cancelled
                called.set_result(None)
                return

    def done(self, key: K, pace_s: float = 0.0) -> None:
        self._busy.discard(key)
        loop = asyncio.get_running_loop()
        if pace_s > 0:
            if len(self._resting) > self._forget_beyond:
                now = loop.time()
                self._resting = {k: until for k, until in self._resting.items() if until > now}
                self._forget_beyond = max(REMEMBERED, 2 * len(self._resting))
            self._resting[key] = loop.time() + pace_s
        if key in self._again:
            self._again.discard(key)
            self.add(key)
