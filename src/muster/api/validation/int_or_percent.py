"""Values that are a number or a share: `maxUnavailable: 1`, `maxSurge: 25%`.

What is wrong with one is shown as v1.32 shows it, in Go's words: users search for them.
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, invalid
from ..go_text import syntax_of_number_or_share
from .metadata import NOT_NEGATIVE


def validate_not_negative(value: int | str, path: str, wrong: list[Cause]) -> None:
    if isinstance(value, str):
        wrong += [refused(path, value, why) for why in names.is_percent(value)]
    elif value < 0:
        wrong.append(invalid(path, value, NOT_NEGATIVE))


def validate_at_most_all(value: int | str, path: str, wrong: list[Cause]) -> None:
    if isinstance(value, str) and not names.is_percent(value) and int(value[:-1]) > 100:
        wrong.append(refused(path, value, "must not be greater than 100%"))


def refused(path: str, value: int | str, why: str) -> Cause:
    return invalid(path, syntax_of_number_or_share(value), why)


def is_zero(value: int | str) -> bool:
    if isinstance(value, str):
        return not names.is_percent(value) and int(value[:-1]) == 0
    return value == 0
