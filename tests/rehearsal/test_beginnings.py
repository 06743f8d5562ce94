"""Every run begins on the stage as it came to rest: nobody has anything to write there, and hardly anything to look at."""
from __future__ import annotations

import asyncio

from rehearsed import a_daemonset, asked

from muster.api.objects import Key
from muster.node import leases
from muster.rehearsal.stage import prepare
from muster.rehearsal.world import World, at_work, played

NODES = 12


def test_a_stage_at_rest_stays_as_it_is(tmp_path) -> None:
    stage = prepare(asked(tmp_path, [a_daemonset("agent:2")], [a_daemonset()], nodes=NODES))

    async def begun(clock):
        world = World(stage.state.store(), clock, stage.behaviour)
        async with at_work(world):
            await asyncio.sleep(60)
            return world.store.history.revision, +world.plans()

    revision, plans = played(begun, start=stage.state.now, seed="0")
    assert revision == stage.state.revision
    assert plans["garbage-collector"] == 0, "every owner is there"
    assert plans.total() < 2 * NODES


def test_a_lease_of_an_earlier_life_is_taken_over(tmp_path) -> None:
    stage = prepare(asked(tmp_path, [a_daemonset()], nodes=1))

    async def begun(clock):
        store = stage.state.store()
        ((place, node),) = store.history.lane("nodes").objects.items()
        again = {**node.value, "metadata": {**node.value["metadata"], "uid": "another"}}
        await store.commit(Key("nodes", *place), again, expect=node.revision)
        async with at_work(World(store, clock, stage.behaviour)):
            return store.get(leases.key(place[1])).value["metadata"]["ownerReferences"][0]["uid"]

    assert played(begun, start=stage.state.now, seed="0") == "another"
