"""The control groups of real pods: where their processes are, what they may take together, and their end."""
import time
from pathlib import Path

from real_nodes import WAITS, pod, shell


def group_of(nodes, seen, quality=""):
    middle = f"{quality}/" if quality else ""
    return f"/muster-{nodes.tag}/{seen['spec']['nodeName']}/kubepods/{middle}pod{seen['metadata']['uid']}"


def limit(name, *, first, second):
    """What the kernel says, in whichever version it has."""
    from muster.node import cgroups
    groups = cgroups.here()
    controller, file = ("", second) if groups.is_unified else first
    root = next(iter(groups.roots)) if groups.is_unified else groups.controllers[controller]
    return (root / name.strip("/") / file).read_text().strip()


def memory(name):
    return limit(name, first=("memory", "memory.limit_in_bytes"), second="memory.max")


def gone(name):
    from muster.node import cgroups
    deadline = time.monotonic() + 15
    while cgroups.here().use(name) is not None:
        assert time.monotonic() < deadline, f"{name} is still there"
        time.sleep(0.1)


def resources(**limits):
    return {"resources": {"limits": limits, "requests": limits}}


def test_a_pod_is_held_to_what_its_containers_may_take_together(nodes, space):
    from muster.node import cgroups
    one, two = resources(cpu="100m", memory="32Mi"), resources(cpu="150m", memory="16Mi")
    space.apply(pod("whole", shell(WAITS, "one", **one), shell(WAITS, "two", **two)),
                pod("bursts", shell(WAITS, resources={"requests": {"cpu": "500m"}, "limits": {"memory": "24Mi"}})),
                pod("least", shell(WAITS)))
    for name in ("whole", "bursts", "least"):
        space.ready(name)
    whole = group_of(nodes, space.get("pod", "whole"))
    assert memory(whole) == str(48 << 20)
    assert limit(whole, first=("cpu", "cpu.cfs_quota_us"), second="cpu.max").split()[0] == "25000"
    bursts = group_of(nodes, space.get("pod", "bursts"), "burstable")
    assert memory(bursts) == str(24 << 20)
    assert limit(bursts, first=("cpu", "cpu.shares"), second="cpu.weight") in ("512", "20")
    least = group_of(nodes, space.get("pod", "least"), "besteffort")
    assert limit(least, first=("cpu", "cpu.shares"), second="cpu.weight") in ("2", "1")

    ids = {one["containerID"].removeprefix("containerd://") for one in space.get("pod", "whole")["status"]["containerStatuses"]}
    assert ids < set(cgroups.here().below(whole)), "its containers, and what holds its namespaces"
    space.kubectl("delete", "pod", "whole", "bursts", "least")
    for name in (whole, bursts, least):
        gone(name)


def test_a_pod_that_has_ended_has_none(nodes, space):
    space.apply(pod("once", shell("exit 0"), restartPolicy="Never"))
    gone(group_of(nodes, space.ended("once"), "besteffort"))


def test_nodes_of_one_machine_are_apart(nodes, space):
    """Each has its own part, with its runtime in it; all that burst on it have what they request together."""
    from muster.node import cgroups
    for node in ("node-1", "node-2"):
        runtime = int(Path(f"/run/muster/{nodes.tag}/{node}/containerd.pid").read_text())
        assert runtime in cgroups.here().processes(f"/muster-{nodes.tag}/{node}/runtime")
    asks = {"resources": {"requests": {"cpu": "300m"}}}
    space.apply(*(pod(name, shell(WAITS, **asks), nodeName="node-2") for name in ("one", "two")))
    for name in ("one", "two"):
        space.ready(name)

    def bursts(*expected):
        group, deadline = f"/muster-{nodes.tag}/node-2/kubepods/burstable", time.monotonic() + 15
        while (said := limit(group, first=("cpu", "cpu.shares"), second="cpu.weight")) not in expected:
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    bursts("614", "24")
    space.kubectl("delete", "pod", "one")
    bursts("307", "12")
