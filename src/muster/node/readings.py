"""What the containers of a real node use: what the kernel has counted of each, read every 15 s, and what that comes to.

    read(now)    all running containers, and the node itself: counters of processor time, memory now
    pod(pod)     the newest sample of each running container; None: there is none yet
    node(node)   what all of the node uses: its pods, and its runtime

Processor time is a rate between the last two readings.  A container that the reading before did not see counts from
its start, once it has run for ten seconds; a pod has a sample when each of its running containers has one.
https://kubernetes.io/docs/tasks/debug/debug-cluster/resource-metrics-pipeline/
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ..api.objects import Obj, uid_of
from ..api.samples import NodeSample, PodSample, Used
from .cgroups import Cgroups, GroupUse
from .meter import FRESH_S, running_in
from .pod_status import PHASE_OVER
from .usage import WINDOW_S, window_at


class Running(NamedTuple):
    """A container that runs."""

    uid: str  # of its pod
    name: str
    id: str
    group: str  # its control group
    began: float


class Read(NamedTuple):
    id: str
    began: float
    use: GroupUse


class Reading(NamedTuple):
    at: int
    node: GroupUse | None
    pods: Mapping[str, Mapping[str, Read]]  # by uid and by name


NOTHING_READ = Reading(0, None, {})


class Readings:
    def __init__(self, cgroups: Cgroups, group: str, running: Callable[[], Iterable[Running]],
                 now: Callable[[], float]):
        """`group`: the node's own; `running`: all containers that run on it."""
        self._cgroups, self._group, self._running, self._now = cgroups, group, running, now
        self._last = self._before = NOTHING_READ

    async def read_for_ever(self) -> None:
        """At the end of each window, all nodes together."""
        while True:
            await asyncio.sleep(window_at(self._now()) + WINDOW_S - self._now())
            self.read(window_at(self._now()))

    def read(self, at: int) -> None:
        if at <= self._last.at:
            return  # the clock was set back, or rounds
        pods: dict[str, dict[str, Read]] = {}
        for one in self._running():
            use = self._cgroups.use(one.group)
            if use is not None:
                pods.setdefault(one.uid, {})[one.name] = Read(one.id, one.began, use)
        self._before, self._last = self._last, Reading(at, self._cgroups.use(self._group), pods)

    def pod(self, pod: Obj) -> PodSample | None:
        names = [name for name, _ in running_in(pod)]
        if not names or (pod.get("status") or {}).get("phase") in PHASE_OVER:
            return None
        last, before = self._last.pods.get(uid_of(pod), {}), self._before.pods.get(uid_of(pod), {})
        span_s = float(self._last.at - self._before.at)
        shortest = span_s
        used: dict[str, Used] = {}
        for name in names:
            read = last.get(name)
            if read is None:
                return None
            known = before.get(name)
            if known is not None and known.id == read.id:
                used[name] = _used(read.use, known.use, span_s)
            elif read.began + FRESH_S <= self._last.at:
                ran_s = self._last.at - read.began
                used[name] = _used(read.use, None, ran_s)
                shortest = min(shortest, ran_s)
            else:
                return None
        return PodSample(self._last.at, shortest, used)

    def node(self, node: Obj) -> NodeSample | None:
        last, before = self._last, self._before
        if last.node is None or before.node is None:
            return None
        window_s = last.at - before.at
        return NodeSample(last.at, float(window_s), _used(last.node, before.node, window_s))


def _used(use: GroupUse, before: GroupUse | None, within_s: float) -> Used:
    counted_ns = use.cpu_ns - (before.cpu_ns if before is not None else 0)
    return Used(max(0, round(counted_ns / within_s)), use.memory, 0)
