"""What real containers use, from what the kernel has counted of them at the end of each window."""
import pytest

from muster.api.objects import to_time
from muster.api.samples import Used
from muster.node.cgroups import GroupUse
from muster.node.readings import Readings, Running

START = 1_767_225_600
NODE = "/muster-1a/node-1"
MI = 1 << 20


class Counters(dict):
    """In the place of the kernel's: group -> what it has counted."""

    def use(self, name):
        return self.get(name)


def pod(*names, phase="Running"):
    running = {"running": {"startedAt": to_time(START)}}
    return {"metadata": {"name": "web", "uid": "u1"}, "spec": {"nodeName": "node-1"},
            "status": {"phase": phase, "containerStatuses": [{"name": name, "state": running} for name in names]}}


def used(cores, memory_mi=1):
    return Used(round(cores * 1e9), memory_mi * MI, 0)


def counted(seconds, memory_mi=1):
    return GroupUse(round(seconds * 1e9), memory_mi * MI, 1)


@pytest.fixture
def node():
    counters, running = Counters(), []
    readings = Readings(counters, NODE, lambda: running, lambda: 0.0)

    def read(at, *, node=None, **groups):
        """`app=(id, counted, began)`"""
        running[:] = [Running("u1", name, id_, f"{NODE}/{id_}", START + began) for name, (id_, _, began) in groups.items()]
        counters.clear()
        counters.update({f"{NODE}/{id_}": use for id_, use, _ in groups.values()} | {NODE: node})
        readings.read(START + at)
        return readings
    return read


def test_a_rate_between_two_readings(node):
    node(15, app=("c1", counted(2.0), 0))
    found = node(30, app=("c1", counted(5.0, 20), 0)).pod(pod("app"))
    assert (found.at, found.window_s, found.containers) == (START + 30, 15.0, {"app": used(0.2, 20)})


@pytest.mark.parametrize("began, expected", [(20, {"app": used(0.3)}), (21, None)])
def test_one_that_is_new_counts_from_its_start_after_a_while(node, began, expected):
    node(15)
    found = node(30, app=("c1", counted(3.0), began)).pod(pod("app"))
    assert (found and dict(found.containers)) == expected
    assert found is None or found.window_s == 10.0


def test_one_that_was_started_again_counts_anew(node):
    node(15, app=("c1", counted(100.0), 0))
    assert node(30, app=("c2", counted(1.0), 20)).pod(pod("app")).containers == {"app": used(0.1)}


def test_a_pod_waits_for_each_of_its_containers(node):
    node(15, app=("c1", counted(1.0), 0))
    readings = node(30, app=("c1", counted(2.5), 0), side=("c2", counted(0.1), 25))
    assert readings.pod(pod("app", "side")) is None
    readings = node(45, app=("c1", counted(4.0), 0), side=("c2", counted(0.4), 25))
    assert readings.pod(pod("app", "side")).containers == {"app": used(0.1), "side": used(0.02)}


@pytest.mark.parametrize("seen", [pod(), pod("app", phase="Succeeded"), pod("other")])
def test_nothing_of_what_does_not_run(node, seen):
    node(15, app=("c1", counted(1.0), 0))
    assert node(30, app=("c1", counted(2.0), 0)).pod(seen) is None


def test_the_node(node):
    assert node(15, node=counted(10.0)).node({}) is None
    found = node(30, node=counted(13.0, 300)).node({})
    assert (found.at, found.window_s, found.used) == (START + 30, 15.0, used(0.2, 300))


def test_a_window_that_was_missed(node):
    node(15, app=("c1", counted(1.0), 0), node=counted(1.0))
    readings = node(45, app=("c1", counted(7.0), 0), node=counted(7.0))
    assert (readings.pod(pod("app")).window_s, readings.pod(pod("app")).containers["app"]) == (30.0, used(0.2))
    assert node(45, app=("c1", counted(9.0), 0)).pod(pod("app")).containers["app"] == used(0.2), "once a window"
