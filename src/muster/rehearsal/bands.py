"""From thousands of timelines to what fits on a page: rows in a telling order, alike ones as one band.

Rows are sorted by how they ended and when they changed, so a rollout runs down the page as a staircase and what went
wrong stands together at its foot.  Where there are more rows than lines, neighbours share a line: it shows at each
moment what most of them did.  Nothing that went wrong is hidden so: rows that ended badly never share with good ones.
"""
from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .timeline import (
    FAILING,
    NO_DAEMON,
    NODE_DOWN,
    NOT_WANTED,
    READY_OLD,
    STATES,
    UNSCHEDULED,
    Span,
)

_BAD = {FAILING: 2, UNSCHEDULED: 2, NO_DAEMON: 2, NODE_DOWN: 3, NOT_WANTED: 4}
_WEIGHT = {state: place for place, state in enumerate(STATES)}
MOMENTS = 600  # at which a line that many share is looked at


@dataclass(frozen=True, slots=True)
class Band:
    """A line of the picture: one row, or several that are next to each other."""

    names: Sequence[str]
    spans: Sequence[Span]

    @property
    def size(self) -> int:
        return len(self.names)


def ordered(rows: Mapping[str, Sequence[Span]]) -> list[tuple[str, Sequence[Span]]]:
    return sorted(rows.items(), key=lambda item: (_rank(item[1]), _moments(item[1]), item[0]))


def _rank(spans: Sequence[Span]) -> int:
    """How it ended: 0 well, 1 as it was, 2 and more badly."""
    last = spans[-1].state
    return _BAD.get(last, 1 if len(spans) == 1 and last == READY_OLD else 0)


def _moments(spans: Sequence[Span]) -> tuple[float, float]:
    first = spans[1].start if len(spans) > 1 and spans[0].start == 0 else spans[0].start
    return first, spans[-1].start


def bands(rows: Mapping[str, Sequence[Span]], most: int, until_s: float) -> list[Band]:
    """At most about `most` lines."""
    sorted_rows = ordered(rows)
    if len(sorted_rows) <= most:
        return [Band((name,), spans) for name, spans in sorted_rows]
    share = -(-len(sorted_rows) // most)
    found: list[Band] = []
    group: list[tuple[str, Sequence[Span]]] = []
    for row in sorted_rows:
        if group and (len(group) == share or _rank(group[0][1]) != _rank(row[1])):
            found.append(_shared(group, until_s))
            group = []
        group.append(row)
    return [*found, _shared(group, until_s)]


def _shared(group: Sequence[tuple[str, Sequence[Span]]], until_s: float) -> Band:
    names = tuple(name for name, _ in group)
    if len(group) == 1 or all(spans == group[0][1] for _, spans in group):
        return Band(names, group[0][1])
    step = until_s / MOMENTS or 1.0
    looks = [(moment + 0.5) * step for moment in range(MOMENTS)]
    moves: dict[int, list[tuple[str, str]]] = {0: []}  # by the first moment that shows them: from one state to the next
    for _, spans in group:
        before = ""
        for span in spans:
            moves.setdefault(bisect_left(looks, span.start), []).append((before, span.state))
            before = span.state
    moves.pop(MOMENTS, None)  # too late to be seen
    states = Counter({"": len(group)})
    shown: list[Span] = []
    for moment in sorted(moves):
        for before, after in moves[moment]:
            states[before] -= 1
            states[after] += 1
        state = max(states, key=lambda one: (states[one], _WEIGHT.get(one, -1)))
        if not shown or shown[-1].state != state:
            shown.append(Span(moment * step, state))
    return Band(names, shown)


def last_change(rows: Mapping[str, Sequence[Span]]) -> float:
    """When the last row came to what it stayed: for one that never came up, when it first failed."""
    return max((_came_to_rest(spans) for spans in rows.values()), default=0.0)


def _came_to_rest(spans: Sequence[Span]) -> float:
    if _rank(spans) < _BAD[FAILING] and not any(span.state == FAILING for span in spans):
        return spans[-1].start
    return next((span.start for span in spans if span.state in _BAD), spans[-1].start)


def states_in(rows: Mapping[str, Sequence[Span]]) -> list[str]:
    """In the order of the legend."""
    there = {span.state for spans in rows.values() for span in spans}
    return [state for state in STATES if state in there]
