"""Who has to leave, and who is spared."""
import random

import pytest
from scheduling_world import NOW, World, affinity, bound, node, pod, term, told

from muster.api.objects import Key
from muster.control.plan import Delete, Patch
from muster.scheduler.preempt import Budget, budget_of

WEB = {"app": "web"}


def budget(allowed, labels, noted=()):
    return budget_of({"metadata": {"namespace": "x"}, "spec": {"selector": {"matchLabels": labels}},
                      "status": {"disruptionsAllowed": allowed, "disruptedPods": dict.fromkeys(noted, "t")}})


def victims(decided):
    return {one.key.name for one in decided.actions if isinstance(one, Delete)}


def high(name="p", cpu="2", **spec):
    return pod(name, cpu=cpu, priority=10, **spec)


@pytest.mark.parametrize("there, budgets, leave", [
    pytest.param([pod("a", cpu="2", bound="n1", labels=WEB), pod("b", cpu="2", bound="n1")], [budget(0, WEB)], {"b"},
                 id="not one that a budget protects"),
    pytest.param([pod("a", cpu="4", bound="n1", labels=WEB)], [budget(0, WEB)], {"a"}, id="that one if nothing else helps"),
    pytest.param([pod("a", cpu="4", bound="n1", labels=WEB)], [budget(1, WEB)], {"a"}, id="one that may be disrupted"),
    pytest.param([node("n2"), pod("a", cpu="4", bound="n1", labels=WEB), pod("b", cpu="4", bound="n2", priority=5)],
                 [budget(0, WEB)], {"b"}, id="rather a more important one than break a budget"),
    pytest.param([node("n2"), pod("a", cpu="4", bound="n1", priority=1), pod("b", cpu="4", bound="n2", priority=5)], [], {"a"},
                 id="the node with the least important victim"),
    pytest.param([node("n2"), pod("a", cpu="2", bound="n1"), pod("b", cpu="2", bound="n1"), pod("c", cpu="4", bound="n2")],
                 [], {"b"}, id="of two the one that is named later"),
    pytest.param([node("n2"), pod("a", cpu="4", bound="n1", started="2026-01-01T00:00:00Z"),
                  pod("b", cpu="4", bound="n2", started="2026-01-02T00:00:00Z")], [], {"b"}, id="the one that started last"),
    pytest.param([node("n2"), *(pod(f"a{n}", cpu="1", bound="n1") for n in range(4)), pod("b", cpu="4", bound="n2")], [], {"b"},
                 id="as few as possible"),
])
def test_picks(there, budgets, leave):
    decided = World(node("n1"), *there, high()).decide(budgets=budgets)
    assert victims(decided) == leave


def test_pods_that_were_counted_already_are_not_counted_against_the_budget():
    assert not budget(0, WEB, noted=["a"]).covers(
        Key("pods", "x", "a"), World(node("n1"), pod("a", bound="n1", labels=WEB)).snapshot.rooms["n1"].pods[Key("pods", "x", "a")])
    assert isinstance(budget(0, WEB), Budget)


def test_whoever_is_in_the_way_by_anti_affinity_leaves():
    one = high(cpu="1", affinity=affinity("podAntiAffinity", term(WEB)))
    world = World(node("n1", zone="a"), pod("a", bound="n1", labels=WEB), pod("b", bound="n1"), one)
    counts = world.snapshot.tallies.tally(world.line.get(Key("pods", "x", "p")).needs.wishes.not_with[0])
    assert victims(world.decide()) == {"a"}
    assert counts.counts == {"a": 1}, "thinking it away changed nothing"


def test_two_in_one_look_do_not_take_the_same_victim():
    world = World(node("n1"), node("n2"), pod("a", cpu="4", bound="n1"), pod("b", cpu="4", bound="n2"),
                  high("p", cpu="4"), high("q", cpu="4"))
    assert victims(world.decide()) == {"a", "b"}


def test_the_room_of_victims_is_kept_for_the_one_that_preempted():
    nominated = high()
    nominated["status"]["nominatedNodeName"] = "n1"
    world = World(node("n1"), nominated, pod("cheap", cpu="3"))
    world.line.take(NOW, 1)
    world.line.refused(Key("pods", "x", "p"), {"NodeResourcesFit"}, NOW)
    decided = world.decide()
    assert bound(decided) == {} and told(decided)[0].startswith("0/1 nodes are available: 1 Insufficient cpu.")
    world.put(pod("more", cpu="3", priority=20))
    assert bound(world.decide()) == {"more": "n1"}, "one that is more important takes it"


def test_less_important_pods_lose_the_room_that_was_kept_for_them():
    nominated = pod("q", cpu="4", priority=5)
    nominated["status"]["nominatedNodeName"] = "n1"
    world = World(node("n1"), pod("a", cpu="4", bound="n1"), nominated)
    world.line.take(NOW, 9)
    world.line.refused(Key("pods", "x", "q"), {"NodeResourcesFit"}, NOW)
    world.put(high())
    decided = world.decide()
    assert [one.key.name for one in decided.actions
            if isinstance(one, Patch) and one.patch["status"] == {"nominatedNodeName": None}] == ["q"]


def test_says_why_it_does_not_preempt_again():
    going = pod("a", cpu="4", bound="n1")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    one = high()
    one["status"]["nominatedNodeName"] = "n1"
    assert told(World(node("n1"), going, one).decide()) == [
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to a terminating pod on the nominated node."]


@pytest.mark.parametrize("seed", range(30))
def test_only_less_important_pods_leave_and_the_pod_fits_then(seed):
    """Law: with the victims gone the pod fits, with any one of them back it does not."""
    rng = random.Random(seed)
    nodes = [node(f"n{number}", cpu="6") for number in range(3)]
    free = {one["metadata"]["name"]: 6 for one in nodes}
    there = []
    for number in range(12):
        name, cpu = rng.choice(sorted(free)), rng.randint(1, 3)
        if free[name] >= cpu:
            free[name] -= cpu
            there.append(pod(f"p{number}", cpu=str(cpu), bound=name, priority=rng.randint(0, 20)))
    one = high("new", cpu=str(rng.randint(2, 6)))
    decided = World(*nodes, *there, one).decide()
    sizes = {obj["metadata"]["name"]: int(obj["spec"]["containers"][0]["resources"]["requests"]["cpu"]) for obj in [*there, one]}
    left = victims(decided)
    assert all(obj["spec"]["priority"] < 10 for obj in there if obj["metadata"]["name"] in left)
    if left:
        (where,) = {obj["spec"]["nodeName"] for obj in there if obj["metadata"]["name"] in left}
        room = free[where] + sum(sizes[name] for name in left)
        assert room >= sizes["new"] and all(room - sizes[name] < sizes["new"] for name in left)
    elif not bound(decided):
        for name, room in free.items():
            assert room + sum(sizes[obj["metadata"]["name"]] for obj in there if obj["spec"]["nodeName"] == name
                              and obj["spec"]["priority"] < 10) < sizes["new"]
