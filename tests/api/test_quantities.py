from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api import quantities


@pytest.mark.parametrize(("text", "value", "canonical"), [
    ("0", 0, "0"),
    ("1", 1, "1"),
    ("0.5", Fraction(1, 2), "500m"),
    (".5", Fraction(1, 2), "500m"),
    ("5.", 5, "5"),
    ("1000m", 1, "1"),
    ("1500m", Fraction(3, 2), "1500m"),
    ("1000000", 10**6, "1M"),
    ("12e6", 12 * 10**6, "12e6"),
    ("1E", 10**18, "1E"),
    ("1024Mi", 2**30, "1Gi"),
    ("1.5Gi", 3 * 2**29, "1536Mi"),
    ("0.5Ki", 512, "512"),
    ("0.1Mi", Fraction(524288, 5), "104857600m"),
    ("0.9Gi", Fraction(9 * 2**30, 10), "966367641600m"),
    ("300Mi", 300 * 2**20, "300Mi"),
    ("-1.5", Fraction(-3, 2), "-1500m"),
    ("1.1n", Fraction(2, 10**9), "2n"),
    ("9Ei", 2**63 - 1, "9223372036854775807"),
])
def test_a_quantity_is_read_exactly_and_written_canonically(text, value, canonical):
    assert quantities.parse(text) == value
    assert quantities.canonical(text) == canonical


@pytest.mark.parametrize(("text", "complaint"), [
    ("", "quantities must match the regular expression"),
    ("abc", "quantities must match the regular expression"),
    ("1.2.3", "quantities must match the regular expression"),
    (" 1", "quantities must match the regular expression"),
    ("100MB", "quantities must match the regular expression"),
    ("9" * 5000, "quantities must match the regular expression"),
    ("1mi", "unable to parse quantity's suffix"),
    ("1e", "unable to parse quantity's suffix"),
    ("1KK", "unable to parse quantity's suffix"),
])
def test_what_is_no_quantity_says_why(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        quantities.parse(text)


@pytest.mark.parametrize(("text", "milli", "whole"), [
    ("100m", 100, 1), ("1", 1000, 1), ("1500m", 1500, 2), ("100u", 1, 1), ("-1.5", -1500, -2),
])
def test_rounding_goes_away_from_zero(text, milli, whole):
    assert quantities.milli(text) == milli
    assert quantities.whole(text) == whole


numbers = st.integers(-10**9, 10**9)
suffixes = st.sampled_from(["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-2"])
texts = st.builds(lambda number, suffix: f"{number}{suffix}", numbers, suffixes)


@given(texts)
def test_the_canonical_form_means_the_same_and_is_its_own(text):
    canonical = quantities.canonical(text)
    assert quantities.parse(canonical) == quantities.parse(text)
    assert quantities.canonical(canonical) == canonical

