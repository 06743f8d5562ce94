"""Starts that go wrong by chance: pulls that fail or take long, containers that crash soon after they start.

    Misfortune("pull", most=0.02)                              one pod in fifty can never pull its image
    Misfortune("crash", most=0.1, since=t, until=t + 300)      one in ten crashes, if it starts in those five minutes
    Misfortune("slow", times=10, since=t, until=t + 600)       pulls that begin then take ten times as long

Where several strike a pod at once, it is the worst that it feels: twice "twenty times as long" is not 400 times.
Whom it strikes is drawn from the pod's uid and nothing else: a pod is unlucky for as long as the misfortune lasts,
whoever asks and however often, and no generator is drawn from.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from .commands import Course

CRASH = Course(1.0, 1)  # as a container that finds no configuration does
PULL_FAILED = "failed to do request: dial tcp: i/o timeout"


class Misfortune(NamedTuple):
    what: str  # "pull", "crash" or "slow"
    least: float = 0.0  # whose luck is at least this ...
    most: float = 1.0  # ... and below that
    since: float = -math.inf
    until: float = math.inf
    times: float = 1.0  # how much longer a slow pull takes
    salt: str = ""  # under another one, other pods are lucky

    def strikes(self, uid: str, now: float) -> bool:
        return self.since <= now < self.until and self.least <= luck(f"{self.salt}/{uid}") < self.most


class Luck(NamedTuple):
    """What happens to one pod at one moment."""

    pull_fails: bool = False
    crashes: bool = False
    pull_times: float = 1.0


GOOD_LUCK = Luck()


def luck(text: str) -> float:
    """A number in [0, 1) that stands for the text."""
    return crc32(text.encode()) / 2**32


def luck_of(uid: str, misfortunes: Sequence[Misfortune], now: float) -> Luck:
    if not misfortunes:
        return GOOD_LUCK
    struck = [one for one in misfortunes if one.strikes(uid, now)]
    if not struck:
        return GOOD_LUCK
    return Luck(any(one.what == "pull" for one in struck), any(one.what == "crash" for one in struck),
                max((one.times for one in struck if one.what == "slow"), default=1.0))
