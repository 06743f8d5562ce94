"""Time and chance, the two ambient things, in one place.

Code that decides is handed `now` as a number.  Code that waits uses `asyncio.sleep`.  So what makes a
rehearsal run in virtual time is the event loop alone: `VirtualLoop` jumps to the next deadline, where an
ordinary loop would sleep until it.  Chance (uids, name suffixes, jitter) is drawn from one seeded generator.
"""
from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
Now = Callable[[], float]  # seconds since the Unix epoch

# The alphabet of generated names: no vowels (no accidental words), no 0, 1 or 3 (easily misread).
NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_UUID_FIXED = 0xF000_C000 << 48  # four bits say the version, two the variant
_UUID_VERSION_4 = 0x4000_8000 << 48


class Clock:
    """`now`, and everything drawn by chance, from one seed."""

    def __init__(self, now: Now = time.time, seed: int | str | None = None):
        self.now = now
        self.random = random.Random(seed)

    def uid(self) -> str:
        """A random UUID, version 4 (RFC 9562); its bits are put together here, a third of what `uuid` takes."""
        text = "%032x" % (self.random.getrandbits(128) & ~_UUID_FIXED | _UUID_VERSION_4)
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def suffix(self, length: int = 5) -> str:
        """The end of a generated name: `filebeat-ds-` + `jcfzv`."""
        return "".join(self.random.choices(NAME_ALPHABET, k=length))

    def fork(self, name: str) -> random.Random:
        """A generator of its own for one part, so that its draws do not shift when another part draws."""
        return random.Random(f"{self.random.getrandbits(64)}/{name}")


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: where asyncio would sleep, the loop's time moves."""

    def __init__(self, jump: Callable[[float], None]):
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("deadlock in virtual time: every task waits and no timer is set")
        if timeout > 0:
            self._jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when nobody has work to do."""

    def __init__(self, start: float = 0.0):
        self.elapsed = 0.0
        self._start = start
        super().__init__(_JumpingSelector(self._jump))

    def _jump(self, seconds: float) -> None:
        self.elapsed += seconds

    def time(self) -> float:
        return self.elapsed

    def now(self) -> float:
        return self._start + self.elapsed


def run_virtual(main: Callable[[Clock], Awaitable[T]], *, start: float = 1_767_225_600.0, seed: int | str = 0) -> T:
    """Runs `main(clock)` to its end in virtual time.  `start` is 2026-01-01T00:00:00Z unless told otherwise."""
    loop = VirtualLoop(start)
    try:
        return loop.run_until_complete(main(Clock(loop.now, seed)))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
