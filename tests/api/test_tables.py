import pytest

from muster.api import tables
from muster.api.kinds.kind import Column, Kind

DAY, HOUR = 86400, 3600
THING = Kind(group="", version="v1", name="Thing", plural="things", singular="thing", namespaced=True, definition="")


@pytest.mark.parametrize(("seconds", "text"), [
    (-5, "<invalid>"), (-1.5, "0s"), (0, "0s"), (74, "74s"), (104, "104s"), (119.9, "119s"),
    (120, "2m"), (125, "2m5s"), (242, "4m2s"), (312, "5m12s"), (600, "10m"), (79 * 60, "79m"), (3 * HOUR - 1, "179m"),
    (3 * HOUR, "3h"), (3 * HOUR + 300, "3h5m"), (8 * HOUR + 300, "8h"), (47 * HOUR, "47h"),
    (2 * DAY, "2d"), (2 * DAY + 12 * HOUR, "2d12h"), (8 * DAY + HOUR, "8d"), (14 * DAY, "14d"),
    (729 * DAY, "729d"), (730 * DAY, "2y"), (735 * DAY, "2y5d"), (8 * 365 * DAY + DAY, "8y"),
])
def test_ages_are_those_kubectl_prints(seconds, text):
    assert tables.age(seconds) == text


def test_an_age_without_a_timestamp_is_unknown():
    assert tables.age_of({"metadata": {}}, 0) == "<unknown>"
    assert tables.since("yesterday", 0) == "<unknown>"
    assert tables.age_of({"metadata": {"creationTimestamp": "1970-01-01T00:00:10Z"}}, 15) == "5s"


def thing(name):
    return {"metadata": {"name": name, "creationTimestamp": "1970-01-01T00:00:00Z"}, "spec": {"size": 3}}


def test_a_kind_without_columns_shows_name_and_age():
    table = tables.table(THING, [thing("a")], 60, metadata={"resourceVersion": "7"})
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["metadata"] == {"resourceVersion": "7"}
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Age"]
    assert table["columnDefinitions"][0]["format"] == "name"
    assert table["rows"] == [{"cells": ["a", "60s"], "object": {
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": thing("a")["metadata"]}}]


def test_the_name_comes_first_unless_the_kind_places_it():
    size = Column("Size", tables.path_cell("spec.size"), type="integer")
    plain = Kind(**{**THING.__dict__, "columns": (size,)})
    placed = Kind(**{**THING.__dict__, "columns": (size, tables.NAME)})
    assert tables.table(plain, [thing("a")], 0)["rows"][0]["cells"] == ["a", 3]
    assert tables.table(placed, [thing("a")], 0)["rows"][0]["cells"] == [3, "a"]


@pytest.mark.parametrize(("include", "expected"), [
    ("None", None), ("Object", thing("a")), ("Metadata", tables.partial(thing("a")))])
def test_what_comes_with_a_row(include, expected):
    assert tables.table(THING, [thing("a")], 0, include)["rows"][0]["object"] == expected


def test_later_events_of_a_watch_leave_the_headers_out():
    assert tables.table(THING, [thing("a")], 0, headers=False)["columnDefinitions"] == []
