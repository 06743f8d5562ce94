"""A kind is one row: the single source for everything the server must know about it.

Discovery, routing, defaulting, validation, field selectors, printed columns and OpenAPI all read
this row, so a new kind is one file in this folder and one line in `catalogue.py`.

All functions here are pure.  They are handed an object whose shape the schema has already
checked (types right, unknown fields gone), and return a new object or a list of causes.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..causes import Cause
from ..objects import Key, Obj

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Column:
    """One printed column (metav1.TableColumnDefinition).

    `cell(obj, now)` gives the value; ages are given as text ("5m3s") since kubectl prints them as they come.
    """

    name: str
    cell: Callable[[Obj, float], Any]
    type: str = "string"  # "string" | "integer" | "number" | "boolean" | "date"
    format: str = ""  # "name" for the first column
    description: str = ""
    priority: int = 0  # 1: only with -o wide


@dataclass(frozen=True, slots=True)
class Subresource:
    """`pods/status`, `pods/binding`, ...

    `plain` ones ("status", "ephemeralcontainers", "resize") read and write the parent object, limited to `fields`
    (dotted paths the write may change; all else is kept from the stored object).  The others ("scale", "binding",
    "eviction", "log", "exec", "attach", "portforward", "proxy") are actions of their own, which the server knows by
    name.
    """

    name: str
    verbs: tuple[str, ...] = ("get", "patch", "update")
    kind: str = ""  # the kind of its body where it differs from the parent: "Scale", "Binding", "Eviction"
    group: str = ""
    version: str = ""
    fields: tuple[str, ...] = ()
    # For plain ones other than "status" (that has `validate_status_update`): (new, old), after `Kind.validate`.
    validate: Callable[[Obj, Obj], list[Cause]] | None = None


SCALE = Subresource("scale", kind="Scale", group="autoscaling", version="v1")
STATUS = Subresource("status", fields=("status",))


def _same(obj: Obj) -> Obj:
    return obj


def _same_update(new: Obj, old: Obj) -> Obj:
    return new


def _nothing(obj: Obj) -> list[Cause]:
    return []


def _nothing_update(new: Obj, old: Obj) -> list[Cause]:
    return []


@dataclass(frozen=True)
class Kind:
    group: str  # "" for the core group
    version: str
    name: str  # "DaemonSet"
    plural: str
    singular: str
    namespaced: bool
    definition: str  # the schema's name: "io.k8s.api.apps.v1.DaemonSet"
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()  # "all": kubectl get all shows it
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    columns: tuple[Column, ...] = ()
    # Field selectors beyond metadata.name and metadata.namespace: "spec.nodeName" -> how to read it.
    selectable: Mapping[str, Callable[[Obj], str]] = field(default_factory=dict)
    # Fields of the object that count as its specification: a change of any raises metadata.generation.
    # Empty: the kind has no generation (ConfigMap, Secret, ...).
    generation_fields: tuple[str, ...] = ("spec",)
    # In the order the server calls them.  `prepare_*` set what the user may not (a new pod has no status
    # but Pending; an update keeps status as it was); `defaults` fills what upstream fills.
    defaults: Callable[[Obj], Obj] = _same
    prepare_create: Callable[[Obj], Obj] = _same
    prepare_update: Callable[[Obj, Obj], Obj] = _same_update  # (new, old); not called for subresources
    # Another form of a kind that is stored elsewhere (events.k8s.io Event -> "events"): None for the stored one itself.
    stored_as: str | None = None
    to_stored: Callable[[Obj], Obj] = _same
    from_stored: Callable[[Obj], Obj] = _same
    validate: Callable[[Obj], list[Cause]] = _nothing
    validate_create: Callable[[Obj], list[Cause]] = _nothing  # in addition to `validate`
    validate_update: Callable[[Obj, Obj], list[Cause]] = _nothing_update  # (new, old); in addition to `validate`
    validate_status_update: Callable[[Obj, Obj], list[Cause]] = _nothing_update
    # How long deletion leaves the object in place, given what the caller asked for (None: did not say).
    # 0: at once.  Pods answer 30 s or their terminationGracePeriodSeconds.
    grace_period_s: Callable[[Obj, int | None], int] = lambda obj, asked: 0
    # Warnings the server sends with a successful write: "spec.x: deprecated since ...".
    warnings: Callable[[Obj, Obj | None], list[str]] = lambda new, old: []
    # Schema rows of kinds that Kubernetes does not define (see schema.py); empty for the generated ones.
    own_schema: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def resource(self) -> str:
        """The name it is stored and spoken of under: "pods", "daemonsets.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def stored_resource(self) -> str:
        return self.stored_as or self.resource

    @cached_property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def key(self, namespace: str, name: str) -> Key:
        return Key(self.stored_resource, namespace if self.namespaced else "", name)

    def subresource(self, name: str) -> Subresource | None:
        return self._subresources.get(name)

    @cached_property
    def _subresources(self) -> Mapping[str, Subresource]:
        return {one.name: one for one in self.subresources}
