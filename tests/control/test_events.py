"""What is written of what is told: counted, combined, cut off; and that telling never fails."""
from __future__ import annotations

import asyncio

import pytest

from muster.api.errors import AlreadyExists, Forbidden, NotFound, Unavailable
from muster.clock import run_virtual
from muster.control.events import BURST, COMBINED, LONGEST_BACKLOG, LONGEST_MESSAGE, Correlator, Recent, Recorder
from muster.control.plan import Tell

NOW = 1_767_225_600.0
POD = {"apiVersion": "v1", "kind": "Pod",
       "metadata": {"name": "agent-x", "namespace": "logging", "uid": "u1", "resourceVersion": "7"}}
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "u2"}}


def tell(message="Created pod: x", about=POD, reason="SuccessfulCreate", **more):
    return Tell(about, "Normal", reason, message, **more)


def test_the_event():
    event = Correlator("kubelet", "n1").record(tell(field_path="spec.containers{agent}"), NOW).event
    name = event["metadata"].pop("name")
    stem, _, stamp = name.rpartition(".")
    assert stem == "agent-x" and int(stamp, 16) // 1000 == NOW * 1e6
    assert event == {
        "apiVersion": "v1", "kind": "Event", "metadata": {"namespace": "logging"},
        "involvedObject": {"kind": "Pod", "namespace": "logging", "name": "agent-x", "uid": "u1",
                           "apiVersion": "v1", "resourceVersion": "7", "fieldPath": "spec.containers{agent}"},
        "reason": "SuccessfulCreate", "message": "Created pod: x", "type": "Normal", "count": 1,
        "source": {"component": "kubelet", "host": "n1"},
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "eventTime": None,
        "reportingComponent": "kubelet", "reportingInstance": "n1"}


def test_an_event_about_a_cluster_wide_object_stands_in_default():
    assert Correlator("x").record(tell(about=NODE), NOW).event["metadata"]["namespace"] == "default"


def test_no_two_events_share_a_name():
    one, other = Correlator("scheduler"), Correlator("kubelet")
    names = [c.record(tell(f"{i}"), NOW).event["metadata"]["name"] for i in range(5) for c in (one, other)]
    assert len(set(names)) == 10


def test_the_same_again_raises_the_count():
    correlator = Correlator("x")
    first = correlator.record(tell(), NOW)
    again = correlator.record(tell(), NOW + 90)
    assert again.patch == {"count": 2, "lastTimestamp": "2026-01-01T00:01:30Z", "message": "Created pod: x"}
    assert again.key == first.key
    assert again.event["firstTimestamp"] == "2026-01-01T00:00:00Z"


def test_other_words_are_another_event():
    correlator = Correlator("x")
    correlator.record(tell("one"), NOW)
    assert correlator.record(tell("two"), NOW).patch is None


def test_many_alike_are_combined():
    correlator = Correlator("x")
    records = [correlator.record(tell(f"Created pod: {i}"), NOW + i) for i in range(14)]
    assert [record.event["message"].startswith(COMBINED) for record in records] == [False] * 9 + [True] * 5
    assert [record.event["count"] for record in records[9:]] == [1, 2, 3, 4, 5]
    assert records[13].patch["message"] == COMBINED + "Created pod: 13"


def test_after_a_while_they_are_told_apart_again():
    correlator = Correlator("x")
    for i in range(12):
        correlator.record(tell(f"{i}"), NOW)
    assert correlator.record(tell("again"), NOW + 601).event["message"] == "again"


def test_a_flood_is_cut_off_and_trickles_on():
    correlator = Correlator("x")
    said = [correlator.record(tell(), NOW) is not None for _ in range(40)]
    assert said == [True] * BURST + [False] * (40 - BURST)
    assert correlator.record(tell(about=NODE), NOW) is not None, "another object is not concerned"
    assert correlator.record(tell(), NOW + 299) is None
    record = correlator.record(tell(), NOW + 601)
    assert record is not None and record.event["count"] == 42, "what was dropped is counted"


@pytest.mark.parametrize("message", ["x" * 5000, "é" * 5000, "…" * 342])
def test_messages_are_bounded(message):
    written = Correlator("x").record(tell(message), NOW).event["message"]
    assert LONGEST_MESSAGE - 3 < len(written.encode()) <= LONGEST_MESSAGE and message.startswith(written)


def test_memory_is_bounded():
    recent = Recent(keep=3)
    for i in range(5):
        recent.put(i, i)
        recent.get(2)
    assert len(recent) == 3 and recent.get(2) == 2 and recent.get(0) is None


class Server:
    """Keeps events, and answers the next writes with these errors."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.events = {}

    def _fail(self):
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error

    async def create(self, obj, *, subresource=""):
        self._fail()
        self.events[obj["metadata"]["name"]] = obj
        return obj

    async def patch(self, key, patch, *, how="merge", subresource=""):
        self._fail()
        if key.name not in self.events:
            raise NotFound("gone")
        self.events[key.name] = {**self.events[key.name], **patch}
        return self.events[key.name]


def recorded(server, *rounds):
    """Tells each round, lets the recorder write, and answers the recorder and what the server holds."""
    async def story(clock):
        recorder = Recorder(server, clock, "x")
        running = asyncio.create_task(recorder.run())
        for tells in rounds:
            for one in tells:
                recorder(one)
            await asyncio.sleep(100)
        running.cancel()
        return recorder, [(event["message"], event["count"]) for event in server.events.values()]

    return run_virtual(story)


@pytest.mark.parametrize("errors, rounds, events, lost", [
    pytest.param([], [[tell("a"), tell("b")]], [("a", 1), ("b", 1)], 0, id="written"),
    pytest.param([], [[tell("a"), tell("a")], [tell("a")]], [("a", 3)], 0, id="raised"),
    pytest.param([Unavailable("later"), Unavailable("later")], [[tell("a")]], [("a", 1)], 0, id="tried again"),
    pytest.param([AlreadyExists("taken")], [[tell("a")]], [("a", 1)], 0, id="renamed"),
    pytest.param([None, NotFound("expired")], [[tell("a")], [tell("a")]], [("a", 2)], 0, id="begun again"),
    pytest.param([Forbidden("no")], [[tell("a")], [tell("b")]], [("b", 1)], 1, id="refused: lost, and on"),
    pytest.param([Unavailable("x")] * 9, [[tell("a")]], [], 1, id="given up"),
])
def test_recorder(errors, rounds, events, lost):
    recorder, held = recorded(Server(*errors), *rounds)
    assert (held, recorder.lost) == (events, lost)


def test_a_backlog_is_bounded():
    many = [tell(about={**POD, "metadata": {**POD["metadata"], "name": f"p{i}"}}) for i in range(LONGEST_BACKLOG + 9)]
    recorder, held = recorded(Server(), many)
    assert len(held) == LONGEST_BACKLOG and recorder.lost == 9
