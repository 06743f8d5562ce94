"""What holds for a ReplicaSet and a ReplicationController whatever became of their pods.

The order in which pods go is told once more here, rule by rule as the documentation lists them, and not by the
controller's own comparison.
"""
from __future__ import annotations

import random

import pytest
from replica_set_cases import APP, NOW, a_pod, a_replica_set, a_replication_controller

from muster.api.objects import (
    annotations_of,
    from_time,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    owners_of,
    to_time,
    uid_of,
    with_,
)
from muster.control.plan import Create, Delete, Patch, SetStatus
from muster.controllers.replica_set import Observed, plan

ENDED = ("Failed", "Succeeded")
KINDS = {"ReplicaSet": a_replica_set, "ReplicationController": a_replication_controller}


class World:
    """A set of one kind and any pods around it: its own, orphans, those of another set, ended, going."""

    def __init__(self, seed, kind):
        self.rng = random.Random(seed)
        self.now, self.made = NOW, 0
        self.set = KINDS[kind](self.rng.randrange(8))
        self.other = a_replica_set(name="other")
        self.pods = {}
        for number in range(self.rng.randrange(14)):
            self._put(self.any_pod(f"p{number}"))

    def any_pod(self, name):
        chance = self.rng.random
        phase = self.rng.choice(["Pending", "Running", "Running", "Running", "Unknown", "Failed", "Succeeded"])
        return a_pod(
            name, self.other if chance() < .1 else self.set, node=self.rng.choice([None, "n1", "n1", "n2"]), phase=phase,
            ready_for=self.rng.choice([None, 5.0, 60.0, 3000.0]), age=self.rng.choice([10.0, 3600.0]),
            restarts=self.rng.randrange(3), cost=self.rng.choice([None, None, "-3", "7", "nonsense"]), going=chance() < .1,
            orphan=chance() < .15, labels={"app": "else"} if chance() < .15 else APP)

    def _put(self, pod):
        self.pods[uid_of(pod)] = pod

    def owned(self):
        return [pod for pod in self.pods.values() if any(one["uid"] == uid_of(self.set) for one in owners_of(pod))]

    def alive(self):
        return [pod for pod in self.owned() if not is_deleting(pod) and pod["status"]["phase"] not in ENDED]

    def look(self):
        """Decides and does it; returns what was decided."""
        candidates = [pod for pod in self.pods.values()
                      if not owners_of(pod) or any(one["uid"] == uid_of(self.set) for one in owners_of(pod))]
        decided = plan(Observed(self.set, self.rng.sample(candidates, len(candidates))), self.now)
        for action in decided.actions:
            match action:
                case Create(obj):
                    self.made += 1
                    metadata = {**obj["metadata"], "name": f"new-{self.made}", "uid": f"new-{self.made}",
                                "creationTimestamp": to_time(self.now)}
                    self._put({**obj, "metadata": metadata, "status": {"phase": "Pending"}})
                case Delete(_, uid):
                    assert not is_deleting(self.pods[uid]), "nobody is ended twice"
                    self._put(with_(self.pods[uid], "metadata.deletionTimestamp", to_time(self.now)))
                case Patch(_, uid, patch):
                    (reference,) = patch["metadata"]["ownerReferences"]
                    owners = [] if "$patch" in reference else [reference]
                    self._put(with_(self.pods[uid], "metadata.ownerReferences", owners))
                case SetStatus(_, _, status):
                    self.set = {**self.set, "status": status}
        return decided

    def pass_time(self):
        self.now += 13
        for uid, pod in list(self.pods.items()):
            if self.rng.random() < .5:
                continue
            if is_deleting(pod):
                del self.pods[uid]
            elif self.rng.random() < .05:
                self._put(with_(pod, "status.phase", "Failed"))
            elif pod["status"]["phase"] == "Pending":
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": to_time(self.now)}
                self._put({**pod, "spec": {**pod["spec"], "nodeName": "n1"},
                           "status": {"phase": "Running", "conditions": [ready]}})

    def user(self):
        if self.rng.random() < .5 or not self.pods:
            self.set = with_(self.set, "spec.replicas", self.rng.randrange(8))
        else:
            pod = self.pods[self.rng.choice(sorted(self.pods))]
            self._put(with_(pod, "metadata.labels", self.rng.choice([APP, {"app": "else"}])))


def worth(pod, crowd, now):
    """The documented rules in their order, the first to go lowest; times by the power of two of their age.  Among
    ready pods chance may decide from here on."""
    cost = annotations_of(pod).get("controller.kubernetes.io/pod-deletion-cost", "")
    since = next((one["lastTransitionTime"] for one in pod["status"].get("conditions", ()) if one["type"] == "Ready"), None)
    key = ("nodeName" in pod["spec"], ["Pending", "Unknown", "Running"].index(pod["status"]["phase"]), since is not None,
           int(cost) if cost.lstrip("-").isdigit() else 0, -crowd.count(pod["spec"].get("nodeName")))
    if since is not None:
        return *key, power_of_two(now - from_time(since))
    restarts = max((one["restartCount"] for one in pod["status"].get("containerStatuses", ())), default=0)
    return *key, -restarts, power_of_two(now - from_time(pod["metadata"]["creationTimestamp"]))


def power_of_two(age_s):
    return (int(age_s) * 1_000_000_000).bit_length() if age_s > 0 else 0


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("kind", KINDS)
def test_each_look_makes_what_is_missing_or_ends_what_is_too_much(seed, kind):
    world = World(seed, kind)
    for _ in range(30):
        before, alive = dict(world.pods), world.alive()
        decided = world.look()
        made = sum(isinstance(one, Create) for one in decided.actions)
        ended = [before[one.uid] for one in decided.actions if isinstance(one, Delete)]
        claims = [before[one.uid] for one in decided.actions if isinstance(one, Patch)]
        wanted = world.set["spec"]["replicas"]

        assert all(labels_of(pod) != APP if owners_of(pod) else labels_of(pod) == APP for pod in claims)
        if claims:
            assert not made and not ended, "who belongs to it comes first"
        else:
            assert made == max(0, wanted - len(alive)) and len(ended) == max(0, len(alive) - wanted)
        crowd = [pod["spec"].get("nodeName") for pod in alive]
        kept = [pod for pod in alive if pod not in ended]
        assert all(pod in alive for pod in ended)
        assert (max((worth(pod, crowd, world.now) for pod in ended), default=(False,))
                <= min((worth(pod, crowd, world.now) for pod in kept), default=(True, 3))), "the least useful go first"

        world.pass_time()
        if world.rng.random() < .3:
            world.user()


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("kind", KINDS)
def test_any_history_ends_with_as_many_as_asked_for(seed, kind):
    world = World(seed, kind)
    strangers = [pod for pod in world.pods.values() if uid_of(world.other) in [one["uid"] for one in owners_of(pod)]]
    for _ in range(20):
        world.rng.choice([world.look, world.pass_time, world.user])()
    while world.look().actions:
        pass
    wanted = world.set["spec"]["replicas"]
    assert len(world.alive()) == wanted == world.set["status"]["replicas"]
    assert all(labels_of(pod) == APP for pod in world.alive())
    assert not [name_of(pod) for pod in world.pods.values() if not owners_of(pod) and labels_of(pod) == APP
                and not is_deleting(pod) and pod["status"]["phase"] not in ENDED], "nobody is left without an owner"
    assert sum(is_true(pod, "Ready") for pod in world.alive()) == world.set["status"].get("readyReplicas", 0)
    assert all(uid_of(world.other) in [one["uid"] for one in owners_of(world.pods[uid_of(pod)])]
               for pod in strangers if uid_of(pod) in world.pods), "another's pods are left alone"
