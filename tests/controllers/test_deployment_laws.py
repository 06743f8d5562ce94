"""What holds for any Deployment through any history: both controllers decide over one small world, in random order.

The world lags as a real one does: a set's status is what its controller last saw, and either controller may look
before or after the other.  Now and then a user changes the template or the size, pauses, resumes, or a pod dies.
"""
from __future__ import annotations

import random

import pytest
from replica_set_cases import NOW, a_deployment, a_template

from muster.api.objects import is_deleting, is_true, name_of, to_time, uid_of, with_
from muster.api.patches import merge_patch
from muster.control.plan import Create, Delete, Patch, SetStatus
from muster.controllers import deployment as deployments
from muster.controllers import replica_set as replica_sets
from muster.controllers.deployment_sets import asked_of, is_rolling, limits_of, revision_of, same_template

SEEDS = range(60)


class World:
    def __init__(self, seed: int, recreate: bool = False):
        self.rng = random.Random(seed)
        rolling = self.rng.choice([{}, {"maxSurge": 0, "maxUnavailable": 1}, {"maxSurge": 2, "maxUnavailable": 0},
                                   {"maxSurge": "50%", "maxUnavailable": "50%"}])
        self.deployment = a_deployment("web:1", self.rng.randint(1, 8), rolling=rolling, recreate=recreate)
        self.sets: dict[str, dict] = {}
        self.pods: dict[str, dict] = {}
        self.now, self.made = NOW, 0

    # ---- looks

    def deploy(self):
        pods = [] if is_rolling(self.deployment) else list(self.pods.values())
        seen = deployments.Observed(self.deployment, list(self.sets.values()),
                                    {name_of(one): one for one in self.sets.values()}, pods)
        return self._carry_out(deployments.plan(seen, self.now))

    def replicate(self):
        acted = 0
        for one in self.rng.sample(sorted(self.sets), len(self.sets)):
            if one in self.sets:
                seen = replica_sets.Observed(self.sets[one], [
                    pod for pod in self.pods.values() if pod["metadata"]["ownerReferences"][0]["uid"] == one])
                acted += self._carry_out(replica_sets.plan(seen, self.now))
        return acted

    def _carry_out(self, plan):
        for action in plan.actions:
            match action:
                case Create(obj):
                    self._create(obj)
                case Delete(key, uid) if key.resource == "pods":
                    self.pods[uid] = with_(self.pods[uid], "metadata.deletionTimestamp", to_time(self.now))
                case Delete(_, uid):
                    assert not self._of(uid), "a set that still has pods is not history"
                    del self.sets[uid]
                case Patch(_, uid, patch):
                    self._change(uid, lambda old, patch=patch: merge_patch(old, patch))
                case SetStatus(_, uid, status):
                    self._change(uid, lambda old, status=status: {**old, "status": status})
        return len(plan.actions)

    def _create(self, obj):
        self.made += 1
        uid = f"{obj['kind'].lower()}-{self.made}"
        metadata = {"name": uid, **obj["metadata"], "uid": uid, "generation": 1, "creationTimestamp": to_time(self.now)}
        if obj["kind"] == "Pod":
            self.pods[uid] = {**obj, "metadata": metadata, "status": {"phase": "Pending"}}
        else:
            self.sets[uid] = {**obj, "metadata": metadata, "status": {"replicas": 0}}

    def _change(self, uid, change):
        if uid == uid_of(self.deployment):
            self.deployment = _counted(self.deployment, change(self.deployment))
        else:
            self.sets[uid] = _counted(self.sets[uid], change(self.sets[uid]))

    def _of(self, uid):
        return [pod for pod in self.pods.values()
                if pod["metadata"]["ownerReferences"][0]["uid"] == uid and not is_deleting(pod)]

    # ---- what happens

    def pass_time(self):
        self.now += 7
        for uid, pod in list(self.pods.items()):
            if self.rng.random() < .4:
                continue
            if is_deleting(pod):
                del self.pods[uid]
            elif not is_true(pod, "Ready") and pod["spec"]["containers"][0]["image"] != "web:broken":
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": to_time(self.now)}
                self.pods[uid] = {**pod, "status": {"phase": "Running", "conditions": [ready]}}

    def user(self):
        """Changes something; returns what."""
        act = self.rng.choice(["template", "template", "size", "pause", "resume"])
        spec = self.deployment["spec"]
        if act == "template":
            spec = {**spec, "template": a_template(self.rng.choice(["web:1", "web:2", "web:3", "web:broken"]))}
        elif act == "size":
            spec = {**spec, "replicas": self.rng.randint(0, 8)}
        else:
            spec = {**spec, "paused": act == "pause"}
        self.deployment = _counted(self.deployment, {**self.deployment, "spec": spec})

    def settle(self):
        quiet = 0
        for _ in range(600):
            acted = self.deploy() + self.replicate()
            self.pass_time()
            quiet = 0 if acted else quiet + 1
            if quiet > 20:
                return
        raise AssertionError("it never comes to rest")

    # ---- questions

    @property
    def live(self):
        return [pod for pod in self.pods.values() if not is_deleting(pod)]

    @property
    def available(self):
        return sum(is_true(pod, "Ready") for pod in self.live)

    def is_settled(self):
        current = [pod for pod in self.live if same_template(pod["spec"], self.deployment["spec"]["template"]["spec"])]
        return len(current) == len(self.live) == self.deployment["spec"]["replicas"] == self.available


def _counted(old, new):
    if new.get("spec") == old.get("spec"):
        return new
    return with_(new, "metadata.generation", old["metadata"]["generation"] + 1)


def step(world):
    world.rng.choice([world.deploy, world.replicate, world.pass_time])()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rollout_never_takes_more_than_allowed(seed):
    """From a settled state to another template, and on to a third one in the middle of it."""
    world = World(seed)
    world.settle()
    limits = limits_of(world.deployment)
    for image in ("web:2", world.rng.choice(["web:3", "web:broken", "web:1"])):
        world.deployment = _counted(world.deployment, with_(world.deployment, "spec.template", a_template(image)))
        for _ in range(40):
            step(world)
            assert len(world.live) <= limits.most, "more than the surge"
            assert asked_of(world.sets.values()) <= limits.most
            assert world.available >= limits.least_available, "more down than allowed"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("recreate", [False, True])
def test_it_comes_to_rest_whatever_happened(seed, recreate):
    world = World(seed, recreate)
    for _ in range(60):
        step(world)
        if world.rng.random() < .15:
            world.user()
    spec = {**world.deployment["spec"], "paused": False, "template": a_template("web:9")}
    world.deployment = _counted(world.deployment, {**world.deployment, "spec": spec})
    world.settle()
    assert world.is_settled()
    status = world.deployment["status"]
    assert status.get("updatedReplicas", 0) == status.get("availableReplicas", 0) == spec["replicas"]
    numbers = sorted(revision_of(one) for one in world.sets.values())
    assert len(set(numbers)) == len(numbers), "each set has a number of its own"
    (current,) = [one for one in world.sets.values() if same_template(one["spec"]["template"], spec["template"])]
    assert revision_of(current) == numbers[-1], "today's is the highest"
    assert world.deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == str(numbers[-1])


@pytest.mark.parametrize("seed", SEEDS)
def test_recreate_never_runs_two_templates(seed):
    world = World(seed, recreate=True)
    for _ in range(80):
        step(world)
        if world.rng.random() < .1:
            world.user()
        assert len({pod["spec"]["containers"][0]["image"] for pod in world.pods.values()}) <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_replica_set_never_makes_too_many_nor_ends_too_many(seed):
    world = World(seed)
    for _ in range(60):
        if world.rng.random() < .1:
            world.user()
        world.rng.choice([world.deploy, world.pass_time])()
        before = {uid: len(world._of(uid)) for uid in world.sets}
        world.replicate()
        for uid, one in world.sets.items():
            assert len(world._of(uid)) == one["spec"]["replicas"], (before[uid], one["spec"]["replicas"])
