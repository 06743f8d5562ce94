"""Lists: selectors, pages, and the moments a list may be of."""
from __future__ import annotations

import base64
import random
from itertools import pairwise

import orjson
import pytest
from small_cluster import Cluster, config, in_cluster, namespace, pod

from muster.api.errors import ApiError, BadRequest, Gone, Invalid, Timeout
from muster.server.listing import ExpiredPage
from muster.server.requests import ListQuery, Page


def names(page: Page) -> list[str]:
    return ["/".join(filter(None, (one.value["metadata"].get("namespace"), one.value["metadata"]["name"])))
            for one in page.items]


async def some_configs(cluster: Cluster) -> None:
    for space in ("other", "zoo"):
        await cluster.create(namespace(space))
    for place in ("default/b", "other/a", "default/a", "zoo/z", "default/c"):
        space, name = place.split("/")
        await cluster.create(config(name, space, labels={"name": name}))


@pytest.mark.parametrize(("space", "query", "expected"), [
    pytest.param("", ListQuery(), ["default/a", "default/b", "default/c", "other/a", "zoo/z"], id="all, in order"),
    pytest.param("default", ListQuery(), ["default/a", "default/b", "default/c"], id="one namespace"),
    pytest.param("defaul", ListQuery(), [], id="not the namespace that starts alike"),
    pytest.param("", ListQuery(labels="name in (a,z)"), ["default/a", "other/a", "zoo/z"], id="by label"),
    pytest.param("", ListQuery(fields="metadata.name=a"), ["default/a", "other/a"], id="by name everywhere"),
    pytest.param("default", ListQuery(fields="metadata.name=a"), ["default/a"], id="by name"),
    pytest.param("default", ListQuery(fields="metadata.name=x"), [], id="by a name that is not there"),
    pytest.param("", ListQuery(fields="metadata.namespace=other"), ["other/a"], id="by namespace"),
    pytest.param("default", ListQuery(fields="metadata.namespace=other"), [], id="by another namespace"),
    pytest.param("", ListQuery(fields="metadata.name!=a", labels="name!=c"), ["default/b", "zoo/z"], id="by both"),
    pytest.param("", ListQuery(limit=2, resource_version="0"),
                 ["default/a", "default/b", "default/c", "other/a", "zoo/z"], id="from the cache: no pages"),
])
def test_what_is_listed(space: str, query: ListQuery, expected: list[str]):
    async def check(cluster: Cluster) -> None:
        await some_configs(cluster)
        page = cluster.registry.list(cluster.kind("configmaps"), space, query)
        assert names(page) == expected and page.revision == cluster.store.history.revision
        assert page.continue_token == "" and page.remaining is None
    in_cluster(check)


@pytest.mark.parametrize(("resource", "query", "error", "message"), [
    pytest.param("pods", ListQuery(fields="spec.colour=red"), BadRequest,
                 "field label not supported: spec.colour", id="a field of no pod"),
    pytest.param("configmaps", ListQuery(fields="data=1"), BadRequest,
                 '"data" is not a known field selector: only "metadata.name", "metadata.namespace"', id="no field"),
    pytest.param("nodes", ListQuery(fields="metadata.namespace=x"), BadRequest, "field label not supported: "
                 "metadata.namespace", id="nodes have no namespace"),
    pytest.param("pods", ListQuery(resource_version="x"), BadRequest, "invalid resource version", id="no revision"),
    pytest.param("pods", ListQuery(resource_version="999999"), Timeout,
                 "Timeout: Too large resource version: 999999, current: 2", id="the future"),
    pytest.param("pods", ListQuery(resource_version_match="Exact"), Invalid,
                 "resourceVersionMatch is forbidden unless resourceVersion is provided", id="a match of nothing"),
    pytest.param("pods", ListQuery(resource_version="0", resource_version_match="Exact"), Invalid,
                 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"', id="exactly any"),
    pytest.param("pods", ListQuery(resource_version="1", resource_version_match="About"), Invalid,
                 'Unsupported value: "About"', id="no such match"),
    pytest.param("pods", ListQuery(continue_="nonsense"), BadRequest, "continue key is not valid", id="no token"),
])
def test_lists_refused(resource: str, query: ListQuery, error: type[ApiError], message: str):
    async def check(cluster: Cluster) -> None:
        with pytest.raises(error) as caught:
            cluster.registry.list(cluster.kind(resource), "", query)
        assert message in caught.value.message
    in_cluster(check)


def test_pods_of_a_node():
    async def check(cluster: Cluster) -> None:
        for name, node in (("a", "n1"), ("b", "n2"), ("c", ""), ("d", "n1")):
            await cluster.create(pod(name, node=node))
        pods = cluster.kind("pods")
        query = ListQuery(fields="spec.nodeName=n1")
        assert names(cluster.registry.list(pods, "", query)) == ["default/a", "default/d"]
        assert names(cluster.registry.list(pods, "default", query)) == ["default/a", "default/d"]
        assert names(cluster.registry.list(pods, "other", query)) == []
        await cluster.delete("pods", "a", grace_period_s=0)
        assert names(cluster.registry.list(pods, "", query)) == ["default/d"]
        assert names(cluster.registry.list(pods, "", ListQuery(fields="spec.nodeName="))) == ["default/c"]
        others = cluster.registry.list(pods, "", ListQuery(fields="spec.nodeName!=n1"))
        assert names(others) == ["default/b", "default/c"]
    in_cluster(check)


@pytest.mark.parametrize("seed", range(12))
def test_pages_are_of_one_moment_whatever_happens_between_them(seed: int):
    """Law: page by page gives what one list at the start gave, and says rightly how much is left."""
    chance = random.Random(seed)

    async def check(cluster: Cluster) -> None:
        await some_configs(cluster)
        kind, space = cluster.kind("configmaps"), chance.choice(["", "default"])
        labels = chance.choice(["", "name!=b"])
        whole = cluster.registry.list(kind, space, ListQuery(labels=labels))
        token, seen, limit = "", [], chance.choice([1, 2])
        while True:
            page = cluster.registry.list(kind, space, ListQuery(labels=labels, limit=limit, continue_=token))
            seen += page.items
            assert page.revision == whole.revision
            if not page.continue_token:
                break
            assert page.remaining == (None if labels else len(whole.items) - len(seen))
            token = page.continue_token
            for _ in range(chance.randrange(4)):
                await something(cluster, chance)
        assert seen == whole.items
        at_start = cluster.registry.list(kind, space, ListQuery(
            labels=labels, resource_version=str(whole.revision), resource_version_match="Exact"))
        assert list(at_start.items) == list(whole.items) and at_start.revision == whole.revision
        keys = [(one.value["metadata"]["namespace"], one.value["metadata"]["name"]) for one in seen]
        assert all(first < second for first, second in pairwise(keys))
    in_cluster(check)


async def something(cluster: Cluster, chance: random.Random) -> None:
    name = chance.choice("abcde")
    there = cluster.get("configmaps", name)
    if there is None:
        await cluster.create(config(name, labels={"name": name}))
    elif chance.random() < 0.5:
        await cluster.delete("configmaps", name)
    else:
        await cluster.patch("configmaps", name, {"data": {"a": str(chance.random())}})


def test_an_expired_page_says_how_to_go_on():
    async def check(cluster: Cluster) -> None:
        await some_configs(cluster)
        kind = cluster.kind("configmaps")
        first = cluster.registry.list(kind, "", ListQuery(limit=2))
        await cluster.delete("configmaps", "c")
        await cluster.store.compact(cluster.store.history.revision)
        with pytest.raises(ExpiredPage) as caught:
            cluster.registry.list(kind, "", ListQuery(limit=2, continue_=first.continue_token))
        status = caught.value.to_status()
        assert status["reason"] == "Expired" and status["code"] == 410
        assert status["message"].startswith("The provided continue parameter is too old to display a consistent list")
        rest = cluster.registry.list(kind, "", ListQuery(continue_=status["metadata"]["continue"]))
        assert names(rest) == ["other/a", "zoo/z"]
        with pytest.raises(Gone, match="^The resourceVersion for the provided list is too old.$"):
            cluster.registry.list(kind, "", ListQuery(resource_version="1", resource_version_match="Exact"))
    in_cluster(check)


def test_a_token_is_upstreams():
    async def check(cluster: Cluster) -> None:
        await some_configs(cluster)
        page = cluster.registry.list(cluster.kind("configmaps"), "", ListQuery(limit=1))
        token = page.continue_token
        said = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        assert said == {"v": "meta.k8s.io/v1", "rv": page.revision, "start": "default/a\0"}
    in_cluster(check)


def test_events_are_listed_in_the_form_asked_for():
    async def check(cluster: Cluster) -> None:
        about = {"kind": "Pod", "name": "web", "namespace": "default"}
        await cluster.create({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
                              "involvedObject": about, "reason": "Started", "message": "hello", "type": "Normal"})
        newer = cluster.kind("events.events.k8s.io")
        page = cluster.registry.list(newer, "", ListQuery(fields="regarding.name=web"))
        assert page.items[0].value["note"] == "hello" and page.items[0].value["apiVersion"] == "events.k8s.io/v1"
        assert cluster.registry.list(newer, "", ListQuery()).items[0] is page.items[0]
        await cluster.patch("events", "e", {
            "action": "Starting", "reportingComponent": "a.b/c", "reportingInstance": "i",
            "eventTime": "2026-01-01T00:00:00.000000Z", "source": None})
        patched = await cluster.patch("events.events.k8s.io", "e", {"metadata": {"labels": {"a": "b"}}})
        assert patched["apiVersion"] == "events.k8s.io/v1"
        stored = cluster.get("events", "e")
        assert stored["apiVersion"] == "v1" and stored["metadata"]["labels"] == {"a": "b"}
        assert stored["involvedObject"] == about
    in_cluster(check)
