"""What a deletion does to an object: nothing, a mark, or its end.

A deletion asks; the object goes when its grace has passed (pods: their node says so with grace 0) and its
finalizers are done.  `decide` looks at one object and says which step comes next; the registry writes it.

    Wait            it is already on its way, and nothing about that changes
    Mark(obj)       write it with deletionTimestamp, grace and the collector's finalizers
    Mark(obj, ends=True)   ... and then remove it: a pod that ends at once is still seen ending
    Remove          take it away

https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..api.causes import Cause, not_supported
from ..api.causes import invalid as invalid_value
from ..api.errors import conflict, invalid
from ..api.kinds.kind import Kind
from ..api.objects import Obj, at, finalizers_of, from_time, is_deleting, to_time
from .requests import DeleteOptions

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
POLICIES = ("Background", "Foreground", "Orphan", "nil")

# Before propagationPolicy existed these left their dependents alone; their first version still does.
_ORPHANS_UNLESS_TOLD = frozenset(("jobs.batch", "replicationcontrollers"))
_NEVER_COLLECTED = frozenset(("events", "events.events.k8s.io"))


@dataclass(frozen=True, slots=True)
class Wait:
    pass


class Mark(NamedTuple):
    obj: Obj
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    pass


Step = Wait | Mark | Remove
WAIT, REMOVE = Wait(), Remove()


def decide(kind: Kind, obj: Obj, options: DeleteOptions, now: float) -> Step:
    if kind.resource == "namespaces":
        return _decide_namespace(kind, obj, options, now)
    grace = _grace(kind, obj, options)
    if grace is _PENDING:
        return WAIT
    finalizers = wanted_finalizers(kind, obj, options)
    if grace is None:
        if not finalizers:
            return REMOVE
        marked = _with_finalizers(_marked_now(obj, now), finalizers)
        return WAIT if marked == obj else Mark(marked)
    marked = _with_finalizers(_graceful(obj, grace, now), finalizers)
    return Mark(marked, ends=grace == 0 and not finalizers)


def may_end(obj: Obj) -> bool:
    """After an update: was it only kept by the finalizer that is now gone?"""
    metadata = obj["metadata"]
    return (metadata.get("deletionTimestamp") is not None and not metadata.get("finalizers")
            and not metadata.get("deletionGracePeriodSeconds")
            and not (obj.get("kind") == "Namespace" and at(obj, "spec.finalizers")))


def check_options(options: DeleteOptions) -> None:
    causes: list[Cause] = []
    if options.propagation is not None and options.orphan_dependents is not None:
        causes.append(invalid_value("propagationPolicy", options.propagation,
                                    "orphanDependents and deletionPropagation cannot be both set"))
    elif options.propagation is not None and options.propagation not in POLICIES[:3]:
        causes.append(not_supported("propagationPolicy", options.propagation, POLICIES))
    if causes:
        raise invalid("DeleteOptions", "meta.k8s.io", "", causes)


def check_preconditions(kind: Kind, obj: Obj, options: DeleteOptions) -> None:
    """Raises Conflict when the caller meant another object, or another state of it."""
    metadata = obj["metadata"]
    if options.uid is not None and options.uid != metadata["uid"]:
        raise conflict(_spoken(kind), metadata["name"],
                       f"the UID in the precondition ({options.uid}) does not match the UID in record "
                       f"({metadata['uid']}). The object might have been deleted and then recreated")
    if options.resource_version is not None and options.resource_version != metadata["resourceVersion"]:
        raise conflict(_spoken(kind), metadata["name"], f"the ResourceVersion in the precondition "
                       f"({options.resource_version}) does not match the ResourceVersion in record "
                       f"({metadata['resourceVersion']}). The object might have been modified")


def _spoken(kind: Kind) -> str:
    return f"{kind.name}.{kind.group}" if kind.group else kind.name


def wanted_finalizers(kind: Kind, obj: Obj, options: DeleteOptions) -> list[str]:
    """The object's own finalizers, and the one by which the garbage collector knows what the caller asked for."""
    held = finalizers_of(obj)
    own = [one for one in held if one not in (ORPHAN, FOREGROUND)]
    policy = _policy(kind, held, options)
    return own + ([ORPHAN] if policy == "Orphan" else [FOREGROUND] if policy == "Foreground" else [])


def _policy(kind: Kind, held: list[str], options: DeleteOptions) -> str:
    """What was asked for now, else what was asked for before, else the kind's own way."""
    if kind.resource in _NEVER_COLLECTED:
        return "Background"
    if options.orphan_dependents is not None:
        return "Orphan" if options.orphan_dependents else "Background"
    if options.propagation is not None:
        return options.propagation
    if ORPHAN in held:
        return "Orphan"
    if FOREGROUND in held:
        return "Foreground"
    return "Orphan" if kind.resource in _ORPHANS_UNLESS_TOLD else "Background"


_PENDING = -1


def _grace(kind: Kind, obj: Obj, options: DeleteOptions) -> int | None:
    """The grace to write: None for none (the kind knows no grace, or it is over), _PENDING for no change."""
    if kind.grace_period_s is Kind.grace_period_s:
        return None
    if not is_deleting(obj):
        return kind.grace_period_s(obj, options.grace_period_s)
    left = obj["metadata"].get("deletionGracePeriodSeconds")
    if not left:
        return None
    asked = options.grace_period_s
    if asked is None or asked >= left:  # a deletion may only be hurried
        return _PENDING
    return max(asked, 0)


def _graceful(obj: Obj, grace: int, now: float) -> Obj:
    metadata = obj["metadata"]
    if is_deleting(obj):
        ends = from_time(metadata["deletionTimestamp"]) - metadata["deletionGracePeriodSeconds"] + grace
        return {**obj, "metadata": {**metadata, "deletionTimestamp": to_time(ends),
                                    "deletionGracePeriodSeconds": grace}}
    return {**obj, "metadata": {**metadata, **_next_generation(metadata), "deletionTimestamp": to_time(now + grace),
                                "deletionGracePeriodSeconds": grace}}


def _marked_now(obj: Obj, now: float) -> Obj:
    metadata = obj["metadata"]
    since = metadata.get("deletionTimestamp")
    changed: Obj = {"deletionGracePeriodSeconds": 0}
    if since is None:
        changed |= _next_generation(metadata)
    if since is None or from_time(since) > now:
        changed["deletionTimestamp"] = to_time(now)
    return {**obj, "metadata": {**metadata, **changed}}


def _next_generation(metadata: Obj) -> Obj:
    """Who works on an object that now goes must look again: its generation grows."""
    return {"generation": metadata["generation"] + 1} if metadata.get("generation") else {}


def _with_finalizers(obj: Obj, finalizers: list[str]) -> Obj:
    held = finalizers_of(obj)
    if set(held) == set(finalizers):
        return obj
    metadata = {key: value for key, value in obj["metadata"].items() if key != "finalizers"}
    if finalizers:
        metadata["finalizers"] = finalizers
    return {**obj, "metadata": metadata}


def _decide_namespace(kind: Kind, obj: Obj, options: DeleteOptions, now: float) -> Step:
    """A namespace ends once what it holds is gone: its controller empties `spec.finalizers` to say so."""
    if is_deleting(obj):
        if at(obj, "spec.finalizers"):
            return WAIT
        return WAIT if finalizers_of(obj) else REMOVE
    marked = {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": to_time(now)},
              "status": {**(obj.get("status") or {}), "phase": "Terminating"}}
    return Mark(_with_finalizers(marked, wanted_finalizers(kind, obj, options)))
