"""The claims of a StatefulSet whose pods take them along."""
from __future__ import annotations

import asyncio

from small_world import World, a_node, found, told

from muster.api.objects import Key, Obj, is_true, name_of, uid_of

QUICK = {"pull": "1s..1s", "start": "1s..1s", "ready": "1s..1s", "stop": "1s..1s"}
DB = Key("statefulsets.apps", "default", "db")


def a_set(**policy: str) -> Obj:
    labels = {"app": "db"}
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                                                    "resources": {"requests": {"storage": "1Gi"}}}}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "default"}, "spec": {
        "replicas": 2, "serviceName": "db", "selector": {"matchLabels": labels}, "volumeClaimTemplates": [claim],
        "persistentVolumeClaimRetentionPolicy": policy, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "db:1"}]}}}}


def claims(world: World) -> dict[str, str]:
    return {name_of(one): uid_of(one) for one in found(world, "persistentvolumeclaims")}


def test_fewer_and_at_once_more_again():
    """The pod that comes back does not find the data of the one that took it along."""
    async def story(world: World) -> None:
        await world.admin.create(a_node("n1", **QUICK))
        await world.admin.create(a_set(whenScaled="Delete"))
        await asyncio.sleep(30)
        before = claims(world)
        await world.admin.patch(DB, {"spec": {"replicas": 1}})
        await asyncio.sleep(.5)
        await world.admin.patch(DB, {"spec": {"replicas": 2}})
        await asyncio.sleep(60)
        after = claims(world)
        assert sorted(after) == ["data-db-0", "data-db-1"]
        assert after["data-db-0"] == before["data-db-0"] and after["data-db-1"] != before["data-db-1"]
        assert all(is_true(pod, "Ready") for pod in found(world, "pods")) and len(found(world, "pods")) == 2
    told(story)


def test_all_go_with_the_set_although_it_waits_for_them():
    async def story(world: World) -> None:
        await world.admin.create(a_node("n1", **QUICK))
        await world.admin.create(a_set(whenDeleted="Delete"))
        await asyncio.sleep(30)
        assert len(claims(world)) == 2
        await world.admin.delete(DB, propagation="Foreground")
        await asyncio.sleep(60)
        assert not found(world, "statefulsets.apps") and not found(world, "pods") and not claims(world)
    told(story)
