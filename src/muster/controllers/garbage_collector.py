"""Objects whose owners are gone go too.

    background   the owner is deleted at once, its dependents are collected afterwards
    foreground   the owner waits (finalizer "foregroundDeletion") until its blocking dependents are gone
    orphan       the owner waits (finalizer "orphan") until no dependent names it any more

One look is at one object: its owners, its dependents, and what deletion was asked for.  Owners and dependents may
form a circle; deleted in the foreground, each of them would wait for the next.  So nobody waits for a dependent that
waits for it in turn.  (Upstream marks one of them as not blocking, and does not notice a circle whose members were all
deleted by users.)

What goes, goes only as it was seen: who was given another owner meanwhile stays.
https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""
from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from ..api.kinds.catalogue import Kinds
from ..api.objects import Key, Obj, finalizers_of, is_deleting, namespace_of, owners_of, revision_of, uid_of
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Action, Delete, Patch, Plan
from ..control.runtime import Controller
from ..store.history import Change

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
LONGEST_CIRCLE = 1000  # objects that wait for each other


@dataclass(frozen=True)
class Owner:
    reference: Obj
    key: Key
    obj: Obj | None  # as the mirror has it; None: not there, or a namesake with another uid

    @property
    def waits_for_dependents(self) -> bool:
        return self.obj is not None and _waits(self.obj)


@dataclass(frozen=True)
class Observed:
    key: Key
    obj: Obj
    owners: list[Owner]  # only those of kinds that are known here
    unknown_owners: int  # of kinds nobody serves here: they may well exist
    dependents: list[tuple[Key, Obj]]
    waits_for_itself: Collection[str] = ()  # the uids of dependents that wait, through others or at once, for this one


def plan(seen: Observed, now: float) -> Plan:
    if is_deleting(seen.obj):
        if ORPHAN in finalizers_of(seen.obj):
            return _let_go(seen)
        if FOREGROUND in finalizers_of(seen.obj):
            return _wait_for_dependents(seen)
        return NOTHING
    return _follow_owners(seen)


def _let_go(seen: Observed) -> Plan:
    """Every dependent forgets this owner; then the finalizer goes."""
    uid, actions = uid_of(seen.obj), list[Action]()
    for key, dependent in seen.dependents:
        actions.append(_without_owners(key, dependent, {uid}))
    return Plan(actions or [_without_finalizer(seen, ORPHAN)], size=1 + len(seen.dependents))


def _wait_for_dependents(seen: Observed) -> Plan:
    """Each dependent sees to its own end; when none is left that blocks the finalizer goes."""
    uid, size = uid_of(seen.obj), 1 + len(seen.dependents)
    blocked = any(_blocks(dependent, uid) and uid_of(dependent) not in seen.waits_for_itself
                  for _, dependent in seen.dependents)
    return Plan([] if blocked else [_without_finalizer(seen, FOREGROUND)], size=size)


def _follow_owners(seen: Observed) -> Plan:
    if not seen.owners:
        return NOTHING
    solid = [one for one in seen.owners if one.obj is not None and not one.waits_for_dependents]
    waiting = [one for one in seen.owners if one.waits_for_dependents]
    gone = [one for one in seen.owners if one.obj is None]
    if solid or seen.unknown_owners:
        loose = {one.reference["uid"] for one in (*gone, *waiting)}
        return Plan([_without_owners(seen.key, seen.obj, loose)]) if loose else NOTHING
    propagation: Literal["Background", "Foreground", "Orphan"] = "Background"
    if ORPHAN in finalizers_of(seen.obj):
        propagation = "Orphan"
    elif FOREGROUND in finalizers_of(seen.obj) or (waiting and seen.dependents):
        propagation = "Foreground"
    absent = tuple((one.key, one.reference["uid"]) for one in gone)
    return Plan([Delete(seen.key, uid_of(seen.obj), propagation=propagation, unless=absent,
                        revision=revision_of(seen.obj))])


def _waits(obj: Obj) -> bool:
    return is_deleting(obj) and FOREGROUND in finalizers_of(obj)


def _blocks(obj: Obj, owner: str) -> bool:
    return any(reference["uid"] == owner and reference.get("blockOwnerDeletion") for reference in owners_of(obj))


def _in_a_circle(mirror: Mirror, obj: Obj, dependents: Iterable[Obj]) -> set[str]:
    """The uids of the dependents from which one comes back to the object, always to one that waits."""
    uid = uid_of(obj)
    return {uid_of(one) for one in dependents if _waits(one) and _blocks(one, uid) and _reaches(mirror, one, uid)}


def _reaches(mirror: Mirror, start: Obj, goal: str) -> bool:
    seen, open_ends = {uid_of(start)}, [start]
    while open_ends and len(seen) < LONGEST_CIRCLE:
        owner = uid_of(open_ends.pop())
        if owner == goal:
            return True
        for one in mirror.dependents(owner).values():
            if uid_of(one) not in seen and _waits(one) and _blocks(one, owner):
                seen.add(uid_of(one))
                open_ends.append(one)
    return False


def _without_owners(key: Key, obj: Obj, uids: set[str]) -> Patch:
    kept = [reference for reference in owners_of(obj) if reference["uid"] not in uids]
    return Patch(key, uid_of(obj), {"metadata": {
        "ownerReferences": kept or None, "resourceVersion": obj["metadata"]["resourceVersion"]}})


def _without_finalizer(seen: Observed, finalizer: str) -> Patch:
    kept = [one for one in finalizers_of(seen.obj) if one != finalizer]
    return Patch(seen.key, uid_of(seen.obj), {"metadata": {
        "finalizers": kept or None, "resourceVersion": seen.obj["metadata"]["resourceVersion"]}})


def garbage_collector(kinds: Kinds) -> Controller:
    """The collector for these kinds (owners of kinds that are not among them are taken to exist)."""
    resources = tuple(Changes(kind.resource, status_too=False) for kind in kinds.stored())

    def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
        """Only what may have to be done something about: that a pod comes or goes whose owner stands is no reason."""
        obj, old = change.value, change.previous
        if obj is None:
            assert old is not None, "what is gone was there"
            yield from mirror.dependents(uid_of(old))
            yield from (key for key, _ in _owner_keys(old) if not _stands(mirror, key))  # it may wait for this one
            return
        if old is not None and owners_of(old) is not owners_of(obj):
            kept = {reference["uid"] for reference in owners_of(obj)}
            yield from (key for key, uid in _owner_keys(old) if uid not in kept and not _stands(mirror, key))
        if is_deleting(obj):
            if finalizers_of(obj):
                yield change.key
                if _waits(obj) and (old is None or not _waits(old)):
                    yield from mirror.dependents(uid_of(obj))
        elif (owners_of(obj) and (old is None or owners_of(old) != owners_of(obj))
              and not all(_stands(mirror, key, uid) for key, uid in _owner_keys(obj))):
            yield change.key

    def _owner_keys(obj: Obj) -> list[tuple[Key, str]]:
        """The owners of kinds that are known here, with their uids."""
        found = ((_key_of(reference, namespace_of(obj)), reference["uid"]) for reference in owners_of(obj))
        return [(key, uid) for key, uid in found if key is not None]

    def _stands(mirror: Mirror, key: Key, uid: str = "") -> bool:
        obj = mirror.get(key)
        return obj is not None and not is_deleting(obj) and uid in ("", uid_of(obj))

    def observe(mirror: Mirror, key: Key) -> Observed | None:
        obj = mirror.get(key)
        if obj is None:
            return None
        owners, unknown = [], 0
        for reference in owners_of(obj):
            owner_key = _key_of(reference, namespace_of(obj))
            if owner_key is None:
                unknown += 1
                continue
            owner = mirror.get(owner_key)
            owners.append(Owner(reference, owner_key, owner if owner and uid_of(owner) == reference["uid"] else None))
        dependents = list(mirror.dependents(uid_of(obj)).items())
        circle = _in_a_circle(mirror, obj, (one for _, one in dependents)) if _waits(obj) else ()
        return Observed(key, obj, owners, unknown, dependents, circle)

    def _key_of(reference: Obj, namespace: str) -> Key | None:
        kind = kinds.named(reference["apiVersion"], reference["kind"])
        return kind.key(namespace, reference["name"]) if kind is not None else None

    return Controller("garbage-collector", resources, wakes, observe, plan, workers=64,
                      account="generic-garbage-collector")
