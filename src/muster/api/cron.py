"""When a CronJob runs: schedules of five fields, and the next time after a given one.

    read("*/15 9-17 * * MON-FRI").next_after(now, zone_of("Europe/Berlin"))

    minute  hour  day of month  month  day of week      numbers, names (JAN, SUN), ranges, lists, steps, * and ?
    @yearly @annually @monthly @weekly @daily @midnight @hourly, and @every 1h30m

Days: where both kinds of day are limited a day that fits either counts; else both must fit.  A time that does
not exist since the clock is put forward is left out; one that exists twice counts twice.
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

FURTHEST_YEARS = 5  # a schedule without a time within so many has none
_MINUTE, _HOUR = 60, 3600
_MONTHS = {name: number for number, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_SHORT = {"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
          "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *"}
_DURATION = re.compile(r"([0-9]*\.?[0-9]+)(ns|us|µs|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


class Field(NamedTuple):
    values: frozenset[int]
    is_any: bool = False  # * or ?: it does not limit


class Bounds(NamedTuple):
    first: int
    last: int
    names: Mapping[str, int] = {}


MINUTES, HOURS, DAYS = Bounds(0, 59), Bounds(0, 23), Bounds(1, 31)
MONTHS, WEEKDAYS = Bounds(1, 12, _MONTHS), Bounds(0, 6, _DAYS)


class Schedule(NamedTuple):
    minutes: Field
    hours: Field
    days: Field
    months: Field
    weekdays: Field
    every_s: int = 0  # @every: so many seconds after the last time, whatever the clock says

    def next_after(self, moment: float, zone: tzinfo = UTC) -> float | None:
        """Unix seconds of the next time; None where there is none for years."""
        if self.every_s:
            return int(moment) + self.every_s
        instant = (int(moment) // _MINUTE + 1) * _MINUTE
        last_year = datetime.fromtimestamp(instant, zone).year + FURTHEST_YEARS
        while True:
            local = datetime.fromtimestamp(instant, zone)
            if local.year > last_year:
                return None
            if local.month not in self.months.values:
                start = local.replace(day=1, hour=0, minute=0, second=0, fold=0)
                instant = _later(instant, (start + timedelta(days=32)).replace(day=1))
            elif not self._fits_day(local):
                midnight = local.replace(hour=0, minute=0, second=0, fold=0)
                instant = _later(instant, midnight + timedelta(days=1))
            elif local.hour not in self.hours.values:
                instant += _HOUR - local.minute * _MINUTE
            elif local.minute not in self.minutes.values:
                instant += _MINUTE
            else:
                return float(instant)

    def _fits_day(self, local: datetime) -> bool:
        by_month = local.day in self.days.values
        by_week = local.isoweekday() % 7 in self.weekdays.values
        if self.days.is_any or self.weekdays.is_any:
            return by_month and by_week
        return by_month or by_week


def _later(instant: int, local: datetime) -> int:
    """The instant of a local midnight; always some progress, whatever the zone does there."""
    return max(int(local.timestamp()), instant + _MINUTE)


@lru_cache(maxsize=1024)
def read(text: str) -> Schedule:
    """ValueError says what is wrong."""
    if not text:
        raise ValueError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, _, text = text.partition(" ")
        name = zone.partition("=")[2]
        try:
            zone_of(name)
        except ValueError as complaint:
            raise ValueError(f"provided bad location {name}: {complaint}") from None
        text = text.strip()
    if text.startswith("@"):
        return _short(text)
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    minute, hour, day, month, weekday = fields
    return Schedule(_field(minute, MINUTES), _field(hour, HOURS), _field(day, DAYS), _field(month, MONTHS),
                    _field(weekday, WEEKDAYS))


def zone_in(text: str) -> str:
    """The zone that a schedule names itself ("TZ=Asia/Tokyo 0 4 * * *"); "" for none."""
    return text.partition(" ")[0].partition("=")[2] if text.startswith(("TZ=", "CRON_TZ=")) else ""


def zone_of(name: str | None) -> tzinfo:
    """ValueError for a zone that is not known."""
    if name in (None, "", "UTC", "Etc/UTC"):
        return UTC
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name}") from None


def _short(text: str) -> Schedule:
    if text in _SHORT:
        return read(_SHORT[text])
    word, _, length = text.partition(" ")
    if word != "@every":
        raise ValueError(f"unrecognized descriptor: {text}")
    parts = _DURATION.findall(length)
    if not parts or "".join(amount + unit for amount, unit in parts) != length:
        raise ValueError(f'failed to parse duration {text}: time: invalid duration "{length}"')
    anything = Field(frozenset(), True)
    seconds = sum(float(amount) * _UNIT_S[unit] for amount, unit in parts)
    return Schedule(anything, anything, anything, anything, anything, max(1, int(seconds)))


def _field(text: str, bounds: Bounds) -> Field:
    values: set[int] = set()
    is_any = False
    for part in filter(None, text.split(",")):
        numbers, unlimited = _range(part, bounds)
        values.update(numbers)
        is_any = is_any or unlimited
    return Field(frozenset(values), is_any)


def _range(text: str, bounds: Bounds) -> tuple[range, bool]:
    """`4`, `4-8`, `*`, `?`, and each with a step: `*/5`, `4-8/2`, `4/2` (from 4 to the end)."""
    numbers, *steps = text.split("/")
    ends = numbers.split("-")
    unlimited = ends[0] in ("*", "?")
    if unlimited:
        first, last = bounds.first, bounds.last
    else:
        first = _number(ends[0], bounds)
        if len(ends) > 2:
            raise ValueError(f"too many hyphens: {text}")
        last = _number(ends[1], bounds) if len(ends) == 2 else first
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    step = 1
    if steps:
        step = _plain_number(steps[0])
        if len(ends) == 1 and not unlimited:
            last = bounds.last
    if first < bounds.first:
        raise ValueError(f"beginning of range ({first}) below minimum ({bounds.first}): {text}")
    if last > bounds.last:
        raise ValueError(f"end of range ({last}) above maximum ({bounds.last}): {text}")
    if first > last:
        raise ValueError(f"beginning of range ({first}) beyond end of range ({last}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")
    return range(first, last + 1, step), unlimited and step == 1


def _number(text: str, bounds: Bounds) -> int:
    named = bounds.names.get(text.lower())
    return _plain_number(text) if named is None else named


def _plain_number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 0:
        raise ValueError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)
