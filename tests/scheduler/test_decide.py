"""Where waiting pods go, and what they are told when they go nowhere."""
import random

import pytest
from scheduling_world import NOW, STARTED, World, bound, node, pod, told

from muster.api.objects import is_deleting
from muster.control.plan import Delete, Patch, Tell
from muster.scheduler.sample import enough_of, sample

TAINT = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
RATHER_NOT = {"key": "old", "effect": "PreferNoSchedule"}
GPU = {"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}


@pytest.mark.parametrize("objects, goes", [
    pytest.param([node("n1"), pod("p")], "n1", id="the only node"),
    pytest.param([node("n1"), node("n2"), pod("p", on="n2")], "n2", id="pinned"),
    pytest.param([node("n1", taints=[TAINT]), node("n2"), pod("p")], "n2", id="around a taint"),
    pytest.param([node("n1", taints=[TAINT]), pod("p", tolerations=[GPU])], "n1", id="tolerated"),
    pytest.param([node("n1", taints=[RATHER_NOT]), node("n2"), pod("p")], "n2", id="rather not"),
    pytest.param([node("n1", taints=[RATHER_NOT]), pod("p")], "n1", id="rather not, but there is no other"),
    pytest.param([node("n1"), node("n2", labels={"disk": "ssd"}), pod("p", nodeSelector={"disk": "ssd"})], "n2", id="selector"),
    pytest.param([node("n1", cpu="1"), node("n2"), pod("p", cpu="2")], "n2", id="where it fits"),
    pytest.param([node("n1"), node("n2"), pod("q", cpu="3", bound="n1"), pod("p", cpu="1")], "n2", id="where more is left"),
    pytest.param([node("n1", pods="1"), node("n2"), pod("q", bound="n1"), pod("p")], "n2", id="not where all places are taken"),
    pytest.param([node("n1"), node("n2"), pod("q", bound="n1", port=80), pod("p", port=80)], "n2", id="not where the port is taken"),
    pytest.param([node("n1"), node("n2", more={"example.com/gpu": "1"}), pod("p", cpu={"example.com/gpu": "1"})], "n2",
                 id="an extended resource"),
    pytest.param([node("n1", more={"example.com/gpu": "1"}), node("n2", more={"example.com/gpu": "2"}),
                  pod("q", cpu={"example.com/gpu": "1"}, bound="n1"), pod("p", cpu={"example.com/gpu": "1"})], "n2",
                 id="an extended resource that is taken"),
    pytest.param([node("n1", unschedulable=True), node("n2"), pod("p")], "n2", id="not where it is cordoned"),
    pytest.param([pod("q", cpu="4", bound="n1"), node("n1"), node("n2"), pod("p", cpu="4")], "n2", id="pod seen before its node"),
    pytest.param([node("n1"), pod("q", cpu="4", bound="n1", phase="Succeeded"), pod("p", cpu="4")], "n1", id="a finished pod takes nothing"),
])
def test_goes(objects, goes):
    assert bound(World(*objects).decide())["p"] == goes


@pytest.mark.parametrize("objects, message", [
    pytest.param([pod("p")], "no nodes available to schedule pods", id="no nodes"),
    pytest.param([node("n1", taints=[TAINT]), node("n2", taints=[TAINT]), pod("p")],
                 "0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: gpu}. preemption: "
                 "0/2 nodes are available: 2 Preemption is not helpful for scheduling.", id="taints"),
    pytest.param([node("n1", cpu="1"), node("n2", labels={"a": "b"}), pod("p", cpu="2", nodeSelector={"c": "d"})],
                 "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: "
                 "0/2 nodes are available: 2 Preemption is not helpful for scheduling.", id="selector"),
    pytest.param([node("n1", cpu="1"), node("n2", taints=[TAINT]), pod("p", cpu="2")],
                 "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: gpu}. "
                 "preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, "
                 "1 Preemption is not helpful for scheduling.", id="two reasons"),
    pytest.param([node("n1", cpu="1"), node("n2"), node("n3"), pod("p", cpu="2", on="n1")],
                 "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
                 "preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, "
                 "2 Preemption is not helpful for scheduling.", id="a daemon that is starved"),
    pytest.param([node("n1", cpu="1"), pod("p", cpu="2", preemptionPolicy="Never")],
                 "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to "
                 "preemptionPolicy=Never.", id="never preempts"),
])
def test_says_why_not(objects, message):
    decided = World(*objects).decide()
    assert told(decided) == [message]
    patch = next(action for action in decided.actions if isinstance(action, Patch))
    assert patch.patch["status"]["conditions"][0] | {"reason": "Unschedulable", "message": message} == \
        patch.patch["status"]["conditions"][0]


def test_a_pinned_pod_looks_at_one_node_only():
    world = World(*(node(f"n{i}") for i in range(500)), *(pod(f"p{i}", on=f"n{i}") for i in range(500)))
    assert world.decide().size == 1000  # each pod, and the one node it is for


@pytest.mark.parametrize("nodes, enough", [(0, 0), (3, 3), (99, 99), (100, 100), (150, 100), (1000, 420), (5000, 500),
                                           (15000, 750)])
def test_so_many_nodes_are_compared(nodes, enough):
    assert enough_of(nodes) == enough


def test_every_node_has_its_turn():
    order = [f"n{number}" for number in range(300)]
    starts = {next(sample(order, f"uid-{number}")[0]) for number in range(3000)}
    assert len(starts) == 300
    for number in range(50):
        names, _ = sample(order, f"uid-{number}")
        assert sorted(names) == sorted(order)


def test_the_order_of_nodes_goes_round_the_zones():
    world = World(*(node(f"n{number}", labels={"topology.kubernetes.io/zone": "abc"[number // 4]})
                    for number in range(12)))
    zones = [world.snapshot.rooms[name].node["metadata"]["labels"]["topology.kubernetes.io/zone"]
             for name in world.snapshot.node_order()]
    assert zones == list("abc" * 4)
    world.put(node("n0"), gone=True)
    assert "n0" not in world.snapshot.node_order()


def test_each_sees_the_ones_before_it_as_placed():
    decided = World(node("n1", cpu="2"), node("n2", cpu="2"), *(pod(f"p{i}", cpu="1") for i in range(5))).decide()
    assert sorted(bound(decided).values()) == ["n1", "n1", "n2", "n2"] and len(told(decided)) == 1


def test_the_condition_is_written_once_and_the_event_told_each_time():
    world = World(node("n1", cpu="1"), pod("p", cpu="2"))
    said = told(world.decide())[0]
    world.put(pod("p", cpu="2", conditions=[{"type": "PodScheduled", "status": "False", "message": said}]))
    again = world.decide(NOW + 5)
    assert told(again) == [said] and not [one for one in again.actions if isinstance(one, Patch)]


def test_gated_pods_are_not_looked_at():
    world = World(node("n1"), pod("p", schedulingGates=[{"name": "a.b/c"}]))
    assert world.decide().actions == []
    world.put(pod("p"))
    assert bound(world.decide()) == {"p": "n1"}


@pytest.mark.parametrize("others, victims", [
    pytest.param([pod("a", cpu="4", bound="n1")], {"a"}, id="the one that is less important"),
    pytest.param([pod("a", cpu="4", bound="n1", priority=20)], set(), id="not one that is more important"),
    pytest.param([pod("a", cpu="1", bound="n1"), pod("b", cpu="3", bound="n1", priority=5)], {"b"},
                 id="not one whose leaving would not help"),
    pytest.param([pod("a", cpu="2", bound="n1"), pod("b", cpu="2", bound="n1", priority=5)], {"a"},
                 id="the least important of those that do"),
])
def test_preempts(others, victims):
    world = World(node("n1"), *others, pod("p", cpu="2", priority=10))
    decided = world.decide()
    assert {action.key.name for action in decided.actions if isinstance(action, Delete)} == victims
    if victims:
        assert decided.actions[-2].patch["status"]["nominatedNodeName"] == "n1"
        assert any(isinstance(action, Tell) and action.reason == "Preempted" for action in decided.actions)
        disrupted = {action.key.name: action.first.patch["status"]["conditions"][0] for action in decided.actions
                     if isinstance(action, Delete)}
        assert {name: (one["type"], one["reason"]) for name, one in disrupted.items()} == dict.fromkeys(
            victims, ("DisruptionTarget", "PreemptionByScheduler"))


def test_does_not_preempt_more_while_the_victims_are_leaving():
    world = World(node("n1"), pod("a", cpu="4", bound="n1"))
    leaving = pod("a", cpu="4", bound="n1")
    leaving["metadata"]["deletionTimestamp"] = STARTED
    assert is_deleting(leaving)
    world.put(leaving)
    waiting = pod("p", cpu="2", priority=10)
    waiting["status"]["nominatedNodeName"] = "n1"
    world.put(waiting)
    assert not [action for action in world.decide().actions if isinstance(action, Delete)]


def test_what_is_taken_is_what_the_pods_take():
    """Law: after any history of changes the books agree with the pods that are there."""
    for seed in range(60):
        rng, world, there = random.Random(seed), World(), {}
        for step in range(120):
            name = f"p{rng.randrange(8)}"
            match rng.randrange(5):
                case 0:
                    world.put(node(f"n{rng.randrange(3)}", cpu=str(rng.randint(1, 9))), gone=False)
                case 1 if any(key.resource == "nodes" and obj for key, obj in world.there.items()):
                    key = rng.choice([key for key, obj in world.there.items() if key.resource == "nodes" and obj])
                    world.put(world.there[key], gone=True)
                case 2 if name in there:
                    world.put(there.pop(name), gone=True)
                case 3 if name in there and there[name]["spec"].get("nodeName"):
                    there[name] = {**there[name], "status": {"phase": rng.choice(["Running", "Succeeded"])}}
                    world.put(there[name])
                case _ if name not in there:
                    there[name] = pod(name, cpu=str(rng.randint(0, 3)), bound=f"n{rng.randrange(3)}")
                    world.put(there[name])
            for room in world.snapshot.rooms.values():
                on_it = [one for one in there.values() if one["spec"]["nodeName"] == room.name
                         and one["status"]["phase"] not in ("Succeeded", "Failed")]
                wanted = sum(int(one["spec"]["containers"][0]["resources"]["requests"]["cpu"]) * 1000 for one in on_it)
                assert (room.taken.get("cpu", 0), len(room.pods)) == (wanted, len(on_it)), f"seed {seed} step {step}"
