"""Channels: changes to read from a position, and who waits for more.

A watcher pulls what came after its position until it has seen everything.  Then it waits for the bell, or it
becomes a listener: it sleeps on, and what happens is said to it from here, straight into its connection.

    ring -> a round: every listener is said what came after its position -> the next round, if more came meanwhile

So a thousand watchers that keep up cost a function call each and no task, what is the same for all of them (the
events, their JSON) is made once, and changes that come faster than a round lasts go out together.  A listener
whose connection has no room is woken instead and pulls at its own pace: nothing is ever queued for a watcher.
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice

from ..store.history import Change, Lane
from .requests import Ear, WatchEvent

LARGEST_BATCH = 1024  # changes looked at before others get their turn
TOLD_AT_ONCE = 32  # listeners, before others get their turn
SHARED = 64  # pieces kept during a round, for the listeners that asked the same


class Listener:
    """`question` is the same for all who see the same events."""

    __slots__ = ("after", "question", "events", "ear", "woken")

    def __init__(self, after: int, question: Hashable, events: Callable[[Sequence[Change]], Sequence[WatchEvent]],
                 ear: Ear):
        self.after = after  # the last change that it has seen
        self.question = (question, ear.render)
        self.events = events
        self.ear = ear
        self.woken = asyncio.Event()


class Channel:
    __slots__ = ("lane", "rung", "readers", "_listeners", "_round", "_begun_at", "_pieces")

    def __init__(self, lane: Lane):
        self.lane = lane
        self.rung = asyncio.Event()
        self.readers = 0
        self._listeners: dict[Listener, None] = {}
        self._round: Iterator[Listener] | None = None
        self._begun_at = 0  # the last change when the round began
        self._pieces: dict[tuple[Hashable, int], tuple[int, bytes]] = {}

    def ring(self) -> None:
        if self.readers:
            self.rung.set()
            self.rung = asyncio.Event()
        if self._listeners and self._round is None:
            self._begin_round()

    async def listen(self, listener: Listener, seconds: float) -> None:
        """Returns when the time is over, or when the listener has to pull again."""
        self._listeners[listener] = None
        try:
            await wait(listener.woken, seconds)
        finally:
            self._listeners.pop(listener, None)

    # ---- rounds

    def _begin_round(self) -> None:
        self._round = iter(tuple(self._listeners))
        self._begun_at = self.lane.revision
        asyncio.get_running_loop().call_soon(self._tell_some)

    def _tell_some(self) -> None:
        assert self._round is not None, "a round is under way"
        some = tuple(islice(self._round, TOLD_AT_ONCE))
        for listener in some:
            if listener in self._listeners and not self._tell(listener):
                del self._listeners[listener]  # at once: what it now pulls is not said as well
                listener.woken.set()
        if some:
            asyncio.get_running_loop().call_soon(self._tell_some)
            return
        self._pieces.clear()
        self._round = None
        if self._listeners and self.lane.revision > self._begun_at:
            self._begin_round()

    def _tell(self, listener: Listener) -> bool:
        """Has it seen everything now?"""
        try:
            until, piece = self._piece(listener)
        except Exception:  # Gone, or a fault of ours: it pulls, and meets the same where it can be answered for
            return False
        if piece and not listener.ear.say(piece):
            return False
        listener.after = until
        return until == self.lane.revision

    def _piece(self, listener: Listener) -> tuple[int, bytes]:
        """What came after the listener's position, and how far that goes."""
        place = (listener.question, listener.after)
        found = self._pieces.get(place)
        if found is not None and found[0] == self.lane.revision:
            return found
        changes = self.lane.since(listener.after, LARGEST_BATCH)
        if not changes:
            return self.lane.revision, b""
        events = listener.events(changes)
        made = changes[-1].revision, listener.ear.render(events) if events else b""
        if len(self._pieces) >= SHARED:
            self._pieces.clear()
        self._pieces[place] = made
        return made


async def wait(bell: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        pass
