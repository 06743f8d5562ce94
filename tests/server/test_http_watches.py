"""Watches over HTTP: what each line says, and all the ways one ends."""
from __future__ import annotations

import pytest
from asking import Asking, asked
from small_cluster import config

CONFIGS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def test_events_as_they_happen():
    async def story(ask: Asking):
        await ask.cluster.create(config("a"))
        call = ask.open("GET", f"{CONFIGS}?watch=1")
        assert (await call.lines(1))[0]["type"] == "ADDED"
        await ask.cluster.patch("configmaps", "a", {"data": {"a": "2"}})
        await ask.cluster.delete("configmaps", "a")
        seen = await call.lines(3)
        assert [event["type"] for event in seen] == ["ADDED", "MODIFIED", "DELETED"]
        assert seen[1]["object"]["data"] == {"a": "2"}
        assert ask.api.metrics.watchers["", "v1", "ConfigMap"] == 1
        call.leave()
        await call.task
        assert ask.api.metrics.watchers["", "v1", "ConfigMap"] == 0
    asked(story)


@pytest.mark.parametrize("target", [
    pytest.param("/api/v1/watch/namespaces/default/configmaps", id="the old path"),
    pytest.param(f"{CONFIGS}/a?watch=true", id="one object"),
    pytest.param("/api/v1/configmaps?watch", id="all namespaces, a flag without a value"),
])
def test_ways_to_ask(target):
    async def story(ask: Asking):
        await ask.cluster.create(config("a"))
        call = ask.open("GET", target)
        assert (await call.lines(1))[0]["object"]["metadata"]["name"] == "a"
        call.leave()
        await call.task
    asked(story)


def test_it_ends_when_its_time_is_up():
    async def story(ask: Asking):
        call = ask.open("GET", f"{CONFIGS}?watch=1&timeoutSeconds=5")
        await call.task
        assert call.ended and call.said().status == 200 and ask.cluster.clock.now() % 60 == 5
    asked(story)


def test_it_ends_by_itself_within_an_hour():
    async def story(ask: Asking):
        begun = ask.cluster.clock.now()
        call = ask.open("GET", f"{CONFIGS}?watch=1")
        await call.task
        assert call.ended and 1800 <= ask.cluster.clock.now() - begun <= 3600
    asked(story)


def test_it_ends_when_the_server_stops():
    async def story(ask: Asking):
        await ask.cluster.create(config("a"))
        calls = [ask.open("GET", f"{CONFIGS}?watch=1") for _ in range(3)]
        for call in calls:
            await call.lines(1)
        begun = ask.cluster.clock.now()
        ask.api.stop()
        for call in calls:
            await call.task
            assert call.ended
        late = ask.open("GET", f"{CONFIGS}?watch=1")
        await late.task
        assert late.ended and ask.cluster.clock.now() == begun
    asked(story)


def test_the_head_goes_out_before_the_first_event():
    async def story(ask: Asking):
        call = ask.open("GET", f"{CONFIGS}?watch=1&resourceVersion={ask.cluster.store.history.revision}")
        while not call.pieces:
            await call._news.wait()
        assert call.said().status == 200 and "content-length" not in call.said().headers
        call.leave()
        await call.task
    asked(story)


def test_a_moment_that_is_forgotten_is_an_error_event():
    async def story(ask: Asking):
        for number in range(20):
            await ask.cluster.create(config(f"c{number}"))
        said = await ask("GET", f"{CONFIGS}?watch=1&resourceVersion=1")
        assert said.status == 200
        assert said.json["type"] == "ERROR"
        assert (said.json["object"]["code"], said.json["object"]["reason"]) == (410, "Expired")
    asked(story, keep=3)


def test_a_watch_that_makes_no_sense_is_refused():
    async def story(ask: Asking):
        said = await ask("GET", f"{CONFIGS}?watch=1&resourceVersionMatch=NotOlderThan")
        assert said.status == 422
        assert "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided" in said.json["message"]
    asked(story)


def test_rows_carry_the_columns_once():
    async def story(ask: Asking):
        call = ask.open("GET", f"{CONFIGS}?watch=1", accept=TABLE)
        await ask.cluster.create(config("a"))
        await ask.cluster.create(config("b"))
        first, second = await call.lines(2)
        assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
        assert second["object"]["columnDefinitions"] == []
        assert second["object"]["rows"][0]["cells"][:2] == ["b", 1]
        call.leave()
        await call.task
    asked(story)


def test_initial_events_end_with_a_bookmark():
    async def story(ask: Asking):
        await ask.cluster.create(config("a"))
        call = ask.open("GET", f"{CONFIGS}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                               "&resourceVersionMatch=NotOlderThan")
        added, bookmark = await call.lines(2)
        assert (added["type"], bookmark["type"]) == ("ADDED", "BOOKMARK")
        assert bookmark["object"]["kind"] == "ConfigMap"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        call.leave()
        await call.task
    asked(story)
