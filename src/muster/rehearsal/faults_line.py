"""The line between the components and the server: it knows who writes, and it can be bad.

    line = Line(clock)
    cluster = Cluster(store, clock, clients=line.client)
    line.writers.who                               the account whose write is being made
    line.troubles.append(Trouble("timeout after", share=0.1))
    line.hold(); line.let_go()                     watches stand still, and go on

A trouble strikes a share of a component's writes: the server answers with an error and nothing was done, or it was
done and the answer is lost, or it takes long.  Watches that stand still while the history is compacted find that what
they missed is gone (410), and the mirror lists again; `line.repeats` makes every batch of changes arrive twice.
People's own clients (everyone who is not a component) have a good line.
"""
from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..api.errors import ApiError, Internal, Timeout, conflict
from ..api.kinds.catalogue import Kinds
from ..api.objects import Key, Obj, name_of, namespace_of, revision_of
from ..client.client import Client, How, Listing, Propagation
from ..client.local import LocalClient
from ..clock import Clock
from ..server.registry import Registry
from ..store.history import Change
from .writers import Writers

T = TypeVar("T")
CONFLICT, ERROR, BEFORE, AFTER, SLOW = "conflict", "error", "timeout before", "timeout after", "slow"
ALL_FLOW_S = 1.0  # after they stood still, until the watches of all resources have caught up
HOWS = (CONFLICT, ERROR, BEFORE, AFTER, SLOW)
ACCOUNTS = "system:serviceaccount:kube-system:"
NODES, MIRROR = "system:node", "system:muster"


@dataclass(frozen=True)
class Trouble:
    how: str
    share: float = 1.0  # of the writes
    longest_s: float = 1.0  # that a slow write, or one that times out, takes


class Line:
    def __init__(self, clock: Clock):
        self.writers = Writers(clock.now)
        self.troubles: list[Trouble] = []
        self.repeats = False
        self.acknowledged: Callable[[Key, int], object] = lambda key, revision: None  # told of every answered write
        self._chance = clock.fork("line")
        self._now = clock.now
        self._flows = asyncio.Event()
        self._flows.set()
        self._held_since: float | None = None
        self._was_held_since = self._let_go_at = self._mended_at = -math.inf

    def client(self, registry: Registry, user: str) -> Client:
        return LineClient(LocalClient(registry, user), registry.kinds, user.rpartition(":")[2], self,
                          trusty=not (user.startswith(ACCOUNTS) or user == NODES), watches=user == MIRROR)

    def hold(self) -> None:
        if self._held_since is None:
            self._held_since = self._now()
        self._flows.clear()

    def let_go(self) -> None:
        if self._held_since is not None:
            self._was_held_since, self._let_go_at = self._held_since, self._now()
        self._held_since = None
        self._flows.set()

    def mend(self, trouble: Trouble) -> None:
        if trouble in self.troubles:
            self.troubles.remove(trouble)
            self._mended_at = self._now()

    def repeat_no_more(self) -> None:
        self.repeats = False

    def mend_all(self) -> None:
        for trouble in list(self.troubles):
            self.mend(trouble)
        self.repeats = False
        self.let_go()

    @property
    def is_held(self) -> bool:
        return self._held_since is not None

    def seen_until(self) -> float:
        """Whatever happened before this moment, who writes now had heard of when it decided to."""
        return min(self.writers.began(), self.missed_from())

    def missed_from(self) -> float:
        """From this moment on, who writes now may not have heard of anything when it decided to; inf: it had of all."""
        decided = self.writers.began()
        if self._held_since is not None and self._held_since <= decided:
            return self._held_since
        # One resource after the other catches up.
        return self._was_held_since if decided < self._let_go_at + ALL_FLOW_S else math.inf

    def good_since(self) -> float:
        """Since when every write was carried out at once and every change was heard of; now if it is not so."""
        if self.troubles or self.is_held:
            return self._now()
        return max(self._mended_at, self._let_go_at)

    async def flows(self) -> None:
        while not self._flows.is_set():
            await self._flows.wait()

    def strikes(self) -> Trouble | None:
        for trouble in self.troubles:
            if self._chance.random() < trouble.share:
                return trouble
        return None

    async def some_time(self, trouble: Trouble) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, trouble.longest_s))


class LineClient:
    """A client at its end of the line."""

    def __init__(self, inner: Client, kinds: Kinds, name: str, line: Line, *, trusty: bool, watches: bool):
        self._inner, self._kinds, self._name, self._line = inner, kinds, name, line
        self._trusty, self._watches = trusty, watches

    async def get(self, key: Key) -> Obj:
        return await self._inner.get(key)

    async def list(self, resource: str, namespace: str = "", *, labels: str = "", fields: str = "") -> Listing:
        if self._watches:
            await self._line.flows()
        return await self._inner.list(resource, namespace, labels=labels, fields=fields)

    async def follow(self, resource: str, after: int) -> AsyncIterator[Sequence[Change]]:
        line = self._line
        async for changes in self._inner.follow(resource, after):
            if self._watches and line.is_held:
                await line.flows()
            yield changes
            if self._watches and line.repeats:
                yield changes

    async def create(self, obj: Obj, *, subresource: str = "") -> Obj:
        return await self._write(lambda: self._inner.create(obj, subresource=subresource))

    async def replace(self, obj: Obj, *, subresource: str = "") -> Obj:
        return await self._write(lambda: self._inner.replace(obj, subresource=subresource), obj["metadata"]["name"])

    async def patch(self, key: Key, patch: Any, *, how: How = "merge", subresource: str = "") -> Obj:
        return await self._write(lambda: self._inner.patch(key, patch, how=how, subresource=subresource), key.name)

    async def set_status(self, key: Key, uid: str, status: Obj) -> Obj:
        return await self._write(lambda: self._inner.set_status(key, uid, status), key.name)

    async def delete(self, key: Key, *, uid: str | None = None, revision: int = 0, grace_period_s: int | None = None,
                     propagation: Propagation | None = None) -> int:
        return await self._write(lambda: self._inner.delete(
            key, uid=uid, revision=revision, grace_period_s=grace_period_s, propagation=propagation))

    async def _write(self, write: Callable[[], Awaitable[T]], may_conflict: str = "") -> T:
        """`may_conflict` names the object whose writers may come into each other's way."""
        with self._line.writers.writing(self._name):
            return await self._written(write, may_conflict)

    async def _written(self, write: Callable[[], Awaitable[T]], may_conflict: str) -> T:
        line = self._line
        trouble = None if self._trusty or not line.troubles else line.strikes()
        if trouble is not None:
            error = _error(trouble, may_conflict)
            if trouble.how in (BEFORE, SLOW):
                await line.some_time(trouble)
            if error is not None and trouble.how != AFTER:
                raise error
        done = await write()
        if trouble is not None and trouble.how == AFTER:
            await line.some_time(trouble)
            raise Timeout("Timeout: request did not complete within the allotted timeout")
        if isinstance(done, dict) and (kind := self._kinds.named(done["apiVersion"], done["kind"])) is not None:
            line.acknowledged(Key(kind.stored_resource, namespace_of(done), name_of(done)), revision_of(done))
        return done


def _error(trouble: Trouble, may_conflict: str) -> ApiError | None:
    match trouble.how:
        case "conflict" if may_conflict:
            return conflict("objects", may_conflict)
        case "conflict" | "error":
            return Internal("etcdserver: leader changed")
        case "timeout before":
            return Timeout("Timeout: request did not complete within the allotted timeout")
    return None
