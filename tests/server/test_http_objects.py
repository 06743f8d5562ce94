"""The verbs on objects over HTTP: paths, bodies, options, forms and what a wrong one is answered."""
from __future__ import annotations

import asyncio

import pytest
from asking import ADMIN, BOB, NOBODY, Asking, asked
from small_cluster import config, daemonset, pod

CONFIGS = "/api/v1/namespaces/default/configmaps"
SETS = "/apis/apps/v1/namespaces/default/daemonsets"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def test_an_object_lives_and_dies():
    async def story(ask: Asking):
        made = await ask("POST", CONFIGS, config("a"))
        assert (made.status, made.json["metadata"]["name"]) == (201, "a")
        read = await ask("GET", f"{CONFIGS}/a")
        assert (read.status, read.body) == (200, made.body)
        changed = await ask("PATCH", f"{CONFIGS}/a", {"data": {"a": "2"}}, content_type="application/merge-patch+json")
        assert (changed.status, changed.json["data"]) == (200, {"a": "2"})
        replaced = await ask("PUT", f"{CONFIGS}/a", {**changed.json, "data": {"b": "3"}})
        assert (replaced.status, replaced.json["data"]) == (200, {"b": "3"})
        gone = await ask("DELETE", f"{CONFIGS}/a")
        assert gone.status == 200
        assert gone.json == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {
            "name": "a", "kind": "configmaps", "uid": made.json["metadata"]["uid"]}}
        assert int(gone.headers["muster-revision"]) > int(replaced.json["metadata"]["resourceVersion"])
        again = await ask("GET", f"{CONFIGS}/a")
        assert (again.status, again.json["message"]) == (404, 'configmaps "a" not found')
    asked(story)


def test_a_list_joins_what_is_stored():
    async def story(ask: Asking):
        for name in ("a", "b", "c"):
            await ask.cluster.create(config(name))
        whole = (await ask("GET", CONFIGS)).json
        assert whole["kind"] == "ConfigMapList" and whole["apiVersion"] == "v1"
        assert [item["metadata"]["name"] for item in whole["items"]] == ["a", "b", "c"]
        first = (await ask("GET", f"{CONFIGS}?limit=2")).json
        assert first["metadata"]["remainingItemCount"] == 1
        rest = (await ask("GET", f"{CONFIGS}?limit=2&continue={first['metadata']['continue']}")).json
        assert [item["metadata"]["name"] for item in first["items"] + rest["items"]] == ["a", "b", "c"]
        assert (await ask("GET", "/api/v1/configmaps?fieldSelector=metadata.name%3Db")).json["items"][0][
            "metadata"]["name"] == "b"
        assert (await ask("GET", "/api/v1/nodes")).json["items"] == []
    asked(story)


def test_a_large_list_goes_out_in_pieces():
    async def story(ask: Asking):
        for number in range(8):
            await ask.cluster.create({**config(f"c{number}"), "data": {"a": "x" * 100_000}})
        call = ask.open("GET", CONFIGS)
        await call.task
        assert len(call.pieces) > 2
        said = call.said()
        assert int(said.headers["content-length"]) == len(said.body)
        assert [item["metadata"]["name"] for item in said.json["items"]] == [f"c{number}" for number in range(8)]
    asked(story)


def test_forms():
    async def story(ask: Asking):
        await ask.cluster.create(daemonset())
        table = (await ask("GET", SETS, accept=TABLE)).json
        assert table["kind"] == "Table"
        assert [column["name"] for column in table["columnDefinitions"]][:3] == ["Name", "Desired", "Current"]
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
        assert table["metadata"]["resourceVersion"] == str(ask.cluster.store.history.revision)
        one = (await ask("GET", f"{SETS}/agent?includeObject=Object", accept=TABLE)).json
        assert one["rows"][0]["object"]["kind"] == "DaemonSet"
        partial = (await ask("GET", SETS, accept="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")).json
        assert partial["kind"] == "PartialObjectMetadataList" and "spec" not in partial["items"][0]
        text = await ask("GET", f"{SETS}/agent", accept="application/yaml")
        assert text.headers["content-type"] == "application/yaml"
        assert b"\nkind: DaemonSet\n" in text.body
    asked(story)


def test_yaml_and_generated_names_and_dry_runs():
    async def story(ask: Asking):
        text = b"metadata: {generateName: c-}\ndata: {on: 'yes', date: '2026-01-31'}\n"
        made = await ask("POST", CONFIGS, text, content_type="application/yaml")
        assert made.status == 201, made.body
        assert made.json["metadata"]["name"].startswith("c-")
        dry = await ask("POST", f"{CONFIGS}?dryRun=All", config("dry"))
        assert dry.status == 201
        assert (await ask("GET", f"{CONFIGS}/dry")).status == 404
    asked(story)


def test_warnings_come_as_headers():
    async def story(ask: Asking):
        wrong = daemonset()
        wrong["spec"]["replicaz"] = 3
        said = await ask("POST", SETS, wrong)
        assert said.status == 201
        assert said.headers["warning"] == '299 - "unknown field \\"spec.replicaz\\""'
        strict = await ask("POST", f"{SETS}?fieldValidation=Strict", {**wrong, "metadata": {"name": "other"}})
        assert strict.status == 400
        assert 'strict decoding error: unknown field "spec.replicaz"' in strict.json["message"]
        twice = await ask("POST", f"{CONFIGS}?fieldValidation=Strict",
                          b'{"metadata":{"name":"twice"},"data":{"a":"1","a":"2"}}')
        assert 'duplicate field "data.a"' in twice.json["message"]
    asked(story)


def test_a_collection_is_deleted():
    async def story(ask: Asking):
        for name in ("a", "b"):
            await ask.cluster.create(config(name, labels={"which": name}))
        left = await ask("DELETE", f"{CONFIGS}?labelSelector=which%3Da")
        assert [item["metadata"]["name"] for item in left.json["items"]] == ["a"]
        assert [one["metadata"]["name"] for one in (await ask("GET", CONFIGS)).json["items"]] == ["b"]
    asked(story)


def test_a_pod_is_bound_and_evicted():
    async def story(ask: Asking):
        pods = "/api/v1/namespaces/default/pods"
        await ask.cluster.create(pod())
        bound = await ask("POST", f"{pods}/web/binding", {
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n1"}})
        assert (bound.status, bound.json["status"]) == (201, "Success")
        assert (await ask("GET", f"{pods}/web")).json["spec"]["nodeName"] == "n1"
        evicted = await ask("POST", f"{pods}/web/eviction", {
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}})
        assert (evicted.status, evicted.json["status"]) == (201, "Success")
        assert "deletionTimestamp" in (await ask("GET", f"{pods}/web")).json["metadata"]
        deleted = await ask("DELETE", f"{pods}/web", {"gracePeriodSeconds": 0})
        assert (deleted.status, deleted.json["kind"]) == (200, "Pod")  # pods answer with themselves
    asked(story)


def test_exec_says_what_works_instead():
    async def story(ask: Asking):
        await ask.cluster.create(pod())
        said = await ask("GET", "/api/v1/namespaces/default/pods/web/exec?command=ls", connection="Upgrade",
                         upgrade="websocket")
        assert said.status == 400
        assert "cannot run a command in pod web: it is simulated" in said.json["message"]
        assert said.headers["connection"] == "close"  # what follows an upgrade request is no HTTP
        other = await ask("POST", "/api/v1/namespaces/default/pods/web/exec?command=ls&container=other")
        assert (other.status, other.json["message"]) == (400, "container other is not valid for pod web")
        missing = await ask("POST", "/api/v1/namespaces/default/pods/other/exec")
        assert missing.status == 404
    asked(story)


@pytest.mark.parametrize(("method", "target", "body", "status", "message"), [
    pytest.param("GET", "/api/v1/unicorns", None, 404, "the server could not find the requested resource", id="no kind"),
    pytest.param("GET", "/apis/apps/v1/daemonsets/agent", None, 404, "the server could not find the requested resource",
                 id="a name outside its namespace"),
    pytest.param("GET", "/api/v1/namespaces/default/nodes", None, 404,
                 "the server could not find the requested resource", id="a node inside a namespace"),
    pytest.param("GET", f"{CONFIGS}/a/log", None, 404, "the server could not find the requested resource",
                 id="no such subresource"),
    pytest.param("POST", f"{CONFIGS}/a", {}, 405, "the server does not allow this method on the requested resource",
                 id="create at a name"),
    pytest.param("HEAD", CONFIGS, None, 405, "the server does not allow this method on the requested resource",
                 id="head"),
    pytest.param("GET", f"{CONFIGS}?limit=many", None, 400, 'strconv.ParseInt: parsing "many": invalid syntax',
                 id="limit is no number"),
    pytest.param("GET", f"{CONFIGS}?resourceVersion=x", None, 400, "invalid resource version", id="revision is none"),
    pytest.param("GET", f"{CONFIGS}?resourceVersion={'9' * 5000}", None, 400, "value out of range",
                 id="revision is endless"),
    pytest.param("GET", f"{CONFIGS}?watch=1&resourceVersion={'9' * 5000}", None, 400, "value out of range",
                 id="watch from an endless revision"),
    pytest.param("GET", f"{CONFIGS}/a?resourceVersion=99999", None, 504, "Timeout: Too large resource version: 99999",
                 id="one that is not older than what is to come"),
    pytest.param("GET", f"{CONFIGS}/a?resourceVersion=x", None, 400, "invalid resource version", id="one of no revision"),
    pytest.param("GET", f"{CONFIGS}?labelSelector=a%3D%3D%3Db", None, 400, "found '='", id="label selector"),
    pytest.param("GET", f"{CONFIGS}?fieldSelector=spec.x%3D1", None, 400, '"spec.x" is not a known field selector',
                 id="field selector"),
    pytest.param("GET", f"{CONFIGS}?sendInitialEvents=1", None, 422,
                 "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list", id="initial events of a list"),
    pytest.param("POST", f"{CONFIGS}?dryRun=some", {"metadata": {"name": "a"}}, 422,
                 'dryRun: Unsupported value: []string{"some"}: supported values: "All"', id="dry run"),
    pytest.param("POST", f"{CONFIGS}?fieldValidation=Maybe", {"metadata": {"name": "a"}}, 422,
                 'fieldValidation: Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"',
                 id="field validation"),
    pytest.param("POST", f"{CONFIGS}?fieldManager={'m' * 129}", {"metadata": {"name": "a"}}, 422,
                 "fieldManager: Too long: may not be more than 128 bytes", id="field manager"),
    pytest.param("POST", CONFIGS, b"{nonsense", 400, "json parse error", id="no JSON"),
    pytest.param("POST", CONFIGS, [1], 400, "couldn't get version/kind", id="no object"),
    pytest.param("POST", CONFIGS, {"kind": "Pod", "apiVersion": "v1"}, 400,
                 'Pod in version "v1" cannot be handled as a ConfigMap', id="another kind"),
    pytest.param("POST", CONFIGS, {"metadata": {"name": "a", "namespace": "other"}}, 400,
                 "the namespace of the provided object does not match the namespace sent on the request",
                 id="another namespace"),
    pytest.param("POST", CONFIGS, {"metadata": {"name": "a", "resourceVersion": "5"}}, 500,
                 "resourceVersion should not be set on objects to be created", id="a revision of its own"),
    pytest.param("POST", CONFIGS, b"[" * 300 + b"]" * 300, 400, "max depth", id="too deep"),
    pytest.param("DELETE", f"{CONFIGS}/a", {"gracePeriodSeconds": "soon"}, 400, "gracePeriodSeconds",
                 id="grace is text"),
    pytest.param("DELETE", f"{CONFIGS}/a?gracePeriodSeconds=soon", None, 400, "strconv.ParseInt", id="grace in the query"),
    pytest.param("DELETE", f"{CONFIGS}/a?propagationPolicy=Up", None, 422, "propagationPolicy", id="propagation"),
])
def test_what_is_wrong_is_said(method, target, body, status, message):
    said = asked(lambda ask: ask(method, target, body))
    assert said.status == status, said.body
    assert message in said.json["message"]
    assert said.json["kind"] == "Status" and said.json["status"] == "Failure" and said.json["code"] == status


def test_every_kind_that_is_served_is_described():
    async def story(ask: Asking):
        found, said = set(), (await ask("GET", "/openapi/v3")).json["paths"]
        for one in said.values():
            described = (await ask("GET", one["serverRelativeURL"])).json["components"]["schemas"].values()
            found |= {tuple(kind.values()) for schema in described
                      for kind in schema.get("x-kubernetes-group-version-kind", ())}
        for root in ("api/v1", *(root for root in said if root != "api/v1")):
            version = (await ask("GET", f"/{root}")).json
            group, _, name = version["groupVersion"].rpartition("/")
            kinds = {one["kind"] for one in version["resources"] if "/" not in one["name"]}
            assert kinds and not {kind for kind in kinds if (group, name, kind) not in found}
        groups = {one["name"] for one in (await ask("GET", "/apis")).json["groups"]}
        assert groups == {root.split("/")[1] for root in said if root != "api/v1"}
    asked(story)


def test_media_types_that_are_not_spoken():
    async def story(ask: Asking):
        said = await ask("POST", CONFIGS, b"<xml/>", content_type="text/xml")
        assert said.status == 415
        assert said.json["message"] == ("the body of the request was in an unknown format - accepted media types "
                                        "include: application/json, application/yaml, "
                                        "application/vnd.kubernetes.protobuf")
        said = await ask("PATCH", f"{CONFIGS}/a", {}, content_type="application/json")
        assert (said.status, said.json["reason"]) == (415, "UnsupportedMediaType")
        said = await ask("GET", CONFIGS, accept="application/vnd.kubernetes.protobuf")
        assert (said.status, said.json["reason"]) == (406, "NotAcceptable")
    asked(story)


def test_too_large_a_body():
    async def story(ask: Asking):
        said = await ask("POST", CONFIGS, b" " * (3 * 1024 * 1024 + 1))
        assert (said.status, said.json["reason"]) == (413, "RequestEntityTooLarge")
        assert said.headers["connection"] == "close"
    asked(story)


def test_who_may_not_is_told_so():
    async def story(ask: Asking):
        said = await ask("GET", CONFIGS, user=NOBODY)
        assert (said.status, said.json["message"], said.json["reason"]) == (401, "Unauthorized", "Unauthorized")
        said = await ask("GET", CONFIGS, user=BOB)
        assert said.status == 403
        assert said.json["message"] == ('configmaps is forbidden: User "bob" cannot list resource "configmaps" in API '
                                        'group "" in the namespace "default"')
        said = await ask("GET", "/api/v1/unicorns", user=NOBODY)
        assert said.status == 401  # who is not known learns nothing of what there is
        as_bob = await ask("GET", CONFIGS, impersonate_user="bob")
        assert (as_bob.status, 'User "bob" cannot list' in as_bob.json["message"]) == (403, True)
        bob_as_alice = await ask("GET", CONFIGS, user=BOB, impersonate_user="alice")
        assert 'User "bob" cannot impersonate resource "users"' in bob_as_alice.json["message"]
    asked(story)


def test_an_unexpected_failure_shows_no_traceback(caplog):
    async def story(ask: Asking):
        def fails(*_):
            raise ZeroDivisionError("the secret inside")
        ask.cluster.registry.get = fails
        said = await ask("GET", f"{CONFIGS}/a")
        assert (said.status, said.json["reason"]) == (500, "InternalError")
        assert b"secret" not in said.body
        assert said.headers["audit-id"] in said.json["message"] and said.headers["audit-id"] in caplog.text
    asked(story)


def test_logs():
    seen = []

    async def logs(pod, options):
        seen.append(options)
        for line in (b"one\n", b"two\n"):
            yield line

    async def story(ask: Asking):
        two = [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]
        await ask.cluster.create(pod("two", containers=two))
        await ask.cluster.create(pod("one"))
        root = "/api/v1/namespaces/default/pods"
        said = await ask("GET", f"{root}/one/log?tailLines=5&timestamps=true")
        assert (said.status, said.body, said.headers["content-type"]) == (200, b"one\ntwo\n", "text/plain; charset=utf-8")
        assert (seen[-1].container, seen[-1].tail_lines, seen[-1].timestamps) == ("c", 5, True)
        said = await ask("GET", f"{root}/one/log?follow=1")
        assert said.body == b"one\ntwo\n" and seen[-1].follow
        said = await ask("GET", f"{root}/two/log")
        assert (said.status, said.json["message"]) == (
            400, "a container name must be specified for pod two, choose one of: [a b]")
        said = await ask("GET", f"{root}/two/log?container=z")
        assert said.json["message"] == "container z is not valid for pod two"
        said = await ask("GET", f"{root}/one/log?tailLines=-1")
        assert said.status == 422 and "tailLines: Invalid value: -1" in said.json["message"]
    asked(story, logs=logs)


def test_a_body_that_never_comes_is_not_waited_for():
    async def story(ask: Asking):
        sent: list[dict] = []

        async def receive():
            await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        await ask.api({"type": "http", "method": "POST", "path": CONFIGS, "raw_path": CONFIGS.encode(),
                       "query_string": b"", "headers": [(b"content-length", b"200")], "user": ADMIN}, receive, send)
        assert sent[0]["status"] == 504 and b"the request's body did not come in time" in sent[1]["body"]
    asked(story)
