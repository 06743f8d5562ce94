"""Who waits, until when, and what wakes whom."""
import pytest
from scheduling_world import HOST, NOW, World, affinity, node, pod, spread, term

from muster.api.objects import Key
from muster.scheduler.fit import refusal

WEB, DB = {"app": "web"}, {"app": "db"}
FIT, ANTI, SPREAD = "NodeResourcesFit", "InterPodAffinity", "PodTopologySpread"
P = Key("pods", "x", "p")


def stuck(one, why, *there):
    """A world in which the pod was refused for that reason."""
    world = World(*there, one)
    assert [found.key for found in world.line.take(NOW, 9)] == [P]
    world.line.refused(P, {why}, NOW)
    return world


def wakes(world, obj, gone=False):
    happened = world.put(obj, gone)
    return world.line.hear(happened, lambda one, room: refusal(one.pod, one.needs, room) is None,
                           world.snapshot.tallies.namespaces)


N1, N2 = node("n1", cpu="1", zone="a"), node("n2", cpu="1", zone="b")
CROWD = pod("crowd", cpu="1", bound="n1", labels=WEB)


def going(one):
    return {**one, "metadata": {**one["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}


APART = affinity("podAntiAffinity", term(WEB))


@pytest.mark.parametrize("one, why, there, obj, gone, woken", [
    pytest.param(pod("p", cpu="1"), FIT, [N1, CROWD], CROWD, True, True, id="room is made"),
    pytest.param(pod("p", cpu="2"), FIT, [N1, CROWD], CROWD, True, False, id="too little room is made"),
    pytest.param(pod("p", cpu="2"), FIT, [N1], node("n1", cpu="3", zone="a"), False, True, id="the node grows"),
    pytest.param(pod("p", cpu="2"), FIT, [N1], node("n3", cpu="3"), False, True, id="another node"),
    pytest.param(pod("p", cpu="2"), FIT, [N1], node("n3", cpu="3", unschedulable=True), False, False,
                 id="another node that would not take it"),
    pytest.param(pod("p", cpu="2", on="n1"), FIT, [N1], node("n3", cpu="3"), False, False, id="it is not for that node"),
    pytest.param(pod("p", cpu="2", on="n1"), FIT, [N1], node("n1", cpu="3"), False, True, id="the one node that it is for"),
    pytest.param(pod("p", cpu="2"), FIT, [N1], node("n1", cpu="1", zone="a"), False, False, id="a heartbeat"),
    pytest.param(pod("p", cpu="2"), FIT, [N1], pod("q", bound="n1"), False, False, id="a pod that comes"),
    pytest.param(pod("p", affinity=APART), ANTI, [N1, CROWD], CROWD, True, True, id="the other goes"),
    pytest.param(pod("p", affinity=APART), ANTI, [N1, pod("q", bound="n1", labels=DB)], pod("q", bound="n1", labels=DB), True,
                 False, id="one goes that it does not mind"),
    pytest.param(pod("p", affinity=affinity("podAffinity", term(DB))), ANTI, [N1], pod("db", bound="n1", labels=DB), False,
                 True, id="the other comes"),
    pytest.param(pod("p", labels=WEB), ANTI, [N1, pod("q", bound="n1", affinity=APART)], pod("q", bound="n1", affinity=APART),
                 True, True, id="one goes that minded it"),
    pytest.param(pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB)]), SPREAD, [N1, N2],
                 pod("w", bound="n2", labels=WEB), False, True, id="the lowest rises"),
    pytest.param(pod("p", affinity=APART), ANTI, [N1, CROWD], pod("more", bound="n1", labels=WEB), False, False,
                 id="one more to be apart from"),
    pytest.param(pod("p", affinity=APART), ANTI, [N1, CROWD], pod("crowd", cpu="1", bound="n1", labels=DB), False, True,
                 id="the other is labelled otherwise"),
    pytest.param(pod("p", affinity=APART), ANTI, [N1, CROWD], going(CROWD), False, False, id="the other is still ending"),
    pytest.param(pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB)]), SPREAD, [N1, N2, CROWD], going(CROWD), False,
                 True, id="one that is ending counts no more"),
    pytest.param(pod("p", cpu="1"), FIT, [N1, CROWD], going(CROWD), False, False, id="its room is not free yet"),
    pytest.param(pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB)]), SPREAD, [N1, N2],
                 node("n3", zone="c"), False, True, id="a new zone"),
    pytest.param(pod("p", labels=WEB, topologySpreadConstraints=[spread(WEB, HOST)]), SPREAD, [N1, N2], N2, True, True,
                 id="a host fewer"),
])
def test_is_woken_by_what_could_help(one, why, there, obj, gone, woken):
    world = stuck(one, why, *there)
    assert wakes(world, obj, gone) is woken
    assert [found.key for found in world.line.take(NOW + 60, 9)] == [P] * woken


def test_rests_longer_after_each_try():
    world, now, rests = stuck(pod("p", cpu="1"), FIT, N1), NOW, []
    for _ in range(6):
        wakes(world, CROWD)
        assert wakes(world, CROWD, gone=True)
        assert world.line.take(now, 9) == [], "woken, but it rests"
        rests.append(world.line.next_time() - now)
        now = world.line.next_time()
        assert len(world.line.take(now, 9)) == 1
        world.line.refused(P, {FIT}, now)
    assert rests == [1, 2, 4, 8, 10, 10]


def test_is_tried_after_five_minutes_whatever_happens():
    line = stuck(pod("p", cpu="2"), FIT, N1).line
    assert line.next_time() == NOW + 300
    assert line.take(NOW + 299, 9) == []
    assert [one.key for one in line.take(NOW + 300, 9)] == [P]


def test_the_most_important_first_then_the_oldest_and_no_more_than_asked_for():
    pods = [pod("b"), pod("a"), pod("high", priority=5)]
    young = pod("0")
    young["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    line = World(young, *pods).line
    first = line.take(NOW, 3)
    assert [one.key.name for one in first] == ["high", "a", "b"]
    line.tried(first[0].key, NOW)
    line.undone(first[1:])
    assert [one.key.name for one in line.take(NOW, 9)] == ["a", "b", "0"]


def test_a_change_of_its_spec_or_labels_wakes_it_and_one_of_its_status_does_not():
    world = stuck(pod("p", cpu="2"), FIT, N1)
    world.put(pod("p", cpu="2", phase="Pending", conditions=[{"type": "PodScheduled", "status": "False"}]))
    assert world.line.take(NOW + 60, 9) == []
    world.put(pod("p", cpu="2", tolerations=[{"operator": "Exists"}]))
    assert len(world.line.take(NOW + 60, 9)) == 1


def test_a_pod_whose_binding_failed_is_tried_again():
    world = World(N1, pod("p"))
    assert world.decide().bound == [P]
    world.line.tried(P, NOW)
    assert world.line.take(NOW, 9) == [] and world.line.next_time() == NOW + 1
    assert [one.key for one in world.line.take(NOW + 1, 9)] == [P]


def test_pods_that_are_gone_leave_nothing_behind():
    world = stuck(pod("p", cpu="2"), FIT, N1)
    world.put(pod("p", cpu="2"), gone=True)
    assert len(world.line) == 0 and world.line.next_time() is None and not world.line._alike and not world.line._stuck
