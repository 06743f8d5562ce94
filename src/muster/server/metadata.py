"""What the server itself writes into an object's metadata.

A client proposes name, labels, annotations, owners and finalizers; identity (uid), age, generation and the
marks of deletion are the server's alone, whatever a body says.  All functions here are pure: they are handed
the uid and the time.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#metadata
"""
from __future__ import annotations

from typing import Any

from ..api.causes import invalid as invalid_value
from ..api.errors import ApiError, BadRequest, already_exists, conflict, invalid
from ..api.kinds.kind import Kind
from ..api.objects import Obj, at

GENERATE_TRIES = 8  # how many names are tried before a creation with generateName gives up (KEP-4420)
LONGEST_GENERATED = 63  # as a DNS label; the prefix is cut to leave room for the suffix
SUFFIX_LENGTH = 5

_SERVERS_OWN = frozenset(("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds",
                          "selfLink", "managedFields", "resourceVersion"))
_LISTS = ("finalizers", "ownerReferences")
_KEPT_ALWAYS = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds",
                "resourceVersion")
_NEVER = ("selfLink", "managedFields")

# Kinds whose update must say which revision it was made from.
_UPDATES_SAY_REVISION = frozenset(("leases.coordination.k8s.io", "poddisruptionbudgets.policy",
                                   "customresourcedefinitions.apiextensions.k8s.io"))


def of_kind(obj: Obj, kind: Kind) -> Obj:
    """The object with the apiVersion and kind that a body may leave to the URL."""
    if obj.get("apiVersion") and obj.get("kind"):
        return obj
    return {"apiVersion": kind.api_version, "kind": kind.name,
            **{key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}}


def in_namespace(obj: Obj, kind: Kind, namespace: str) -> Obj:
    """The object in the namespace of the request, which it may name or leave out."""
    metadata = obj.get("metadata") or {}
    given = metadata.get("namespace") or ""
    if not namespace and kind.namespaced:
        raise BadRequest("an empty namespace may not be set during creation")
    if given == namespace and "metadata" in obj:
        return obj
    if not namespace:
        return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "namespace"}}
    if given and given != namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    return {**obj, "metadata": {**metadata, "namespace": namespace}}


def refuse_revision(obj: Obj) -> None:
    if at(obj, "metadata.resourceVersion") not in (None, "", "0"):
        error = ApiError("resourceVersion should not be set on objects to be created")
        error.reason = ""  # upstream gives none: kubectl prints "Error from server: ..."
        raise error


def generated_name(prefix: str, suffix: str) -> str:
    return prefix[: LONGEST_GENERATED - len(suffix)] + suffix


def name_was_taken(resource: str, name: str) -> ApiError:
    """After GENERATE_TRIES collisions."""
    error = already_exists(resource, name)
    return type(error)(f"{error.message}, the server was not able to generate a unique name for the object",
                       details=error.details)


def of_new(obj: Obj, kind: Kind, *, uid: str, created: str, name: str) -> Obj:
    """The object with the metadata that a creation gives it."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _SERVERS_OWN}
    if name:
        metadata["name"] = name
    metadata["uid"] = uid
    metadata["creationTimestamp"] = created
    if kind.generation_fields:
        metadata["generation"] = 1
    return {**obj, "metadata": metadata}


def check_address(obj: Obj, namespace: str, name: str) -> None:
    """A replacement must be of the object that the URL names."""
    metadata = obj.get("metadata") or {}
    given = metadata.get("name") or ""
    if not given:
        raise BadRequest("the name of the object (based on URL) was undeterminable: name must be provided")
    if given != name:
        raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")
    given = metadata.get("namespace") or ""
    if namespace and given and given != namespace:
        raise BadRequest(f"the namespace of the object ({given}) does not match the namespace on the request "
                         f"({namespace})")


def check_revision(kind: Kind, new: Obj, old: Obj) -> None:
    """Raises Conflict when `new` was made from another revision than `old`."""
    said = new["metadata"].get("resourceVersion") or ""
    current = old["metadata"]["resourceVersion"]
    if said in ("", "0"):
        if kind.resource in _UPDATES_SAY_REVISION or kind.own_schema:
            raise invalid(kind.plural, kind.group, old["metadata"]["name"],
                          [invalid_value("metadata.resourceVersion", 0, "must be specified for an update")])
    elif said != current:
        raise conflict(kind.resource, old["metadata"]["name"])


def check_uid(kind: Kind, uid: str | None, old: Obj) -> None:
    """Raises Conflict when the writer meant a namesake that is no longer there."""
    metadata = old["metadata"]
    if uid and uid != metadata["uid"]:
        place = "/".join(("/registry", kind.plural, *filter(None, (metadata.get("namespace"), metadata["name"]))))
        raise conflict(kind.resource, metadata["name"],
                       f"StorageError: invalid object, Code: 4, Key: {place}, ResourceVersion: 0, "
                       f"AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, "
                       f"UID in object meta: {metadata['uid']}")


def of_update(new: Obj, old: Obj) -> Obj:
    """`new` with what an update may not touch taken from `old`.

    A uid that was said and differs is left for validation to refuse ("field is immutable").
    """
    given, kept = new["metadata"], old["metadata"]
    if given is kept:
        return new
    metadata = {key: value for key, value in given.items() if key not in _NEVER}
    for key in _KEPT_ALWAYS:
        if key in kept:
            if key != "uid" or not metadata.get("uid"):
                metadata[key] = kept[key]
        else:
            metadata.pop(key, None)
    for key in _LISTS:  # one that was emptied is left out, as a new object without it has none
        if metadata.get(key) == []:
            del metadata[key]
    return {**new, "metadata": kept if metadata == kept else metadata}


def with_generation(kind: Kind, new: Obj, old: Obj) -> Obj:
    """The generation counts changes of the specification, and of nothing else."""
    if all(_same(at(new, field), at(old, field)) for field in kind.generation_fields):
        return new
    return {**new, "metadata": {**new["metadata"], "generation": old["metadata"].get("generation", 0) + 1}}


def _same(one: Any, other: Any) -> bool:
    return one is other or one == other
