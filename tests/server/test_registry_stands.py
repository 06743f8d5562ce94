"""Law: whatever a client sends, it is written or refused with an error of the API; nothing falls over."""
from __future__ import annotations

import random
from typing import Any

import pytest
from small_cluster import OPTIONS, Cluster, in_cluster

from muster.api.errors import ApiError
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.kind import Kind
from muster.api.objects import Obj
from muster.server.requests import DeleteOptions, ListQuery, PatchBody

MADE = [kind for kind in BUILT_IN if "create" in kind.verbs and kind.stored_as is None]
ODD: list[Any] = [None, {}, [], "", "x", 0, -1, 3.5, True, {"name": "x"}, ["x"], [{}], [None], {"a": None}]


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.resource)
@pytest.mark.parametrize("body", [{}, {"metadata": None}, {"metadata": {}}, {"metadata": {"name": "x"}},
                                  {"metadata": {"name": "x"}, "spec": {}}, {"metadata": {"name": "x"}, "spec": None},
                                  {"metadata": []}], ids=str)
def test_bare_bodies(kind: Kind, body: Obj):
    async def check(cluster: Cluster) -> None:
        await refused_or_written(cluster, kind, body)
    in_cluster(check)


async def refused_or_written(cluster: Cluster, kind: Kind, body: Obj) -> None:
    space = "default" if kind.namespaced else ""
    try:
        written = await cluster.registry.create(kind, space, body, OPTIONS)
    except ApiError as error:
        assert error.code < 500
        return
    if "get" not in kind.verbs:
        return
    name = written.snapshot.value["metadata"]["name"]
    assert cluster.registry.get(kind, space, name) is written.snapshot
    assert cluster.registry.list(kind, space, ListQuery(fields=f"metadata.name={name}")).items == [written.snapshot]
    again = await cluster.registry.update(kind, space, name, written.snapshot.value, OPTIONS)
    assert again.snapshot is written.snapshot, "what was read and sent back is no change"


@pytest.mark.parametrize("seed", range(6))
def test_odd_patches(seed: int):
    chance = random.Random(seed)

    async def check(cluster: Cluster) -> None:
        kinds = {kind.resource: kind for kind in MADE}
        for resource, made in EXAMPLES.items():
            kind = kinds[resource]
            space = "default" if kind.namespaced else ""
            obj = await cluster.create(made)
            name = obj["metadata"]["name"]
            for _ in range(60):
                body = {chance.choice(["metadata", "spec", "status", "data"]): odd(obj, chance)}
                how = chance.choice(["merge", "strategic"])
                subresource = chance.choice(["", "", "status"])
                if kind.own_schema or not kind.subresource("status"):
                    how, subresource = "merge", ""
                try:
                    await cluster.registry.patch(kind, space, name, PatchBody(how, body), OPTIONS, subresource)
                except ApiError as error:
                    assert error.code < 500, error.message
                uid = cluster.get(resource, name, space)["metadata"]["uid"]
                assert uid == obj["metadata"]["uid"]
            await cluster.registry.delete(kind, space, name, DeleteOptions(), OPTIONS.user)
    in_cluster(check)


def odd(obj: Any, chance: random.Random) -> Any:
    """Somewhere inside the object's own fields, something that does not belong there."""
    path: list[str] = []
    at = obj.get(chance.choice(["metadata", "spec", "status"])) or {}
    while isinstance(at, dict) and at and chance.random() < 0.8:
        path.append(chance.choice(sorted(at)))
        at = at[path[-1]]
    value = chance.choice(ODD)
    for step in reversed(path):
        value = {step: value}
    return value


EXAMPLES: dict[str, Obj] = {
    "pods": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": {"a": "b"}},
             "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]}},
    "daemonsets.apps": {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "x"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}},
    "services": {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
                 "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]}},
    "nodes": {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "x"}},
    "namespaces": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}},
    "configmaps": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}},
}
