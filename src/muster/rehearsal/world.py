"""The cluster that is rehearsed on: the same store, controllers, scheduler and nodes, in virtual time.

    State      what is there at one moment: the objects of every resource, at their revisions
    World      a cluster over such a state

Objects are never changed in place, so a state costs nothing to start from again: every run of every alternative
begins on the very same one.  Three things differ from the cluster that `muster up` serves, and no decision does:
events are counted where they would be written (`Counted`), nodes spare their heartbeats (node/heartbeats.py), and every
client signs what it does (`world.writers.who`), so that it can be told who ended a pod.
"""
from __future__ import annotations

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, TypeVar

from ..api.errors import ApiError
from ..api.objects import Key, Obj
from ..app import SYSTEM, Cluster, running
from ..client.local import LocalClient
from ..clock import Clock, VirtualTime
from ..control.events import LONGEST_BACKLOG, Correlator, Recorder
from ..control.plan import Tell
from ..node.behaviour import USUAL, Behaviour
from ..node.fleet import Fleet
from ..store.history import Snapshot
from ..store.memory import MemoryStore
from .writers import Writers

KEPT_CHANGES = 5_000  # of a resource: nobody in a rehearsal is far behind
ADMIN = "kubernetes-admin"

Place = tuple[str, str]
T = TypeVar("T")


@dataclass(frozen=True)
class State:
    """Everything there is at one moment (`now`, Unix seconds)."""

    now: float
    revision: int = 0
    objects: Mapping[str, Mapping[Place, Snapshot]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: MemoryStore, now: float) -> State:
        return cls(now, store.history.revision,
                   {lane.resource: dict(lane.objects) for lane in store.history.lanes() if lane.objects})

    def store(self) -> MemoryStore:
        """A new store that holds it."""
        store = MemoryStore(keep=KEPT_CHANGES)
        store.history.restore(self.revision, self.revision,
                              {resource: (dict(objects), []) for resource, objects in self.objects.items()})
        return store


class Counted(Recorder):
    """Events are counted, not written: nothing that decides reads them."""

    def __init__(self, component: str, clock: Clock, hear: Callable[[Tell], None]):
        self.written = 0
        self.lost = 0
        self._correlator = Correlator(component)
        self._clock = clock
        self._hear = hear

    def __call__(self, tell: Tell) -> None:
        self._hear(tell)
        if self._correlator.may_speak(tell, self._clock.now()):
            self.written += 1
        else:
            self.lost += 1

    async def run(self) -> None:
        return None


class World(Cluster):
    def __init__(self, store: MemoryStore, clock: Clock, behaviour: Behaviour = USUAL, *, events: bool = False):
        self.writers = Writers(clock.now)
        self.told: list[Callable[[Tell], None]] = []  # who hears of events
        self._writes_events = events
        super().__init__(store, clock, simulates=_every_node,
                         make_fleet=partial(Fleet, usual=behaviour, heartbeats=False))
        self.store: MemoryStore = store

    def client(self, user: str) -> LocalClient:
        return Signed(self, user)

    @property
    def admin(self) -> LocalClient:
        return self.client(ADMIN)

    def events_told(self) -> int:
        return sum(one.written for one in self._recorders if isinstance(one, Counted))

    def plans(self) -> Counter[str]:
        return Counter({runtime.controller.name: runtime.tally.plans for runtime in self.runtimes})

    def _recorder(self, component: str, longest_backlog: int = LONGEST_BACKLOG) -> Recorder:
        recorder: Recorder
        if self._writes_events:
            recorder = _Heard(self.client(SYSTEM + component), self.clock, component, self._hear, longest_backlog)
        else:
            recorder = Counted(component, self.clock, self._hear)
        self._recorders.append(recorder)
        return recorder

    def _hear(self, tell: Tell) -> None:
        for listener in self.told:
            listener(tell)


class _Heard(Recorder):
    def __init__(self, client: LocalClient, clock: Clock, component: str, hear: Callable[[Tell], None], backlog: int):
        super().__init__(client, clock, component, longest_backlog=backlog)
        self._hear = hear

    def __call__(self, tell: Tell) -> None:
        self._hear(tell)
        super().__call__(tell)


class Signed(LocalClient):
    def __init__(self, world: World, user: str):
        super().__init__(world.registry, user)
        self._writing, self._name = world.writers.writing, _short(user)

    async def create(self, obj: Obj, *, subresource: str = "") -> Obj:
        with self._writing(self._name):
            return await super().create(obj, subresource=subresource)

    async def replace(self, obj: Obj, *, subresource: str = "") -> Obj:
        with self._writing(self._name):
            return await super().replace(obj, subresource=subresource)

    async def patch(self, key: Key, patch: Any, **more: Any) -> Obj:
        with self._writing(self._name):
            return await super().patch(key, patch, **more)

    async def set_status(self, key: Key, uid: str, status: Obj) -> Obj:
        with self._writing(self._name):
            return await super().set_status(key, uid, status)

    async def delete(self, key: Key, **more: Any) -> int:
        with self._writing(self._name):
            return await super().delete(key, **more)


@lru_cache(maxsize=256)
def _short(user: str) -> str:
    return user.rpartition(":")[2]


def _every_node(node: Obj) -> bool:
    return True


def played(main: Callable[[Clock], Coroutine[Any, Any, T]], *, start: float, seed: str) -> T:
    """Runs it in virtual time."""
    with VirtualTime(start, seed) as time:
        return gone_on(time, time.loop.create_task(main(time.clock)))


def gone_on(time: VirtualTime, task: asyncio.Task[T]) -> T:
    """Runs the task to its end.  What the API refuses is raised as it is, however many parts were at work around it.

    Ctrl-C, or whatever signal means the same here, cancels the task, between two steps of the loop and never within
    one; what it does not make an answer of is a KeyboardInterrupt.
    """
    by_hand = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is signal.default_int_handler] \
        if threading.current_thread() is threading.main_thread() else []
    for number in by_hand:
        signal.signal(number, lambda *_: time.loop.call_soon(task.cancel) and None)
    try:
        return time.run(task)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    except BaseExceptionGroup as failures:
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        if isinstance(first, ApiError):
            raise first from None
        raise
    finally:
        for number in by_hand:
            signal.signal(number, signal.default_int_handler)


@asynccontextmanager
async def at_work(world: World) -> AsyncIterator[World]:
    """The world with all its parts running, and done with their first looks at what is there."""
    async with running(world):
        await asyncio.sleep(1)
        yield world
