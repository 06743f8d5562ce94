"""Who is available when, counted along: a workload's pods that are up, and for how long how many were missing.

A pod counts as available when it is Ready, has been for its workload's minReadySeconds, and is not being deleted.
A DaemonSet's unavailability counts nodes: those that should run a daemon and have none available.  A node that is lost
on the way is one of them, although the DaemonSet no longer asks for a daemon there; one that was lost before is not,
until it is back.
"""
from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from ..api.objects import Obj, name_of, with_
from ..controllers.daemonset_nodes import Fit, eligibility
from ..controllers.readiness import NEVER, available_at
from ..controllers.zones import LOST_TAINTS
from .tracked import Tracked, Workload


class Availability:
    def __init__(self) -> None:
        self._is_measured = False
        self._maturing: list[tuple[float, int, Tracked]] = []  # ready, but not for long enough
        self._matured = 0
        self._lost_before: dict[str, None] = {}  # nodes

    def begin(self, workloads: Iterable[Workload], nodes: Mapping[str, Obj], now: float) -> None:
        """From here on what is missing is added up."""
        self._is_measured = True
        self._lost_before = {name: None for name, node in nodes.items() if _is_lost(node)}
        for one in workloads:
            for name in self._lost_before if one.is_daemonset else ():
                self.judge(one, name, nodes[name], now)
            one.down, one.down_since = one.are_down(), now
            one.worst, one.worst_at = one.down, now
            one.downs = [(now, one.down)]

    def of(self, tracked: Tracked, now: float) -> None:
        """The pod, or what is asked of it, reads otherwise than before."""
        since = _available_from(tracked)
        if since != tracked.available_from:
            self._since(tracked, since, now)

    def leave(self, tracked: Tracked, now: float) -> None:
        """It is its workload's no more."""
        self._since(tracked, NEVER, now)

    def mature(self, now: float) -> None:
        """Pods that have been ready for long enough."""
        while self._maturing and self._maturing[0][0] <= now:
            since, _, tracked = heapq.heappop(self._maturing)
            if tracked.available_from == since and tracked.owner is not None:
                self._count(tracked, 1, since)

    def judge(self, one: Workload, name: str, node: Obj | None, now: float) -> None:
        """Should the node run one of this DaemonSet's pods?"""
        wanted = node is not None and eligibility(one.obj["spec"]["template"])(self._as_counted(node)) is Fit.RUN
        if wanted == (name in one.wanted_on):
            return
        is_up = one.up_on.get(name, 0) > 0
        if wanted:
            one.wanted_on.add(name)
            one.available += is_up
        else:
            one.wanted_on.discard(name)
            one.available -= is_up
        self.count_down(one, now)

    def _as_counted(self, node: Obj) -> Obj:
        if not _is_lost(node):
            self._lost_before.pop(name_of(node), None)
            return node
        if name_of(node) in self._lost_before:
            return node
        return with_(node, "spec.taints", [one for one in node["spec"]["taints"] if one["key"] not in LOST_TAINTS])

    def count_down(self, one: Workload, now: float) -> None:
        if not self._is_measured:
            return
        down = one.are_down()
        if down != one.down:
            one.down_s += one.down * (now - one.down_since)
            one.down, one.down_since = down, now
            if one.downs and one.downs[-1][0] == now:
                one.downs.pop()
            one.downs.append((now, down))
            if down > one.worst:
                one.worst, one.worst_at = down, now

    def _since(self, tracked: Tracked, since: float, now: float) -> None:
        before, after = tracked.available_from <= now, since <= now
        tracked.available_from = since
        if not after and since < NEVER:
            self._matured += 1
            heapq.heappush(self._maturing, (since, self._matured, tracked))
        if before != after:
            self._count(tracked, 1 if after else -1, now)

    def _count(self, tracked: Tracked, more: int, now: float) -> None:
        owner = tracked.owner
        assert owner is not None, "only a workload's pods are counted"
        if not owner.is_daemonset:
            owner.available += more
        else:
            there = owner.up_on.get(tracked.node, 0) + more
            owner.up_on[tracked.node] = there
            if tracked.node in owner.wanted_on and there == (1 if more > 0 else 0):
                owner.available += more
        self.count_down(owner, now)


def _is_lost(node: Obj) -> bool:
    return any(one["key"] in LOST_TAINTS for one in node["spec"].get("taints") or ())


def _available_from(tracked: Tracked) -> float:
    assert tracked.owner is not None, "only a workload's pods are counted"
    if tracked.is_going or not tracked.is_ready:
        return NEVER
    return available_at(tracked.pod, tracked.owner.min_ready_s)
