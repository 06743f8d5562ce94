"""What each node says to a pod, and the value that stood against it."""
import pytest
from node_verdicts import verdicts
from scheduling_world import World, affinity, bound, node, pod, spread, term

from muster.scheduler.fit import Refusal
from muster.scheduler.snapshot import snapshot_of
from muster.scheduler.volumes import VolumeNeeds

WEB = {"app": "web"}
GPU = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
ONLY_B = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["b"]}]}]}


def says(there, one, **more):
    objects = [*there, one]
    found = snapshot_of([obj for obj in objects if obj["kind"] == "Node"], [obj for obj in objects if obj["kind"] == "Pod"])
    return verdicts(one, found.rooms, tallies=found.tallies, **more)


@pytest.mark.parametrize("there, one, plugin, found", [
    pytest.param([node("n1", unschedulable=True)], pod("p"), "NodeUnschedulable", "spec.unschedulable: true", id="cordoned"),
    pytest.param([node("n1", taints=[GPU])], pod("p"), "TaintToleration", "gpu=yes:NoSchedule", id="a taint"),
    pytest.param([node("n1", labels={"disk": "hdd"})], pod("p", nodeSelector={"disk": "ssd", "gpu": "a"}), "NodeAffinity",
                 "disk=hdd, no gpu", id="labels"),
    pytest.param([node("n1")], pod("p", on="other"), "NodeAffinity", "metadata.name=other", id="for another node"),
    pytest.param([node("n1"), pod("q", bound="n1", port=80)], pod("p", port=80), "NodePorts", "0.0.0.0:80/TCP", id="a port"),
    pytest.param([node("n1", cpu="2"), pod("q", cpu="1", bound="n1")], pod("p", cpu="2"), "NodeResourcesFit",
                 "cpu: 2000 wanted, 1000 of 2000 taken", id="cpu"),
    pytest.param([node("n1", zone="a"), pod("q", bound="n1", labels=WEB)],
                 pod("p", affinity=affinity("podAntiAffinity", term(WEB))), "InterPodAffinity",
                 "topology.kubernetes.io/zone=a", id="apart"),
    pytest.param([node("n1", zone="a"), node("n2", zone="b", taints=[GPU]), pod("q", bound="n1", labels=WEB)],
                 pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB)]), "PodTopologySpread",
                 "topology.kubernetes.io/zone=a has 1, the lowest 0, maxSkew is 1", id="skewed"),
])
def test_says_what_was_found(there, one, plugin, found):
    verdict = says(there, one)["n1"]
    assert isinstance(verdict, Refusal) and (verdict.plugin, verdict.found) == (plugin, found)


def test_a_node_that_would_take_it_says_nothing_and_all_are_asked():
    nodes = [node(f"n{number:03}", cpu="1" if number else "4") for number in range(150)]
    found = says(nodes, pod("p", cpu="2"))
    assert list(found) == sorted(found) and [name for name, why in found.items() if why is None] == ["n000"]
    assert bound(World(*nodes, pod("p", cpu="2")).decide()) == {"p": "n000"}


def test_volumes():
    nodes = [node("a", labels={"disk": "a"}), node("b", labels={"disk": "b"})]
    found = says(nodes, pod("p"), volumes=VolumeNeeds(affinities=(ONLY_B,)))
    assert found["a"].reasons == ("node(s) had volume node affinity conflict",) and found["b"] is None
    assert {why.plugin for why in says(nodes, pod("p"), volumes=VolumeNeeds("no claim")).values()} == {"VolumeBinding"}
