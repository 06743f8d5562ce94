"""The documents kubectl reads."""
from __future__ import annotations

from typing import Any

import orjson
import pytest

from muster.api.errors import NotFound
from muster.api.kinds.kind import Kind, Subresource
from muster.api.schema import Schema
from muster.server import openapi

SCHEMA = Schema.load()
DAEMONSET = Kind("apps", "v1", "DaemonSet", "daemonsets", "daemonset", True, "io.k8s.api.apps.v1.DaemonSet",
                 subresources=(Subresource("status"),))
POD = Kind("", "v1", "Pod", "pods", "pod", True, "io.k8s.api.core.v1.Pod",
           subresources=(Subresource("binding", ("create",), "Binding", "", "v1"),))
NODE = Kind("", "v1", "Node", "nodes", "node", False, "io.k8s.api.core.v1.Node")
REVIEW = Kind("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "", False,
              "io.k8s.api.authorization.v1.SelfSubjectAccessReview", verbs=("create",))
POOL = Kind("muster.dev", "v1", "Pool", "pools", "pool", False, "dev.muster.v1.Pool", own_schema={
    "dev.muster.v1.Pool": {"apiVersion": "string", "kind": "string",
                           "metadata": "#io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
                           "spec": "#dev.muster.v1.PoolSpec"},
    "dev.muster.v1.PoolSpec": {"replicas": "int32! -- How many nodes.", "size": "quantity", "*": "any"}})
KINDS = [DAEMONSET, POD, NODE, REVIEW, POOL]


def document(group: str, version: str, kinds: list[Kind] = KINDS) -> dict[str, Any]:
    return orjson.loads(openapi.document(kinds, SCHEMA, group, version))


def test_the_index_names_each_document():
    paths = openapi.index(KINDS)["paths"]
    assert list(paths) == ["api/v1", "apis/apps/v1", "apis/authorization.k8s.io/v1", "apis/muster.dev/v1"]
    assert paths["apis/apps/v1"]["serverRelativeURL"].startswith("/openapi/v3/apis/apps/v1?hash=")
    assert openapi.index(KINDS) == openapi.index(KINDS)


def test_the_hash_changes_with_the_rows_and_only_there():
    changed = Kind("muster.dev", "v1", "Pool", "pools", "pool", False, POOL.definition,
                   own_schema={**POOL.own_schema, "dev.muster.v1.PoolSpec": {"colour": "string"}})
    before, after = (openapi.index(one)["paths"] for one in (KINDS, [*KINDS[:-1], changed]))
    assert [root for root in before if before[root] != after[root]] == ["apis/muster.dev/v1"]
    assert "colour" in document("muster.dev", "v1", [changed])["components"]["schemas"][
        "dev.muster.v1.PoolSpec"]["properties"]


def test_nothing_served_there():
    with pytest.raises(NotFound, match="the server could not find the requested resource"):
        openapi.document(KINDS, SCHEMA, "batch", "v1")


@pytest.mark.parametrize(("group", "path", "methods", "kind"), [
    pytest.param("apps", "/apis/apps/v1/daemonsets", {"get"}, "DaemonSet", id="across namespaces"),
    pytest.param("apps", "/apis/apps/v1/namespaces/{namespace}/daemonsets", {"get", "post", "delete"}, "DaemonSet",
                 id="in a namespace"),
    pytest.param("apps", "/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}",
                 {"get", "put", "patch", "delete"}, "DaemonSet", id="one"),
    pytest.param("apps", "/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}/status", {"get", "put", "patch"},
                 "DaemonSet", id="a subresource"),
    pytest.param("", "/api/v1/namespaces/{namespace}/pods/{name}/binding", {"post"}, "Binding", id="of another kind"),
    pytest.param("", "/api/v1/nodes/{name}", {"get", "put", "patch", "delete"}, "Node", id="of the cluster"),
    pytest.param("authorization.k8s.io", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"post"},
                 "SelfSubjectAccessReview", id="only made"),
])
def test_paths(group: str, path: str, methods: set[str], kind: str):
    item = document(group, "v1")["paths"][path]
    assert set(item) - {"parameters"} == methods
    assert {item[method]["x-kubernetes-group-version-kind"]["kind"] for method in methods} == {kind}


def test_what_is_not_served_has_no_path():
    paths = document("authorization.k8s.io", "v1")["paths"]
    assert list(paths) == ["/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"]


def test_kubectl_finds_dry_run_and_field_validation_on_patch():
    patch = document("apps", "v1")["paths"]["/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}"]["patch"]
    assert patch["x-kubernetes-action"] == "patch"
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "DaemonSet"}
    asked = {parameter["name"] for parameter in patch["parameters"] if parameter["in"] == "query"}
    assert {"dryRun", "fieldValidation"} <= asked
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]


def test_own_kinds_have_no_strategic_merge():
    patch = document("muster.dev", "v1")["paths"]["/apis/muster.dev/v1/pools/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]


def test_schemas_carry_what_patching_needs():
    schemas = document("apps", "v1")["components"]["schemas"]
    assert schemas["io.k8s.api.apps.v1.DaemonSet"]["x-kubernetes-group-version-kind"] == [
        {"group": "apps", "version": "v1", "kind": "DaemonSet"}]
    containers = {key: value for key, value in schemas["io.k8s.api.core.v1.PodSpec"]["properties"][
        "containers"].items() if key != "description"}
    assert containers == {
        "type": "array", "items": {"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"},
        "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name",
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    assert schemas["io.k8s.api.core.v1.PodSpec"]["required"] == ["containers"]


def test_what_every_group_shares_says_only_this_group():
    shared = document("apps", "v1")["components"]["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]
    assert shared["x-kubernetes-group-version-kind"] == [{"group": "apps", "version": "v1", "kind": "DeleteOptions"}]


def test_documents_of_rows_that_went_are_forgotten():
    for number in range(openapi.MOST_KEPT + 5):
        row = Kind("muster.dev", "v1", f"Pool{number}", "pools", "pool", False, f"dev.muster.v1.Pool{number}",
                   own_schema={f"dev.muster.v1.Pool{number}": {"kind": "string"}})
        openapi.document([row], SCHEMA, "muster.dev", "v1")
    assert len(openapi._kept) == openapi.MOST_KEPT


def test_own_schemas():
    schemas = document("muster.dev", "v1")["components"]["schemas"]
    spec = schemas["dev.muster.v1.PoolSpec"]
    assert spec["properties"]["replicas"] == {"type": "integer", "format": "int32", "description": "How many nodes."}
    assert spec["x-kubernetes-preserve-unknown-fields"] is True
    assert "dev.muster.v1.PoolList" in schemas


@pytest.mark.parametrize("group", ["", "apps", "authorization.k8s.io", "muster.dev"])
def test_every_reference_leads_somewhere(group: str):
    made = document(group, "v1")

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    known = {f"#/components/schemas/{name}" for name in made["components"]["schemas"]}
    assert references(made) <= known


def test_descriptions_come_from_the_extra_package():
    pytest.importorskip("kubernetes_validate")
    described = document("apps", "v1")["components"]["schemas"]["io.k8s.api.apps.v1.DaemonSetSpec"]["properties"]
    assert "update strategy" in described["updateStrategy"]["description"]


def test_explain_works_without_descriptions(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(openapi, "_has_descriptions", lambda: False)
    made = document("apps", "v1")["components"]["schemas"]["io.k8s.api.apps.v1.DaemonSetSpec"]["properties"]
    assert made["updateStrategy"] == {
        "allOf": [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DaemonSetUpdateStrategy"}]}
