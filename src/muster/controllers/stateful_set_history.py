"""The two revisions a StatefulSet's pods may have, and those before.

    update    the template as it is now
    current   the last one that all pods had; pods below the partition are made from it

Going back to an old template gives its revision the next number and makes no other, so pods that have it
already are left alone.
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#update-strategies
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    controller_reference,
    name_of,
    namespace_of,
    uid_of,
)
from ..control import revisions
from ..control.plan import Action, Create, Patch

HASH_LABEL = "controller.kubernetes.io/hash"  # of a revision; its pods carry its whole name


@dataclass(frozen=True, slots=True)
class History:
    update: str  # the revision's name
    current: str
    template: Obj = field(default_factory=dict)  # of `current`
    old: list[Obj] = field(default_factory=list)  # neither of the two; the oldest first
    actions: list[Action] = field(default_factory=list)
    collides: bool = False  # another template's revision stands under our name: count it and hash again


def history(stateful_set: Obj, mine: Iterable[Obj], names: Mapping[str, Obj]) -> History:
    """`mine` are the set's revisions, `names` all revisions of its namespace by name."""
    template = stateful_set["spec"]["template"]
    ordered = sorted(mine, key=lambda one: (revisions.number_of(one), name_of(one)))
    number = max(map(revisions.number_of, ordered), default=0) + 1
    equal = [one for one in ordered if revisions.same_template(one.get("data"), template)]
    actions: list[Action] = []
    if equal:
        update = equal[-1]
        if update is not ordered[-1]:
            actions.append(Patch(Key(revisions.RESOURCE, namespace_of(update), name_of(update)), uid_of(update),
                                 {"revision": number}))
    else:
        update = new_revision(stateful_set, number)
        namesake = names.get(name_of(update))
        if namesake is not None and not revisions.same_template(namesake.get("data"), template):
            return History("", "", collides=True)
        if namesake is None:
            actions.append(Create(update))
    now = name_of(update)
    before = at(stateful_set, "status.currentRevision", "")
    current = next((one for one in ordered if name_of(one) == before), None)
    old = [one for one in ordered if name_of(one) not in (now, before)]
    if current is None or before == now:
        return History(now, now, template, old, actions)
    return History(now, before, revisions.template_in(current), old, actions)


def new_revision(stateful_set: Obj, number: int) -> Obj:
    template = stateful_set["spec"]["template"]
    hash_ = revisions.hash_of(template, at(stateful_set, "status.collisionCount", 0))
    metadata: Obj = {
        "name": f"{name_of(stateful_set)}-{hash_}",
        "namespace": namespace_of(stateful_set),
        "labels": {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: hash_},
        "ownerReferences": [controller_reference(stateful_set)],
    }
    if annotations_of(stateful_set):
        metadata["annotations"] = annotations_of(stateful_set)
    return {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata,
            "data": revisions.data_of(template), "revision": number}
