"""The rules every object's metadata must keep, and label selectors wherever they stand.

Names are checked by the kind's own rule (a DNS subdomain for most); labels, annotations, owners and
finalizers by common ones.  Paths and wordings are those of the Kubernetes API, since users search for them.

https://kubernetes.io/docs/concepts/overview/working-with-objects/
https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .. import names
from ..causes import Cause, forbidden, invalid, required, too_long
from ..go_text import syntax_of_owner, syntax_of_owners
from ..objects import Obj

ANNOTATIONS_LIMIT = 256 * 1024  # bytes, keys and values together
STANDARD_FINALIZERS = frozenset(["kubernetes", "orphan", "foregroundDeletion"])
IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"
NOT_A_SELECTOR_OPERATOR = "not a valid selector operator"

_FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")

NameCheck = Callable[[str], names.Complaints]


def validate_metadata(obj: Obj, *, namespaced: bool, name: NameCheck = names.is_dns_subdomain) -> list[Cause]:
    """What a create must keep; `name` is the kind's rule for names."""
    metadata = obj.get("metadata") or {}
    wrong: list[Cause] = []
    if (prefix := metadata.get("generateName")) and (complaints := names.as_prefix(name)(prefix)):
        wrong += complain("metadata.generateName", prefix, complaints)
    if given := metadata.get("name"):
        if complaints := name(given):
            wrong += complain("metadata.name", given, complaints)
    else:
        wrong.append(required("metadata.name", "name or generateName is required"))
    namespace = metadata.get("namespace")
    if not namespaced:
        if namespace:
            wrong.append(forbidden("metadata.namespace", "not allowed on this type"))
    elif not namespace:
        wrong.append(required("metadata.namespace"))
    elif complaints := names.is_dns_label(namespace):
        wrong += complain("metadata.namespace", namespace, complaints)
    if (metadata.get("generation") or 0) < 0:
        wrong.append(invalid("metadata.generation", metadata["generation"], NOT_NEGATIVE))
    _common(metadata, wrong)
    return wrong


def validate_metadata_update(new: Obj, old: Obj) -> list[Cause]:
    """What an update may not change, and what it must keep as a create must."""
    after, before = new.get("metadata") or {}, old.get("metadata") or {}
    if after is before:
        return []
    wrong: list[Cause] = []
    if before.get("deletionTimestamp") is not None:
        added = sorted(set(after.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if added:
            listed = ", ".join(f'"{one}"' for one in added)
            wrong.append(forbidden("metadata.finalizers", "no new finalizers can be added if the object is being "
                                   f"deleted, found new finalizers []string{{{listed}}}"))
    if (after.get("generation") or 0) < (before.get("generation") or 0):
        wrong.append(invalid("metadata.generation", after.get("generation") or 0, "must not be decremented"))
    for field in _FIXED:
        if (after.get(field) or None) != (before.get(field) or None):
            wrong.append(invalid(f"metadata.{field}", after.get(field), IMMUTABLE))
    _common(after, wrong)
    return wrong


def _common(metadata: Mapping[str, Any], wrong: list[Cause]) -> None:
    if labels := metadata.get("labels"):
        validate_labels(labels, "metadata.labels", wrong)
    if annotations := metadata.get("annotations"):
        validate_annotations(annotations, "metadata.annotations", wrong)
    if owners := metadata.get("ownerReferences"):
        _owners(owners, wrong)
    if finalizers := metadata.get("finalizers"):
        _finalizers(finalizers, wrong)


def validate_labels(labels: Mapping[str, str], path: str, wrong: list[Cause]) -> None:
    for key, value in labels.items():
        if complaints := names.is_qualified_name(key):
            wrong += complain(path, key, complaints)
        if value and (complaints := names.is_label_value(value)):
            wrong += complain(path, value, complaints)


def validate_label_name(key: str, path: str, wrong: list[Cause]) -> None:
    if complaints := names.is_qualified_name(key):
        wrong += complain(path, key, complaints)


def validate_annotations(annotations: Mapping[str, str], path: str, wrong: list[Cause]) -> None:
    size = 0
    for key, value in annotations.items():
        if complaints := names.is_qualified_name(key.lower()):
            wrong += complain(path, key, complaints)
        size += len(key) + len(value)
    # Counted in bytes only where the count in characters leaves it open (a character has 4 at most).
    if size * 4 > ANNOTATIONS_LIMIT and sum(
            len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > ANNOTATIONS_LIMIT:
        wrong.append(too_long(path, ANNOTATIONS_LIMIT))


def _owners(owners: Sequence[Obj], wrong: list[Cause]) -> None:
    path, controller = "metadata.ownerReferences", ""
    for owner in owners:
        if not owner.get("apiVersion", "").rpartition("/")[2]:
            wrong.append(invalid(f"{path}.apiVersion", owner.get("apiVersion", ""), "version must not be empty"))
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                wrong.append(invalid(f"{path}.{field}", "", "must not be empty"))
        if owner.get("kind") == "Event" and owner.get("apiVersion") == "v1":
            wrong.append(invalid(path, syntax_of_owner(owner), "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            this = f"{owner.get('kind', '')}/{owner.get('name', '')}"
            if controller:
                wrong.append(invalid(path, syntax_of_owners(owners), "Only one reference can have Controller set to "
                                     f'true. Found "true" in references for {controller} and {this}'))
            else:
                controller = this


def _finalizers(finalizers: list[str], wrong: list[Cause]) -> None:
    path = "metadata.finalizers"
    for finalizer in finalizers:
        wrong += complain(path, finalizer, names.is_qualified_name(finalizer))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        wrong.append(invalid(path, finalizers,
                             "finalizer orphan and foregroundDeletion cannot be both set"))
    for index, finalizer in enumerate(finalizers):
        if "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            wrong.append(invalid(f"{path}[{index}]", finalizer,
                                 "name is neither a standard finalizer name nor is it fully qualified"))


def validate_label_selector(selector: Mapping[str, Any] | None, path: str, wrong: list[Cause]) -> None:
    """A selector as it stands in objects: `{matchLabels, matchExpressions}`."""
    if not selector:
        return
    if labels := selector.get("matchLabels"):
        validate_labels(labels, f"{path}.matchLabels", wrong)
    for index, one in enumerate(selector.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{index}]"
        operator, values = one.get("operator", ""), one.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                wrong.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                wrong.append(forbidden(f"{at}.values",
                                       "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
        else:
            wrong.append(invalid(f"{at}.operator", operator, NOT_A_SELECTOR_OPERATOR))
        validate_label_name(one.get("key", ""), f"{at}.key", wrong)
        for place, value in enumerate(values):
            wrong += complain(f"{at}.values[{place}]", value, names.is_label_value(value))


def not_negative(value: int | None, path: str) -> list[Cause]:
    return [invalid(path, value, NOT_NEGATIVE)] if value is not None and value < 0 else []


def immutable(new: Any, old: Any, path: str) -> list[Cause]:
    return [] if new == old else [invalid(path, new, IMMUTABLE)]


def complain(path: str, value: Any, complaints: Iterable[str]) -> list[Cause]:
    return [invalid(path, value, complaint) for complaint in complaints]
