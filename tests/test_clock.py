"""What the clock draws by chance."""
from __future__ import annotations

import random
import uuid

from muster.clock import Clock


def test_uids_are_random_uuids_of_version_4():
    clock, chance = Clock(seed=3), random.Random(3)
    for _ in range(500):
        assert clock.uid() == str(uuid.UUID(int=chance.getrandbits(128), version=4))
