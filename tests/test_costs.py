"""What the main jobs cost, counted in operations and not in seconds: a whole cluster in virtual time.

A figure that goes up here makes every large cluster slower, whatever the machine.
"""
from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace

import orjson
import pytest

from muster.api.objects import Key, at
from muster.app import Cluster, running
from muster.bootstrap import first_objects, node_pool
from muster.clock import run_virtual
from muster.scheduler import choice, decide
from muster.scheduler import snapshot as scheduled
from muster.scheduler.examination import Examinations
from muster.scheduler.line import Line
from muster.server import streams
from muster.server.requests import Ear, WatchQuery
from muster.store import history
from muster.store.memory import MemoryStore

KEY = Key("daemonsets.apps", "default", "agent")
INSTANT = "0s"
UNEVEN = "0ms..200ms"  # no two pods start or stop at the same moment
FEW, MANY = 40, 160


def agent(max_unavailable):
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": "agent"}},
                     "updateStrategy": {"type": "RollingUpdate",
                                        "rollingUpdate": {"maxUnavailable": max_unavailable}},
                     "template": {"metadata": {"labels": {"app": "agent"}},
                                  "spec": {"containers": [{"name": "agent", "image": "agent:1"}]}}}}


@dataclass
class Costs:
    writes: Counter = field(default_factory=Counter)  # (phase, resource) -> commits
    plans: Counter = field(default_factory=Counter)  # phase -> decisions about the DaemonSet
    others: Counter = field(default_factory=Counter)  # phase -> decisions of all others but the node controller
    looked_at: Counter = field(default_factory=Counter)  # phase -> objects that those looked at
    judged: Counter = field(default_factory=Counter)  # phase -> nodes that the scheduler examined
    beats: set = field(default_factory=set)  # (phase, moment at which leases were written)

    def of(self, phase, resource):
        return self.writes[phase, resource]


@cache
def costs(nodes, takes=INSTANT, max_unavailable="10%"):
    """One DaemonSet on so many nodes: created, rolled, left alone for a minute, deleted."""
    behaviour = {"pull": "0s", "start": takes, "ready": "0s", "stop": takes}
    found = Costs()
    phase = "start"
    examine = choice.examine

    def judging(*arguments):
        found.judged[phase] += 1
        return examine(*arguments)

    async def told(clock):
        nonlocal phase
        store = MemoryStore()

        def noted(changes):
            for change in changes:
                found.writes[phase, change.key.resource] += 1
                if change.key.resource == "leases.coordination.k8s.io":
                    found.beats.add((phase, round(clock.now(), 3)))

        store.history.on_append(noted)
        async with running(Cluster(store, clock)) as cluster:
            client = cluster.client("kubernetes-admin")
            (tally,) = [one.tally for one in cluster.runtimes if one.controller.name == "daemonset-controller"]

            def all_plans():  # the node controller asks each node by itself whether its lease is still renewed
                return sum(one.tally.plans for one in cluster.runtimes if one.controller.name != "node-controller")

            async def during(name, seconds):
                nonlocal phase
                before, began = (tally.plans, tally.looked_at), all_plans() - tally.plans
                phase = name
                await asyncio.sleep(seconds)
                found.plans[name] = tally.plans - before[0]
                found.looked_at[name] = tally.looked_at - before[1]
                found.others[name] = all_plans() - tally.plans - began

            async def landed():
                status = at(await client.get(KEY), "status")
                assert status["updatedNumberScheduled"] == status["numberAvailable"] == nodes, status

            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            await client.create(node_pool("pool", nodes, behaviour=behaviour))
            await during("nodes", 30)
            phase = "created"
            await client.create(agent(max_unavailable))
            await during("created", 30)
            await landed()
            phase = "rolled"
            image = {"containers": [{"name": "agent", "image": "agent:2"}]}
            await client.patch(KEY, {"spec": {"template": {"spec": image}}}, how="strategic")
            await during("rolled", 60)
            await landed()
            await during("idle", 60)
            phase = "deleted"
            await client.delete(KEY, propagation="Background")
            await during("deleted", 30)
            assert not cluster.mirror.objects("pods")

    choice.examine = judging
    try:
        run_virtual(told, seed="costs")
    finally:
        choice.examine = examine
    return found


@pytest.mark.parametrize("phase, most", [
    pytest.param("created", 3, id="created: the pod, its binding, Running and ready"),
    pytest.param("rolled", 7, id="rolled: the four of an end, and the three of the next"),
    pytest.param("deleted", 4, id="deleted: marked, its containers ended, its network gone, removed"),
    pytest.param("idle", 0, id="left alone: none"),
])
def test_writes_of_a_pod(phase, most):
    assert costs(FEW).of(phase, "pods") <= most * FEW


def test_events_of_a_pod_are_the_five_that_upstream_tells():
    """Scheduled, Pulling, Pulled, Created, Started; the set's own are combined into a few."""
    assert costs(FEW).of("created", "events") <= 5 * FEW + 30


def test_the_scheduler_examines_one_node_for_a_pod_that_is_for_one_node():
    assert costs(FEW).judged["created"] == FEW
    assert costs(MANY).judged["rolled"] == MANY


@pytest.mark.parametrize("nodes, pods", [pytest.param(50, 200, id="all nodes compared"),
                                         pytest.param(400, 800, id="a part of the nodes compared")])
def test_pods_of_one_template_ask_each_node_once_and_then_only_those_that_changed(nodes, pods):
    snapshot, line = scheduled.Snapshot(), Line()
    for number in range(nodes):
        node = {"metadata": {"name": f"n{number}"}, "spec": {},
                "status": {"allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"}}}
        snapshot.apply_node(history.Change(number, Key("nodes", "", f"n{number}"), history.Snapshot(node, number), None))
    for number in range(pods):
        pod = {"metadata": {"name": f"p{number}", "namespace": "x", "uid": f"u{number}"}, "status": {},
               "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "100m"}}}]}}
        line.put(scheduled.waiting_of(Key("pods", "x", f"p{number}"), pod))
    examinations, examined, bound = Examinations(), 0, 0
    while waiting := line.take(0.0, pods):
        found = decide.decide(decide.Observed(waiting, snapshot.rooms, snapshot.node_order(), snapshot.tallies,
                                              examinations=examinations), 0.0)
        for one in found.actions:
            there = {**one.tell, "spec": {**one.tell["spec"], "nodeName": one.node}}
            snapshot.apply_pod(history.Change(1, one.key, history.Snapshot(there, 1), None))
            line.drop(one.key)
        line.undone(found.undone)
        examined, bound = examined + found.size, bound + len(found.bound)
    assert bound == pods
    assert examined <= pods + nodes + 2 * pods, "each pod, each node once, and where a pod was placed: then, and once bound"


@pytest.mark.parametrize("phase, most", [("created", 6), ("rolled", 40), ("idle", 0)])
def test_plans_do_not_grow_with_the_number_of_nodes(phase, most):
    """What changes together is seen together: a share of the nodes at a time takes as many steps for any number."""
    few, many = costs(FEW).plans[phase], costs(MANY).plans[phase]
    assert many <= most
    assert many <= few + 4, "four times the nodes"


@pytest.mark.parametrize("phase, most", [("created", 10), ("rolled", 40), ("idle", 0)])
def test_nobody_else_decides_once_for_each_pod_either(phase, most):
    """The scheduler decides on all that wait at once; that a pod comes or goes is nothing for the garbage collector."""
    few, many = costs(FEW).others[phase], costs(MANY).others[phase]
    assert many <= most
    assert many <= few + 4, "four times the nodes"


def test_changes_that_come_together_are_seen_together():
    """Pods that start one by one within 0.2 s cost a few looks and not one each: the set's key rests after a look."""
    found = costs(MANY, takes=UNEVEN, max_unavailable="100%")
    assert found.plans["created"] <= MANY / 5
    assert found.plans["rolled"] <= MANY / 3


@pytest.mark.parametrize("resource, phase", [
    pytest.param("daemonsets.apps", "created", id="statuses of the set while it is created"),
    pytest.param("daemonsets.apps", "rolled", id="statuses of the set while it is rolled"),
    pytest.param("nodepools.muster.dev", "nodes", id="statuses of the pool"),
])
def test_statuses_do_not_grow_with_the_number_of_nodes(resource, phase):
    few, many = costs(FEW).of(phase, resource), costs(MANY).of(phase, resource)
    assert many <= few + 4, (few, many)


def test_idle_nodes_write_a_heartbeat_in_ten_seconds_and_hardly_anything_else():
    found = costs(MANY)
    assert found.of("idle", "leases.coordination.k8s.io") <= 7 * MANY
    assert found.of("idle", "nodes") <= MANY  # a report in five minutes
    assert not found.of("idle", "daemonsets.apps") and not found.of("idle", "events")


def test_heartbeats_go_out_together_twice_a_second():
    """A durable store pays the disk once for all of them."""
    assert sum(phase == "idle" for phase, _ in costs(MANY).beats) <= 2 * 60 + 1


def test_an_object_is_encoded_once_for_all_who_ask():
    encoded = Counter()
    dumps = history.orjson.dumps

    class Counting:
        loads = history.orjson.loads

        @staticmethod
        def dumps(value):
            encoded[id(value)] += 1
            return dumps(value)

    history.orjson = Counting
    try:
        snapshot = history.Snapshot({"metadata": {"name": "one"}}, 1)
        assert snapshot.encoded() is snapshot.encoded()
    finally:
        import orjson
        history.orjson = orjson
    assert encoded[id(snapshot.value)] == 1


def test_a_change_is_encoded_once_and_its_line_put_together_once_for_all_watchers(monkeypatch):
    """Five hundred connections are told: one encoding, one line, one write each, and no task is woken."""
    watchers, counted = 500, Counter()
    dumps, lines = orjson.dumps, streams.whole_lines
    monkeypatch.setattr(history, "orjson", SimpleNamespace(
        loads=orjson.loads, dumps=lambda value: (counted.update(["encoded"]), dumps(value))[1]))

    def render(events):
        counted["lines"] += 1
        return lines(events)

    def say(piece):
        counted["written"] += 1
        return True

    async def told(clock):
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            registry = cluster.registry
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            kind = registry.kinds.resource("configmaps")

            async def watch():
                query = WatchQuery(resource_version=str(registry.store.history.revision))
                async for _ in registry.watch(kind, "default", query, Ear(render, say)):
                    counted["woken"] += 1

            watching = [asyncio.create_task(watch()) for _ in range(watchers)]
            await asyncio.sleep(1)
            counted.clear()
            await cluster.client("kubernetes-admin").create(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "told", "namespace": "default"}})
            await asyncio.sleep(0.5)
            for task in watching:
                task.cancel()

    run_virtual(told, seed="costs")
    assert counted == {"encoded": 1, "lines": 1, "written": watchers}
