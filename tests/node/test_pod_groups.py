"""What the group of a pod may take, by its quality of service, and what all that burst have together."""
import asyncio

import pytest

from muster.node.cgroups import Cgroups, Limits
from muster.node.pod_groups import PodGroups, limits_of, limits_of_all, of_pod


def pod(*containers, init=(), uid="u1", **spec):
    return {"metadata": {"name": "web", "uid": uid}, "spec": {"containers": list(containers), "initContainers": list(init), **spec}}


def asks(cpu=None, memory=None, *, cpu_limit=None, memory_limit=None, **more):
    def told(cpu, memory):
        return {name: amount for name, amount in (("cpu", cpu), ("memory", memory)) if amount is not None}
    return {"name": "app", "resources": {"requests": told(cpu, memory), "limits": told(cpu_limit, memory_limit)}, **more}


def exact(cpu, memory):
    return asks(cpu, memory, cpu_limit=cpu, memory_limit=memory)


MI = 1 << 20


@pytest.mark.parametrize("given, expected", [
    pytest.param(pod(asks()), Limits(2), id="best effort: the least there is"),
    pytest.param(pod(exact("500m", "64Mi")), Limits(512, 50_000, 64 * MI), id="guaranteed"),
    pytest.param(pod(exact("500m", "64Mi"), exact("1", "1Gi")), Limits(1536, 150_000, 1088 * MI), id="guaranteed: the sum"),
    pytest.param(pod(asks("250m", "64Mi")), Limits(256), id="burstable without limits"),
    pytest.param(pod(asks("1m", memory_limit="64Mi")), Limits(2, None, 64 * MI), id="burstable: what every container limits"),
    pytest.param(pod(asks("100m", memory_limit="64Mi"), asks("100m")), Limits(204), id="not what only one of two limits"),
    pytest.param(pod(asks("100m", memory_limit="64Mi"), init=[asks()]), Limits(102), id="nor what an init container does not limit"),
    pytest.param(pod(asks("100m", memory_limit="64Mi", cpu_limit="200m"), init=[asks("1", memory_limit="1Gi", cpu_limit="1")]),
                 Limits(1024, 100_000, 1024 * MI), id="as much as any step takes"),
    pytest.param(pod(asks("100m", memory_limit="64Mi"), init=[asks("100m", memory_limit="32Mi", restartPolicy="Always")]),
                 Limits(204, None, 96 * MI), id="sidecars beside the rest"),
    pytest.param(pod(asks(memory="64Mi", cpu_limit="1m")), Limits(2, 1000), id="never less than the kernel takes"),
    pytest.param(pod(asks("100m"), overhead={"cpu": "100m", "memory": "64Mi"}), Limits(204), id="with its overhead"),
])
def test_what_a_pod_may_take(given, expected):
    assert limits_of(given) == expected


def test_how_many_processes():
    assert [limits_of(one, 100).processes for one in (pod(asks()), pod(asks("1")), pod(exact("1", "1Gi")))] == [100] * 3


@pytest.mark.parametrize("given, expected", [
    pytest.param(pod(exact("1", "1Gi")), "/muster-1a/node-1/kubepods/podu1", id="guaranteed"),
    pytest.param(pod(asks("1")), "/muster-1a/node-1/kubepods/burstable/podu1", id="burstable"),
    pytest.param(pod(asks()), "/muster-1a/node-1/kubepods/besteffort/podu1", id="best effort"),
])
def test_where_a_pod_is(given, expected):
    assert of_pod("1a", "node-1", given) == expected


class Limited(Cgroups):
    """What each group was limited to last."""

    def __init__(self):
        super().__init__({}, (), False)
        self.limits = {}

    def limit(self, name, limits):
        self.limits[name] = limits


def test_what_all_that_burst_have():
    """As much of the processor as they request together, beside the others."""
    kernel = Limited()
    groups, bursts = PodGroups(kernel, "1a", "node-1"), "/muster-1a/node-1/kubepods/burstable"
    groups.prepare({"cpu": "2", "memory": "1Gi"})
    assert kernel.limits[bursts] == Limits(2)
    pods = [pod(asks("250m"), uid="a"), pod(asks("750m"), uid="b"), pod(exact("2", "1Gi"), uid="c"), pod(asks(), uid="d")]
    for one in [*pods, *pods]:
        groups.make(one)
    assert kernel.limits[bursts] == Limits(1024)
    for one, expected in zip(pods, (768, 2, 2, 2), strict=True):
        asyncio.run(groups.remove(one))
        assert kernel.limits[bursts] == Limits(expected)


def test_what_all_pods_have():
    assert limits_of_all({"cpu": "2", "memory": "1024Ki", "pods": "110"}) == Limits(2048, None, MI)


def test_groups_of_pods_that_are_gone(tmp_path):
    kernel = Cgroups(dict.fromkeys(("cpu", "memory", "pids"), tmp_path), (tmp_path,), False)
    for name in ("podu1", "podu2", "other", "burstable/podu3", "besteffort/podu4"):
        (tmp_path / "muster-1a/node-1/kubepods" / name).mkdir(parents=True)
    asyncio.run(PodGroups(kernel, "1a", "node-1").remove_strangers(lambda uid: uid in ("u2", "u3")))
    left = {str(path.relative_to(tmp_path / "muster-1a/node-1/kubepods")) for path in (tmp_path / "muster-1a").rglob("*")
            if path.name not in ("node-1", "kubepods")}
    assert left == {"podu2", "other", "burstable", "burstable/podu3", "besteffort"}
