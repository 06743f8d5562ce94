"""Watches: what a watcher sees of each change, from when, and for how long."""
from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
from small_cluster import OPTIONS, Cluster, config, in_cluster, namespace, pod

from muster.api.errors import Gone, Invalid
from muster.api.objects import Obj, with_
from muster.server.requests import ListQuery, WatchEvent, WatchQuery


def shown(events: Sequence[WatchEvent]) -> list[str]:
    return [f"{event.type} {event.snapshot.value['metadata'].get('name', event.snapshot.revision)}" for event in events]


class Watcher:
    def __init__(self, cluster: Cluster, resource: str, space: str = "", **query: object):
        self._events: list[WatchEvent] = []
        self._watch: AsyncIterator[Sequence[WatchEvent]] = cluster.registry.watch(
            cluster.kind(resource), space, WatchQuery(**query))
        self.task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for batch in self._watch:
            self._events += batch

    async def seen(self) -> list[str]:
        """What came since it was asked last."""
        return shown(await self.events())

    async def events(self) -> list[WatchEvent]:
        await asyncio.sleep(0.001)
        events, self._events = self._events, []
        return events


def test_it_starts_with_what_is_there():
    async def check(cluster: Cluster) -> None:
        await cluster.create(config("a"))
        await cluster.create(config("b"))
        for version in ("", "0"):
            watcher = Watcher(cluster, "configmaps", resource_version=version)
            assert await watcher.seen() == ["ADDED a", "ADDED b"]
            watcher.task.cancel()
        watcher = Watcher(cluster, "configmaps")
        await watcher.seen()
        await cluster.patch("configmaps", "a", {"data": {"a": "2"}})
        await cluster.delete("configmaps", "a")
        events = await watcher.events()
        assert shown(events) == ["MODIFIED a", "DELETED a"]
        assert events[1].snapshot.value["data"] == {"a": "2"}
        assert events[1].snapshot.value["metadata"]["resourceVersion"] == str(cluster.store.history.revision)
    in_cluster(check)


def test_from_a_revision_only_what_came_after():
    async def check(cluster: Cluster) -> None:
        await cluster.create(config("a"))
        made = await cluster.create(config("b"))
        await cluster.create(config("c"))
        watcher = Watcher(cluster, "configmaps", resource_version=made["metadata"]["resourceVersion"])
        assert await watcher.seen() == ["ADDED c"]
        await cluster.create(config("d"))
        assert await watcher.seen() == ["ADDED d"]
    in_cluster(check)


@pytest.mark.parametrize(("query", "space"), [
    pytest.param({"labels": "colour=red"}, "", id="labels"),
    pytest.param({"labels": "colour=red", "fields": "metadata.name=a"}, "", id="labels and a name"),
    pytest.param({"labels": "colour=red", "fields": "metadata.name=a"}, "default", id="in a namespace"),
])
def test_an_object_comes_into_a_selector_and_leaves_it(query: dict[str, str], space: str):
    async def check(cluster: Cluster) -> None:
        watcher = Watcher(cluster, "configmaps", space, **query)
        await cluster.create(config("a"))
        assert await watcher.seen() == []
        for body, expected in (({"labels": {"colour": "red"}}, "ADDED a"), ({"labels": {"x": "y"}}, "MODIFIED a"),
                               ({"labels": {"colour": "blue"}}, "DELETED a")):
            await cluster.patch("configmaps", "a", {"metadata": body})
            events = await watcher.events()
            assert shown(events) == [expected]
        left = events[0].snapshot
        assert left.value["metadata"]["labels"] == {"colour": "red", "x": "y"}  # as it last matched ...
        assert left.revision == cluster.store.history.revision  # ... when it no longer did
        await cluster.delete("configmaps", "a")
        assert await watcher.seen() == []
    in_cluster(check)


def test_only_the_namespace_and_the_name_that_were_meant():
    async def check(cluster: Cluster) -> None:
        await cluster.create(namespace("other"))
        here = Watcher(cluster, "configmaps", "default")
        named = Watcher(cluster, "configmaps", "default", fields="metadata.name=a")
        await here.seen()
        for place in ("default/a", "other/a", "default/b"):
            space, name = place.split("/")
            await cluster.create(config(name, space))
        assert await here.seen() == ["ADDED a", "ADDED b"]
        assert await named.seen() == ["ADDED a"]
    in_cluster(check)


def test_a_node_sees_its_pods_come_and_go():
    async def check(cluster: Cluster) -> None:
        one, two = (Watcher(cluster, "pods", fields=f"spec.nodeName={node}") for node in ("n1", "n2"))
        await cluster.create(pod("a", node="n1"))
        await cluster.create(pod("b"))
        assert (await one.seen(), await two.seen()) == (["ADDED a"], [])
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "b"}, "target": {"name": "n2"}}
        await cluster.registry.create(cluster.kind("pods"), "default", body, OPTIONS, "binding", "b")
        assert (await one.seen(), await two.seen()) == ([], ["ADDED b"])
        await cluster.delete("pods", "b", grace_period_s=0)
        assert (await one.seen(), await two.seen()) == ([], ["MODIFIED b", "DELETED b"])
        late = Watcher(cluster, "pods", fields="spec.nodeName=n1")
        assert await late.seen() == ["ADDED a"]
    in_cluster(check)


def test_initial_events_end_with_a_bookmark():
    async def check(cluster: Cluster) -> None:
        await cluster.create(config("a"))
        watcher = Watcher(cluster, "configmaps", send_initial_events=True, resource_version_match="NotOlderThan",
                          allow_bookmarks=True)
        added, bookmark = await watcher.events()
        assert shown([added]) == ["ADDED a"] and bookmark.type == "BOOKMARK"
        assert bookmark.snapshot.value["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert bookmark.snapshot.revision == cluster.store.history.revision
        silent = Watcher(cluster, "configmaps", send_initial_events=False, resource_version_match="NotOlderThan")
        assert await silent.seen() == []
        with pytest.raises(Invalid, match="sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"):
            cluster.registry.watch(cluster.kind("configmaps"), "", WatchQuery(send_initial_events=True))
    in_cluster(check)


def test_bookmarks_carry_a_quiet_watcher_along():
    async def check(cluster: Cluster) -> None:
        watcher = Watcher(cluster, "configmaps", allow_bookmarks=True, timeout_s=130.0)
        await watcher.seen()
        for number in range(5):
            await cluster.create(pod(f"p{number}"))
        await asyncio.sleep(61)
        await cluster.store.compact(cluster.store.history.revision)
        assert await watcher.seen() == [f"BOOKMARK {cluster.store.history.revision}"]
        await cluster.create(config("a"))
        assert await watcher.seen() == ["ADDED a"]
        await asyncio.sleep(70)
        last = f"BOOKMARK {cluster.store.history.revision}"
        assert await watcher.seen() == [last, last]  # the second minute, and the end
        assert watcher.task.done()
    in_cluster(check)


def test_without_bookmarks_the_time_is_up_silently():
    async def check(cluster: Cluster) -> None:
        watcher = Watcher(cluster, "configmaps", timeout_s=100.0)
        await asyncio.sleep(101)
        assert await watcher.seen() == [] and watcher.task.done()
    in_cluster(check)


def test_too_old_a_revision_is_gone():
    async def check(cluster: Cluster) -> None:
        for number in range(30):
            await cluster.create(config(f"c{number}"))
        watcher = Watcher(cluster, "configmaps", resource_version="1")
        with pytest.raises(Gone, match="^too old resource version: 1 "):
            await watcher.task
        slow = cluster.registry.watch(cluster.kind("configmaps"), "", WatchQuery())
        await anext(slow)
        for number in range(30):
            await cluster.patch("configmaps", f"c{number}", {"data": {"a": "2"}})
        with pytest.raises(Gone):
            await anext(slow)
    in_cluster(check, keep=10)


def test_events_are_watched_in_the_form_asked_for():
    async def check(cluster: Cluster) -> None:
        event: Obj = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
                      "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"}, "message": "hello"}
        one, two = (Watcher(cluster, "events.events.k8s.io", fields="regarding.name=web") for _ in range(2))
        plain = Watcher(cluster, "events")
        await one.seen()
        await cluster.create(event)
        first, second, stored = await one.events(), await two.events(), await plain.events()
        assert first[0].snapshot.value["note"] == "hello"
        assert first[0].snapshot is second[0].snapshot  # converted, and encoded, once
        assert stored[0].snapshot.value["message"] == "hello"
        await cluster.delete("events", "e")
        assert (await one.events())[0].snapshot.value["note"] == "hello"
    in_cluster(check)


@pytest.mark.parametrize("seed", range(10))
def test_what_a_watcher_saw_adds_up_to_the_list(seed: int):
    """Law: the events, applied in order, are the list; each once, in order of revision."""
    chance = random.Random(seed)

    async def check(cluster: Cluster) -> None:
        queries = [{}, {"labels": "colour=red"}, {"fields": "spec.nodeName=n1"}, {"fields": "metadata.name=p1"},
                   {"fields": "spec.nodeName!=n1", "labels": "colour!=red"}]
        watchers = [Watcher(cluster, "pods", chance.choice(["", "default"]), **query) for query in queries]
        states: list[dict[str, Obj]] = [{} for _ in queries]
        for _ in range(40):
            await one_change(cluster, chance)
            if chance.random() < 0.3:
                for watcher, state in zip(watchers, states, strict=True):
                    apply(state, await watcher.events())
        for watcher, state, query in zip(watchers, states, queries, strict=True):
            apply(state, await watcher.events())
            listed = cluster.registry.list(cluster.kind("pods"), "", ListQuery(**query))
            assert state == {one.value["metadata"]["name"]: one.value for one in listed.items}
    in_cluster(check)


def apply(state: dict[str, Obj], events: Sequence[WatchEvent]) -> None:
    for event in events:
        name = event.snapshot.value["metadata"]["name"]
        assert (name in state) == (event.type != "ADDED"), "added once, changed and deleted only where it was"
        if event.type == "DELETED":
            del state[name]
        else:
            state[name] = event.snapshot.value


async def one_change(cluster: Cluster, chance: random.Random) -> None:
    name = f"p{chance.randrange(5)}"
    there = cluster.get("pods", name)
    if there is None:
        await cluster.create(pod(name, node=chance.choice(["", "n1", "n2"])))
    elif chance.random() < 0.3:
        await cluster.delete("pods", name, grace_period_s=0)
    else:
        await cluster.patch("pods", name, {"metadata": {"labels": {"colour": chance.choice(["red", "blue"])}}})


def test_pods_that_were_there_before_the_registry_are_indexed():
    async def check(cluster: Cluster) -> None:
        from muster.server.registry import Registry
        made = await cluster.create(pod("a", node="n1"))
        again = Registry(cluster.store, cluster.registry.kinds, cluster.registry.schema, cluster.clock)
        listed = again.list(cluster.kind("pods"), "", ListQuery(fields="spec.nodeName=n1"))
        assert [one.value for one in listed.items] == [with_(made, "kind", "Pod")]
    in_cluster(check)
