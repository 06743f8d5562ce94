"""How far a rehearsal has come: what is not complete yet, which pods are neither up nor gone, and when anything last
came further than it ever was.

    moved_at      the last change of any kind
    at            the last one that was progress: whoever waits for the end gives up by it
"""
from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ..api.objects import Key, at
from .tracked import Tracked, Workload


class Progress:
    def __init__(self) -> None:
        self.at = self.moved_at = 0.0
        self.is_measured = False
        self.incomplete: dict[str, None] = {}  # workloads, by uid
        self.unsettled: dict[Key, None] = {}  # pods
        self._fewest_unsettled = 0
        self._came_to_rest = asyncio.Event()

    def begin(self, workloads: Iterable[Workload], now: float) -> None:
        self.is_measured = True
        self.moved_at = now
        self.stir(workloads, now)

    def stir(self, workloads: Iterable[Workload], now: float) -> None:
        """Something was done to the cluster on purpose: progress is counted from here."""
        self.at = now
        self._fewest_unsettled = len(self.unsettled)
        for one in workloads:
            one.record = _reached(one)

    @property
    def is_at_rest(self) -> bool:
        return not self.incomplete and not self.unsettled

    async def rest(self) -> None:
        """Returns once every rollout is complete and every pod has come up or gone."""
        while not self.is_at_rest:
            self._came_to_rest.clear()
            await self._came_to_rest.wait()

    def settle(self, tracked: Tracked, settled: bool, now: float) -> None:
        if settled != tracked.is_settled:
            tracked.is_settled = settled
            if settled:
                self.unsettled.pop(tracked.key, None)
            else:
                self.unsettled[tracked.key] = None
            self._count_unsettled(now)

    def lose(self, key: Key, now: float) -> None:
        """The pod is gone."""
        if self.unsettled.pop(key, 0) is None:
            self._count_unsettled(now)

    def judge(self, one: Workload, now: float) -> None:
        """The workload's standing is another one."""
        if one.standing.complete:
            self.incomplete.pop(one.uid, None)
            if one.touched and one.finished_at is None:
                one.finished_at = now
            self._check_rest()
        else:
            one.touched = one.touched or self.is_measured
            one.finished_at = None
            self.incomplete[one.uid] = None
        reached = _reached(one)
        if reached > one.record:
            one.record = reached
            self.at = now

    def forget(self, one: Workload) -> None:
        self.incomplete.pop(one.uid, None)
        self._check_rest()

    def _count_unsettled(self, now: float) -> None:
        if len(self.unsettled) < self._fewest_unsettled:
            self._fewest_unsettled = len(self.unsettled)
            self.at = now
        self._check_rest()

    def _check_rest(self) -> None:
        if self.is_at_rest:
            self._came_to_rest.set()


def _reached(one: Workload) -> tuple[int, int]:
    """Its status speaks of a template only once it was seen."""
    seen = at(one.obj, "status.observedGeneration", 0)
    return seen, one.standing.updated + min(one.standing.updated, one.standing.available)
