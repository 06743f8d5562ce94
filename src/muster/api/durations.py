"""How long simulated things take, as users write it: "500ms", "1m30s", or something to draw from.

    "1s..3s"                      evenly from a range
    "lognormal(p50=30s,p95=2m)"   half of all are shorter than the p50, one in twenty is longer than the p95

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
_LOGNORMAL = re.compile(r"lognormal\(\s*p50\s*=\s*([^,\s]+)\s*,\s*p95\s*=\s*([^)\s]+)\s*\)")
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


@lru_cache(maxsize=1024)
def parse_offset(text: str) -> float:
    """Seconds, which may be less than none: "-90s", "+2m", "2m"."""
    text = text.strip()
    sign = -1.0 if text.startswith("-") else 1.0
    seconds = parse_duration(text[1:] if text[:1] in ("-", "+") else text)
    if math.isinf(seconds):
        raise ValueError("must have an end")
    return sign * seconds


@lru_cache(maxsize=1024)
def parse_lognormal(text: str) -> tuple[float, float]:
    """The median and the 95th percentile of "lognormal(p50=30s,p95=2m)" in seconds."""
    found = _LOGNORMAL.fullmatch(text.strip())
    if found is None:
        raise ValueError('must be written as "lognormal(p50=30s,p95=2m)"')
    p50, p95 = parse_duration(found[1]), parse_duration(found[2])
    if not 0 < p50 < p95 or math.isinf(p95):
        raise ValueError(f"must have 0 < p50 ({found[1]}) < p95 ({found[2]})")
    return p50, p95


def is_lognormal(text: str) -> bool:
    return text.strip().startswith("lognormal")


def check_length(text: str) -> None:
    """ValueError with the reason, where this says neither how long something takes nor what to draw it from."""
    if is_lognormal(text):
        parse_lognormal(text)
    else:
        parse_range(text)
