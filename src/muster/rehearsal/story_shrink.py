"""Makes a broken story small: as few of its steps as still break the same law.

Halves are left out first, then quarters, down to single steps (delta debugging: Zeller and Hildebrandt, "Simplifying
and Isolating Failure-Inducing Input", 2002); the number of attempts is bounded, since each plays a whole story.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

MOST_ATTEMPTS = 150


def shrink(steps: int, breaks: Callable[[Sequence[int]], bool], most: int = MOST_ATTEMPTS) -> list[int]:
    """The places of the steps that are needed, of `steps` in all; `breaks(places)` plays them."""
    kept, chunk = list(range(steps)), max(1, steps // 2)
    while most > 0:
        shorter, start = False, 0
        while start < len(kept) and most > 0:
            without = kept[:start] + kept[start + chunk:]
            most -= 1
            if without and breaks(without):
                kept, shorter = without, True
            else:
                start += chunk
        if chunk == 1 and not shorter:
            break
        chunk = max(1, chunk // 2)
    return kept
