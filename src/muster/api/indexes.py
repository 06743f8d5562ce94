"""Sets of completion indexes as text: "0,2-4,7".

Jobs whose pods are numbered keep what is done in `status.completedIndexes`; ranges keep that short for a
hundred thousand indexes.  Users write the same text in `successPolicy.rules[].succeededIndexes`.
https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode
"""
from __future__ import annotations

from collections.abc import Iterable


def indexes_text(indexes: Iterable[int]) -> str:
    """`{0, 2, 3, 4}` -> "0,2-4"."""
    ranges: list[list[int]] = []
    for index in sorted(indexes):
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    # Two neighbours are written as a list and not as a range, as users know it.
    parts = (f"{first}-{last}" if last > first + 1 else f"{first},{last}" if last > first else str(first)
             for first, last in ranges)
    return ",".join(parts)


def read_indexes(text: str | None, count: int) -> set[int]:
    """What the text names, of `count` indexes.  ValueError says which part is wrong."""
    found: set[int] = set()
    last = -1
    for part in (text or "").split(",") if text else ():
        first_text, dash, last_text = part.partition("-")
        if "-" in last_text:
            raise ValueError(f'the fragment "{part}" violates the requirement that an index interval can have at most '
                             "two parts separated by '-'")
        first = _number(first_text, part)
        end = _number(last_text, part) if dash else first
        if first <= last:
            raise ValueError(f"non-increasing order, previous: {last}, current: {first}")
        if dash and end <= first:
            raise ValueError(f"non-increasing order, previous: {first}, current: {end}")
        if end >= count:
            raise ValueError(f'too large index: "{end if not dash or first < count else first}"')
        found.update(range(first, end + 1))
        last = end
    return found


def known_indexes(text: str | None, count: int) -> set[int]:
    """The same of our own status: whatever can not be read, or is out of today's range, is left out."""
    found: set[int] = set()
    for part in (text or "").split(",") if text else ():
        first, _, last = part.partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            found.update(range(int(first), min(int(last or first) + 1, count)))
    return found


def _number(text: str, part: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'cannot convert string to integer for index: "{text or part}"')
    return int(text)
