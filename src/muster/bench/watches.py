"""Many connections watch the ConfigMaps of one namespace, and each is told of every one that is created.

A few creations are under way at a time, so that the rate is that of telling and not of one write's way to the
disk.  The time of an event is from its creation's request to a watcher's hearing of it.
"""
from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncGenerator, Sequence

from ..api.errors import BadRequest
from .arena import Arena
from .config_maps import NAME, SPACE, config_map
from .figures import Figures, percentiles
from .line import Listener, refusal

UNDER_WAY = 4  # creations at a time of which not every watcher has heard
ANSWERED_WITHIN_S = 60.0
SPARE_FILES = 100  # that a process has open beside its connections
JSON = {"accept": "application/json", "content-type": "application/json"}
_DIGITS = NAME.rindex("-") + 1


class Heard:
    """Counts events, and how late each piece of a watch was."""

    def __init__(self) -> None:
        self.events = 0
        self.late_s: list[float] = []
        self.sent_s: list[float] = []  # when the map of that number was asked for
        self.more = asyncio.Event()
        self.lost: BaseException | None = None

    def hear(self, piece: bytes) -> None:
        self.events += piece.count(b"\n")  # an event is a line
        if (place := piece.rfind(b'"map-')) >= 0:
            number = piece[place + 1 + _DIGITS:place + 1 + len(NAME)]
            if len(number) == len(NAME) - _DIGITS:  # else the rest of it comes with the next piece
                self.late_s.append(time.perf_counter() - self.sent_s[int(number)])
        self.more.set()

    def end(self, ended: asyncio.Future[None]) -> None:
        """A watch is over: for good reason (at the end), or lost."""
        self.lost = ended.exception()
        self.more.set()

    async def until(self, events: int) -> None:
        while self.events < events:
            if self.lost is not None:
                raise self.lost
            self.more.clear()
            await self.more.wait()


def room_for(connections: int) -> None:
    """As many open files as connections take; for the server too, which inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE_FILES
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise BadRequest(f"--connections {connections}: a process here may have {hard} files open (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


async def run(arena: Arena, benches: Sequence[str]) -> AsyncGenerator[Figures, None]:
    listing = await arena.client.list("configmaps")
    heard = Heard()
    listeners: list[Listener] = await arena.place.connect(lambda: Listener(heard.hear), arena.connections)
    watch = arena.place.request("GET", f"{SPACE}?watch=1&resourceVersion={listing.revision}")
    for listener in listeners:
        listener.ended.add_done_callback(heard.end)
        listener.send(watch)
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        await asyncio.gather(*(listener.answered for listener in listeners))
    await arena.settled()
    ends_at = 0.0

    async def write() -> None:
        """Creates a map, and the next once all have heard of all but the few that are under way."""
        while (left := ends_at - time.perf_counter()) > 0:
            arena.show("watch-fanout", 1 - left / arena.seconds)
            name = f"map-{len(heard.sent_s):07d}"
            heard.sent_s.append(time.perf_counter())
            status, _, body = await arena.client.request("POST", SPACE, config_map(name), JSON)
            if status >= 300:
                raise refusal(status, body)
            await heard.until((len(heard.sent_s) - UNDER_WAY + 1) * arena.connections)

    async def work() -> Figures:
        nonlocal ends_at
        began = time.perf_counter()
        ends_at = began + arena.seconds
        await asyncio.gather(*(write() for _ in range(UNDER_WAY)))
        await heard.until(len(heard.sent_s) * arena.connections)
        return {"connections": arena.connections, "requests": len(heard.sent_s), "events": heard.events,
                "per_s": heard.events / (time.perf_counter() - began), **percentiles(heard.late_s)}

    try:
        yield await arena.measure("watch-fanout", work)
    finally:
        for listener in listeners:
            listener.close()
