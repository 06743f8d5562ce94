"""What the steps of a story happen to: one life of a cluster, the line to its server, and the laws that listen."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..app import Cluster
from ..store.memory import MemoryStore
from .faults_line import Line
from .invariants import Laws
from .world import ADMIN


class Ground:
    def __init__(self, cluster: Cluster, store: MemoryStore, line: Line, laws: Laws, say: Callable[[str], None]):
        self.cluster, self.store, self.line, self.laws, self.say = cluster, store, line, laws, say
        self.admin = cluster.client(ADMIN)
        self._under_way: list[asyncio.Task[None]] = []

    def meanwhile(self, work: Coroutine[Any, Any, None]) -> None:
        """While the story goes on."""
        self._under_way.append(asyncio.ensure_future(work))

    def later(self, after_s: float, then: Callable[[], Awaitable[None] | None]) -> None:
        self.meanwhile(_later(after_s, then))

    async def caught_up(self) -> None:
        """Until all components know of all there is."""
        mirror = self.cluster.mirror
        await mirror.caught_up({one: self.store.history.lane(one).revision for one in mirror.resources})

    def check(self) -> None:
        """A fault that could not be carried out is our mistake."""
        for task in self._under_way:
            if task.done() and not task.cancelled():
                task.result()

    def end(self) -> None:
        """Of whatever lasts still."""
        for task in self._under_way:
            task.cancel()


async def _later(after_s: float, then: Callable[[], Awaitable[None] | None]) -> None:
    await asyncio.sleep(after_s)
    done = then()
    if done is not None:
        await done
