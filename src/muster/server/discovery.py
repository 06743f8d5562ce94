"""What is served, told to clients: made from the Kind rows alone.

kubectl asks `/api` and `/apis` for everything at once (aggregated discovery, KEP-3352), newest form first;
other clients walk `/apis` -> `/apis/apps` -> `/apis/apps/v1`.  The documents are made once and made again
only when a kind comes or goes; each has an ETag, so a client that has it already is told so (304).
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from ..api.kinds.catalogue import Kinds
from ..api.kinds.kind import Kind, Subresource
from ..api.objects import Obj

KUBERNETES_VERSION = "v1.32.4"
VERSION: Obj = {
    "major": "1", "minor": "32", "gitVersion": f"{KUBERNETES_VERSION}+muster", "gitCommit": "", "gitTreeState": "clean",
    "buildDate": "2025-04-22T15:56:15Z", "goVersion": "go1.23.6", "compiler": "gc", "platform": "linux/amd64",
}
# Upstream tells its groups in this order, and `kubectl get all` prints in it; others follow by name.
_GROUPS = ("", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
           "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io",
           "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io")
_RANKS = {group: rank for rank, group in enumerate(_GROUPS)}
_ACTION_VERBS = {"exec": ("create", "get"), "attach": ("create", "get"), "portforward": ("create", "get")}


class Document(NamedTuple):
    body: bytes
    etag: bytes


class Discovery:
    """`document("/apis/apps/v1")`, `document("/apis", "v2")`; None where nothing is."""

    def __init__(self, kinds: Kinds, extra: Iterable[Kind] = ()):
        self._kinds = kinds
        self._extra = tuple(extra)
        self._rows: tuple[Kind, ...] = ()
        self._made: dict[tuple[str, str], Document | None] = {}
        self._groups: dict[str, dict[str, list[Kind]]] = {}

    def groups(self) -> dict[str, dict[str, list[Kind]]]:
        """Group -> version -> its kinds, as they are now."""
        rows = (*self._kinds, *(row for row in self._extra if self._kinds.get(row.resource) is None))
        if rows != self._rows:  # identity decides first, so this is cheap
            self._rows = rows
            self._made.clear()
            self._groups = _grouped(rows)
        return self._groups

    def document(self, path: str, aggregated: str = "") -> Document | None:
        groups = self.groups()
        asked = (path, aggregated)
        if asked not in self._made:
            if len(self._made) > 1000:  # paths come from callers
                self._made.clear()
            made = _make(groups, path, aggregated)
            self._made[asked] = None if made is None else encode(made)
        return self._made[asked]


def encode(value: Obj) -> Document:
    body = orjson.dumps(value)
    return Document(body, etag(body))


def etag(body: bytes) -> bytes:
    return b'"' + hashlib.sha256(body).hexdigest()[:32].upper().encode() + b'"'


def _grouped(rows: Iterable[Kind]) -> dict[str, dict[str, list[Kind]]]:
    groups: dict[str, dict[str, list[Kind]]] = {}
    for row in sorted(rows, key=lambda row: (_RANKS.get(row.group, len(_RANKS)), row.group, row.plural)):
        groups.setdefault(row.group, {}).setdefault(row.version, []).append(row)
    return {group: dict(sorted(versions.items(), key=lambda one: version_order(one[0])))
            for group, versions in groups.items()}


def version_order(version: str) -> tuple[int, int, int, str]:
    """v2 before v1 before v2beta1 before v1alpha1 before anything else."""
    for stage, rank in (("beta", 1), ("alpha", 2)):
        major, found, minor = version[1:].partition(stage)
        if found and major.isdigit():
            return rank, -int(major), -int(minor or 0), version
    return (0, -int(version[1:]), 0, version) if version[:1] == "v" and version[1:].isdigit() else (3, 0, 0, version)


def _make(groups: dict[str, dict[str, list[Kind]]], path: str, aggregated: str) -> Obj | None:
    parts = path.strip("/").split("/")
    match parts:
        case ["api"]:
            return _aggregated({"": groups.get("", {})}, aggregated) if aggregated else {
                "kind": "APIVersions", "versions": list(groups.get("", {})) or ["v1"],
                "serverAddressByClientCIDRs": []}
        case ["apis"]:
            named = {group: versions for group, versions in groups.items() if group}
            return _aggregated(named, aggregated) if aggregated else {
                "kind": "APIGroupList", "apiVersion": "v1",
                "groups": [_group(name, versions) for name, versions in named.items()]}
        case ["api", version] if version in groups.get("", {}):
            return _resource_list("", version, groups[""][version])
        case ["apis", group] if group in groups:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, groups[group])}
        case ["apis", group, version] if version in groups.get(group, {}):
            return _resource_list(group, version, groups[group][version])
    return None


def _group(name: str, versions: Iterable[str]) -> Obj:
    told = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": told, "preferredVersion": told[0]}


def _resource_list(group: str, version: str, kinds: list[Kind]) -> Obj:
    resources: list[Obj] = []
    for kind in kinds:
        entry: Obj = {"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
                      "kind": kind.name, "verbs": list(kind.verbs)}
        _fill(entry, shortNames=kind.short_names, categories=kind.categories)
        resources.append(entry)
        for one in kind.subresources:
            body_group, body_version, body_kind = _body_of(kind, one)
            below: Obj = {"name": f"{kind.plural}/{one.name}", "singularName": "", "namespaced": kind.namespaced}
            if (body_group, body_version) != (group, version):
                below |= {"group": body_group, "version": body_version}
            resources.append({**below, "kind": body_kind, "verbs": list(_verbs(one))})
    api_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources}


def _aggregated(groups: dict[str, dict[str, list[Kind]]], form: str) -> Obj:
    return {
        "kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{form}", "metadata": {},
        "items": [{
            "metadata": {"name": name, "creationTimestamp": None},
            "versions": [{"version": version, "resources": [_aggregated_resource(kind) for kind in kinds],
                          "freshness": "Current"} for version, kinds in versions.items()],
        } for name, versions in groups.items()],
    }


def _aggregated_resource(kind: Kind) -> Obj:
    entry: Obj = {
        "resource": kind.plural, "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.name},
        "scope": "Namespaced" if kind.namespaced else "Cluster", "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    below = []
    for one in kind.subresources:
        group, version, name = _body_of(kind, one)
        below.append({"subresource": one.name, "responseKind": {"group": group, "version": version, "kind": name},
                      "verbs": list(_verbs(one))})
    _fill(entry, shortNames=kind.short_names, categories=kind.categories, subresources=below)
    return entry


def _body_of(kind: Kind, one: Subresource) -> tuple[str, str, str]:
    if not one.kind:
        return kind.group, kind.version, kind.name
    return (one.group, one.version, one.kind) if one.version else (kind.group, kind.version, one.kind)


def _verbs(one: Subresource) -> tuple[str, ...]:
    return one.verbs or _ACTION_VERBS.get(one.name, ())


def _fill(entry: Obj, **lists: Any) -> None:
    for name, values in lists.items():
        if values:
            entry[name] = list(values)


