"""The history of a template: one ControllerRevision for each form it had.

A revision's data is a strategic patch that brings its template back, in the form that `kubectl rollout
history --revision=N` prints and `kubectl rollout undo` sends: {"spec": {"template": {..., "$patch":
"replace"}}}.  Its name ends in a hash of the template, which pods carry as `controller-revision-hash`.
https://kubernetes.io/docs/tasks/manage-daemon/rollback-daemon-set/

The numbers only say which came last: going back to an old template gives its revision the next number
instead of making another one, so its hash stays, and pods that carry it are left alone.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    controller_reference,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from ..api.remembered import Remembered
from .plan import Action, Create, Delete, Patch

RESOURCE = "controllerrevisions.apps"
HASH_LABEL = "controller-revision-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, no 0, 1 or 3: never a word, never misread


# ------------------------------------------------------------------ a template, its data and its hash


def data_of(template: Obj) -> Obj:
    """The data of the revision that stands for this template (the same object each time it is asked)."""
    return _data(template)


def same_template(data: Obj | None, template: Obj) -> bool:
    """Does this revision's data bring back the template?  Fields that say nothing do not count."""
    return data is not None and _canonical_data(data) == _canonical_template(template)


def template_in(revision: Obj) -> Obj:
    """The template that a revision brings back (the same object each time it is asked)."""
    return _canonical_data(revision["data"])


def hash_of(template: Obj, collisions: int | None = None) -> str:
    """FNV-1a over the template's canonical JSON, in letters; the number of collisions is hashed along."""
    number = _fnv(_canonical_bytes(template))
    if collisions is not None:
        number = _fnv(collisions.to_bytes(8, "little"), number)
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))


def _fnv(data: bytes, number: int = 2166136261) -> int:
    for byte in data:
        number = (number ^ byte) * 16777619 & 0xFFFFFFFF
    return number


def _without_nothing(value: Any) -> Any:
    """Sorted, and without fields that say nothing: null, and what the Go client writes for an unset struct."""
    if isinstance(value, dict):
        inner = ((key, _without_nothing(value[key])) for key in sorted(value) if key != "$patch")
        return {key: one for key, one in inner
                if one is not None and not (key in ("resources", "metadata") and one == {})}
    if isinstance(value, list):
        return [_without_nothing(one) for one in value]
    return value


def _as_data(template: Obj) -> Obj:
    """As kubectl writes it, so that it can tell that a template already is at a revision."""
    bare = _without_nothing(template)
    spec = bare.get("spec", {})
    for containers in ("containers", "initContainers"):
        if containers in spec:
            spec[containers] = [_sorted({"resources": {}, **one}) for one in spec[containers]]
    metadata = _sorted({"creationTimestamp": None, **bare.get("metadata", {})})
    return {"spec": {"template": _sorted({"$patch": "replace", **bare, "metadata": metadata})}}


def _sorted(obj: Obj) -> Obj:
    return {key: obj[key] for key in sorted(obj)}


_data = Remembered(_as_data)
_canonical_template = Remembered(_without_nothing)
_canonical_bytes = Remembered(lambda template: orjson.dumps(_canonical_template(template)))
_canonical_data: Remembered[Any] = Remembered(
    lambda data: _without_nothing((data.get("spec") or {}).get("template") or {}), keep=8192)


# ------------------------------------------------------------------ the history of one owner


@dataclass(frozen=True, slots=True)
class Past:
    """What `keep` found: the hash of today's template, and what to do to the revisions."""

    hash: str
    old: list[Obj] = field(default_factory=list)  # of other templates, the oldest first
    actions: list[Action] = field(default_factory=list)
    collides: bool = False  # another template's revision stands under our name: count it and hash again


def number_of(revision: Obj) -> int:
    return revision.get("revision", 0)


def hash_label_of(revision: Obj) -> str:
    return labels_of(revision).get(HASH_LABEL) or name_of(revision)


def name_for(owner: Obj, template: Obj) -> str:
    collisions = (owner.get("status") or {}).get("collisionCount")
    return f"{name_of(owner)}-{hash_of(template, collisions)}"


def keep(owner: Obj, template: Obj, mine: Iterable[Obj], pods: Iterable[Obj],
         names: Mapping[str, Obj]) -> Past:
    """Brings the history up to date: today's template has exactly one revision, and it is the latest.

    `mine` are the owner's revisions, `names` all revisions of its namespace by name.
    """
    actions: list[Action] = []
    current: list[Obj] = []
    old: list[Obj] = []
    for revision in sorted(mine, key=lambda one: (number_of(one), name_of(one))):
        if HASH_LABEL not in labels_of(revision):
            actions.append(_patch(revision, {"metadata": {"labels": {HASH_LABEL: name_of(revision)}}}))
        (current if same_template(revision.get("data"), template) else old).append(revision)
    number = max(map(number_of, old), default=0) + 1

    if current:
        kept = current[-1]
        if number_of(kept) < number:
            actions.append(_patch(kept, {"revision": number}))
        actions += _merge(kept, current[:-1], pods)
        return Past(hash_label_of(kept), old, actions)

    name = name_for(owner, template)
    namesake = names.get(name)
    if namesake is None:
        new = revision_of(owner, template, number)
        return Past(labels_of(new)[HASH_LABEL], old, [Create(new), *actions])
    if same_template(namesake.get("data"), template):
        return Past(hash_label_of(namesake), old, actions)
    return Past("", old, actions, collides=True)


def revision_of(owner: Obj, template: Obj, number: int) -> Obj:
    """A new revision of a template.  The owner's annotations (its change cause is one) go with it."""
    name = name_for(owner, template)
    metadata: Obj = {
        "name": name,
        "namespace": namespace_of(owner),
        "labels": {**((template.get("metadata") or {}).get("labels") or {}),
                   HASH_LABEL: name.removeprefix(f"{name_of(owner)}-")},
        "ownerReferences": [controller_reference(owner)],
    }
    if annotations_of(owner):
        metadata["annotations"] = annotations_of(owner)
    return {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata,
            "data": data_of(template), "revision": number}


def surplus(old: list[Obj], pods: Iterable[Obj], limit: int) -> list[Action]:
    """Deletes the oldest revisions beyond the limit, but none that a pod still runs."""
    too_many = len(old) - limit
    if too_many <= 0:
        return []
    live = {labels_of(pod).get(HASH_LABEL) for pod in pods}
    unused = [revision for revision in old if hash_label_of(revision) not in live]
    return [_delete(revision) for revision in unused[:too_many]]


def _merge(kept: Obj, twins: list[Obj], pods: Iterable[Obj]) -> list[Action]:
    """Revisions of one and the same template become one; the pods of the others carry its hash then."""
    if not twins:
        return []
    label, others = hash_label_of(kept), {hash_label_of(twin) for twin in twins}
    relabelled: list[Action] = [
        Patch(Key("pods", namespace_of(pod), name_of(pod)), uid_of(pod),
              {"metadata": {"labels": {HASH_LABEL: label}}})
        for pod in sorted(pods, key=name_of) if labels_of(pod).get(HASH_LABEL) in others]
    return relabelled or [_delete(twin) for twin in twins]  # none is deleted before its pods have moved


def _patch(revision: Obj, patch: Obj) -> Patch:
    return Patch(Key(RESOURCE, namespace_of(revision), name_of(revision)), uid_of(revision), patch)


def _delete(revision: Obj) -> Delete:
    return Delete(Key(RESOURCE, namespace_of(revision), name_of(revision)), uid_of(revision))
