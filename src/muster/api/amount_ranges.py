"""Amounts to draw from: "100m..300m", "64Mi", or a share of what was requested: "30%..60%".

A pool's behaviour and the annotations that say what simulated containers use are written in these.
"""
from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from . import quantities

_PERCENT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)%", re.ASCII)


class AmountRange(NamedTuple):
    least: float
    most: float
    is_share: bool = False  # of the request: 0.3 is 30 %

    def at(self, place: float) -> float:
        """The amount at a place from 0 to 1."""
        return self.least + (self.most - self.least) * place


@lru_cache(maxsize=1024)
def parse_amount_range(text: str) -> AmountRange:
    """ValueError, saying what is wrong, for anything else."""
    first, dots, second = text.partition("..")
    least, share = _bound(first)
    most, also_share = _bound(second) if dots else (least, share)
    if share != also_share:
        raise ValueError('must be two amounts or two percentages, such as "100m..300m" or "30%..60%"')
    if most < least:
        raise ValueError("must not end before it begins")
    return AmountRange(least, most, share)


def _bound(text: str) -> tuple[float, bool]:
    text = text.strip()
    if percent := _PERCENT.fullmatch(text):
        return float(percent[1]) / 100, True
    amount = float(quantities.parse(text))
    if amount < 0:
        raise ValueError("must be greater than or equal to 0")
    return amount, False
