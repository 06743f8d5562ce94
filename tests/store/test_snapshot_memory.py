"""What stays in memory for as long as an object lives is no larger than it looks."""
import tracemalloc

import orjson
import pytest

from muster.store.history import Snapshot
from muster.store.sharing import read

OBJECTS = 200
OVERHEAD = 100  # bytes: the header of a bytes object, and the list it stands in


def growth(make):
    """Bytes that one object's making leaves behind."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [make(number) for number in range(OBJECTS)]
        return (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [100, 700, 2600, 9000])
def test_the_json_of_an_object_takes_its_own_length(size):
    snapshots = [Snapshot({"data": {"text": "x" * size}}, 1) for _ in range(OBJECTS)]
    length = len(orjson.dumps(snapshots[0].value))
    assert growth(lambda number: snapshots[number].encoded()) < length + OVERHEAD


def test_parts_are_remembered_by_no_more_than_their_json():
    encoded = [orjson.dumps({"metadata": {"labels": {"of": f"memory {number}"}}}) for number in range(OBJECTS)]
    assert growth(lambda number: read(encoded[number])) < 1500  # three dicts, two texts, and the key
