"""The front door of the past: it reads, and refuses whatever would change something."""
from __future__ import annotations

import pytest
from asking import NOBODY, Asking, asked
from small_cluster import config

from muster.server.past import PastApi

ONE = "/api/v1/namespaces/default/configmaps/a"
WORDS = "this is the past, read-only: the cluster at revision 7 (then); nothing in it can be changed"


def in_the_past(test):
    async def story(ask: Asking):
        await ask.cluster.create(config("a"))
        ask.api = PastApi(ask.api, ask.cluster.clock, "revision 7 (then)")
        await test(ask)
    asked(story)


@pytest.mark.parametrize("method, target", [
    pytest.param("POST", "/api/v1/namespaces/default/configmaps", id="create"),
    pytest.param("PUT", ONE, id="update"),
    pytest.param("PATCH", ONE, id="patch"),
    pytest.param("PATCH", ONE + "?dryRun=All", id="a dry run too"),
    pytest.param("DELETE", ONE, id="delete"),
    pytest.param("DELETE", "/api/v1/namespaces/default/configmaps", id="delete all"),
    pytest.param("POST", "/api/v1/namespaces/default/pods/a/eviction", id="evict"),
    pytest.param("POST", "/anywhere", id="anything"),
])
def test_changes_are_refused(method, target):
    async def story(ask: Asking):
        before = ask.cluster.store.history.revision
        refused = await ask(method, target, config("a"))
        assert refused.status == refused.json["code"] == 405
        assert refused.json["reason"] == "MethodNotAllowed" and refused.json["message"] == WORDS
        assert "audit-id" in refused.headers
        assert ask.cluster.store.history.revision == before
    in_the_past(story)


def test_reading_goes_on():
    async def story(ask: Asking):
        assert (await ask("GET", ONE)).json["metadata"]["name"] == "a"
        assert len((await ask("GET", "/api/v1/configmaps")).json["items"]) == 1
        assert (await ask("GET", "/readyz")).body == b"ok"
        call = ask.open("GET", "/api/v1/configmaps?watch=1")
        assert (await call.lines(1))[0]["type"] == "ADDED"
        assert not call.ended
        call.leave()
        await call.task
    in_the_past(story)


def test_what_may_i_is_answered():
    async def story(ask: Asking):
        asked = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                 "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
        said = await ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", asked)
        assert said.status == 201 and said.json["status"]["allowed"]
        assert (await ask("GET", ONE, user=NOBODY)).status == 401
    in_the_past(story)
