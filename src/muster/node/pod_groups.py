"""The control groups of one real node: which there are, what each may take, and when they come and go.

    /muster-<tag>/<node>                       the node, apart from all others on its machine
        runtime                                its containerd, and the shims
        kubepods                               what the node has for pods, and no more
            pod<uid>                           a Guaranteed pod; in it its containers, made by runc
            burstable/pod<uid>                 as much of the processor as its pods request together
            besteffort/pod<uid>                what nobody else wants

Numbers are the kubelet's.  A pod's group is made before its sandbox and goes when the pod has ended.
https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/
"""
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from ..api import amounts, quantities
from ..api.amounts import Amounts
from ..api.kinds.quality_of_service import qos_class
from ..api.objects import Obj, uid_of
from .cgroups import LEAST_SHARES, MOST_SHARES, PERIOD_US, Cgroups, GroupUse, Limits

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
LEAST_QUOTA_US = 1000
POD = "pod"


def of_node(tag: str, node: str) -> str:
    return f"/muster-{tag}/{node}"


def of_runtime(tag: str, node: str) -> str:
    return f"{of_node(tag, node)}/runtime"


def of_pods(tag: str, node: str) -> str:
    return f"{of_node(tag, node)}/kubepods"


def of_quality(tag: str, node: str, quality: str) -> str:
    """Guaranteed pods have none of their own."""
    return of_pods(tag, node) + ("" if quality == GUARANTEED else f"/{quality.lower()}")


def of_pod(tag: str, node: str, pod: Obj) -> str:
    """The parent of a pod's containers."""
    return f"{of_quality(tag, node, qos_class(pod))}/{POD}{uid_of(pod)}"


def shares(cpu_milli: int) -> int:
    return min(MOST_SHARES, max(LEAST_SHARES, cpu_milli * 1024 // 1000))


def quota_us(cpu_milli: int) -> int:
    return max(LEAST_QUOTA_US, cpu_milli * PERIOD_US // 1000)


def limits_of(pod: Obj, processes: int | None = None) -> Limits:
    """What a pod may take as a whole: limits hold only where every container has one."""
    spec, quality = pod["spec"], qos_class(pod)
    if quality == BEST_EFFORT:
        return Limits(cpu_shares=LEAST_SHARES, processes=processes)
    asked, allowed = amounts.pod_requests(spec), amounts.pod_limits(spec)
    bounded = {resource for resource in ("cpu", "memory")
               if quality == GUARANTEED or all(_bounds(one, resource) for one in _containers(spec))}
    return Limits(
        cpu_shares=shares(_milli(asked, "cpu")),
        cpu_quota_us=quota_us(_milli(allowed, "cpu")) if "cpu" in bounded else None,
        memory=_whole(allowed, "memory") if "memory" in bounded else None, processes=processes)


def limits_of_all(allocatable: Mapping[str, str]) -> Limits:
    """`allocatable`: of the node, with what is kept back from eviction."""
    return Limits(cpu_shares=shares(quantities.milli(allocatable["cpu"])),
                  memory=quantities.whole(allocatable["memory"]))


def bursts_by(pod: Obj) -> int:
    """Thousandths of a core that it requests; 0 for one that does not burst."""
    return _milli(amounts.pod_requests(pod["spec"]), "cpu") if qos_class(pod) == BURSTABLE else 0


def _containers(spec: Obj) -> Iterator[Obj]:
    yield from spec["containers"]
    yield from spec.get("initContainers") or ()


def _bounds(container: Obj, resource: str) -> bool:
    limit = ((container.get("resources") or {}).get("limits") or {}).get(resource)
    return limit is not None and quantities.parse(limit) != 0


def _milli(total: Amounts, resource: str) -> int:
    return quantities.milli(str(total[resource])) if resource in total else 0


def _whole(total: Amounts, resource: str) -> int:
    return quantities.whole(str(total[resource])) if resource in total else 0


class NoGroup(Exception):
    """The kernel does not make one; the message is its reason."""


class PodGroups:
    def __init__(self, cgroups: Cgroups, tag: str, node: str, processes: int | None = None):
        """`processes`: how many each pod may have."""
        self.cgroups, self._tag, self._node, self._processes = cgroups, tag, node, processes
        self._bursts: dict[str, int] = {}  # by the pod's uid: thousandths of a core requested
        self._shares = 0

    @property
    def node(self) -> str:
        return of_node(self._tag, self._node)

    def of(self, pod: Obj) -> str:
        return of_pod(self._tag, self._node, pod)

    def prepare(self, allocatable: Mapping[str, str]) -> None:
        """Raises OSError."""
        self.cgroups.make(of_runtime(self._tag, self._node))
        self.cgroups.make(of_pods(self._tag, self._node), limits_of_all(allocatable))
        for quality in (BURSTABLE, BEST_EFFORT):
            self.cgroups.make(of_quality(self._tag, self._node, quality), Limits(cpu_shares=LEAST_SHARES))

    def is_there(self, pod: Obj) -> bool:
        return self.cgroups.exists(self.of(pod))

    def use_of_all(self) -> GroupUse | None:
        """Of all pods together."""
        return self.cgroups.use(of_pods(self._tag, self._node))

    def adopt(self, pid: int) -> None:
        """The node's runtime, and what it starts beside pods.  Where it can not be, pods run all the same."""
        with contextlib.suppress(OSError):
            self.cgroups.join(of_runtime(self._tag, self._node), pid)

    def make(self, pod: Obj) -> None:
        """Also for one that is there already: then it is counted.  Raises NoGroup."""
        try:
            self.cgroups.make(self.of(pod), limits_of(pod, self._processes))
            self._balance(uid_of(pod), bursts_by(pod))
        except OSError as error:
            raise NoGroup(str(error)) from None

    def _balance(self, uid: str, requested: int) -> None:
        """The more pods that burst, the more of the processor they have beside those that do not."""
        if requested:
            self._bursts[uid] = requested
        else:
            self._bursts.pop(uid, None)
        wanted = shares(sum(self._bursts.values()))
        if wanted != self._shares:
            self.cgroups.limit(of_quality(self._tag, self._node, BURSTABLE), Limits(cpu_shares=wanted))
            self._shares = wanted

    async def remove(self, pod: Obj) -> None:
        with contextlib.suppress(OSError):  # the node's went before
            self._balance(uid_of(pod), 0)
        await self.cgroups.remove(self.of(pod))

    async def remove_strangers(self, is_here: Callable[[str], bool]) -> None:
        """Those of pods that went while nobody looked.  `is_here`: of a pod's uid."""
        for quality in (GUARANTEED, BURSTABLE, BEST_EFFORT):
            parent = of_quality(self._tag, self._node, quality)
            for name in self.cgroups.below(parent):
                if name.startswith(POD) and not is_here(name.removeprefix(POD)):
                    await self.cgroups.remove(f"{parent}/{name}")
