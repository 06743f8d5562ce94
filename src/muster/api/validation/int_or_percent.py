"""Values that are a number or a share: `maxUnavailable: 1`, `maxSurge: 25%`."""
from __future__ import annotations

from .. import names
from ..causes import Cause, invalid
from .metadata import NOT_NEGATIVE, complain


def validate_not_negative(value: int | str, path: str, wrong: list[Cause]) -> None:
    if isinstance(value, str):
        wrong += complain(path, value, names.is_percent(value))
    elif value < 0:
        wrong.append(invalid(path, value, NOT_NEGATIVE))


def validate_at_most_all(value: int | str, path: str, wrong: list[Cause]) -> None:
    if isinstance(value, str) and not names.is_percent(value) and int(value[:-1]) > 100:
        wrong.append(invalid(path, value, "must not be greater than 100%"))


def is_zero(value: int | str) -> bool:
    if isinstance(value, str):
        return not names.is_percent(value) and int(value[:-1]) == 0
    return value == 0
