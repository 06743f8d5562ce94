"""How long simulated things take: a length that is drawn anew each time, and lengths as others write them.

    read_spread("1s..3s")     Range(1.0, 3.0)       "never" is a range that is never over
    read_spread("lognormal(p50=30s,p95=2m)")        a long tail, as pulls have it
    Sample((1.2, 1.3, 4.0))   one of those that were measured
    sleep_length("1m")        60.0, as the command `sleep` takes it: "30", "2.5h", "infinity"
    go_duration(1.2344)       "1.234s", as the kubelet's events print one
"""
from __future__ import annotations

import math
import random
import re
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

from ..api import durations

_SLEEP_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SLEEP = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)", re.ASCII)


class Range(NamedTuple):
    least: float
    most: float

    def draw(self, chance: random.Random) -> float:
        """A length in the range; a range of one length takes nothing from the generator."""
        return self.least if self.least == self.most else chance.uniform(self.least, self.most)

    def at(self, share: float) -> float:
        """The length that this share of all, in [0, 1), is shorter than."""
        return self.least if self.least == self.most else self.least + share * (self.most - self.least)


class Lognormal(NamedTuple):
    """Half of all are shorter than `p50`, one in twenty is longer than `p95`."""

    p50: float
    p95: float

    def draw(self, chance: random.Random) -> float:
        return chance.lognormvariate(math.log(self.p50), self._sigma())

    def at(self, share: float) -> float:
        return self.p50 * math.exp(self._sigma() * NormalDist().inv_cdf(min(max(share, TINY), 1 - TINY)))

    def _sigma(self) -> float:
        return math.log(self.p95 / self.p50) / NORMAL_P95


class Sample(NamedTuple):
    """Lengths that were measured: any of them, each as likely as it was."""

    lengths: tuple[float, ...]

    def draw(self, chance: random.Random) -> float:
        return chance.choice(self.lengths)

    def at(self, share: float) -> float:
        return self.lengths[int(share * len(self.lengths))]


Spread = Range | Lognormal | Sample

AT_ONCE = Range(0.0, 0.0)
NEVER = Range(math.inf, math.inf)
NORMAL_P95 = 1.6448536269514722  # standard deviations above the mean: one in twenty is beyond
TINY = 1e-9  # of all: no length is longer than what so few reach


def read_spread(text: str) -> Spread:
    """ "1s..3s", one length, "never", or a lognormal.  ValueError for anything else."""
    if text == "never":
        return NEVER
    if durations.is_lognormal(text):
        return Lognormal(*durations.parse_lognormal(text))
    return Range(*durations.parse_range(text))


@lru_cache(maxsize=1024)
def sleep_length(text: str) -> float:
    """Seconds.  ValueError for what `sleep` would refuse."""
    if text in ("infinity", "inf"):
        return math.inf
    found = _SLEEP.fullmatch(text)
    if found is None:
        raise ValueError(f"sleep: invalid time interval '{text}'")
    return float(found[1]) * _SLEEP_UNITS_S[found[2]]


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
