"""How fast the pods of lost nodes have to leave: one decision a row, then whole clusters in virtual time."""
from __future__ import annotations

import asyncio
import random

import pytest

from muster.api.objects import Key, at, to_time
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import run_virtual
from muster.controllers.node_evictions import Observed, Pace, all_lost, next_in, plan, rate_of
from muster.controllers.zones import Zone, Zones
from muster.store.history import Change, Snapshot
from muster.store.memory import MemoryStore

NOW = 1_767_225_600.0
PACE = Pace()
KEYS = "node.kubernetes.io/"


def a_node(name, ready="Unknown", *, zone="a", since=NOW - 60, taints=(), **labels):
    conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": to_time(since)}] if ready else []
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "7", "creationTimestamp": to_time(NOW - 900),
                         "labels": {"topology.kubernetes.io/zone": zone, **labels}},
            "spec": {"taints": list(taints)} if taints else {}, "status": {"conditions": conditions}}


def evicting(since=NOW - 5, key="unreachable"):
    return {"key": KEYS + key, "effect": "NoExecute", "timeAdded": to_time(since)}


def heard(*nodes, zones=None):
    zones = zones or Zones(lambda: NOW)
    for node in nodes:
        zones.apply(Change(1, Key("nodes", "", node["metadata"]["name"]), Snapshot(node, 1), None))
    return zones


def decided(*nodes, pace=PACE):
    zones = heard(*nodes).zones
    named = {node["metadata"]["name"]: node for node in nodes}
    looked_at = [name for zone in zones.values() for name in (
        zone.evicting if all_lost(zones) else [next_in(zone)] if zone.waiting else ())]
    found = plan(Observed(zones, {name: named[name] for name in looked_at}), NOW, pace)
    return {action.key.name: [one["key"].removeprefix(KEYS) for one in action.patch["spec"]["taints"] or ()]
            for action in found.actions}, found.wake_at


@pytest.mark.parametrize(("ready", "not_ready", "rate"), [
    pytest.param(10, 0, 0.1, id="all well"),
    pytest.param(1, 2, 0.1, id="two lost are no disruption, whatever their share"),
    pytest.param(2, 3, 0.0, id="60 % of a small zone"),
    pytest.param(3, 3, 0.1, id="50 %"),
    pytest.param(9, 11, 0.0, id="55 %: that is enough"),
    pytest.param(20, 30, 0.0, id="60 % of 50 nodes"),
    pytest.param(20, 31, 0.01, id="60 % of 51 nodes"),
    pytest.param(0, 3, 0.1, id="a whole small zone"),
    pytest.param(0, 1, 0.1, id="its only node"),
    pytest.param(0, 80, 0.1, id="a whole large zone"),
])
def test_the_rate_of_a_zone(ready, not_ready, rate):
    assert rate_of(Zone(ready, not_ready), PACE) == rate


WELL = [a_node(f"well{number}", "True") for number in range(9)]
FAR = a_node("far", "True", zone="b")


@pytest.mark.parametrize(("nodes", "writes", "wake_at"), [
    pytest.param(WELL, {}, None, id="all well"),
    pytest.param([*WELL, a_node("x")], {"x": ["unreachable"]}, None, id="a silent one: at once"),
    pytest.param([*WELL, a_node("x", "False")], {"x": ["not-ready"]}, None, id="one that says that it is not ready"),
    pytest.param([*WELL, a_node("x", "")], {}, None, id="one that was never heard of"),
    pytest.param([*WELL, a_node("x", since=NOW - 2)], {}, NOW + 3, id="nobody noticed yet"),
    pytest.param([*WELL, a_node("x"), a_node("y", since=NOW - 70)], {"y": ["unreachable"]}, None, id="the first comes first"),
    pytest.param([*WELL, a_node("x", "False", since=NOW + 3600)], {}, NOW + 5, id="its clock is an hour ahead"),
    pytest.param([*WELL, a_node("x", "False", since=NOW - 3600)], {"x": ["not-ready"]}, None, id="its clock is an hour behind"),
    pytest.param([*WELL, a_node("x", taints=[evicting(NOW - 4)]), a_node("y")], {}, NOW + 6, id="ten seconds after the last"),
    pytest.param([*WELL, a_node("x", taints=[evicting(NOW - 10)]), a_node("y")], {"y": ["unreachable"]}, None, id="its turn"),
    pytest.param([*WELL, a_node("x", taints=[evicting(NOW - 4)]), FAR, a_node("y", zone="b")], {"y": ["unreachable"]}, None,
                 id="each zone at its own pace"),
    pytest.param([FAR, *[a_node(f"x{number}") for number in range(4)]], {"x0": ["unreachable"]}, None,
                 id="a whole zone, the other is well"),
    pytest.param([*WELL[:2], *[a_node(f"x{number}") for number in range(3)]], {}, None, id="too many: none"),
    pytest.param([a_node("x"), a_node("y")], {}, None, id="nobody left: none"),
    pytest.param([a_node("x", taints=[evicting()]), a_node("y", zone="b", taints=[evicting()]), a_node("z")],
                 {"x": [], "y": []}, None, id="nobody left: they may stay after all"),
    pytest.param([a_node("x", taints=[{"key": "mine", "effect": "NoExecute"}, evicting()])], {"x": ["mine"]}, None,
                 id="a taint of somebody else stays"),
    pytest.param([*WELL[:2], *[a_node(f"x{number}") for number in range(2)],
                  a_node("apart", **{"node.kubernetes.io/exclude-disruption": ""})], {"apart": ["unreachable"]}, None,
                 id="one that is not counted goes like the others"),
])
def test_who_has_to_leave(nodes, writes, wake_at):
    assert decided(*nodes) == (writes, wake_at)


def test_a_clock_that_is_ahead_puts_nothing_off():
    """What changes on it meanwhile does not make it wait anew."""
    zoned, zones = a_node("x", "False", since=NOW + 3600), heard(*WELL)
    changes = [(None, zoned), (zoned, {**zoned, "metadata": {**zoned["metadata"], "labels": {
        **zoned["metadata"]["labels"], "node.kubernetes.io/exclude-disruption": ""}}})]
    for moment, (old, new) in zip((NOW, NOW + 4), changes, strict=True):
        zones._now = lambda moment=moment: moment
        zones.apply(Change(1, Key("nodes", "", "x"), Snapshot(new, 1), Snapshot(old, 1) if old else None))
    assert zones.zones["", "a"].waiting == {"x": NOW}


def test_the_pace_can_be_another():
    nodes = [*WELL, a_node("x", taints=[evicting(NOW - 2)]), a_node("y")]
    assert decided(*nodes, pace=Pace(usual_per_s=1.0)) == ({"y": ["unreachable"]}, None)
    assert decided(*WELL[:2], *[a_node(f"x{number}") for number in range(3)], pace=Pace(large_zone=4))[0] == {"x0": ["unreachable"]}


class Zoned:
    """Nodes of three zones that fall silent and come back, one by one or a zone at a time."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.now, self.zones = NOW, Zones(lambda: self.now)
        self.nodes = {}
        sizes = {"a": self.rng.choice([3, 6, 60]), "b": self.rng.choice([2, 8]), "c": self.rng.choice([0, 1])}
        for zone, size in sizes.items():
            for number in range(size):
                self.put(a_node(f"{zone}{number}", "True", zone=zone))

    def put(self, node):
        name = node["metadata"]["name"]
        old = self.nodes.get(name)
        self.zones.apply(Change(1, Key("nodes", "", name), Snapshot(node, 1), Snapshot(old, 1) if old else None))
        self.nodes[name] = node

    def turn(self):
        self.now += self.rng.choice([1, 3, 11, 40])
        zone, well = self.rng.choice("aabbc"), self.rng.random() < .4
        names = sorted(name for name in self.nodes if name.startswith(zone))
        for name in self.rng.sample(names, min(len(names), self.rng.choice([1, 1, 2, len(names)]))):
            taints = [] if well else at(self.nodes[name], "spec.taints", ())  # who is heard of again loses the taint
            if well or self.is_well(name):
                self.put(a_node(name, "True" if well else "Unknown", zone=zone, since=self.now, taints=taints))

    def look(self):
        """The names of the nodes whose pods have to leave from now on, and of those whose pods may stay after all."""
        zones = self.zones.zones
        looked_at = [name for zone in zones.values() for name in (
            zone.evicting if all_lost(zones) else [next_in(zone)] if zone.waiting else ())]
        before = set(filter(self.leaves, self.nodes))
        for action in plan(Observed(zones, {name: self.nodes[name] for name in looked_at}), self.now, PACE).actions:
            self.put({**self.nodes[action.key.name], "spec": {"taints": action.patch["spec"]["taints"] or []}})
        after = set(filter(self.leaves, self.nodes))
        return after - before, before - after

    def is_well(self, name):
        return self.nodes[name]["status"]["conditions"][0]["status"] == "True"

    def leaves(self, name):
        return any(taint["effect"] == "NoExecute" for taint in at(self.nodes[name], "spec.taints", ()))


@pytest.mark.parametrize("seed", range(60))
def test_in_any_history_the_pods_of_each_zone_leave_at_its_pace(seed):
    world, began = Zoned(seed), {}
    for _ in range(120):
        world.turn()
        lost = {zone: [name for name in world.nodes if name.startswith(zone) and not world.is_well(name)] for zone in "abc"}
        size = {zone: sum(name.startswith(zone) for name in world.nodes) for zone in "abc"}
        leaving, staying = world.look()
        if all(len(lost[zone]) == size[zone] for zone in "abc"):
            assert not leaving and not any(map(world.leaves, world.nodes)), "it may be us that is lost"
            continue
        assert not staying
        assert all(not world.is_well(name) for name in leaving), "nobody leaves a node that is well"
        for zone in "abc":
            here = [name for name in leaving if name.startswith(zone)]
            share = len(lost[zone]) / (size[zone] or 1)
            disrupted = len(lost[zone]) > 2 and 0.55 <= share < 1
            pause = 10 if not disrupted else 100 if size[zone] > 50 else float("inf")
            assert len(here) <= 1 and (not here or world.now - began.get(zone, 0) >= pause)
            if here:
                began[zone] = world.now


def test_zones_are_counted_from_change_to_change():
    zones = heard(*WELL, a_node("x"), FAR)
    place = lambda name: Key("nodes", "", name)  # noqa: E731
    assert {name: (zone.ready, zone.not_ready, list(zone.waiting)) for name, zone in zones.zones.items()} == {
        ("", "a"): (9, 1, ["x"]), ("", "b"): (1, 0, [])}
    back = a_node("x", "True", since=NOW)
    assert zones.apply(Change(2, place("x"), Snapshot(back, 2), Snapshot(a_node("x"), 1)))
    assert not zones.apply(Change(3, place("x"), Snapshot({**back, "spec": {"unschedulable": True}}, 3), Snapshot(back, 2)))
    assert zones.apply(Change(4, place("far"), None, Snapshot(FAR, 1)))
    assert {name: (zone.ready, zone.not_ready) for name, zone in zones.zones.items()} == {("", "a"): (10, 0)}


def test_one_taint_for_the_other_is_no_new_eviction():
    before, after = (a_node("x", taints=[evicting(NOW - 50)]), a_node("x", "False", taints=[evicting(NOW, "not-ready")]))
    zones = heard(*WELL, before)
    zones.apply(Change(2, Key("nodes", "", "x"), Snapshot(after, 2), Snapshot(before, 1)))
    assert zones.zones["", "a"].last_evicting == NOW - 50


# ------------------------------------------------------------------ whole clusters

class World:
    """So many nodes in each zone, and when each of them began to lose its pods."""

    def __init__(self, cluster, clock):
        self.cluster, self.clock, self.client = cluster, clock, cluster.client("kubernetes-admin")
        self.began: dict[str, float] = {}
        cluster.mirror.on_change(self._hear, ["nodes"])

    def _hear(self, change):
        if change.value is not None and self.is_evicting(change.value):
            self.began.setdefault(change.key.name, self.clock.now())

    @staticmethod
    def is_evicting(node):
        return any(taint["effect"] == "NoExecute" for taint in at(node, "spec.taints", ()))

    async def make(self, zone, count):
        for number in range(count):
            await self.client.create({"apiVersion": "v1", "kind": "Node", "metadata": {
                "name": f"{zone}{number:02}", "labels": {"topology.kubernetes.io/zone": zone},
                "annotations": {"muster.dev/simulated": "true"}}})

    async def fail(self, *names, yes=True):
        for name in names:
            await self.client.patch(Key("nodes", "", name), {"metadata": {"annotations": {
                "muster.dev/fail": "true" if yes else None}}})

    def evicting(self):
        return sorted(place[1] for place, node in self.cluster.mirror.objects("nodes").items() if self.is_evicting(node))

    def gaps(self):
        times = sorted(self.began.values())
        return [round(later - earlier) for earlier, later in zip(times, times[1:], strict=False)]


def play(story):
    async def told(clock):
        async with running(Cluster(MemoryStore(), clock)) as cluster:
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            return await story(World(cluster, clock))
    return run_virtual(told, seed="zones")


def test_a_few_lost_nodes_lose_their_pods_one_by_one():
    async def story(world):
        await world.make("a", 10)
        await asyncio.sleep(30)
        assert world.began == {}, "a node that comes is not one that is lost"
        await world.fail("a01", "a02", "a03", "a04")
        await asyncio.sleep(120)
        assert world.evicting() == ["a01", "a02", "a03", "a04"]
        assert all(9 <= gap <= 11 for gap in world.gaps()), world.gaps()
        await world.fail("a02", yes=False)
        await asyncio.sleep(30)
        assert world.evicting() == ["a01", "a03", "a04"]
    play(story)


def test_most_of_a_small_zone_keeps_its_pods():
    async def story(world):
        await world.make("a", 5)
        await asyncio.sleep(30)
        await world.fail("a00", "a01", "a02")
        await asyncio.sleep(600)
        begun = world.evicting()
        assert len(begun) <= 1, "but for one that fell silent some seconds before the others"
        back = next(name for name in ("a00", "a01", "a02") if name not in begun)
        await world.fail(back, yes=False)
        await asyncio.sleep(60)
        assert world.evicting() == sorted({"a00", "a01", "a02"} - {back})
    play(story)


def test_most_of_a_large_zone_loses_them_slowly():
    async def story(world):
        await world.make("a", 60)
        await asyncio.sleep(30)
        await world.fail(*[f"a{number:02}" for number in range(40)])
        await asyncio.sleep(55 + 301)
        assert 3 <= len(world.began) <= 5
        assert world.gaps()[-1] in (100, 101)
    play(story)


def test_a_cluster_that_is_lost_as_a_whole_keeps_its_pods():
    async def story(world):
        await world.make("a", 3)
        await world.make("b", 3)
        await asyncio.sleep(30)
        await world.fail("a00")
        await asyncio.sleep(90)
        assert world.evicting() == ["a00"]
        await world.fail("a01", "a02", "b00", "b01", "b02")
        await asyncio.sleep(600)
        assert world.evicting() == [], "what was begun is taken back"
        await world.fail("b00", yes=False)
        await asyncio.sleep(90)
        assert world.evicting() == ["a00", "a01", "a02", "b01", "b02"], "a lost zone and two of another go at their pace"
    play(story)
