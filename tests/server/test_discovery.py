"""What is served, in each of the forms that clients ask for; and the paths beside the objects."""
from __future__ import annotations

import pytest
from asking import BOB, NOBODY, Asking, asked

from muster.server.discovery import version_order
from muster.server.health import Health

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
OLDER = AGGREGATED.replace("v=v2", "v=v2beta1")


@pytest.mark.parametrize(("accept", "api_version"), [
    pytest.param(f"{AGGREGATED},{OLDER},application/json", "apidiscovery.k8s.io/v2", id="newest"),
    pytest.param(f"{OLDER},application/json", "apidiscovery.k8s.io/v2beta1", id="older"),
])
def test_everything_at_once(accept, api_version):
    async def story(ask: Asking):
        said = await ask("GET", "/apis", accept=accept)
        assert said.headers["content-type"] == accept.split(",")[0]
        assert (said.json["kind"], said.json["apiVersion"]) == ("APIGroupDiscoveryList", api_version)
        apps = next(item for item in said.json["items"] if item["metadata"]["name"] == "apps")
        sets = next(one for one in apps["versions"][0]["resources"] if one["resource"] == "daemonsets")
        assert sets["shortNames"] == ["ds"] and sets["singularResource"] == "daemonset"
        assert sets["scope"] == "Namespaced" and "watch" in sets["verbs"]
        assert sets["subresources"][0]["subresource"] == "status"
        core = (await ask("GET", "/api", accept=accept)).json["items"]
        assert [item["metadata"]["name"] for item in core] == [""]
        cached = await ask("GET", "/apis", accept=accept, if_none_match=said.headers["etag"])
        assert (cached.status, cached.body) == (304, b"")
    asked(story)


def test_step_by_step():
    async def story(ask: Asking):
        assert (await ask("GET", "/api")).json["versions"] == ["v1"]
        groups = {group["name"]: group for group in (await ask("GET", "/apis")).json["groups"]}
        assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
        assert (await ask("GET", "/apis/apps")).json["kind"] == "APIGroup"
        listed = (await ask("GET", "/apis/apps/v1")).json
        assert listed["groupVersion"] == "apps/v1"
        names = {one["name"]: one for one in listed["resources"]}
        assert names["daemonsets"]["shortNames"] == ["ds"] and names["daemonsets/status"]["kind"] == "DaemonSet"
        core = {one["name"]: one for one in (await ask("GET", "/api/v1/")).json["resources"]}
        assert core["nodes"]["namespaced"] is False
        assert (core["pods/eviction"]["group"], core["pods/eviction"]["kind"]) == ("policy", "Eviction")
        assert (await ask("GET", "/apis/nothing")).status == 404
        assert (await ask("GET", "/apis/apps/v9")).status == 404
    asked(story)


def test_groups_in_upstreams_order():
    """Which is the order in which `kubectl get all` prints."""
    async def story(ask: Asking):
        groups = [group["name"] for group in (await ask("GET", "/apis")).json["groups"]]
        assert groups[:2] == ["apps", "events.k8s.io"] and groups.index("autoscaling") < groups.index("batch")
        assert groups[-2:] == ["discovery.k8s.io", "muster.dev"]
        batch = [one["name"] for one in (await ask("GET", "/apis/batch/v1")).json["resources"]]
        assert batch == ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]
    asked(story)


def test_every_listed_kind_can_be_listed():
    async def story(ask: Asking):
        for kind in ask.cluster.registry.kinds:
            if "list" in kind.verbs:
                root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
                said = await ask("GET", f"{root}/{kind.plural}")
                assert (said.status, said.json["kind"]) == (200, f"{kind.name}List"), kind.resource
    asked(story)


@pytest.mark.parametrize(("versions", "order"), [
    pytest.param(["v1alpha1", "v1", "v2beta1", "v2", "v1beta2", "v10", "odd"],
                 ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "odd"], id="as upstream sorts versions"),
])
def test_versions_best_first(versions, order):
    assert sorted(versions, key=version_order) == order


@pytest.mark.parametrize(("target", "user", "status", "body"), [
    pytest.param("/livez", NOBODY, 200, "ok", id="alive is less than ready"),
    pytest.param("/livez?verbose", NOBODY, 200, "[+]ping ok\nlivez check passed\n", id="livez verbose"),
    pytest.param("/readyz", NOBODY, 500, "[+]ping ok\n[-]store failed: reason withheld\nreadyz check failed\n",
                 id="not ready"),
    pytest.param("/readyz?exclude=store", NOBODY, 200, "ok", id="but for the store"),
    pytest.param("/readyz/store", NOBODY, 500, "internal server error: the disk is full\n", id="one check"),
    pytest.param("/readyz/ping", NOBODY, 200, "ok", id="one check that is well"),
])
def test_health(target, user, status, body):
    health = Health(ready={"store": lambda: "the disk is full"})
    said = asked(lambda ask: ask("GET", target, user=user), health=health)
    assert (said.status, said.body.decode()) == (status, body)


@pytest.mark.parametrize(("target", "user", "status"), [
    pytest.param("/version", NOBODY, 200, id="version is for all"),
    pytest.param("/metrics", NOBODY, 401, id="metrics are not"),
    pytest.param("/metrics", BOB, 403, id="nor for those who are only known"),
    pytest.param("/apis", NOBODY, 401, id="discovery is for the known"),
    pytest.param("/apis", BOB, 200, id="who may read it"),
    pytest.param("/openapi/v2", BOB, 200, id="the old OpenAPI is for the known"),
    pytest.param("/openapi/v3", BOB, 200, id="the new one is"),
    pytest.param("/readyz/unheard-of", NOBODY, 404, id="no such check"),
    pytest.param("/../etc/passwd", NOBODY, 401, id="elsewhere"),
])
def test_who_may_read_what(target, user, status):
    said = asked(lambda ask: ask("GET", target, user=user))
    assert said.status == status, said.body


def test_openapi_documents_and_their_hash():
    async def story(ask: Asking):
        index = (await ask("GET", "/openapi/v3")).json["paths"]
        place = index["apis/apps/v1"]["serverRelativeURL"]
        said = await ask("GET", place)
        assert "io.k8s.api.apps.v1.DaemonSet" in said.json["components"]["schemas"]
        assert (await ask("GET", place, if_none_match=said.headers["etag"])).status == 304
        assert (await ask("GET", "/openapi/v3/apis/none/v1")).status == 404
    asked(story)


def test_metrics_count_what_was_answered():
    async def story(ask: Asking):
        await ask("GET", "/api/v1/nodes")
        await ask("GET", "/api/v1/nodes/none")
        text = (await ask("GET", "/metrics")).body.decode()
        assert ('apiserver_request_total{code="200",group="",resource="nodes",scope="cluster",subresource="",'
                'verb="LIST",version="v1"} 1.0') in text
        assert ('apiserver_request_total{code="404",group="",resource="nodes",scope="resource",subresource="",'
                'verb="GET",version="v1"} 1.0') in text
        assert 'apiserver_storage_objects{resource="namespaces"} 2.0' in text
    asked(story)


def test_may_i_and_who_am_i():
    async def story(ask: Asking):
        access = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        question = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "pods", "namespace": "default"}}}
        assert (await ask("POST", access, question)).json["status"] == {"allowed": True}
        assert (await ask("POST", access, question, user=BOB)).json["status"] == {"allowed": False}
        assert (await ask("POST", access, {"spec": {}})).status == 422
        assert (await ask("POST", access, question, user=NOBODY)).status == 401
        who = await ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, user=BOB)
        assert who.json["status"]["userInfo"] == {"username": "bob", "groups": ["system:authenticated"]}
        rules = await ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {}})
        assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in rules.json["status"]["resourceRules"]
        other = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        assert (await ask("POST", other, {"spec": {**question["spec"], "user": "bob"}})).json["status"] == {
            "allowed": False}
        assert (await ask("POST", other, question, user=BOB)).status == 403
    asked(story)
