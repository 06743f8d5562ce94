"""The strand of a story in which clocks of nodes go wrong: some minutes ahead or behind, for a while or for good."""
from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from .faults import Amount, ClockSkew
from .story_steps import Fail, Step

SHARE = .3  # of all stories
AHEAD_S, BEHIND_S = 60.0, 3600.0  # at most.  Who is ahead may keep others waiting for as long (Jobs, minReadySeconds)


def clocks(seed: int, lasts_s: float) -> Iterator[Step]:
    """Steps of a story that lasts so long."""
    rng = Random(f"story {seed}: clocks")
    if rng.random() >= SHARE:
        return
    for at_s in sorted(rng.uniform(0.0, lasts_s) for _ in range(rng.randint(1, 3))):
        nodes = rng.choice((Amount(1), Amount(2), Amount(share=1.0)))
        least_s, most_s = rng.choice(((-120.0, AHEAD_S), (AHEAD_S, AHEAD_S), (-5.0, 5.0), (-45.0, -45.0),
                                      (-BEHIND_S, -BEHIND_S)))
        for_s = rng.choice((10.0, 60.0, 400.0, math.inf))
        yield Step(round(at_s, 3), Fail(ClockSkew(nodes, least_s, most_s, for_s=for_s)))
