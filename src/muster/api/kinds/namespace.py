"""Namespace: the room objects live in.  It ends in two steps, so that everything in it can go first.

A deleted namespace stays, Terminating, until its `spec.finalizers` ("kubernetes", put there at creation) is
emptied through the `finalize` subresource.
https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, invalid
from ..defaults import kept
from ..objects import Obj, at, is_deleting, name_of, with_
from ..tables import AGE, NAME, path_cell
from ..validation.metadata import complain, validate_metadata, validate_metadata_update
from .kind import Column, Kind, Subresource

FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"  # lets label selectors name a namespace


def defaults(namespace: Obj) -> Obj:
    name = name_of(namespace)
    if not name or (namespace["metadata"].get("labels") or {}).get(NAME_LABEL) == name:
        return namespace
    return with_(namespace, ("metadata", "labels", NAME_LABEL), name)


def prepare_create(namespace: Obj) -> Obj:
    namespace = defaults(namespace)  # its name may just have been generated
    finalizers = at(namespace, "spec.finalizers", [])
    if FINALIZER not in finalizers:
        namespace = with_(namespace, "spec.finalizers", [*finalizers, FINALIZER])
    return {**namespace, "status": {"phase": "Active"}}


def prepare_update(new: Obj, old: Obj) -> Obj:
    return kept(new, old, "spec", "status")


def validate(namespace: Obj) -> list[Cause]:
    wrong = validate_metadata(namespace, namespaced=False, name=names.is_dns_label)
    for finalizer in at(namespace, "spec.finalizers", ()):
        wrong += complain("spec.finalizers", finalizer, names.is_qualified_name(finalizer))
        if "/" not in finalizer and finalizer != FINALIZER:
            wrong.append(invalid("spec.finalizers", finalizer,
                                 "name is neither a standard finalizer name nor is it fully qualified"))
    return wrong


def validate_status_update(new: Obj, old: Obj) -> list[Cause]:
    phase = at(new, "status.phase", "")
    if is_deleting(new):
        if phase != "Terminating":
            return [invalid("status.Phase", phase,
                            "may only be 'Terminating' if `deletionTimestamp` is not empty")]
    elif phase != "Active":
        return [invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []


NAMESPACE = Kind(
    group="", version="v1", name="Namespace", plural="namespaces", singular="namespace", namespaced=False,
    definition="io.k8s.api.core.v1.Namespace", short_names=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("finalize", verbs=("update",), fields=("spec.finalizers",)),
        Subresource("status", fields=("status",)),
    ),
    columns=(
        NAME,
        Column("Status", path_cell("status.phase"), description="The status of the namespace"),
        AGE,
    ),
    selectable={"name": name_of, "status.phase": lambda obj: at(obj, "status.phase", "")},
    generation_fields=(),
    defaults=defaults, prepare_create=prepare_create, prepare_update=prepare_update,
    validate=validate, validate_update=validate_metadata_update, validate_status_update=validate_status_update,
)
