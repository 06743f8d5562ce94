"""What commands do, crashes that are declared, lengths of time, images."""
from __future__ import annotations

import math
import random

import pytest

from muster.node import crashes, images
from muster.node.commands import FOR_EVER, Course, course
from muster.node.durations import Sample, go_duration, read_spread, sleep_length


def sh(script: str) -> tuple[str, ...]:
    return "/bin/sh", "-c", script


@pytest.mark.parametrize(("argv", "lasts_s", "exit_code", "prints"), [
    pytest.param(("sleep", "30"), 30, 0, (), id="sleep"),
    pytest.param(("sleep", "1m", "30s"), 90, 0, (), id="sleep adds up"),
    pytest.param(("sleep", "infinity"), math.inf, 0, (), id="for ever"),
    pytest.param(("sleep", "soon"), 0, 1, ("sleep: invalid time interval 'soon'",), id="not a time"),
    pytest.param(("/bin/true",), 0, 0, (), id="by its path"),
    pytest.param(("false",), 0, 1, (), id="false"),
    pytest.param(("echo", "hello", "world"), 0, 0, ("hello world",), id="echo"),
    pytest.param(sh("exit 3"), 0, 3, (), id="exit"),
    pytest.param(sh("echo a; sleep 2; echo b"), 2, 0, ("a", "b"), id="one after the other"),
    pytest.param(sh("false && sleep 9"), 0, 1, (), id="and"),
    pytest.param(sh("false || exit 4; sleep 9"), 0, 4, (), id="or"),
    pytest.param(sh("true || exit 4\nsleep 9"), 9, 0, (), id="lines"),
    pytest.param(sh("echo 'a; b' && echo \"c && d\""), 0, 0, ("a; b", "c && d"), id="quotes"),
    pytest.param(sh("exec sleep 5; exit 1"), 5, 0, (), id="exec is the last"),
    pytest.param(("bash", "-ec", "sleep 1"), 1, 0, (), id="flags together"),
    pytest.param(sh("echo up; while true; do sleep 1; done"), math.inf, 0, ("up",), id="a loop is for ever"),
    pytest.param(sh("echo 'open"), math.inf, 0, (), id="an open quote"),
    pytest.param(("perl", "-Mbignum=bpi", "-wle", "print bpi(2000)"), 2, 0, (), id="the job of the tutorial"),
    pytest.param(("nginx", "-g", "daemon off;"), math.inf, 0, (), id="a server"),
])
def test_course(argv: tuple[str, ...], lasts_s: float, exit_code: int, prints: tuple[str, ...]) -> None:
    found = course(argv)
    assert (found.lasts_s, found.exit_code) == (lasts_s, exit_code)
    assert tuple(text for _, text in found.prints) == prints


def test_no_command_runs_for_ever() -> None:
    assert course(()) is FOR_EVER


@pytest.mark.parametrize(("annotation", "restarts", "expected"), [
    pytest.param("app", 0, Course(1.0, 1), id="named"),
    pytest.param("app=3,after=5s", 7, Course(5.0, 3), id="code and time"),
    pytest.param("other; *=2,after=0s", 0, Course(0.0, 2), id="all of them"),
    pytest.param("app,times=2", 1, Course(1.0, 1), id="the second time"),
    pytest.param("app,times=2", 2, None, id="no more"),
    pytest.param("app=137,reason=OOMKilled", 0, Course(1.0, 137, reason="OOMKilled"), id="with a reason"),
    pytest.param("other", 0, None, id="another one"),
    pytest.param("app=x", 0, None, id="unreadable"),
    pytest.param(None, 0, None, id="nothing said"),
])
def test_declared_crashes(annotation: str | None, restarts: int, expected: Course | None) -> None:
    assert crashes.crash_of(annotation, "app", restarts) == expected


@pytest.mark.parametrize(("seconds", "text"), [
    (0, "0s"), (0.0004, "0s"), (0.313, "313ms"), (1.6607, "1.661s"), (2, "2s"), (62.5, "1m2.5s"), (300, "5m0s"),
    (3600, "1h0m0s"),
])
def test_durations_as_go_prints_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


def test_lengths_and_ranges() -> None:
    assert sleep_length("1.5h") == 5400
    assert read_spread("1s..3s") == (1, 3)
    assert read_spread("never").least == math.inf
    with pytest.raises(ValueError):
        read_spread("3s..1s")


@pytest.mark.parametrize(("image", "name", "repository"), [
    ("nginx", "docker.io/library/nginx:latest", "docker.io/library/nginx"),
    ("nginx:1.27", "docker.io/library/nginx:1.27", "docker.io/library/nginx"),
    ("grafana/loki", "docker.io/grafana/loki:latest", "docker.io/grafana/loki"),
    ("docker.elastic.co/beats/filebeat:6.8.12", "docker.elastic.co/beats/filebeat:6.8.12",
     "docker.elastic.co/beats/filebeat"),
    ("localhost:5000/a", "localhost:5000/a:latest", "localhost:5000/a"),
])
def test_full_names(image: str, name: str, repository: str) -> None:
    assert images.full_name(image) == name
    assert images.image_id(image).startswith(f"{repository}@sha256:")
    assert images.is_valid(image)


@pytest.mark.parametrize("image", ["", "Nginx", "nginx:", "a b", "nginx:1:2"])
def test_what_is_no_image_name(image: str) -> None:
    assert not images.is_valid(image)


def test_missing_images_go_by_either_name() -> None:
    assert images.is_missing("nginx:404", ("*:404",))
    assert images.is_missing("nginx", ("docker.io/*",))
    assert not images.is_missing("nginx:1", ("*:404", "redis*"))


def test_lengths_at_a_share_are_those_that_are_drawn() -> None:
    for text in ("2s..6s", "lognormal(p50=30s,p95=2m)", "5s", "never"):
        spread, chance = read_spread(text), random.Random(1)
        drawn = sorted(spread.draw(chance) for _ in range(4001))
        for share in (0.1, 0.5, 0.9):
            assert spread.at(share) == pytest.approx(drawn[int(share * 4000)], rel=0.1)
    assert [Sample((1.0, 2.0, 3.0)).at(share) for share in (0.0, 0.5, 0.99)] == [1, 2, 3]
