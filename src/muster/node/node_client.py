"""A node's view of the cluster: its own pods, what these name, and what is everybody's.

A node may not list Secrets and ConfigMaps, and has no use for those of others.  So what its pods name is got one by
one, before the pod is told of: whoever hears of a pod finds what it needs beside it.  From then on it is looked at
again every half minute, and every two seconds while it is missing; so a change is seen within that time, as upstream's
kubelets see it within a minute or so.

To a Mirror this is a Client like any other.
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from ..api.errors import ApiError, NotFound
from ..api.objects import Key, Obj, name_of, namespace_of, revision_of
from ..api.pod_references import CLAIMS, CONFIG_MAPS, SECRETS, references
from ..client.client import How, Listing, Propagation
from ..client.remote import RemoteClient
from ..store.history import Change, Snapshot

log = logging.getLogger(__name__)

NAMED = (CONFIG_MAPS, SECRETS, CLAIMS)
PODS = "pods"
REFRESH_S, MISSING_S = 30.0, 2.0
Changes = Sequence[Change]
Keys = list[Key]  # a name that stays what it is where `list` is a method


class _Lane:
    """What is known of one resource, numbered anew: got one by one, there is no common revision."""

    def __init__(self) -> None:
        self.there: dict[Key, Snapshot | None] = {}  # None: looked for in vain
        self.changes: list[Change] = []  # that were not taken yet
        self.revision, self.taken = 1, 1
        self.is_followed = False
        self.news = asyncio.Event()

    def put(self, key: Key, obj: Obj | None) -> None:
        before = self.there.get(key)
        now = Snapshot(obj, revision_of(obj)) if obj is not None else None
        self.there[key] = now
        if (before and before.revision) != (now and now.revision):
            self._tell(key, now, before)

    def drop(self, key: Key) -> None:
        before = self.there.pop(key, None)
        if before is not None:
            self._tell(key, None, before)

    def _tell(self, key: Key, now: Snapshot | None, before: Snapshot | None) -> None:
        self.revision += 1
        self.changes.append(Change(self.revision, key, now, before))
        self.stir()

    def stir(self) -> None:
        self.news.set()
        self.news = asyncio.Event()


class NodeClient:
    def __init__(self, remote: RemoteClient, node: str):
        self._remote = remote
        self._fields = f"spec.nodeName={node}"
        self._pods: dict[Key, frozenset[Key]] = {}
        self._lanes = {resource: _Lane() for resource in NAMED}
        self._listed = asyncio.Event()

    async def run(self) -> None:
        """Keeps what the pods name up to date."""
        rounds = 0
        while True:
            await asyncio.sleep(MISSING_S)
            rounds += 1
            every = not rounds % int(REFRESH_S / MISSING_S)
            await self._get_all([key for lane in self._lanes.values() for key, there in list(lane.there.items())
                                 if every or there is None])

    # ---- what a Mirror asks

    async def list(self, resource: str, namespace: str = "", *, labels: str = "", fields: str = "") -> Listing:
        if resource in self._lanes:
            await self._listed.wait()
            lane = self._lanes[resource]
            lane.changes.clear()
            lane.taken, lane.is_followed = lane.revision, True
            return Listing([one.value for one in lane.there.values() if one is not None], lane.revision)
        if resource != PODS:
            return await self._remote.list(resource, namespace, labels=labels, fields=fields)
        listing = await self._remote.list(PODS, fields=self._fields)
        self._pods = {Key(PODS, namespace_of(pod), name_of(pod)): _needed(pod) for pod in listing.items}
        await self._get_all(self._missing())
        self._forget()
        self._listed.set()
        await self._taken()
        return listing

    def follow(self, resource: str, after: int) -> AsyncIterator[Changes]:
        if resource in self._lanes:
            return self._follow_named(self._lanes[resource])
        if resource == PODS:
            return self._follow_pods(after)
        return self._remote.follow(resource, after)

    async def _follow_pods(self, after: int) -> AsyncIterator[Changes]:
        async for changes in self._remote.follow(PODS, after, fields=self._fields):
            for change in changes:
                if change.value is not None:
                    self._pods[change.key] = _needed(change.value)
                else:
                    self._pods.pop(change.key, None)
            await self._get_all(self._missing())
            await self._taken()
            yield changes
            self._forget()

    async def _follow_named(self, lane: _Lane) -> AsyncIterator[Changes]:
        try:
            while True:
                while not lane.changes:
                    await lane.news.wait()
                changes, lane.changes = lane.changes, []
                yield changes
                lane.taken = changes[-1].revision  # who asks for more has taken in what there was
                lane.stir()
        finally:
            lane.is_followed = False

    def _missing(self) -> Keys:
        """What the pods name and was not looked for."""
        return sorted(key for key in self._wanted() if key not in self._lanes[key.resource].there)

    def _forget(self) -> None:
        wanted = self._wanted()
        for lane in self._lanes.values():
            for key in [key for key in lane.there if key not in wanted]:
                lane.drop(key)

    def _wanted(self) -> frozenset[Key]:
        return frozenset().union(*self._pods.values())

    async def _taken(self) -> None:
        for lane in self._lanes.values():
            while lane.is_followed and lane.taken < lane.revision:
                await lane.news.wait()

    async def _get_all(self, keys: Iterable[Key]) -> None:
        await asyncio.gather(*map(self._get_one, keys))

    async def _get_one(self, key: Key) -> None:
        lane = self._lanes[key.resource]
        try:
            found: Obj | None = await self._remote.get(key)
        except NotFound:
            found = None
        except ApiError as error:  # what is known stays; what is not is looked for again soon
            log.info("%s: %s", key, error)
            lane.there.setdefault(key, None)
            return
        if any(key in named for named in self._pods.values()):  # and not let go meanwhile
            lane.put(key, found)

    # ---- the rest is the server's

    async def get(self, key: Key) -> Obj:
        return await self._remote.get(key)

    async def create(self, obj: Obj, *, subresource: str = "") -> Obj:
        return await self._remote.create(obj, subresource=subresource)

    async def replace(self, obj: Obj, *, subresource: str = "") -> Obj:
        return await self._remote.replace(obj, subresource=subresource)

    async def patch(self, key: Key, patch: Any, *, how: How = "merge", subresource: str = "") -> Obj:
        return await self._remote.patch(key, patch, how=how, subresource=subresource)

    async def set_status(self, key: Key, uid: str, status: Obj) -> Obj:
        return await self._remote.set_status(key, uid, status)

    async def delete(self, key: Key, *, uid: str | None = None, revision: int = 0, grace_period_s: int | None = None,
                     propagation: Propagation | None = None) -> int:
        return await self._remote.delete(key, uid=uid, revision=revision, grace_period_s=grace_period_s,
                                         propagation=propagation)


def _needed(pod: Obj) -> frozenset[Key]:
    return frozenset(key for key in references(pod) if key.resource in NAMED)


