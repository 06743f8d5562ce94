"""Whatever happens to a cluster, no eviction takes from a budget what it does not have.

`Budgets` hears every change and counts for itself, in the plainest way, how many pods of an application are healthy:
ready, not ending, and not promised to an eviction already.  A granted eviction of a healthy pod must leave as many as
the budget's status asks for.  What broke by itself within the last second is not held against it: the controller had
no time to see it (upstream's has no more).
"""
from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

import pytest
from small_world import a_node, at_work, found

from muster.api.errors import ApiError, NotFound, TooManyRequests
from muster.api.objects import Key, at, condition, is_deleting, is_true, labels_of, name_of
from muster.clock import run_virtual
from slow_store import SlowStore

BUDGETS = "poddisruptionbudgets.policy"
SEEN_WITHIN_S = 1.0
NODES = [f"n{number}" for number in range(5)]
SETS = {"web": ("Deployment", "deployments.apps", 6), "db": ("StatefulSet", "statefulsets.apps", 3),
        "old": ("ReplicaSet", "replicasets.apps", 4)}
LIMITS = [{"maxUnavailable": 1}, {"maxUnavailable": "40%"}, {"minAvailable": 2}, {"minAvailable": "50%"}, {"maxUnavailable": 0},
          {"minAvailable": 0}, {"maxUnavailable": 2, "unhealthyPodEvictionPolicy": "AlwaysAllow"}]


def a_set(app):
    kind, _, replicas = SETS[app]
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": app, "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": app}},
                     "template": {"metadata": {"labels": {"app": app}},
                                  "spec": {"containers": [{"name": "main", "image": f"{app}:1"}]}}}}


class Budgets:
    """A second opinion, and what was wrong by it."""

    def __init__(self, world):
        self.world, self.wrong, self.granted = world, [], Counter()
        self._broke: dict[str, float] = {}
        world.store.history.on_append(self._hear)

    def _hear(self, changes):
        for change in changes:
            if change.key.resource == "pods" and change.previous is not None:
                self._hear_pod(change.key.name, change.previous, change.value)

    def _hear_pod(self, name, old, new):
        app = labels_of(old).get("app", "")
        if app not in SETS or not is_true(old, "Ready") or is_deleting(old):
            return
        if new is not None and is_true(new, "Ready") and not is_deleting(new):
            return
        if new is None or (condition(new, "DisruptionTarget") or {}).get("reason") != "EvictionByEvictionAPI":
            self._broke[app] = self.world.clock.now()
            return
        self.granted[app] += 1
        budget = self.world.store.get(Key(BUDGETS, "default", app)).value["status"]
        healthy = healthy_pods(self.world, app, budget)
        if healthy < budget["desiredHealthy"] and self._broke.get(app, 0.0) + SEEN_WITHIN_S < self.world.clock.now():
            self.wrong.append(f"{self.world.clock.now() % 1e6:.2f}: {name} was let go: {healthy} of {budget} are left")


def healthy_pods(world, app, budget):
    return sum(is_true(pod, "Ready") and not is_deleting(pod) and name_of(pod) not in budget.get("disruptedPods", {})
               for pod in found(world, "pods", "default") if labels_of(pod).get("app") == app)


async def evict(world, pod):
    metadata = {"name": name_of(pod), "namespace": "default"}
    with contextlib.suppress(TooManyRequests, NotFound):
        await world.admin.create({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata},
                                 subresource="eviction")


class Story:
    def __init__(self, world, seed):
        self.world, self.chance = world, random.Random(f"budgets/{seed}")

    def pods(self):
        return [pod for pod in found(self.world, "pods", "default") if labels_of(pod).get("app") in SETS]

    async def evict_some(self):
        there = self.pods()
        chosen = self.chance.sample(there, min(len(there), self.chance.randint(1, 8)))
        await asyncio.gather(*(evict(self.world, pod) for pod in chosen))

    async def drain(self):
        node = self.chance.choice(NODES)
        await self.world.admin.patch(Key("nodes", "", node), {"spec": {"unschedulable": True}})
        for _ in range(4):
            await asyncio.gather(*(evict(self.world, pod) for pod in self.pods() if pod["spec"].get("nodeName") == node))
            await asyncio.sleep(5)
        await self.world.admin.patch(Key("nodes", "", node), {"spec": {"unschedulable": None}})

    async def scale(self):
        app = self.chance.choice(list(SETS))
        await self.world.admin.patch(Key(SETS[app][1], "default", app), {"spec": {"replicas": self.chance.randint(0, 7)}})

    async def limit(self):
        app, fresh = self.chance.choice(list(SETS)), dict.fromkeys(("minAvailable", "maxUnavailable", "unhealthyPodEvictionPolicy"))
        await self.world.admin.patch(Key(BUDGETS, "default", app), {"spec": {**fresh, **self.chance.choice(LIMITS)}})
        await self.evict_some()  # at once: nobody has looked at it yet

    async def roll_out(self):
        image = f"web:{self.chance.choice(['1', '2', '404'])}"
        await self.world.admin.patch(Key("deployments.apps", "default", "web"), {"spec": {"template": {"spec": {
            "containers": [{"name": "main", "image": image}]}}}}, how="strategic")

    async def lose(self):
        await self.world.admin.patch(Key("nodes", "", self.chance.choice(NODES)), {"metadata": {"annotations": {
            "muster.dev/fail": self.chance.choice(["true", None])}}})

    async def delete(self):
        there = self.pods()
        if there:
            await self.world.admin.delete(Key("pods", "default", name_of(self.chance.choice(there))))

    async def play(self):
        for name in NODES:
            await self.world.admin.create(a_node(name))
        for app in SETS:
            await self.world.apply(a_set(app))
            await self.world.admin.create({
                "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": app, "namespace": "default"},
                "spec": {"selector": {"matchLabels": {"app": app}}, **self.chance.choice(LIMITS)}})
        await asyncio.sleep(self.chance.choice([0, 3, 30]))
        steps = [self.evict_some] * 6 + [self.drain] * 2 + [self.scale, self.limit, self.roll_out, self.lose, self.delete]
        for _ in range(25):
            try:
                await self.chance.choice(steps)()
            except ApiError as error:  # what it meant is gone
                assert isinstance(error, NotFound), error
            await asyncio.sleep(self.chance.choice([0, 0.02, 0.5, 4, 20]))


@pytest.mark.parametrize("seed", range(24))
def test_no_eviction_takes_what_is_not_there(seed):
    async def main(clock):
        async with at_work(clock, SlowStore()) as world:
            law = Budgets(world)
            await Story(world, seed).play()
            await asyncio.sleep(130)  # a budget waits for two minutes for a pod that was promised
            assert not law.wrong, law.wrong[0]
            for app in SETS:
                status = world.store.get(Key(BUDGETS, "default", app)).value["status"]
                assert status["currentHealthy"] == healthy_pods(world, app, status), app
                allowed = max(0, status["currentHealthy"] - status["desiredHealthy"]) if status["expectedPods"] else 0
                assert status["disruptionsAllowed"] == allowed and "disruptedPods" not in status
                assert at(world.store.get(Key(SETS[app][1], "default", app)).value, "spec.replicas") == status["expectedPods"] or (
                    "minAvailable" in world.store.get(Key(BUDGETS, "default", app)).value["spec"])
            return law.granted
    granted = run_virtual(main, seed=seed)
    assert sum(granted.values()) > 0, "a law that nothing is held to"
