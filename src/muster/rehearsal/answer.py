"""What all runs of all alternatives showed, added up: medians and 95th percentiles, and the first run in full."""
from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .alternatives import Alternative
from .outcome import Outcome
from .stage import Stage


@dataclass
class Answered:
    """One alternative, and its runs so far, in the order of their numbers."""

    alternative: Alternative
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.alternative.name

    @property
    def first(self) -> Outcome:
        return self.outcomes[0]

    def finish_s(self, share: float) -> float | None:
        """The percentile of the finish time; None where that many runs never finished."""
        ordered = sorted(one.finished_s if one.finished_s is not None else float("inf") for one in self.outcomes)
        found = percentile(ordered, share)
        return None if found == float("inf") else found

    def worst_unavailable(self) -> int:
        return max((work.worst_unavailable for one in self.outcomes for work in one.workloads if work.touched),
                   default=0)

    def median(self, of: Callable[[Outcome], float]) -> float:
        return statistics.median(of(one) for one in self.outcomes)

    def count(self, how: str) -> int:
        """Pods ended so, in the run with the most."""
        return max(sum(ending.how == how for ending in one.endings) for one in self.outcomes)


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


@dataclass
class Answer:
    stage: Stage
    alternatives: list[Answered]
    complete: bool = True  # all runs that were asked for are in it

    @property
    def runs(self) -> int:
        return sum(len(one.outcomes) for one in self.alternatives)

    def known(self) -> list[Answered]:
        return [one for one in self.alternatives if one.outcomes]
