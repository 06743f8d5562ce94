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
    """`now`, and everything drawn by chance, from one seed.

    Each part draws from a generator of its own, and so does each resource: what one of them is given does not
    depend on how often another was drawn for.  (A story about pods stays as it is when a Service is added to it.)
    """

    def __init__(self, now: Now = time.time, seed: int | str | None = None):
        self.now = now
        self._seed = random.SystemRandom().getrandbits(128) if seed is None else seed
        self._of: dict[str, random.Random] = {}  # resource -> what its names and uids are drawn from

    def uid(self, resource: str) -> str:
        """A random UUID, version 4 (RFC 9562); its bits are put together here, a third of what `uuid` takes."""
        text = "%032x" % (self._chance(resource).getrandbits(128) & ~_UUID_FIXED | _UUID_VERSION_4)
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def suffix(self, resource: str, length: int = 5) -> str:
        """The end of a generated name: `filebeat-ds-` + `jcfzv`."""
        return "".join(self._chance(resource).choices(NAME_ALPHABET, k=length))

    def fork(self, name: str) -> random.Random:
        """A generator for one part."""
        return random.Random(f"{self._seed}/{name}")

    def _chance(self, resource: str) -> random.Random:
        found = self._of.get(resource)
        if found is None:
            found = self._of[resource] = self.fork(f"objects/{resource}")
        return found


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
