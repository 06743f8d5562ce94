"""Laws of claims and volumes, over random ones of a whole cluster in virtual time.

A second opinion on who suits whom is told here, and not asked of the code that binds:

    a volume is never of two claims that are there, and no claim has two volumes
    what is bound suits, but for what an administrator reserved by name: that may be of any class
    at rest no claim waits while there is a volume for it
"""
from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

import pytest
from small_world import World, told

from muster.api.errors import NotFound
from muster.api.objects import Key, Obj, annotations_of, at, is_deleting, labels_of, name_of, uid_of

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
RESERVED, NAMED = "reserved", "named"  # what was asked for at first


class Shop:
    """Claims and volumes come and go, some under a name that was there before."""

    def __init__(self, world: World, seed: int):
        self.world, self.rng = world, random.Random(seed)

    async def turn(self) -> None:
        act = self.rng.choice([self.claim, self.claim, self.claim, self.volume, self.volume, self.volume, self.give_back,
                               self.take_away, self.free])
        with contextlib.suppress(NotFound):
            await act()
        await asyncio.sleep(self.rng.choice([0, 0, 0.1, 3]))

    async def claim(self) -> None:
        name = f"c{self.rng.randrange(8)}"
        if self.world.mirror.get(Key(CLAIMS, "default", name)) is not None:
            return
        spec: Obj = {"accessModes": self._modes(), "storageClassName": self._class(),
                     "resources": {"requests": {"storage": f"{self.rng.randrange(1, 5)}Gi"}}}
        if self.rng.random() < .2:
            spec["selector"] = {"matchLabels": {"tier": "gold"}}
        elif self.rng.random() < .4:
            spec["volumeName"] = f"v{self.rng.randrange(10)}"
        await self.world.admin.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": spec,
                                       "metadata": {"name": name, "namespace": "default",
                                                    "annotations": {NAMED: spec.get("volumeName", "")}}})

    async def volume(self) -> None:
        name = f"v{self.rng.randrange(10)}"
        if self.world.mirror.get(Key(VOLUMES, "", name)) is not None:
            return
        spec: Obj = {"accessModes": sorted({*self._modes(), *self._modes()}), "storageClassName": self._class(),
                     "capacity": {"storage": f"{self.rng.randrange(1, 6)}Gi"}, "hostPath": {"path": "/data"},
                     "persistentVolumeReclaimPolicy": self.rng.choice(["Retain", "Delete"])}
        metadata: Obj = {"name": name, "labels": {"tier": self.rng.choice(["gold", "tin"])}}
        if self.rng.random() < .4:
            spec["claimRef"] = {"namespace": "default", "name": f"c{self.rng.randrange(8)}"}
            metadata["annotations"] = {RESERVED: spec["claimRef"]["name"]}
        await self.world.admin.create({"apiVersion": "v1", "kind": "PersistentVolume", "spec": spec, "metadata": metadata})

    async def give_back(self) -> None:
        await self.world.admin.delete(Key(CLAIMS, "default", f"c{self.rng.randrange(8)}"))

    async def take_away(self) -> None:
        await self.world.admin.delete(Key(VOLUMES, "", f"v{self.rng.randrange(10)}"))

    async def free(self) -> None:
        """What an administrator does with a volume that was released."""
        for volume in found(self.world, VOLUMES):
            if at(volume, "status.phase") == "Released" and not is_deleting(volume):
                await self.world.admin.patch(Key(VOLUMES, "", name_of(volume)), {"spec": {"claimRef": None}})

    def _modes(self) -> list[str]:
        return [self.rng.choice(["ReadWriteOnce", "ReadWriteOnce", "ReadOnlyMany"])]

    def _class(self) -> str:
        return self.rng.choice(["", "", "slow"])


def found(world: World, resource: str) -> list[Obj]:
    return [one for _, one in sorted(world.mirror.objects(resource).items())]


def suits(volume: Obj, claim: Obj) -> bool:
    asks, has = claim["spec"], volume["spec"]
    size = int(has["capacity"]["storage"][:-2]) >= int(asks["resources"]["requests"]["storage"][:-2])
    fits = size and all(mode in has["accessModes"] for mode in asks["accessModes"])
    if annotations_of(volume).get(RESERVED) == name_of(claim):
        return fits or annotations_of(claim)[NAMED] == name_of(volume)
    chosen = "selector" not in asks or labels_of(volume)["tier"] == "gold"
    return fits and chosen and has.get("storageClassName", "") == asks.get("storageClassName", "")


def check(world: World) -> None:
    claims, volumes = found(world, CLAIMS), {name_of(one): one for one in found(world, VOLUMES)}
    owners = Counter(at(one, "spec.claimRef.uid") for one in volumes.values() if at(one, "spec.claimRef.uid"))
    assert all(owners[uid_of(claim)] <= 1 for claim in claims), "no claim has two volumes"
    for claim in claims:
        if at(claim, "status.phase") != "Bound" or is_deleting(claim):
            continue
        volume = volumes.get(claim["spec"]["volumeName"])
        if volume is not None:
            assert at(volume, "spec.claimRef.uid") == uid_of(claim), "a volume is of one claim"
            assert suits(volume, claim), f"{name_of(claim)} has {name_of(volume)}"


@pytest.mark.parametrize("seed", range(12))
def test_any_claims_and_volumes(seed: int) -> None:
    async def main(world: World) -> None:
        shop = Shop(world, seed)
        for _ in range(80):
            await shop.turn()
            check(world)
        await asyncio.sleep(30)
        check(world)
        free = [one for one in found(world, VOLUMES) if at(one, "status.phase") == "Available" and not is_deleting(one)]
        for claim in found(world, CLAIMS):
            if at(claim, "status.phase") == "Pending" and not is_deleting(claim):
                named = annotations_of(claim)[NAMED]
                assert not [name_of(one) for one in free if suits(one, claim) and named in ("", name_of(one))
                            and at(one, "spec.claimRef.name") in (None, name_of(claim))], f"{name_of(claim)} waits for nothing"

    told(main, seed)
