"""What a selector finds through the index is what it finds one by one, after whatever changes."""
from __future__ import annotations

import asyncio
import random

from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Key, labels_of, name_of, namespace_of
from muster.api.schema import Schema
from muster.api.selectors import EVERYTHING, NOTHING, parse_labels
from muster.client.local import LocalClient
from muster.client.mirror import Mirror
from muster.clock import run_virtual
from muster.control.alike import selected
from muster.server.registry import Registry
from muster.store.memory import MemoryStore

SELECTORS = [EVERYTHING, NOTHING, *map(parse_labels, ("app=a", "app in (a,b),tier!=x", "!app", "tier"))]


def test_the_index_says_what_a_search_says():
    async def main(clock):
        client = LocalClient(Registry(MemoryStore(), Kinds(BUILT_IN), Schema.load(), clock, ()), "tester")
        mirror, chance = Mirror(client, ["configmaps"]), random.Random(7)
        async with asyncio.TaskGroup() as group:
            work = group.create_task(mirror.run())
            await mirror.synced()
            for step in range(300):
                await change(client, mirror, chance)
                await asyncio.sleep(0.01)
                for namespace in ("one", "two") if step > 20 else ():  # what was there before the first question counts too
                    there = [obj for obj in mirror.objects("configmaps").values() if namespace_of(obj) == namespace]
                    for selector in SELECTORS:
                        found = selected(mirror, "configmaps", namespace, selector)
                        assert sorted(map(name_of, found)) == sorted(
                            name_of(obj) for obj in there if selector.matches(labels_of(obj)))
                        assert all(mirror.get(Key("configmaps", namespace, name_of(obj))) is obj for obj in found)
            work.cancel()
    run_virtual(main)


async def change(client, mirror, chance):
    key = Key("configmaps", chance.choice(["one", "two"]), f"m{chance.randrange(8)}")
    labels = {name: chance.choice("abx") for name in ("app", "tier") if chance.random() < 0.6}
    there = mirror.get(key)
    if there is None:
        await client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": key.name, "namespace": key.namespace, "labels": labels}})
    elif chance.random() < 0.3:
        await client.delete(key)
    elif chance.random() < 0.5:
        await client.patch(key, {"data": {"n": str(chance.random())}})
    else:
        await client.replace({**there, "metadata": {**there["metadata"], "labels": labels}})
