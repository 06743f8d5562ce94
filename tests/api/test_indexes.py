"""Sets of completion indexes as text, there and back."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api.indexes import indexes_text, known_indexes, read_indexes


@pytest.mark.parametrize("indexes, text", [
    pytest.param(set(), "", id="none"),
    pytest.param({3}, "3", id="one"),
    pytest.param({0, 1}, "0,1", id="two neighbours"),
    pytest.param({0, 2, 3, 4, 7}, "0,2-4,7", id="a range between"),
])
def test_text(indexes, text):
    assert indexes_text(indexes) == text
    assert read_indexes(text, 10) == indexes


@pytest.mark.parametrize("text, complaint", [
    pytest.param("a", 'cannot convert string to integer for index: "a"', id="a word"),
    pytest.param("1-2-3", 'the fragment "1-2-3" violates the requirement that an index interval can have at most two '
                          "parts separated by '-'", id="two hyphens"),
    pytest.param("3,1", "non-increasing order, previous: 3, current: 1", id="backwards"),
    pytest.param("4-2", "non-increasing order, previous: 4, current: 2", id="a range backwards"),
    pytest.param("2-9", 'too large index: "9"', id="too large"),
])
def test_complaints(text, complaint):
    with pytest.raises(ValueError) as raised:
        read_indexes(text, 5)
    assert str(raised.value) == complaint


@given(st.sets(st.integers(0, 60)))
def test_there_and_back(indexes):
    text = indexes_text(indexes)
    assert read_indexes(text, 61) == known_indexes(text, 61) == indexes
    assert known_indexes(text, 30) == {index for index in indexes if index < 30}, "a job that shrank"
