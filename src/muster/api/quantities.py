"""Amounts of resources as Kubernetes writes them: "500m", "1Gi", "12e6", "0.5".

Read exactly (an int, or a Fraction where it is not whole), compared and added as numbers, and written
back in the canonical form that `kubectl get -o yaml` shows: the largest suffix that leaves no fraction.
A quantity keeps its family of suffixes: 1024Mi becomes 1Gi, 1000m becomes 1, 1000000 becomes 1M.
Precision ends at 10^-9 (rounded away from zero), size at 2^63-1, as in
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""
from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

Number = int | Fraction

DECIMAL, BINARY, EXPONENT = "DecimalSI", "BinarySI", "DecimalExponent"
LARGEST = 2**63 - 1
LONGEST = 1000  # characters; the largest and the smallest amount take 30

_DECIMAL_POWERS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_POWERS = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIXES = {power: suffix for suffix, power in _DECIMAL_POWERS.items()}
_BINARY_SUFFIXES = [(power, suffix) for suffix, power in reversed(_BINARY_POWERS.items())]

_SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]{1,9})", re.ASCII)
_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@lru_cache(maxsize=16384)
def _read(text: str) -> tuple[Number, str]:
    """The number and its family of suffixes."""
    shape = _SHAPE.fullmatch(text) if len(text) <= LONGEST else None
    if shape is None or not (shape[2] or shape[3]):
        raise ValueError(_WRONG)
    sign, whole_part, fraction_part, suffix = shape[1], shape[2], shape[3] or "", shape[4]
    digits, places = int(whole_part + fraction_part), len(fraction_part)
    if suffix in _BINARY_POWERS:
        family, value = BINARY, _scaled(digits << _BINARY_POWERS[suffix], -places)
    elif suffix in _DECIMAL_POWERS:
        family, value = DECIMAL, _scaled(digits, _DECIMAL_POWERS[suffix] - places)
    elif exponent := _EXPONENT.fullmatch(suffix):
        family, value = EXPONENT, _scaled(digits, int(exponent[1]) - places)
    else:
        raise ValueError("unable to parse quantity's suffix")
    value = min(_rounded_up(value * 10**9), LARGEST * 10**9)
    return _plain(Fraction(-value if sign == "-" else value, 10**9)), family


def _scaled(digits: int, power: int) -> Number:
    """digits * 10^power, without ever making a number too large to hold."""
    if power >= 0:
        return digits * 10 ** min(power, 20)  # 10^20 is beyond the largest amount
    return Fraction(digits, 10 ** min(-power, len(str(digits)) + 10))  # ... and this below the smallest


def _rounded_up(value: Number) -> int:
    """The next whole number away from zero."""
    return -((-value) // 1) if value >= 0 else int(value // 1)


def _plain(value: Fraction) -> Number:
    return value.numerator if value.denominator == 1 else value


def parse(text: str | int | float) -> Number:
    """The exact number.  ValueError, worded as Kubernetes words it, for anything that is no quantity."""
    return _read(text if isinstance(text, str) else str(text))[0]


@lru_cache(maxsize=16384)
def _milli(text: str) -> int:
    return _rounded_up(_read(text)[0] * 1000)


def milli(text: str | int | float) -> int:
    """In thousandths, rounded up: "1.5" -> 1500."""
    return _milli(text if isinstance(text, str) else str(text))


@lru_cache(maxsize=16384)
def _whole(text: str) -> int:
    return _rounded_up(_read(text)[0])


def whole(text: str | int | float) -> int:
    """In units, rounded up: "1500m" -> 2."""
    return _whole(text if isinstance(text, str) else str(text))


@lru_cache(maxsize=16384)
def _canonical(text: str) -> str:
    return written(*_read(text))


def canonical(text: str | int | float) -> str:
    """The form the server keeps and shows: "1000m" -> "1", "1024Mi" -> "1Gi", "0.5" -> "500m"."""
    return _canonical(text if isinstance(text, str) else str(text))


def written(value: Number, family: str = DECIMAL) -> str:
    """A number as a quantity of that family, with the largest suffix that leaves no fraction.

    Binary suffixes have no fractions: what needs one is written in decimals (0.1Mi is 104857600m).
    """
    if value == 0:
        return "0"
    if family == BINARY and isinstance(value, int) and not -1024 < value < 1024:
        for power, suffix in _BINARY_SUFFIXES:
            if value % (1 << power) == 0:
                return f"{value >> power}{suffix}"
        return str(value)
    power, amount = -9, _rounded_up(value * 10**9)
    while power < 18 and amount % 1000 == 0:
        power, amount = power + 3, amount // 1000
    if family == EXPONENT:
        return f"{amount}e{power}" if power else str(amount)
    return f"{amount}{_DECIMAL_SUFFIXES[power]}"


def family_of(text: str | int | float) -> str:
    return _read(text if isinstance(text, str) else str(text))[1]
