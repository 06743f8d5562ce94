"""What holds for any Job, however its pods fare, and however often the controller starts over.

A small world carries the plans out one action at a time, in any order, and may drop the rest (a crash).
"""
from __future__ import annotations

import random

import pytest
from job_cases import NOW, a_job, a_pod

from muster.api.indexes import known_indexes
from muster.api.objects import is_true, to_time
from muster.control.plan import Create, Delete, Patch, SetStatus
from muster.controllers.job import Observed, plan
from muster.controllers.job_pods import FINALIZER, index_of

SEEDS = range(60)
STEPS = 400


class World:
    def __init__(self, seed, **spec):
        self.random = random.Random(seed)
        self.job = a_job(**spec)
        self.pods = {}
        self.now = NOW
        self.made = 0
        self.results = {}  # uid -> how it ended, as it truly did

    def look(self):
        decided = plan(Observed(self.job, list(self.pods.values())), self.now)
        first = [action for action in decided.actions if isinstance(action, Create | Delete)]
        rest = [action for action in decided.actions if not isinstance(action, Create | Delete)]
        self.random.shuffle(rest)
        for action in [*first, *rest]:
            if self.random.random() < .15:
                return  # a crash: the rest is lost
            self.act(action)

    def act(self, action):
        match action:
            case Create(obj):
                self.made += 1
                made = a_pod(f"p{self.made}", "Pending", ago=0, age=0)
                metadata = {**made["metadata"], "creationTimestamp": to_time(self.now),
                            "annotations": obj["metadata"].get("annotations") or {}}
                self.pods[f"p{self.made}"] = {**made, "metadata": metadata}
            case Delete(key) if key.name in self.pods:
                pod = self.pods[key.name]
                self.pods[key.name] = {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": to_time(self.now)}}
            case Patch(key) if key.name in self.pods:
                pod = self.pods[key.name]
                left = {k: v for k, v in pod["metadata"].items() if k != "finalizers"}
                self.pods[key.name] = {**pod, "metadata": left}
                self.sweep(key.name)
            case SetStatus(_, _, status):
                self.job = {**self.job, "status": status}

    def live(self):
        """One pod goes on: it ends well or badly, or somebody deletes it."""
        self.now += self.random.choice([0, 1, 5, 30, 400])
        running = [name for name, pod in self.pods.items() if pod["status"]["phase"] in ("Pending", "Running")]
        if not running:
            return
        name = self.random.choice(running)
        pod = self.pods[name]
        if self.random.random() < .05:
            self.act(Delete(type("K", (), {"name": name})(), name))
            return
        going = "deletionTimestamp" in pod["metadata"]
        phase = "Failed" if going or self.random.random() < .25 else "Succeeded"
        self.results[name] = phase
        state = {"terminated": {"exitCode": int(phase == "Failed"), "finishedAt": to_time(self.now)}}
        self.pods[name] = {**pod, "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]}}
        self.sweep(name)

    def sweep(self, name):
        """A deleted pod goes once nothing holds it and it has ended."""
        metadata = self.pods[name]["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers") and name in self.results:
            del self.pods[name]

    def check(self):
        status = self.job["status"]
        written = [*status.get("uncountedTerminatedPods", {}).get("succeeded", ()),
                   *status.get("uncountedTerminatedPods", {}).get("failed", ())]
        assert len(written) == len(set(written)), "no pod is written down twice"
        well = sum(result == "Succeeded" for result in self.results.values())
        assert status.get("succeeded", 0) <= well, "no success is counted twice"
        assert status.get("succeeded", 0) + status.get("failed", 0) <= self.made, "no pod is counted twice"
        active = [pod for pod in self.pods.values() if pod["status"]["phase"] in ("Pending", "Running")
                  and "deletionTimestamp" not in pod["metadata"]]
        assert len(active) <= self.job["spec"]["parallelism"], "never more at once than allowed"

    def ended(self):
        return is_true(self.job, "Complete") or is_true(self.job, "Failed")

    def run(self):
        for _ in range(STEPS):
            self.look()
            self.check()
            if self.ended():
                return
            if self.random.random() < .6:
                self.live()
        raise AssertionError(f"not ended: {self.job['status']}, {list(self.pods)}")


@pytest.mark.parametrize("seed", SEEDS)
def test_completions_are_reached_exactly(seed):
    world = World(seed, completions=7, parallelism=3, backoffLimit=1000)
    world.run()
    assert is_true(world.job, "Complete")
    assert world.job["status"]["succeeded"] == 7
    assert not any(FINALIZER in (pod["metadata"].get("finalizers") or ()) for pod in world.pods.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_each_index_is_done_once(seed):
    world = World(seed, completions=6, parallelism=4, completionMode="Indexed", backoffLimit=1000)
    world.run()
    status = world.job["status"]
    assert is_true(world.job, "Complete") and status["succeeded"] == 6
    assert known_indexes(status["completedIndexes"], 6) == set(range(6))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_index_fails_more_often_than_allowed(seed):
    world = World(seed, completions=6, parallelism=4, completionMode="Indexed", backoffLimitPerIndex=1)
    world.run()
    status = world.job["status"]
    done, failed = (known_indexes(status.get(name), 6) for name in ("completedIndexes", "failedIndexes"))
    assert not done & failed and done | failed == set(range(6))
    assert is_true(world.job, "Failed") == bool(failed)
    assert all(index_of(pod) in done | failed for pod in world.pods.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_the_limit_of_failures_holds(seed):
    world = World(seed, completions=30, parallelism=2, backoffLimit=2)
    world.run()
    if is_true(world.job, "Failed"):
        assert world.job["status"]["failed"] >= 3
    else:
        assert world.job["status"]["succeeded"] == 30 and world.job["status"].get("failed", 0) <= 2
