"""Schedules: which times they name, in which zone, and what is said of those that can not be read."""
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api.cron import read, zone_of


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def told(moment, zone="UTC"):
    return datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize("schedule, after, expected", [
    pytest.param("* * * * *", "2026-01-01 00:00", "2026-01-01 00:01", id="every minute"),
    pytest.param("* * * * *", "2026-01-01 00:00:59", "2026-01-01 00:01", id="not the minute that runs"),
    pytest.param("*/15 * * * *", "2026-01-01 00:46", "2026-01-01 01:00", id="a step"),
    pytest.param("5/20 * * * *", "2026-01-01 00:26", "2026-01-01 00:45", id="a step from a number"),
    pytest.param("10-20/5 * * * *", "2026-01-01 00:15", "2026-01-01 00:20", id="a step in a range"),
    pytest.param("0 9,17 * * *", "2026-01-01 09:00", "2026-01-01 17:00", id="a list"),
    pytest.param("0 0 * * MON-FRI", "2026-01-02 12:00", "2026-01-05 00:00", id="weekdays by name"),
    pytest.param("0 0 * * 0", "2026-01-01 00:00", "2026-01-04 00:00", id="Sunday is 0"),
    pytest.param("0 0 1 JAN ?", "2026-01-01 00:00", "2027-01-01 00:00", id="a month by name"),
    pytest.param("0 0 13 * 5", "2026-01-01 00:00", "2026-01-02 00:00", id="either kind of day"),
    pytest.param("0 0 13 * *", "2026-01-01 00:00", "2026-01-13 00:00", id="a day of the month alone"),
    pytest.param("0 0 29 2 *", "2026-03-01 00:00", "2028-02-29 00:00", id="a leap day"),
    pytest.param("@hourly", "2026-01-01 00:30", "2026-01-01 01:00", id="hourly"),
    pytest.param("@daily", "2026-01-01 00:30", "2026-01-02 00:00", id="daily"),
    pytest.param("@weekly", "2026-01-01 00:30", "2026-01-04 00:00", id="weekly"),
    pytest.param("@every 1h30m", "2026-01-01 00:30", "2026-01-01 02:00", id="every so often"),
])
def test_next(schedule, after, expected):
    assert told(read(schedule).next_after(at(after))) == expected


@pytest.mark.parametrize("schedule, zone, after, expected", [
    pytest.param("0 9 * * *", "Asia/Tokyo", "2026-01-01 10:00", "2026-01-02 09:00", id="another zone"),
    pytest.param("30 2 * * *", "Europe/Berlin", "2026-03-28 03:00", "2026-03-30 02:30", id="a time that is left out"),
    pytest.param("0 4 * * *", "Europe/Berlin", "2026-03-28 05:00", "2026-03-29 04:00", id="a shorter day"),
    pytest.param("0 0 * * *", "America/Santiago", "2026-09-05 12:00", "2026-09-07 00:00", id="no midnight that day"),
])
def test_next_in_a_zone(schedule, zone, after, expected):
    assert told(read(schedule).next_after(at(after, zone), zone_of(zone)), zone) == expected


def test_an_hour_that_comes_twice():
    zone = zone_of("Europe/Berlin")
    first = read("30 2 * * *").next_after(at("2026-10-25 00:00", "Europe/Berlin"), zone)
    assert read("30 2 * * *").next_after(first, zone) == first + 3600


def test_no_such_day():
    assert read("0 0 31 2 *").next_after(at("2026-01-01 00:00")) is None


@pytest.mark.parametrize("schedule, complaint", [
    pytest.param("", "empty spec string", id="empty"),
    pytest.param("* * *", "expected exactly 5 fields, found 3: [* * *]", id="three fields"),
    pytest.param("60 * * * *", "end of range (60) above maximum (59): 60", id="a minute too many"),
    pytest.param("* * 0 * *", "beginning of range (0) below minimum (1): 0", id="no day 0"),
    pytest.param("* * * * 7", "end of range (7) above maximum (6): 7", id="no day 7"),
    pytest.param("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1", id="backwards"),
    pytest.param("1-2-3 * * * *", "too many hyphens: 1-2-3", id="hyphens"),
    pytest.param("1/2/3 * * * *", "too many slashes: 1/2/3", id="slashes"),
    pytest.param("*/0 * * * *", "step of range should be a positive number: */0", id="no step"),
    pytest.param("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax', id="a word"),
    pytest.param("@often", "unrecognized descriptor: @often", id="descriptor"),
    pytest.param("@every x", 'failed to parse duration @every x: time: invalid duration "x"', id="duration"),
    pytest.param("TZ=Nowhere/X 0 0 * * *", "provided bad location Nowhere/X: unknown time zone Nowhere/X", id="zone"),
])
def test_complaints(schedule, complaint):
    with pytest.raises(ValueError) as raised:
        read(schedule)
    assert str(raised.value) == complaint


@given(st.integers(0, 59), st.integers(0, 23), st.integers(0, 6), st.integers(0, 3_000_000_000))
def test_the_next_time_is_the_first_that_fits(minute, hour, weekday, moment):
    """Compared with a walk, hour by hour."""
    found = datetime.fromtimestamp(moment, zone_of("UTC")).replace(minute=minute, second=0)
    while found.timestamp() <= moment or found.hour != hour or found.isoweekday() % 7 != weekday:
        found += timedelta(hours=1)
    assert read(f"{minute} {hour} * * {weekday}").next_after(moment) == found.timestamp()
