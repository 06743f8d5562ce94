"""When a node is under pressure, whom it ends, and what it says: a table, and a law over any set of pods."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api.samples import Used
from muster.node.machines import Machine
from muster.node.pressure import Weighed, choose, feel, look, refusal
from muster.node.thresholds import USUAL, Observed, read_thresholds

NOON = 1_767_225_600.0
MI = 2**20
NODE = {"metadata": {"name": "n1"}, "status": {"capacity": {
    "cpu": "4", "memory": "1000Mi", "pods": "110", "ephemeral-storage": "1000Mi"}}}  # 20Mi of the memory is its own


def pod(name: str, *, memory_mi: int = 0, disk_mi: int = 0, request: str = "", priority: int = 0, **annotations: str):
    resources = {"requests": {"memory": request, "ephemeral-storage": request}} if request else {}
    return Weighed({"metadata": {"name": name, "namespace": "default", "annotations": annotations},
                    "spec": {"priority": priority, "containers": [{"name": "app", "resources": resources}]}},
                   {"app": Used(0, memory_mi * MI, disk_mi * MI)})


@pytest.mark.parametrize(("pods", "victim"), [
    pytest.param([pod("a", memory_mi=880)], None, id="exactly as much as is kept back"),
    pytest.param([pod("a", memory_mi=881)], "a", id="a little less"),
    pytest.param([pod("a", memory_mi=500, request="600Mi"), pod("b", memory_mi=400)], "b", id="over its request first"),
    pytest.param([pod("a", memory_mi=500), pod("b", memory_mi=400, priority=-1)], "b", id="then the least important"),
    pytest.param([pod("a", memory_mi=500, request="200Mi"), pod("b", memory_mi=400)], "b", id="then the furthest over"),
    pytest.param([pod("a", memory_mi=500, request="501Mi"), pod("b", memory_mi=400, request="600Mi")], "a", id="none is over"),
    pytest.param([pod("a", memory_mi=500, priority=2_000_000_000), pod("b", memory_mi=400, request="1Gi")], "b", id="critical"),
    pytest.param([pod("a", memory_mi=900, priority=2_000_000_000)], None, id="only critical ones"),
    pytest.param([pod("a", memory_mi=900, **{"kubernetes.io/config.mirror": "x"})], None, id="a mirror of a static one"),
    pytest.param([pod("a", disk_mi=800), pod("b", disk_mi=101)], "a", id="disk"),
    pytest.param([pod("a", memory_mi=450), pod("b", memory_mi=450, disk_mi=950)], "a", id="memory before disk; by name"),
])
def test_who_goes(pods, victim):
    found = look(NODE, pods, {}, NOON)
    assert (found.victim or {"metadata": {"name": None}})["metadata"]["name"] == victim


def test_what_is_said():
    found = look(NODE, [pod("a", memory_mi=900, request="5Mi")], {}, NOON)
    assert found.verdict == ("Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi. "
                             "Container app was using 900Mi, request is 5Mi, has larger consumption of memory. ")
    assert [tuple(one) for one in found.tells] == [
        ("Normal", "NodeHasInsufficientMemory", "Node n1 status is now: NodeHasInsufficientMemory"),
        ("Warning", "EvictionThresholdMet", "Attempting to reclaim memory")]
    disk = look(NODE, [pod("a", disk_mi=950)], {}, NOON)
    assert disk.verdict.message == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 104857601, available: 50Mi. "
        "Container app was using 950Mi, request is 0, has larger consumption of ephemeral-storage. ")
    assert list(disk.pressures) == ["DiskPressure"]


def test_pressure_lasts_five_minutes_longer_than_its_cause():
    before = {"MemoryPressure": NOON}
    still = look(NODE, [], before, NOON + 299)
    assert still.pressures == before and still.tells == [] and still.wake_at == NOON + 300
    over = look(NODE, [], before, NOON + 300)
    assert over.pressures == {} and [one.reason for one in over.tells] == ["NodeHasSufficientMemory"]
    again = look(NODE, [pod("a", memory_mi=900)], before, NOON + 100)
    assert again.pressures == {"MemoryPressure": NOON + 100} and again.wake_at == NOON + 110


def test_a_new_process_takes_pressure_up_where_it_stands():
    node = {"metadata": {"name": "n1", "uid": "u"}, "spec": {}, "status": {"conditions": [
        {"type": "MemoryPressure", "status": "True"}, {"type": "DiskPressure", "status": "False"}]}}
    assert Machine(node, 1, NOON).pressures == {"MemoryPressure": NOON}


@pytest.mark.parametrize(("asked", "pressures", "refused"), [
    pytest.param(pod("a"), ["MemoryPressure"], "[MemoryPressure]", id="asks for nothing"),
    pytest.param(pod("a", request="1Mi"), ["MemoryPressure"], "", id="asks for something"),
    pytest.param(pod("a", request="1Mi"), ["DiskPressure"], "[DiskPressure]", id="no disk"),
    pytest.param(pod("a"), ["MemoryPressure", "DiskPressure"], "[MemoryPressure DiskPressure]", id="neither"),
    pytest.param(pod("a", priority=2_000_001_000), ["DiskPressure"], "", id="critical"),
    pytest.param(pod("a"), [], "", id="no pressure"),
])
def test_whom_it_takes(asked, pressures, refused):
    found = refusal(asked.pod, pressures)
    assert (found.message if found else "") == (f"Pod was rejected: The node had condition: {refused}. " if refused else "")


OBSERVED = {"memory.available": Observed(500 * MI, 1000 * MI), "allocatableMemory.available": Observed(500 * MI, 500 * MI),
            "nodefs.available": Observed(500, 1000), "nodefs.inodesFree": Observed(500, 1000),
            "imagefs.available": Observed(500, 1000), "imagefs.inodesFree": Observed(500, 1000), "pid.available": Observed(500, 1000)}
LIMITS = (*USUAL, *read_thresholds({"pid.available": "100"}))


@pytest.mark.parametrize(("signal", "left", "condition", "resource"), [
    ("memory.available", 100 * MI - 1, "MemoryPressure", "memory"),
    ("allocatableMemory.available", 100 * MI - 1, "MemoryPressure", "memory"),
    ("nodefs.available", 99, "DiskPressure", "ephemeral-storage"),
    ("nodefs.inodesFree", 49, "DiskPressure", "inodes"),
    ("imagefs.available", 149, "DiskPressure", "ephemeral-storage"),
    ("imagefs.inodesFree", 49, "DiskPressure", "inodes"),
    ("pid.available", 99, "PIDPressure", "pids"),
])
def test_what_can_run_out(signal, left, condition, resource):
    def felt(**less):
        return feel("n1", LIMITS, OBSERVED | {name: Observed(amount, OBSERVED[name].capacity) for name, amount in less.items()}, {}, NOON)
    enough = felt(**{signal: left + 1})
    assert enough.pressures == {} and enough.short is None and enough.tells == []
    short = felt(**{signal: left})
    assert list(short.pressures) == [condition] and short.short.signal.name == signal
    assert short.tells[-1] == ("Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
    assert felt(**{signal: left, "memory.available": 0}).short.signal.name == "memory.available", "memory comes first"


@pytest.mark.parametrize(("signal", "pods", "victim"), [
    pytest.param("pid.available", {"few": (0, 5), "many": (0, 900)}, "many", id="most processes"),
    pytest.param("pid.available", {"few": (-1, 5), "many": (0, 900)}, "few", id="the least important before that"),
    pytest.param("nodefs.inodesFree", {"few": (0, 5), "many": (0, 900)}, "many", id="most inodes"),
])
def test_who_goes_for_what_nobody_requests(signal, pods, victim):
    weighed = [pod(name, priority=priority)._replace(used={"app": Used(0, 0, 0, 0, count) if signal == "pid.available" else Used(0, 0, 0, count)})
               for name, (priority, count) in pods.items()]
    found = choose(feel("n1", LIMITS, OBSERVED | {signal: Observed(1, 1000)}, {}, NOON), weighed, NOON)
    assert found.victim["metadata"]["name"] == victim
    resource = "pids" if signal == "pid.available" else "inodes"
    kept_back = "100" if signal == "pid.available" else "50"
    assert found.verdict.message == f"The node was low on resource: {resource}. Threshold quantity: {kept_back}, available: 1. "


def test_what_volumes_hold_counts_for_the_pod():
    beside = pod("a", disk_mi=1)._replace(beside=Used(0, 0, 500 * MI))
    found = choose(feel("n1", USUAL, {"nodefs.available": Observed(0, 1000 * MI)}, {}, NOON), [beside, pod("b", disk_mi=400)], NOON)
    assert found.victim["metadata"]["name"] == "a"
    assert found.verdict.message.endswith("Container app was using 1Mi, request is 0, has larger consumption of ephemeral-storage. ")


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 300), st.integers(-1, 2)), max_size=15))
def test_one_after_the_other_until_there_is_enough(pods):
    """However they are, the pressure ends, no pod goes without need, and none before one that exceeds its request more rightly."""
    left = [pod(f"p{n:02}", memory_mi=used, request=f"{request}Mi", priority=priority)
            for n, (used, request, priority) in enumerate(pods)]
    now, pressures = NOON, {}
    for _ in range(len(pods) + 1):
        free = 980 - sum(one.used["app"].memory // MI for one in left)
        found = look(NODE, left, pressures, now)
        assert (found.victim is not None) == (free < 100)
        if found.victim is None:
            break
        gone = next(one for one in left if one.pod is found.victim)

        def over(one):
            return one.used["app"].memory > int(one.pod["spec"]["containers"][0]["resources"]["requests"]["memory"][:-2]) * MI
        assert over(gone) or not any(map(over, left))
        assert all(gone.pod["spec"]["priority"] <= one.pod["spec"]["priority"] for one in left if over(one) == over(gone))
        left.remove(gone)
        now, pressures = now + 10, found.pressures
    assert look(NODE, left, found.pressures, now + 300).pressures == {}
