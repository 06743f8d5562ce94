"""How long simulated things take: "2s", "1m30s", or drawn anew from a range, "1s..3s".

    parse_duration("1m30s")   90.0 seconds        "infinity" and "never" are float("inf")
    parse_range("200ms..1s")  Range(0.2, 1.0)
    go_duration(1.2344)       "1.234s": as the kubelet's events print one
"""
from __future__ import annotations

import math
import random
import re
from functools import lru_cache
from typing import NamedTuple

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PIECE = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|s|m|h|d)")
_BARE = re.compile(r"\d+(?:\.\d+)?|\.\d+")
_FOR_EVER = ("infinity", "inf", "never")


class Range(NamedTuple):
    least: float
    most: float

    def draw(self, random_: random.Random) -> float:
        """A length in the range; a range of one length takes nothing from the generator."""
        return self.least if self.least == self.most else random_.uniform(self.least, self.most)


AT_ONCE = Range(0.0, 0.0)


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> float:
    """Seconds.  A number without a unit is seconds, as `sleep` takes it.  ValueError for anything else."""
    text = text.strip()
    if text in _FOR_EVER:
        return math.inf
    if _BARE.fullmatch(text):
        return float(text)
    pieces = _PIECE.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 2s or 1m30s")
    return sum(float(number) * _UNITS_S[unit] for number, unit in pieces)


@lru_cache(maxsize=1024)
def parse_range(text: str) -> Range:
    """ "1s..3s", or one length.  ValueError for anything else."""
    least, dots, most = text.partition("..")
    found = Range(parse_duration(least), parse_duration(most if dots else least))
    if found.least > found.most or (found.most == math.inf and found.least != math.inf):
        raise ValueError(f"{text!r} is not a range such as 1s..3s, the shorter length first")
    return found


def go_duration(seconds: float) -> str:
    """As Go prints a duration that was rounded to milliseconds: "313ms", "1.661s", "1m2.5s"."""
    millis = round(seconds * 1000)
    if millis == 0:
        return "0s"
    if millis < 1000:
        return f"{millis}ms"
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    shown = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{shown}"
    return f"{minutes}m{shown}" if minutes else shown
