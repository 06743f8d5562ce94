"""Watchers that are told without being woken see what those who pull see: all of it, once, in order."""
from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from small_cluster import Cluster, config, in_cluster

from muster.server import channels
from muster.server.requests import Ear, WatchQuery
from muster.server.streams import pieces, whole_lines


class Listening:
    """A watcher with an ear; `has_room` says whether its connection takes a piece now."""

    def __init__(self, cluster: Cluster, has_room=lambda: True, render=whole_lines, **query):
        self.sent, self.told = b"", 0
        self._has_room = has_room
        batches = cluster.registry.watch(cluster.kind("configmaps"), "", WatchQuery(**query), Ear(render, self._say))
        self._pieces = pieces(batches, render)
        self.task = asyncio.create_task(self._pull())

    def _say(self, piece: bytes) -> bool:
        if not self._has_room():
            return False
        self.told += 1
        self.sent += piece
        return True

    async def _pull(self) -> None:
        async for piece in self._pieces:
            self.sent += piece


async def turns(count: int = 200) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("query", [
    pytest.param({}, id="all"),
    pytest.param({"labels": "colour=red"}, id="by a label"),
    pytest.param({"fields": "metadata.name=map-1"}, id="one object"),
])
def test_whoever_listens_sees_what_whoever_pulls_sees(seed: int, query: dict[str, str]):
    async def check(cluster: Cluster) -> None:
        chance = random.Random(seed)
        names = [f"map-{number}" for number in range(4)]
        for name in names:
            await cluster.create(config(name))
        pulling = Listening(cluster, has_room=lambda: False, **query)
        listening = [Listening(cluster, has_room=lambda: chance.random() < 0.7, **query)
                     for _ in range(channels.TOLD_AT_ONCE + 5)]
        for turn in range(60):
            await cluster.patch("configmaps", chance.choice(names), {
                "data": {"turn": str(turn)}, "metadata": {"labels": {"colour": chance.choice(("red", "blue"))}}})
            await turns(chance.randrange(6))  # within a round, or after it
        await turns()
        assert pulling.sent.count(b"\n") > 5 and not pulling.told
        assert all(one.told for one in listening)
        assert {one.sent for one in listening} == {pulling.sent}
        for one in (pulling, *listening):
            one.task.cancel()
    in_cluster(check)


def test_changes_that_come_during_a_round_go_out_together_and_are_put_together_once():
    watchers, changes = 10 * channels.TOLD_AT_ONCE, 40
    rendered = Counter()

    def render(events):
        rendered[len(events)] += 1
        return whole_lines(events)

    async def check(cluster: Cluster) -> None:
        listening = [Listening(cluster, render=render) for _ in range(watchers)]
        await turns()
        await cluster.create(config("one"))
        await turns()
        assert rendered == {1: 1}, "one change, told to all, is one line put together once"
        rendered.clear()
        for number in range(changes):
            await cluster.create(config(f"many-{number}"))
        await turns()
        assert all(one.sent.count(b"\n") == 1 + changes for one in listening)
        assert rendered.total() <= 20 and max(one.told for one in listening) <= 4, (rendered, listening[0].told)
        for one in listening:
            one.task.cancel()
    in_cluster(check)


def test_a_watcher_far_behind_is_not_told_but_pulls(monkeypatch):
    monkeypatch.setattr(channels, "LARGEST_BATCH", 3)

    async def check(cluster: Cluster) -> None:
        one = Listening(cluster)
        await turns()
        for number in range(20):
            await cluster.create(config(f"map-{number:02}"))
        await turns()
        assert one.sent.count(b"\n") == 20 and one.told == 1
        one.task.cancel()
    in_cluster(check)


def test_who_left_is_told_no_more():
    async def check(cluster: Cluster) -> None:
        staying, leaving = Listening(cluster), Listening(cluster)
        await turns()
        leaving.task.cancel()
        await turns()
        await cluster.create(config("one"))
        await turns()
        assert (staying.told, leaving.told) == (1, 0)
        staying.task.cancel()
    in_cluster(check)


def test_a_line_that_can_not_be_made_ends_the_watch_and_harms_no_other():
    def broken(events):
        raise ZeroDivisionError

    async def check(cluster: Cluster) -> None:
        first, bad, last = Listening(cluster), Listening(cluster, render=broken), Listening(cluster)
        await turns()
        await cluster.create(config("one"))
        await turns()
        assert (first.told, last.told) == (1, 1)
        assert isinstance(bad.task.exception(), ZeroDivisionError)
        for one in (first, last):
            one.task.cancel()
    in_cluster(check)
