"""How long simulated things take, as users write it: "500ms", "1m30s", or a range to draw from, "1s..3s".

A number without a unit is seconds, as `sleep` takes it; "never" is for ever.
"""
from __future__ import annotations

import math
import re
from functools import lru_cache

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d)")
_SHAPE = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d))+")
_BARE = re.compile(_NUMBER)
_FOR_EVER = ("never", "infinity", "inf")


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> float:
    """Seconds.  ValueError for anything that is no duration."""
    text = text.strip()
    if text in _FOR_EVER:
        return math.inf
    if _BARE.fullmatch(text):
        return float(text)
    if not _SHAPE.fullmatch(text):
        raise ValueError('must be a duration such as "500ms", "2s" or "1h30m", or a range such as "1s..3s"')
    return sum(float(amount) * _UNITS_S[unit] for amount, unit in _PART.findall(text))


@lru_cache(maxsize=1024)
def parse_range(text: str) -> tuple[float, float]:
    """The shortest and the longest of "1s..3s" in seconds; both the same for "2s"."""
    low, dots, high = text.partition("..")
    shortest = parse_duration(low)
    longest = parse_duration(high) if dots else shortest
    if shortest > longest:
        raise ValueError(f"must not start ({low}) above its end ({high})")
    if math.isinf(longest) and not math.isinf(shortest):
        raise ValueError("must have an end to draw from")
    return shortest, longest
