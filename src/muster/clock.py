"""Time and chance, the two ambient things, in one place.

Code that decides is handed `now` as a number.  Code that waits uses `asyncio.sleep`.  So what makes a
rehearsal run in virtual time is the event loop alone: `VirtualLoop` jumps to the next deadline, where an
ordinary loop would sleep until it.  `SteppedLoop` holds two times at once: that of a cluster, which stands still
until it is told to pass, and the machine's own, for the sockets through which clients reach that cluster.
Chance (uids, name suffixes, jitter) is drawn from one seeded generator.
"""
from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import random
import selectors
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
_Timer = TypeVar("_Timer", bound=asyncio.TimerHandle)
TIDY_AT = 1024  # timers, before those that were cancelled are thrown away
START = 1_767_225_600.0  # 2026-01-01T00:00:00Z: where virtual time begins unless told otherwise
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
        self._forks: WeakKeyDictionary[random.Random, str] = WeakKeyDictionary()  # generators, and their names

    def uid(self, resource: str) -> str:
        """A random UUID, version 4 (RFC 9562); its bits are put together here, a third of what `uuid` takes."""
        text = "%032x" % (self._chance(resource).getrandbits(128) & ~_UUID_FIXED | _UUID_VERSION_4)
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def suffix(self, resource: str, length: int = 5) -> str:
        """The end of a generated name: `filebeat-ds-` + `jcfzv`."""
        return "".join(self._chance(resource).choices(NAME_ALPHABET, k=length))

    def fork(self, name: str) -> random.Random:
        """A generator for one part."""
        made = self._generator(name)
        self._forks[made] = name
        return made

    @property
    def is_fresh(self) -> bool:
        """Was nothing drawn so far?"""
        return all(one.getstate() == self._generator(name).getstate() for one, name in self._forks.items())

    def reseed(self, seed: int | str) -> None:
        """From here on as if the clock had been made with this seed.  Only while it is fresh."""
        assert self.is_fresh, "what was drawn would have been drawn otherwise"
        self._seed = seed
        for one, name in self._forks.items():
            one.seed(f"{seed}/{name}")

    def _generator(self, name: str) -> random.Random:
        return random.Random(f"{self._seed}/{name}")

    def _chance(self, resource: str) -> random.Random:
        found = self._of.get(resource)
        if found is None:
            found = self._of[resource] = self.fork(f"objects/{resource}")
        return found


class _Call(asyncio.TimerHandle):
    """What is to be called, and when.  A rehearsal makes four of these for each write: only what it needs is set."""

    __slots__ = ()

    _callback: Callable[..., Any]  # asyncio's own, as are the four below
    _args: tuple[Any, ...]
    _context: contextvars.Context
    _cancelled: bool
    _when: float

    def __init__(self, when: float, callback: Callable[..., Any], args: tuple[Any, ...],
                 context: contextvars.Context | None):
        self._when = when
        self._callback = callback
        self._args = args
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self._callback, self._args = _nothing, ()  # lets go of what they hold

    def __repr__(self) -> str:
        return f"<{'cancelled' if self._cancelled else self._callback} at {self._when}>"


def _nothing() -> None:
    """What a cancelled call would do."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time passes only when nobody has work to do: it then jumps to the next timer.

    There are tasks, futures and timers, and nothing from outside: no sockets, no processes, no other threads.
    Timers of one instant ring in the order in which they were set.
    """

    _stopping: bool
    _ready: deque[_Call]  # asyncio's own, which may put Handles there: they hold the same

    def __init__(self, start: float = 0.0):
        super().__init__()
        self.elapsed = 0.0
        self._start = start
        self._timers: list[tuple[float, int, _Call]] = []  # a heap
        self._numbers = itertools.count()
        self._tidy_at = TIDY_AT

    def time(self) -> float:
        return self.elapsed

    def now(self) -> float:
        return self._start + self.elapsed

    def call_soon(self, callback: Any, *args: Any,  # type: ignore[override]  # no variadic types here
                  context: contextvars.Context | None = None) -> asyncio.Handle:
        call = _Call(self.elapsed, callback, args, context)
        self._ready.append(call)
        return call

    def call_at(self, when: float, callback: Any, *args: Any,  # type: ignore[override]  # no variadic types here
                context: contextvars.Context | None = None) -> asyncio.TimerHandle:
        call = _Call(when, callback, args, context)
        if len(self._timers) >= self._tidy_at:
            self._timers, self._tidy_at = _tidied(self._timers)
        heapq.heappush(self._timers, (when, next(self._numbers), call))
        return call

    def call_later(self, delay: float, callback: Any, *args: Any,  # type: ignore[override]  # no variadic types here
                   context: contextvars.Context | None = None) -> asyncio.TimerHandle:
        return self.call_at(self.elapsed + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        """What asyncio calls again and again: all that is to be called at this instant, and what comes of it then."""
        soon, timers = self._ready, self._timers
        if not soon:
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise RuntimeError("deadlock in virtual time: every task waits and no timer is set")
            self.elapsed = max(self.elapsed, timers[0][0])
        while timers and timers[0][0] <= self.elapsed:
            soon.append(heapq.heappop(timers)[2])
        while soon and not self._stopping:
            call = soon.popleft()
            if not call._cancelled:
                try:
                    call._context.run(call._callback, *call._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    self.call_exception_handler({"message": f"Exception in callback {call}", "exception": error,
                                                 "handle": call})

    def _write_to_self(self) -> None:
        """asyncio wakes a loop that waits; this one never does."""


def _tidied(timers: list[tuple[float, int, _Timer]]) -> tuple[list[tuple[float, int, _Timer]], int]:
    """Without those that were cancelled, and how many may be there before the next time."""
    left = [entry for entry in timers if not entry[2].cancelled()]
    heapq.heapify(left)
    return left, max(TIDY_AT, 2 * len(left))


class VirtualTime:
    """A loop in virtual time, and the clock of all that lives in it.  Time passes while something is run."""

    def __init__(self, start: float = START, seed: int | str = 0):
        self.loop = VirtualLoop(start)
        self.clock = Clock(self.loop.now, seed)

    def run(self, work: Awaitable[T]) -> T:
        """All that lives there goes on until this is done, and then stands still."""
        return self.loop.run_until_complete(work)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        self.loop.run_until_complete(_over(left))
        self.loop.close()


async def _over(tasks: Iterable[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def run_virtual(main: Callable[[Clock], Awaitable[T]], *, start: float = START, seed: int | str = 0) -> T:
    """Runs `main(clock)` to its end in virtual time."""
    with VirtualTime(start, seed) as time:
        return time.run(main(time.clock))


# ------------------------------------------------------------------ time that stands still until it is told to pass

_stepped: contextvars.ContextVar[bool] = contextvars.ContextVar("stepped", default=False)


class _Passing:
    """One advance: how far, or until what holds; `done` is told whether it did."""

    def __init__(self, target: float, until: Callable[[], bool] | None, done: asyncio.Future[bool]):
        self.target = target
        self.until = until
        self.done = done


class _SteppingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]  # which class depends on the system
    """Serves sockets as ever; where nobody has work to do, first lets the stepped time pass as far as it may."""

    def __init__(self, step: Callable[[], bool]):
        super().__init__()
        self._step = step

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        if waiting := super().select(0):  # who asks is served at the instant that it is now
            return waiting
        return super().select(0 if self._step() else timeout)


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop with two times.

    Tasks made by `create_stepped_task`, and all that they make, live in stepped time: it stands still but for
    `advance`, which goes from timer to timer and lets everybody finish at each of them.  Everything else on the
    loop (connections, TLS, time-outs of requests) lives in the machine's time.  Which one is a context variable,
    so it follows tasks, callbacks and timers by itself.
    """

    def __init__(self, start: float = START):
        self.elapsed = 0.0
        self._start = start
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []  # of stepped time: a heap
        self._numbers = itertools.count()
        self._tidy_at = TIDY_AT
        self._passing: _Passing | None = None
        super().__init__(_SteppingSelector(self._step))

    def time(self) -> float:
        return self.elapsed if _stepped.get() else super().time()

    def now(self) -> float:
        return self._start + self.elapsed

    def create_stepped_task(self, work: Any, *, name: str | None = None) -> asyncio.Task[Any]:
        """A task in whose eyes time stands still until it is advanced."""
        context = contextvars.copy_context()
        context.run(_stepped.set, True)
        return self.create_task(work, name=name, context=context)

    async def advance(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Lets stepped time pass: all of it, or up to the first instant at which `until()` holds and all is quiet.

        True if it ended because `until` held.  Raises RuntimeError where it is already passing.
        """
        if self._passing is not None:
            raise RuntimeError("time is already being advanced")
        assert seconds >= 0, "time does not go back"
        passing = self._passing = _Passing(self.elapsed + seconds, until, self.create_future())
        try:
            return await passing.done
        finally:
            self._passing = None

    def call_at(self, when: float, callback: Any, *args: Any,  # type: ignore[override]  # no variadic types here
                context: contextvars.Context | None = None) -> asyncio.TimerHandle:
        if not (_stepped.get() if context is None else context.get(_stepped, False)):
            return super().call_at(when, callback, *args, context=context)
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if len(self._timers) >= self._tidy_at:
            self._timers, self._tidy_at = _tidied(self._timers)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def _step(self) -> bool:
        """Called when nobody has work to do.  Moves to the next timer; False where time stands still."""
        passing = self._passing
        if passing is None or passing.done.done():
            return False
        if passing.until is not None and passing.until():
            passing.done.set_result(True)
            return True
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers or self._timers[0][0] > passing.target:
            self.elapsed = passing.target
            passing.done.set_result(False)
            return True
        self.elapsed = max(self.elapsed, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self.elapsed:
            self.call_soon(_fire, heapq.heappop(self._timers)[2])
        return True


def _fire(handle: asyncio.TimerHandle) -> None:
    """In the context that the handle brings along; another one of the same instant may just have cancelled it."""
    if not handle.cancelled():
        handle._run()
