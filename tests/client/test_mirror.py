"""The local copy: true after any history, its indexes too, and the difference is told when it has to list again."""
from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict

import pytest

from muster.api.errors import Gone, Unavailable
from muster.api.objects import Key, Obj, uid_of, with_
from muster.client.client import Listing
from muster.client.mirror import Mirror
from muster.clock import run_virtual
from muster.store.history import Change
from muster.store.memory import MemoryStore
from muster.store.store import ANY

RESOURCES = ("pods", "configmaps", "nodes")
KINDS = {"pods": "Pod", "configmaps": "ConfigMap", "nodes": "Node"}


class StoreClient:
    """What a mirror needs of a client, straight from a store.  `breaks` is raised by the next follow, once."""

    def __init__(self, store: MemoryStore):
        self._store = store
        self.breaks: dict[str, Exception] = {}
        self.refuses: list[Exception] = []
        self.lists = 0

    async def list(self, resource: str) -> Listing:
        self.lists += 1
        if self.refuses:
            raise self.refuses.pop(0)
        snapshots, revision = self._store.list(resource)
        return Listing([one.value for one in snapshots], revision)

    async def follow(self, resource: str, after: int):
        async for changes in self._store.follow(resource, after):
            if resource in self.breaks:
                raise self.breaks.pop(resource)
            yield changes


def an_object(resource: str, namespace: str, name: str, uid: str, owners=(), node: str = "") -> Obj:
    obj: Obj = {"apiVersion": "v1", "kind": KINDS[resource], "metadata": {
        "name": name, "uid": uid, **({"namespace": namespace} if namespace else {}),
        **({"ownerReferences": [{"uid": one} for one in owners]} if owners else {})}, "spec": {}}
    return with_(obj, "spec.nodeName", node) if node else obj


@contextlib.asynccontextmanager
async def mirrored(store: MemoryStore):
    client = StoreClient(store)
    mirror = Mirror(client, RESOURCES)
    heard: list[Change] = []
    mirror.on_change(heard.append)
    async with asyncio.TaskGroup() as group:
        work = group.create_task(mirror.run())
        await mirror.synced()
        yield mirror, client, heard
        work.cancel()


class Historian:
    """Writes a random history: creations, changes of node and owners, deletions, namesakes."""

    def __init__(self, store: MemoryStore, seed: int):
        self.store, self.rng, self.made = store, random.Random(seed), 0

    async def step(self) -> None:
        rng = self.rng
        resource = rng.choice(RESOURCES)
        namespace = "" if resource == "nodes" else rng.choice(("a", "b"))
        key = Key(resource, namespace, rng.choice("wxyz"))
        there = self.store.get(key)
        if there is not None and rng.random() < .4:
            await self.store.commit(key, None, expect=ANY)
            return
        self.made += there is None
        uid = uid_of(there.value) if there is not None else f"uid-{self.made}"
        owners = rng.sample([f"uid-{number}" for number in range(1, 6)], rng.choice((0, 0, 1, 2)))
        node = rng.choice(("", "n1", "n2")) if resource == "pods" else ""
        await self.store.commit(key, an_object(resource, namespace, key.name, uid, owners, node), expect=ANY)


def scanned(store: MemoryStore) -> dict[str, dict]:
    """Every index, the slow way."""
    objects = {resource: {place: one.value for place, one in store.history.lane(resource).objects.items()}
               for resource in RESOURCES}
    dependents, on_node, spaces = defaultdict(dict), defaultdict(dict), defaultdict(dict)
    for resource, places in objects.items():
        for (namespace, name), obj in places.items():
            key = Key(resource, namespace, name)
            spaces[resource, namespace][name] = obj
            for owner in obj["metadata"].get("ownerReferences", ()):
                dependents[owner["uid"]][key] = obj
            if resource == "pods":
                on_node[obj["spec"].get("nodeName", "")][key] = obj
    return {"objects": objects, "dependents": dependents, "on_node": on_node, "spaces": spaces}


def is_true(mirror: Mirror, store: MemoryStore) -> None:
    truth = scanned(store)
    for resource in RESOURCES:
        assert mirror.objects(resource) == truth["objects"][resource]
        for namespace in ("", "a", "b"):
            assert mirror.in_namespace(resource, namespace) == truth["spaces"][resource, namespace]
        for (namespace, name), obj in truth["objects"][resource].items():
            assert mirror.get(Key(resource, namespace, name)) is obj, "the stored object itself"
    for number in range(200):
        uid = f"uid-{number}"
        assert mirror.dependents(uid) == truth["dependents"][uid]
    for node in ("", "n1", "n2"):
        assert mirror.on_node(node) == truth["on_node"][node]


@pytest.mark.parametrize("seed", range(20))
def test_it_is_true_after_any_history_and_keeps_nothing_that_is_gone(seed):
    async def main(clock):
        store = MemoryStore()
        historian = Historian(store, seed)
        for _ in range(historian.rng.choice((0, 20))):
            await historian.step()
        async with mirrored(store) as (mirror, client, heard):
            for _ in range(120):
                await historian.step()
                if historian.rng.random() < .3:
                    await asyncio.sleep(0.01)
                    is_true(mirror, store)
            for resource in RESOURCES:
                for place in list(store.history.lane(resource).objects):
                    await store.commit(Key(resource, *place), None, expect=ANY)
            await asyncio.sleep(.01)
            is_true(mirror, store)
            assert not mirror._dependents and not mirror._on_node and not mirror._spaces, "no empty entries stay"
    run_virtual(main)


@pytest.mark.parametrize("seed", range(30))
def test_what_it_tells_adds_up_to_what_is_there_also_when_it_lists_again(seed):
    """Who hears every change and adds them up has the same objects, though some revisions were never seen."""
    async def main(clock):
        store = MemoryStore()
        historian = Historian(store, seed)
        copy: dict[Key, Obj] = {}

        def hear(change: Change) -> None:
            assert change.previous == copy.get(change.key), "each change begins where the last one ended"
            if change.value is None:
                del copy[change.key]
            else:
                copy[change.key] = change.value

        async with mirrored(store) as (mirror, client, heard):
            mirror.on_change(hear)
            for _ in range(40):
                for _ in range(historian.rng.randint(1, 6)):
                    await historian.step()
                if historian.rng.random() < .3:
                    client.breaks[historian.rng.choice(RESOURCES)] = Gone("too old")
                await asyncio.sleep(.01)
                is_true(mirror, store)
            assert client.lists > 5, "it listed again"
        assert copy == {Key(resource, *place): obj for resource, places in scanned(store)["objects"].items()
                        for place, obj in places.items()}
    run_virtual(main)


def test_after_gone_a_list_is_told_as_its_difference():
    async def main(clock):
        store = MemoryStore()

        async def put(name, uid, **more):
            key = Key("pods", "a", name)
            await store.commit(key, an_object("pods", "a", name, uid, **more), expect=ANY)

        for name in ("stays", "changes", "goes", "namesake"):
            await put(name, f"{name}-1")
        async with mirrored(store) as (mirror, client, heard):
            heard.clear()
            client.breaks["pods"] = Gone("too old")
            await put("changes", "changes-1", node="n1")
            await store.commit(Key("pods", "a", "goes"), None, expect=ANY)
            await store.commit(Key("pods", "a", "namesake"), None, expect=ANY)
            await put("namesake", "namesake-2")
            await put("comes", "comes-1")
            await asyncio.sleep(.01)
            told = [(change.key.name, change.previous and uid_of(change.previous), change.value and uid_of(change.value))
                    for change in heard]
            assert told == [("goes", "goes-1", None), ("namesake", "namesake-1", None),
                            ("changes", "changes-1", "changes-1"), ("comes", None, "comes-1"),
                            ("namesake", None, "namesake-2")]
            is_true(mirror, store)
    run_virtual(main)


def test_a_server_that_is_away_is_asked_again():
    async def main(clock):
        store = MemoryStore()
        async with mirrored(store) as (mirror, client, heard):
            client.breaks["pods"] = Unavailable("away")
            client.refuses += [Unavailable("away")] * 3
            await store.commit(Key("pods", "a", "x"), an_object("pods", "a", "x", "uid-1"), expect=ANY)
            await asyncio.sleep(3.5)
            assert not mirror.objects("pods")
            await asyncio.sleep(1)
            is_true(mirror, store)
            assert client.lists == len(RESOURCES) + 4, "once a second"
    run_virtual(main)


def test_it_is_synced_once_everything_was_listed():
    async def main(clock):
        client = StoreClient(MemoryStore())
        client.refuses.append(Unavailable("away"))
        mirror = Mirror(client, RESOURCES)
        work = asyncio.create_task(mirror.run())
        await asyncio.sleep(.5)
        assert not mirror.is_synced
        await mirror.synced()
        assert mirror.is_synced and asyncio.get_running_loop().time() == pytest.approx(1.0)
        work.cancel()
    run_virtual(main)


def test_nothing_is_told_before_everything_was_listed():
    """Who is told of a pod finds its node, though that was listed a second later."""
    async def main(clock):
        store = MemoryStore()
        pod, node = Key("pods", "a", "p"), Key("nodes", "", "n1")
        await store.commit(pod, an_object("pods", "a", "p", "uid-1"), expect=0)
        await store.commit(node, an_object("nodes", "", "n1", "uid-2"), expect=0)
        client = StoreClient(store)
        mirror = Mirror(client, ("nodes", "pods"))
        client.refuses.append(Unavailable("away"))  # the nodes are asked for first
        told = []
        mirror.on_change(lambda change: told.append((change.revision, change.key, mirror.get(node) is not None)))
        work = asyncio.create_task(mirror.run())
        await asyncio.sleep(.5)
        assert mirror.get(pod) is not None and not told
        await store.commit(pod, an_object("pods", "a", "p", "uid-1", node="n1"), expect=1)
        await mirror.synced()
        assert told == [(1, pod, True), (3, pod, True), (2, node, True)], "each once, with what came meanwhile"
        work.cancel()
    run_virtual(main)


def test_caught_up_waits_for_the_revision_of_each_resource_and_for_no_other():
    async def main(clock):
        store = MemoryStore()
        async with mirrored(store) as (mirror, client, heard):
            waiting = asyncio.create_task(mirror.caught_up({"pods": 2, "secrets": 99}))
            await store.commit(Key("nodes", "", "n"), an_object("nodes", "", "n", "uid-1"), expect=0)
            await asyncio.sleep(1)
            assert not waiting.done(), "the nodes are at 1, the pods still at 0"
            await store.commit(Key("pods", "a", "x"), an_object("pods", "a", "x", "uid-2"), expect=0)
            await asyncio.wait_for(waiting, 1)  # and what is not mirrored is not waited for
            assert mirror.get(Key("pods", "a", "x")) is not None
            await asyncio.wait_for(mirror.caught_up({"pods": 1}), 1)
    run_virtual(main)
