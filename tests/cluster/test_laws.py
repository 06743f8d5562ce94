"""Whatever is done to a cluster, the laws hold.  `MUSTER_SEEDS=500` plays more histories; a broken law names its seed."""
from __future__ import annotations

import os

import pytest
from scenarios import play

FIRST = int(os.environ.get("MUSTER_FIRST_SEED", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("MUSTER_SEEDS", "36")))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_laws_hold(seed):
    play(seed)
