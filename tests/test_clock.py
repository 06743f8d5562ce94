"""What the clock draws by chance."""
from __future__ import annotations

import uuid

from muster.clock import Clock


def test_uids_are_random_uuids_of_version_4():
    clock = Clock(seed=3)
    seen = [uuid.UUID(clock.uid("pods")) for _ in range(500)]
    assert {(one.version, one.variant) for one in seen} == {(4, uuid.RFC_4122)}
    assert len(set(seen)) == 500


def test_what_a_resource_is_given_does_not_depend_on_the_others():
    alone, among, other = Clock(seed=3), Clock(seed=3), Clock(seed=4)
    given = []
    for _ in range(5):
        among.uid("services")
        among.suffix("nodes")
        given.append((among.uid("pods"), among.suffix("pods")))
    assert given == [(alone.uid("pods"), alone.suffix("pods")) for _ in range(5)]
    assert given != [(other.uid("pods"), other.suffix("pods")) for _ in range(5)]
    assert among.fork("a").random() == alone.fork("a").random() != alone.fork("b").random()


def test_without_a_seed_no_two_clocks_draw_the_same():
    assert Clock().uid("pods") != Clock().uid("pods")
