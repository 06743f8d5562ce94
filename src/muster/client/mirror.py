"""A local copy of the cluster, for reading; what others call an informer.

It lists each resource once, follows it from there, and lists again when it fell too far behind.  What is
asked often has an index: the dependents of an owner, the pods of a node, the objects of a namespace.
Objects are shared with everyone else who reads them and are never changed.

Over HTTP there is no order between resources, so `caught_up` waits for each one by itself.
"""
from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping

from ..api.errors import ApiError, Gone
from ..api.objects import Key, Obj, namespace_of, owners_of, revision_of
from ..store.history import Change, Snapshot
from .client import Client, Listing
from .listeners import Changes, Listener, Listeners

log = logging.getLogger(__name__)

RETRY_AFTER_S = 1.0
APPLIED_AT_ONCE = 32  # changes, before others of the event loop get their turn
NONE: Mapping[Key, Obj] = {}
Place = tuple[str, str]  # (namespace, name)


class Mirror:
    def __init__(self, client: Client, resources: Iterable[str]):
        self._client = client
        self._objects: dict[str, dict[Place, Obj]] = {resource: {} for resource in resources}
        self._seen: dict[str, int] = dict.fromkeys(self._objects, 0)
        self._unsynced = dict.fromkeys(self._objects)
        self._untold: list[Change] = []  # until all is there: who is told may look at anything
        self._dependents: dict[str, dict[str, dict[Key, Obj]]] = {}  # uid -> resource -> what belongs to it
        self._on_node: dict[str, dict[Key, Obj]] = {}
        self._spaces: dict[tuple[str, str], dict[str, Obj]] = defaultdict(dict)
        self._listeners = Listeners(self._objects)
        self._awaited: dict[str, list[tuple[int, asyncio.Future[None]]]] = {}  # resource -> revisions waited for
        self._synced = asyncio.Event()

    @classmethod
    def of(cls, client: Client, listings: Mapping[str, Listing]) -> Mirror:
        """A copy of what was listed, which nobody keeps up."""
        mirror = cls(client, listings)
        for resource, listing in listings.items():
            mirror._start_over(resource, listing)
        return mirror

    # What is there

    @property
    def resources(self) -> list[str]:
        return list(self._objects)

    def objects(self, resource: str) -> Mapping[Place, Obj]:
        return self._objects[resource]

    def get(self, key: Key) -> Obj | None:
        return self._objects[key.resource].get((key.namespace, key.name))

    def dependents(self, uid: str) -> Mapping[Key, Obj]:
        """Every object with an ownerReference to `uid`."""
        found = self._dependents.get(uid)
        if not found:
            return NONE
        if len(found) == 1:
            return next(iter(found.values()))
        return {key: obj for of_one in found.values() for key, obj in of_one.items()}

    def dependents_of(self, uid: str, resource: str) -> Mapping[Key, Obj]:
        """Those of one resource: to ask costs nothing, however many there are."""
        return self._dependents.get(uid, {}).get(resource, NONE)

    def on_node(self, name: str) -> Mapping[Key, Obj]:
        """The pods bound to a node ("": those bound to none)."""
        return self._on_node.get(name, NONE)

    def in_namespace(self, resource: str, namespace: str) -> Mapping[str, Obj]:
        return self._spaces.get((resource, namespace), {})

    # How it keeps up

    def on_change(self, listener: Listener, heard: Iterable[str | Changes] | None = None) -> None:
        """Calls `listener` for each change of these resources (None: of all), in the order they were added.

        What is there when the mirror begins is told too, as if it just came, once every resource was listed."""
        for one in self.resources if heard is None else heard:
            self._listeners.add(listener, one)

    def off_change(self, listener: Listener, heard: Iterable[str | Changes] | None = None) -> None:
        for one in self.resources if heard is None else heard:
            self._listeners.remove(listener, one)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for resource in self._objects:
                group.create_task(self._keep_up(resource))

    @property
    def is_synced(self) -> bool:
        return not self._unsynced

    async def synced(self) -> None:
        """Returns once every resource was listed."""
        if self._unsynced:
            await self._synced.wait()

    async def caught_up(self, written: Mapping[str, int]) -> None:
        """Returns once this copy has seen those revisions: read your own writes."""
        for resource, revision in written.items():
            if self._seen.get(resource, revision) < revision:
                seen = asyncio.get_running_loop().create_future()
                self._awaited.setdefault(resource, []).append((revision, seen))
                await seen

    async def _keep_up(self, resource: str) -> None:
        while True:
            try:
                listing = await self._client.list(resource)
                self._start_over(resource, listing)
                async for changes in self._client.follow(resource, listing.revision):
                    for number, change in enumerate(changes, 1):
                        if change.revision > self._seen[resource]:  # one that comes twice is news only once
                            self._apply(change)
                        if number % APPLIED_AT_ONCE == 0:
                            await asyncio.sleep(0)
                    self._saw(resource, changes[-1].revision)
            except Gone:
                log.info("%s: too far behind, listing again", resource)
            except ApiError as error:
                log.warning("%s: %s; trying again", resource, error)
                await asyncio.sleep(RETRY_AFTER_S)

    def _saw(self, resource: str, revision: int) -> None:
        self._seen[resource] = max(revision, self._seen[resource])
        if self._unsynced:
            self._unsynced.pop(resource, None)
            if not self._unsynced:
                self._synced.set()
                for change in self._untold:
                    self._tell(change)
                self._untold.clear()
        if (awaited := self._awaited.pop(resource, None)) is not None:
            self._tell_who_waits(resource, awaited)

    def _tell_who_waits(self, resource: str, awaited: list[tuple[int, asyncio.Future[None]]]) -> None:
        for revision, seen in awaited:
            if revision > self._seen[resource]:
                self._awaited.setdefault(resource, []).append((revision, seen))
            elif not seen.done():  # or it was cancelled
                seen.set_result(None)

    def _start_over(self, resource: str, listing: Listing) -> None:
        """Applies the difference between this copy and a fresh list."""
        there = {(namespace_of(obj), obj["metadata"]["name"]): obj for obj in listing.items}
        for place, old in list(self._objects[resource].items()):
            new = there.get(place)
            if new is None or new["metadata"]["uid"] != old["metadata"]["uid"]:
                gone = Snapshot(old, revision_of(old))
                self._apply(Change(listing.revision, Key(resource, *place), None, gone))
        for place, new in there.items():
            known = self._objects[resource].get(place)
            if known is None or revision_of(known) != revision_of(new):
                self._apply(Change(revision_of(new), Key(resource, *place), Snapshot(new, revision_of(new)),
                                   Snapshot(known, revision_of(known)) if known is not None else None))
        self._saw(resource, listing.revision)

    def _apply(self, change: Change) -> None:
        key, old, new = change.key, change.previous, change.value
        if old is not None:
            self._leave(key, old, new)
        if new is not None:
            self._enter(key, new)
        if self._unsynced:
            self._untold.append(change)
        else:
            self._tell(change)

    def _tell(self, change: Change) -> None:
        for listener in self._listeners.of(change):
            listener(change)

    def _leave(self, key: Key, old: Obj, new: Obj | None) -> None:
        """Takes `old` out of every index that `new` will not put it back into."""
        for reference in owners_of(old):  # also where they stay: who changed last is the last of the dependents
            self._disown(reference["uid"], key)
        if key.resource == "pods":
            node = old["spec"].get("nodeName", "")
            if new is None or new["spec"].get("nodeName", "") != node:
                _discard(self._on_node, node, key)
        if new is None:
            del self._objects[key.resource][key.namespace, key.name]
            space = self._spaces[key.resource, key.namespace]
            del space[key.name]
            if not space:
                del self._spaces[key.resource, key.namespace]

    def _disown(self, uid: str, key: Key) -> None:
        found = self._dependents.get(uid)
        if found is not None:
            _discard(found, key.resource, key)
            if not found:
                del self._dependents[uid]

    def _enter(self, key: Key, new: Obj) -> None:
        self._objects[key.resource][key.namespace, key.name] = new
        self._spaces[key.resource, key.namespace][key.name] = new
        for reference in owners_of(new):
            self._dependents.setdefault(reference["uid"], {}).setdefault(key.resource, {})[key] = new
        if key.resource == "pods":
            self._on_node.setdefault(new["spec"].get("nodeName", ""), {})[key] = new


def _discard(index: dict[str, dict[Key, Obj]], entry: str, key: Key) -> None:
    found = index.get(entry)
    if found is not None:
        found.pop(key, None)
        if not found:
            del index[entry]
