"""What holds for any DaemonSet, whatever state its pods are in."""
from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from daemonset_cases import (
    NEW,
    NOW,
    OLD,
    OLDER,
    a_node,
    a_pod,
    a_revision,
    a_set,
    a_taint,
    a_template,
    down,
    seen,
    status_in,
)

from muster.api.objects import Key, is_deleting, name_of, to_time, uid_of, with_
from muster.control.plan import Create, Delete, SetStatus
from muster.controllers.daemonset import Memory, decide, wakes
from muster.controllers.daemonset_memory import Memories
from muster.controllers.daemonset_nodes import Fit, eligibility
from muster.controllers.daemonset_pods import node_of
from muster.controllers.daemonset_rollout import limits_of
from muster.controllers.readiness import available_at
from muster.store.history import Change, Snapshot

SEEDS = range(150)
REVISIONS = [a_revision(OLDER, 1), a_revision(OLD, 2), a_revision(NEW, 3)]


def any_node(rng, name):
    effect = rng.choice([None] * 6 + ["NoSchedule", "NoExecute"])
    return a_node(name, taints=[a_taint("x", effect)] if effect else None)


def any_pod(rng, node, number):
    return a_pod(node, rng.choice([OLDER, OLD, OLD, NEW]), name=f"{node}-{number}", age=rng.randint(1, 99),
                 ready_for=rng.choice([None, 1.0, 50.0, 50.0, 50.0]), going=rng.random() < .1,
                 phase=rng.choice(["Running"] * 9 + ["Failed"]), bound=rng.random() < .9)


def any_state(seed, surge):
    rng = random.Random(seed)
    nodes = [any_node(rng, f"n{i:02}") for i in range(rng.randint(1, 12))]
    pods = [any_pod(rng, name_of(node), i) for node in nodes for i in range(rng.choice([0, 1, 1, 1, 1, 1, 2, 3]))]
    rolling = {"maxUnavailable": 0 if surge else rng.choice([1, 2, 4, "30%"]),
               "maxSurge": rng.choice([1, 2, "50%"]) if surge else 0}
    return nodes, pods, a_set(rolling=rolling, minReadySeconds=rng.choice([0, 10]))


def available(pods, daemonset, now):
    return {uid_of(pod) for pod in pods if not is_deleting(pod)
            and available_at(pod, daemonset["spec"]["minReadySeconds"]) <= now}


@pytest.mark.parametrize("seed", SEEDS)
def test_never_takes_down_more_than_allowed(seed):
    nodes, pods, daemonset = any_state(seed, surge=False)
    plan = decide(seen(nodes, pods, daemonset, REVISIONS), NOW).plan
    fits = eligibility(daemonset["spec"]["template"])
    wanted = {name_of(node) for node in nodes if fits(node) is Fit.RUN}
    up = available(pods, daemonset, NOW)
    ended = {action.uid for action in plan.actions if isinstance(action, Delete)}
    before = {node_of(pod) for pod in pods if uid_of(pod) in up} & wanted
    after = {node_of(pod) for pod in pods if uid_of(pod) in up - ended} & wanted
    allowed = limits_of(daemonset, len(wanted)).max_unavailable
    already = len(wanted) - len(before)
    surplus = len([node for node, many in Counter(node_of(pod) for pod in pods).items() if many > 1])
    assert len(before - after) <= max(0, allowed - already) + surplus, "a place down is our doing only as allowed"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("surge", [False, True])
def test_never_two_pods_started_on_a_node(seed, surge):
    nodes, pods, daemonset = any_state(seed, surge)
    plan = decide(seen(nodes, pods, daemonset, REVISIONS), NOW).plan
    started = Counter(node_of(action.obj) for action in plan.actions if isinstance(action, Create))
    assert all(many == 1 for many in started.values())
    if not surge:
        gone = {node_of(pod) for pod in pods if is_deleting(pod) and pod["status"]["phase"] == "Failed"}
        assert not (set(started) - gone) & {node_of(pod) for pod in pods}, "only where none is"


class World:
    """Carries a plan's actions out as server, scheduler and nodes would, one step after another."""

    def __init__(self, seed, surge):
        self.rng = random.Random(seed)
        self.nodes, self.pods, self.daemonset = any_state(seed, surge)
        self.now, self.made, self.memory, self.revisions = NOW, 0, Memory(), REVISIONS

    def step(self):
        """Looks and acts; returns the number of actions other than on the status."""
        decision = decide(seen(self.nodes, self.pods, self.daemonset, self.revisions, memory=self.memory), self.now)
        self.memory = decision.memory
        acted = 0
        for action in decision.plan.actions:
            if isinstance(action, SetStatus):
                self.daemonset = {**self.daemonset, "status": action.status}
                continue
            acted += 1
            if isinstance(action, Create) and action.obj["kind"] == "Pod":
                self.made += 1
                self.pods.append(self._made(action.obj))
            elif isinstance(action, Delete):
                self.pods = [with_(pod, "metadata.deletionTimestamp", to_time(self.now))
                             if uid_of(pod) == action.uid else pod for pod in self.pods]
        return acted

    def _made(self, pod):
        name = f"made-{self.made}"
        metadata = {**pod["metadata"], "name": name, "uid": name, "creationTimestamp": to_time(self.now)}
        return {**pod, "metadata": metadata, "status": {"phase": "Pending"}}

    def pass_time(self):
        self.now += 20
        self.pods = [self._grown(pod) for pod in self.pods if not (is_deleting(pod) and self.rng.random() < .7)]

    def _grown(self, pod):
        if is_deleting(pod) or pod["status"]["phase"] == "Failed" or self.rng.random() < .3:
            return pod
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": to_time(self.now)}
        if pod["status"].get("conditions") or uid_of(pod).startswith("n"):
            return pod  # those from before stay as they are: an old broken one never comes up
        return {**with_(pod, "spec.nodeName", node_of(pod)), "status": {"phase": "Running", "conditions": [ready]}}


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("surge", [False, True])
def test_converges_to_one_current_pod_on_every_node(seed, surge):
    world = World(seed, surge)
    # Pods from before that are of today's template and never come up would block the rollout, as they should.
    world.pods = [pod for pod in world.pods if pod["status"].get("conditions")
                  or pod["metadata"]["labels"] != a_pod("n", NEW)["metadata"]["labels"]]
    quiet = 0
    for _ in range(400):
        quiet = 0 if world.step() else quiet + 1
        world.pass_time()
        if quiet == 12:  # long enough for every pod to come up or to end
            break
    assert quiet == 12, "it comes to rest"
    fits = eligibility(world.daemonset["spec"]["template"])
    wanted = {name_of(node) for node in world.nodes if fits(node) is Fit.RUN}
    keeping = {name_of(node) for node in world.nodes if fits(node) is Fit.KEEP}
    current = Counter(node_of(pod) for pod in world.pods)
    assert set(current) - keeping == wanted and all(many == 1 for many in current.values())
    status = world.daemonset["status"]
    assert status["desiredNumberScheduled"] == status.get("updatedNumberScheduled", 0) == \
        status.get("numberAvailable", 0) == len(wanted)


def touched(before, after):
    """As whoever listened meanwhile would tell it."""
    was, there = ({name_of(pod): pod for pod in pods} for pods in (before, after))
    return {name: there.get(name) for name in {**was, **there} if was.get(name) is not there.get(name)}


@pytest.mark.parametrize("seed", range(40))
def test_what_was_read_before_makes_no_difference(seed):
    world = World(seed, surge=seed % 2 == 0)
    elsewhere = a_template("agent:3", nodeSelector={"only": "some"})
    world.revisions = [*REVISIONS, a_revision(elsewhere, 4)]
    before = None
    for _ in range(25):
        state = seen(world.nodes, world.pods, world.daemonset, world.revisions, memory=world.memory)
        fresh = replace(state, memory=replace(world.memory, reading=None))
        told = replace(state, touched=touched(before, world.pods)) if before is not None else state
        assert decide(told, world.now).plan == decide(fresh, world.now).plan == decide(state, world.now).plan
        before = list(world.pods)
        world.step()
        world.pass_time()
        match world.rng.randrange(8):
            case 0:
                world.daemonset = with_(world.daemonset, "spec.minReadySeconds", world.rng.choice([0, 5, 60]))
            case 1:
                world.daemonset = with_(world.daemonset, "spec.template", elsewhere)
            case 2:
                world.nodes = [any_node(world.rng, name_of(node)) for node in world.nodes]
            case 3:
                world.daemonset = with_(world.daemonset, "spec.template", world.rng.choice([OLD, NEW]))


@pytest.mark.parametrize("seed", SEEDS)
def test_status_numbers_agree_with_each_other(seed):
    nodes, pods, daemonset = any_state(seed, surge=seed % 2 == 0)
    status = status_in(decide(seen(nodes, pods, daemonset, REVISIONS), NOW).plan)
    desired, current = status["desiredNumberScheduled"], status["currentNumberScheduled"]
    up, down_ = status.get("numberAvailable", 0), status.get("numberUnavailable", 0)
    assert up <= status["numberReady"] <= current <= desired == up + down_
    assert status.get("updatedNumberScheduled", 0) <= current
    assert current + status["numberMisscheduled"] <= len(nodes)


@pytest.mark.parametrize("seed", range(40))
def test_the_order_of_pods_makes_no_difference(seed):
    nodes, pods, daemonset = any_state(seed, surge=seed % 2 == 0)
    shuffled = random.Random(seed).sample(pods, len(pods))
    said = [sorted(a.uid for a in decide(seen(nodes, some, daemonset, REVISIONS), NOW).plan.actions
                   if isinstance(a, Delete)) for some in (pods, shuffled)]
    assert said[0] == said[1]


class OneSet:
    """As much of a mirror as `wakes` reads."""

    def __init__(self, daemonset):
        self._daemonset = daemonset

    def objects(self, resource):
        return {("logging", "agent"): self._daemonset}

    def in_namespace(self, resource, namespace):
        return {"agent": self._daemonset} if namespace == "logging" else {}

    def get(self, key):
        return self._daemonset if key.name == "agent" else None


def a_change(resource, before, after):
    obj = after or before
    place = (obj["metadata"].get("namespace", ""), name_of(obj))
    return Change(9, Key(resource, *place), Snapshot(after, 9) if after else None,
                  Snapshot(before, 8) if before else None)


@pytest.mark.parametrize("resource, before, after, woken", [
    pytest.param("nodes", None, a_node("n1"), True, id="a node comes"),
    pytest.param("nodes", a_node("n1"), None, True, id="a node goes"),
    pytest.param("nodes", a_node("n1"), with_(a_node("n1"), "status.phase", "x"), False, id="a heartbeat"),
    pytest.param("nodes", a_node("n1"), a_node("n1", {"a": "b"}), False, id="a label that does not matter"),
    pytest.param("nodes", a_node("n1"), a_node("n1", taints=[a_taint("x", "NoExecute")]), True, id="a taint"),
    pytest.param("pods", None, a_pod("n1"), True, id="its pod"),
    pytest.param("pods", a_pod("n1"), None, True, id="its pod goes"),
    pytest.param("pods", None, a_pod("n1", uid_of_owner="other"), False, id="a namesake's pod"),
    pytest.param("pods", None, a_pod("n1", orphan=True), True, id="an orphan that matches"),
    pytest.param("pods", None, a_pod("n1", orphan=True, labels={}), False, id="an orphan that does not"),
    pytest.param("pods", a_pod("n1", orphan=True), down("n1", orphan=True), False, id="an orphan it left alone"),
    pytest.param("pods", a_pod("n1"), a_pod("n1", orphan=True), True, id="a pod is orphaned"),
    pytest.param("pods", down("n1"), a_pod("n1"), True, id="its pod is ready"),
    pytest.param("pods", a_pod("n1", bound=False), a_pod("n1"), False, id="its pod is bound to its node"),
    pytest.param("pods", a_pod("n1", phase="Pending"), with_(a_pod("n1", phase="Pending"), "status.conditions", [
        {"type": "Ready", "status": "False"}]), False, id="its pod says why it is not ready"),
    pytest.param("pods", a_pod("n1"), down("n1", phase="Failed"), True, id="its pod failed"),
    pytest.param("pods", a_pod("n1"), a_pod("n1", going=True), False, id="its pod begins to go"),
    pytest.param("pods", a_pod("n1", going=True), down("n1", phase="Succeeded", going=True), True, id="and has ended"),
    pytest.param("pods", down("n1", phase="Succeeded", going=True), None, False, id="and is gone after it ended"),
    pytest.param("pods", down("n1", phase="Failed"), None, True, id="its failed pod is gone"),
])
def test_wakes(resource, before, after, woken):
    assert bool(list(wakes(a_change(resource, before, after), OneSet(a_set())))) is woken


def test_a_pod_that_begins_to_go_wakes_a_set_that_surges():
    change = a_change("pods", a_pod("n1"), a_pod("n1", going=True))
    assert list(wakes(change, OneSet(a_set(rolling={"maxSurge": 1, "maxUnavailable": 0}))))


def test_a_status_as_it_was_decided_wakes_nobody_and_any_other_does():
    told = {"numberReady": 1}
    before, after, other = (with_(a_set(status=status), "metadata.resourceVersion", str(revision))
                            for revision, status in enumerate(({"numberReady": 0}, told, {"numberReady": 9})))
    memories = Memories()
    change = a_change("daemonsets.apps", before, after)
    assert not memories.is_echo(change), "nothing was decided so far"
    memories.keep(after, Memory(said=told))
    assert memories.is_echo(change)
    assert not memories.is_echo(a_change("daemonsets.apps", after, other)), "somebody else wrote it"
    grown = with_(after, "metadata.generation", 3)
    assert not memories.is_echo(a_change("daemonsets.apps", before, grown)), "something was asked along with it"
