"""Which changes may be forgotten: the decision as a table, and what holds for any history of marks."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.store.compaction import Ages, Keeping, Mark, forgettable

KEEPING = Keeping(for_s=300, at_least=100, at_most=1000, step=50)


@pytest.mark.parametrize(("marks", "floor", "revision", "now", "does"), [
    pytest.param([], 0, 90, 0, 0, id="nothing is old before anything was noted"),
    pytest.param([Mark(0, 90)], 0, 900, 299, 0, id="younger than five minutes stays"),
    pytest.param([Mark(0, 90)], 0, 900, 300, 90, id="five minutes old goes"),
    pytest.param([Mark(0, 90), Mark(10, 200), Mark(20, 500)], 0, 900, 310, 200, id="as far as the age reaches"),
    pytest.param([Mark(0, 900)], 0, 900, 9999, 800, id="the last hundred stay, however old"),
    pytest.param([Mark(0, 90)], 0, 95, 9999, 0, id="a small history stays whole"),
    pytest.param([Mark(0, 90)], 60, 900, 300, 60, id="a few more are not worth a write"),
    pytest.param([Mark(0, 90)], 40, 900, 300, 90, id="fifty more are"),
    pytest.param([Mark(0, 90)], 200, 900, 300, 200, id="the floor never goes back"),
    pytest.param([], 0, 1000, 0, 0, id="a thousand young ones are kept"),
    pytest.param([], 0, 1001, 0, 126, id="one more is too many: well below the bound"),
    pytest.param([Mark(0, 5000)], 4000, 5500, 0, 4625, id="a storm outruns the age"),
])
def test_what_may_be_forgotten(marks, floor, revision, now, does):
    assert forgettable(marks, floor, revision, KEEPING, now) == does


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 400)), max_size=60), st.integers(0, 200))
def test_laws_of_forgetting(steps, at_least):
    """The floor only rises; young changes stay unless there are too many; never more than the bound is kept."""
    keeping = Keeping(for_s=300, at_least=at_least, at_most=600, step=20)
    ages, reached = Ages(keeping.for_s, every_s=10), []
    now, revision, floor = 0.0, 0, 0
    for seconds, writes in steps:
        now, revision = now + seconds, revision + writes
        reached.append((now, revision))
        ages.note(revision, now)
        before, floor = floor, forgettable(ages.marks, floor, revision, keeping, now)
        assert before <= floor <= max(before, revision)
        assert revision - floor <= keeping.at_most
        if floor > before:
            assert revision - floor >= at_least
        if revision - before <= keeping.at_most and floor > before:
            assert floor <= max(was for at, was in reached if at <= now - keeping.for_s)
        assert len(ages.marks) <= keeping.for_s / 10 + 2
