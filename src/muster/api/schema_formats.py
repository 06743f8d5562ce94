"""Texts that have a form: times and base64, read as Go reads them and written back as Go writes them.

A time comes back in UTC with whole seconds (metav1.Time) or exactly six decimals (metav1.MicroTime); base64
comes back without line breaks.  What can not be read is a ValueError in Go's words.
"""
from __future__ import annotations

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from datetime import UTC, datetime
from functools import lru_cache

_UP_TO_SECONDS = r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)"
_TIME = re.compile(_UP_TO_SECONDS + r"([.,]\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_MICRO_TIME = re.compile(_UP_TO_SECONDS + r"(\.\d{6})(Z|[+-]\d\d:\d\d)", re.ASCII)
_LAYOUT, _MICRO_LAYOUT = "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.000000Z07:00"
# The parts of a layout, in order, as Go names them when one does not fit.
_PARTS = (("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T"),
          ("15", r"\d\d"), (":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d"))
_SECOND_PART = ("", r"([.,]\d+)?")
_MICRO_PART = (".000000", r"\.\d{6}")
_ZONE_PART = ("Z07:00", r"Z|[+-]\d\d:\d\d")
_RANGES = (("month", 1, 12), ("day", 1, 31), ("hour", 0, 23), ("minute", 0, 59), ("second", 0, 59))


@lru_cache(maxsize=16384)
def canonical_time(text: str) -> str:
    """`2026-01-31T09:00:00.5+01:00` -> `2026-01-31T08:00:00Z`"""
    return _moment(text, _LAYOUT).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


@lru_cache(maxsize=16384)
def canonical_micro_time(text: str) -> str:
    """`2026-01-31T09:00:00.500000+01:00` -> `2026-01-31T08:00:00.500000Z`"""
    return _moment(text, _MICRO_LAYOUT).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _moment(text: str, layout: str) -> datetime:
    found = (_MICRO_TIME if layout == _MICRO_LAYOUT else _TIME).fullmatch(text)
    if found is None:
        raise ValueError(_where_it_fails(text, layout))
    for (part, low, high), digits in zip(_RANGES, found.groups()[1:6], strict=True):
        if not low <= int(digits) <= high:
            raise ValueError(f'parsing time "{text}": {part} out of range')
    fraction = (found[7] or ".")[1:7].ljust(6, "0")
    zone = found[8].replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(f"{text[:19]}.{fraction}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'parsing time "{text}": day out of range') from None


def _where_it_fails(text: str, layout: str) -> str:
    rest = text
    for name, pattern in (*_PARTS, _MICRO_PART if layout == _MICRO_LAYOUT else _SECOND_PART, _ZONE_PART):
        found = re.match(pattern, rest, re.ASCII)
        if found is None:
            return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{name}"'
        rest = rest[found.end():]
    return f'parsing time "{text}": extra text: "{rest}"'


_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def canonical_bytes(text: str) -> str:
    """Base64 (RFC 4648, with padding) without the line breaks that Go reads over."""
    try:
        a2b_base64(text, strict_mode=True)
        return text
    except (NotBase64, ValueError):  # ValueError: not ASCII
        pass
    data = "".join(text.split("\n")).replace("\r", "")
    if (wrong := _first_wrong_byte(data)) is not None:
        raise ValueError(f"illegal base64 data at input byte {wrong}")
    return data


def _first_wrong_byte(data: str) -> int | None:
    """Where reading four characters at a time goes wrong."""
    for start in range(0, len(data), 4):
        four = data[start:start + 4]
        plain = next((i for i, char in enumerate(four) if char not in _ALPHABET), len(four))
        if plain == 4:
            continue
        if plain == len(four):
            return start  # the end came too soon
        if four[plain] != "=" or plain < 2:
            return start + plain
        if plain == 2 and four[3:] != "=":
            return len(data) if len(four) == 3 else start + 3
        return start + 4 if len(data) > start + 4 else None  # nothing may follow the padding
    return None
