"""Which changes may be forgotten.

Readers that fell behind (a watch that was cut off, kubectl on a slow line) resume from the last
revision they saw, so changes are kept for a while: those of the last minutes, and the last few
thousand whatever their age.  The number kept is bounded all the same, so that a storm of writes fills
neither the disk nor the memory.  Five minutes is what kube-apiserver's `--etcd-compaction-interval`
defaults to (https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/).

The decision is a function of values (`forgettable`); `Ages` remembers when a revision was reached.
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Keeping:
    """How many changes stay readable."""

    for_s: float = 300.0  # every change of the last five minutes ...
    at_least: int = 10_000  # ... and this many, however old ...
    at_most: int = 100_000  # ... but never more than this, however young
    step: int = 1_000  # fewer old ones are not worth a write of their own

    def __post_init__(self) -> None:
        assert 0 <= self.at_least <= self.at_most, "at_least fits into at_most"


class Mark(NamedTuple):
    at: float
    revision: int  # reached by then


class Ages:
    """When which revision was reached, as coarse as `every_s`; bounded by `for_s / every_s` marks."""

    def __init__(self, for_s: float, every_s: float = 10.0):
        self._for_s = for_s
        self._every_s = every_s
        self.marks: list[Mark] = []

    def note(self, revision: int, now: float) -> None:
        if self.marks and now - self.marks[-1].at < self._every_s:
            return
        self.marks.append(Mark(now, revision))
        # All but the last of the marks that are old enough say nothing more.
        del self.marks[: max(0, bisect_right(self.marks, now - self._for_s, key=_at) - 1)]


def forgettable(marks: Sequence[Mark], floor: int, revision: int, keeping: Keeping, now: float) -> int:
    """The revision up to which changes may be forgotten; `floor` itself when nothing is worth it.

    `marks` are in order of time.  Revisions are consecutive, so their difference counts changes.
    """
    if revision - floor > keeping.at_most:
        # Down to well below the bound, so that a storm of writes pays for this once in many commits.
        return revision - max(keeping.at_least, keeping.at_most - keeping.at_most // 8)
    old = bisect_right(marks, now - keeping.for_s, key=_at)
    by_age = marks[old - 1].revision if old else floor
    allowed = min(by_age, revision - keeping.at_least)
    return allowed if allowed >= floor + keeping.step else floor


def _at(mark: Mark) -> float:
    return mark.at
