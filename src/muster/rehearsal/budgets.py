"""When a PodDisruptionBudget had fewer healthy pods than it wants, and for how long: told from its own status.
https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""
from __future__ import annotations

from collections.abc import Iterator

from ..api.objects import Key, Obj, at
from .spoken import spoken

RESOURCE = "poddisruptionbudgets.policy"


class Budgets:
    def __init__(self) -> None:
        self._short: dict[Key, tuple[int, int, float]] = {}  # healthy and wanted, and since when it is short
        self._worst: dict[Key, tuple[int, int, float]] = {}  # the same, when it was shortest
        self._short_s: dict[Key, float] = {}

    def hear(self, key: Key, budget: Obj | None, at_s: float) -> None:
        healthy, wanted = at(budget or {}, "status.currentHealthy", 0), at(budget or {}, "status.desiredHealthy", 0)
        before = self._short.pop(key, None)
        if before is not None:
            self._short_s[key] = self._short_s.get(key, 0.0) + at_s - before[2]
        if budget is not None and healthy < wanted:
            self._short[key] = healthy, wanted, at_s
            worst = self._worst.get(key)
            if worst is None or wanted - healthy > worst[1] - worst[0]:
                self._worst[key] = healthy, wanted, at_s

    def broken(self, now_s: float) -> Iterator[str]:
        for key in sorted(self._worst):
            healthy, wanted, at_s = self._worst[key]
            short_s = self._short_s.get(key, 0.0) + (now_s - self._short[key][2] if key in self._short else 0.0)
            yield (f"budget {key.namespace}/{key.name}: {healthy} healthy pods at worst (after {spoken(at_s)}) where "
                   f"{wanted} are wanted; short of them for {spoken(short_s)}")
