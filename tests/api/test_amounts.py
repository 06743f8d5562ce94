"""Sums of amounts: exact, and written as kubectl shows them."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api import quantities
from muster.api.amounts import NONE, add, amount, amounts

texts = st.builds(lambda number, suffix: f"{number}{suffix}", st.integers(-10**9, 10**9),
                  st.sampled_from(["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-2"]))


def summed(parts):
    total = {}
    for part in parts:
        add(total, amounts({"cpu": part}))
    return total.get("cpu", NONE)


@pytest.mark.parametrize("parts, total", [(["100m", "0.9"], "1"), (["0", "1Gi", "1Mi"], "1025Mi"), ([], "0")])
def test_a_sum_keeps_the_family_of_the_first_that_is_not_zero(parts, total):
    assert str(summed(parts)) == total


@given(st.lists(texts, max_size=5))
def test_sums_are_exact(parts):
    assert quantities.parse(str(summed(parts))) == sum(map(quantities.parse, parts))


@given(texts, texts)
def test_what_is_added_can_be_taken_away(first, second):
    total = amounts({"cpu": first})
    add(total, {"cpu": amount(second)})
    add(total, {"cpu": amount(second)}, -1)
    assert total["cpu"].value == amount(first).value
