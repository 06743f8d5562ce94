"""Laws of garbage collection, over random owners and owned of a whole cluster in virtual time.

A witness hears every change in the order of the store and keeps its own account of who is there:

    nothing is collected while an owner stands (one that waits for its dependents stands no more)
    what was deleted in the foreground goes after everything that blocked it
    at rest nothing is on its way, and nothing names only owners that are gone
    what was orphaned stays
"""
from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest
from small_world import World, a_daemonset, a_node, told

from muster.api.errors import NotFound
from muster.api.objects import Key, Obj, finalizers_of, is_deleting, owners_of, uid_of
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import run_virtual
from muster.store.memory import MemoryStore

KIND = "configmaps"  # that no other controller looks at
FOREGROUND = "foregroundDeletion"


class Witness:
    def __init__(self) -> None:
        self.there: dict[str, Obj] = {}  # by uid
        self.asked: dict[str, str] = {}  # uid -> how the user wanted it deleted
        self.broken: list[str] = []

    def hear(self, changes: Any) -> None:
        for change in changes:
            before, after = change.previous, change.value
            uid = uid_of(after or before)
            if before is not None and (after is None or is_deleting(after)) and not is_deleting(before):
                self._began_to_go(before)
            if after is not None:
                self.there[uid] = after
            else:
                self.there.pop(uid, None)
                self._went(before)

    def _began_to_go(self, obj: Obj) -> None:
        if uid_of(obj) in self.asked or not owners_of(obj):
            return
        if any(self._stands(reference["uid"]) for reference in owners_of(obj)):
            self.broken.append(f"{obj['metadata']['name']} went while an owner stood")

    def _stands(self, uid: str) -> bool:
        owner = self.there.get(uid)
        return owner is not None and FOREGROUND not in finalizers_of(owner)

    def _went(self, obj: Obj) -> None:
        if self.asked.get(uid_of(obj)) != "Foreground":
            return
        left = [one["metadata"]["name"] for one in self.there.values() for reference in owners_of(one)
                if reference["uid"] == uid_of(obj) and reference.get("blockOwnerDeletion")
                and uid_of(one) not in self._above(obj)]
        if left:
            self.broken.append(f"{obj['metadata']['name']} went before {left}")

    def _above(self, obj: Obj) -> set[str]:
        """The uids of all that own it, and of all that own those: who is among them may wait for it in turn."""
        above: set[str] = set()
        ahead = [obj]
        while ahead:
            found = {ref["uid"] for one in ahead for ref in owners_of(one) if ref.get("blockOwnerDeletion")} - above
            above |= found
            ahead = [self.there[uid] for uid in sorted(found) if uid in self.there]
        return above

    def unsettled(self) -> list[str]:
        said = [f"{one['metadata']['name']} is still on its way" for one in self.there.values() if is_deleting(one)]
        return said + [f"{one['metadata']['name']} has lost its owners" for one in self.there.values()
                       if owners_of(one) and not any(ref["uid"] in self.there for ref in owners_of(one))]


def reference(owner: Obj, blocks: bool, uid: str = "") -> Obj:
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
            "uid": uid or uid_of(owner), "blockOwnerDeletion": blocks}


class Graph:
    """Random owners and owned, deleted in random ways while others come."""

    def __init__(self, world: World, witness: Witness, seed: int):
        self.world, self.witness, self.rng = world, witness, random.Random(seed)
        self.made: list[Obj] = []
        self.let_go: set[str] = set()  # uids of those whose only owner was deleted as an orphan's owner

    async def turn(self) -> None:
        await self.rng.choice([self.create, self.create, self.create, self.circle, self.adopt, self.delete])()
        if self.rng.random() < 0.5:
            await asyncio.sleep(self.rng.choice([0, 0.01, 0.5]))

    async def create(self) -> None:
        owners = self.rng.sample(self.made, min(len(self.made), self.rng.choice([0, 1, 1, 2, 3])))
        await self._make([reference(one, self._stands(one) and self.rng.random() < 0.7,
                                    uid="another-life" if self.rng.random() < 0.05 else "") for one in owners])

    async def circle(self) -> None:
        """Some that own each other, each the one before it."""
        members = [await self._make([]) for _ in range(self.rng.choice([1, 2, 3]))]
        for one, owner in zip(members, [members[-1], *members], strict=False):
            await self.world.admin.patch(_key(one), {"metadata": {"ownerReferences": [
                reference(owner, self.rng.random() < 0.8)]}})

    async def adopt(self) -> None:
        """One that stands is given another owner, it may be just when its last one went."""
        standing = [self.witness.there[uid_of(one)] for one in self.made if self._stands(one)]
        owned = [one for one in standing if owners_of(one)]
        if not owned:
            return
        chosen, owner = self.rng.choice(owned), self.rng.choice(standing)
        self.let_go.discard(uid_of(chosen))
        with contextlib.suppress(NotFound):
            await self.world.admin.patch(_key(chosen), {"metadata": {"uid": uid_of(chosen), "ownerReferences": [
                *owners_of(chosen), reference(owner, False)]}})

    async def delete(self) -> None:
        standing = [one for one in self.made if self._stands(one)]
        if not standing:
            return
        chosen, how = self.rng.choice(standing), self.rng.choice(["Background", "Foreground", "Orphan"])
        uid = uid_of(chosen)
        self.witness.asked[uid] = how
        if how == "Orphan":
            self.let_go |= {uid_of(one) for one in self.witness.there.values() if not is_deleting(one)
                            and [reference["uid"] for reference in owners_of(one)] == [uid]}
        self.let_go.discard(uid)
        with contextlib.suppress(NotFound):
            await self.world.admin.delete(_key(chosen), uid=uid, propagation=how)

    async def _make(self, references: list[Obj]) -> Obj:
        made = await self.world.admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": f"o{len(self.made)}", "namespace": "default", "ownerReferences": references}})
        self.made.append(made)
        return made

    def _stands(self, obj: Obj) -> bool:
        found = self.witness.there.get(uid_of(obj))
        return found is not None and not is_deleting(found)


def _key(obj: Obj) -> Key:
    return Key(KIND, "default", obj["metadata"]["name"])


@pytest.mark.parametrize("seed", range(12))
def test_any_owners_and_owned(seed: int) -> None:
    async def main(world: World) -> None:
        witness = Witness()
        world.store.history.on_append(witness.hear)
        graph = Graph(world, witness, seed)
        for _ in range(80):
            await graph.turn()
        await asyncio.sleep(60)
        assert not witness.broken
        assert not witness.unsettled()
        assert graph.let_go <= witness.there.keys(), "who was let go stays"

    told(main, seed)


def a_workload(kind: str, name: str, **spec: Any) -> Obj:
    labels = {"app": name}
    pod: Obj = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "web:1", "command": ["sleep", "1d"]}]}}
    selected = {"selector": {"matchLabels": labels}, "template": pod, **spec}
    once = {"template": {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}, "completions": 2}
    spec = {"Job": once, "CronJob": {"schedule": "* * * * *", "jobTemplate": {"spec": once}}}.get(kind, selected)
    group = "batch/v1" if kind in ("Job", "CronJob") else "apps/v1"
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


WORKLOADS = {"deployments.apps": "Deployment", "statefulsets.apps": "StatefulSet", "replicasets.apps": "ReplicaSet",
             "jobs.batch": "Job", "cronjobs.batch": "CronJob", "daemonsets.apps": "DaemonSet"}


@pytest.mark.parametrize("seed", range(4))
def test_workloads_made_and_deleted_in_any_order_leave_nothing_behind(seed: int) -> None:
    """Some are made again under their names while what they had is still on its way."""
    async def main(world: World) -> None:
        rng, witness = random.Random(seed), Witness()
        world.store.history.on_append(witness.hear)
        for number in range(2):
            await world.admin.create(a_node(f"n{number}", pull="1s..1s", start="1s..1s", stop="1s..3s"))
        names = [(resource, f"{kind.lower()}-{number}") for resource, kind in WORKLOADS.items() for number in range(2)]
        for _ in range(60):
            resource, name = rng.choice(names)
            key = Key(resource, "default", name)
            if world.mirror.get(key) is None:
                made = (a_daemonset(name) if resource == "daemonsets.apps"
                        else a_workload(WORKLOADS[resource], name, replicas=rng.randrange(4)))
                await world.apply(made)
            else:
                await _delete(world, witness, key, rng.choice(["Background", "Foreground"]))
            await asyncio.sleep(rng.choice([0, 0.1, 2, 20]))
        for resource, name in names:
            await _delete(world, witness, Key(resource, "default", name), rng.choice(["Background", "Foreground"]))
        await asyncio.sleep(120)
        assert not witness.broken
        assert not witness.unsettled()
        assert not [str(key) for resource in (*WORKLOADS, "pods", "controllerrevisions.apps")
                    for key in world.mirror.objects(resource)]

    told(main, seed)


async def _delete(world: World, witness: Witness, key: Key, how: Any) -> None:
    obj = world.mirror.get(key)
    if obj is not None and not is_deleting(obj):
        witness.asked[uid_of(obj)] = how
        with contextlib.suppress(NotFound):
            await world.admin.delete(key, uid=uid_of(obj), propagation=how)


def test_who_was_to_be_orphaned_and_then_waited_for_is_not_waited_for_in_vain():
    """Deleted once with Orphan and at once again with Foreground: the second takes the place of the first."""
    async def story(clock):
        job = Key("jobs.batch", "default", "sum")
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            admin = cluster.client("kubernetes-admin")
            await admin.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sum", "namespace": "default"},
                                "spec": {"template": {"spec": {"restartPolicy": "Never",
                                                               "containers": [{"name": "a", "image": "b"}]}}}})
            await asyncio.sleep(5)
            await admin.delete(job, propagation="Orphan")
            await admin.delete(job, propagation="Foreground")
            await asyncio.sleep(60)
            assert cluster.mirror.get(job) is None and not cluster.mirror.objects("pods")
    run_virtual(story, seed=1)
