"""A namespace that is being deleted takes everything in it along, then goes itself.

https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.kinds.catalogue import Kinds
from ..api.objects import Key, Obj, at, is_deleting, to_time, uid_of, with_, with_condition
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Action, Delete, Plan, Replace, SetStatus
from ..control.runtime import Controller
from ..store.history import Change

FINALIZER = "kubernetes"
REMAINING = "NamespaceContentRemaining"


@dataclass(frozen=True)
class Observed:
    key: Key
    namespace: Obj
    contents: list[tuple[Key, Obj]]


def plan(seen: Observed, now: float) -> Plan:
    if not is_deleting(seen.namespace):
        return NOTHING
    if not seen.contents:
        kept = [one for one in at(seen.namespace, "spec.finalizers", []) if one != FINALIZER]
        return Plan([Replace(with_(seen.namespace, "spec.finalizers", kept), subresource="finalize")])
    actions: list[Action] = [Delete(key, uid_of(obj), propagation="Background")
                             for key, obj in seen.contents if not is_deleting(obj)]
    status = at(seen.namespace, "status", {})
    remaining = {"type": REMAINING, "status": "True", "reason": "SomeResourcesRemain",
                 "message": f"Some resources are remaining: {_counted(seen.contents)}",
                 "lastTransitionTime": to_time(now)}
    next_status = {**status, "conditions": with_condition(status.get("conditions", ()), remaining)}
    if next_status != status:
        actions.append(SetStatus(seen.key, uid_of(seen.namespace), next_status))
    return Plan(actions, size=1 + len(seen.contents))


def _counted(contents: list[tuple[Key, Obj]]) -> str:
    counts: dict[str, int] = {}
    for key, _ in contents:
        counts[key.resource] = counts.get(key.resource, 0) + 1
    return ", ".join(f"{resource} has {count} resource instances" for resource, count in sorted(counts.items()))


def namespace_controller(kinds: Kinds) -> Controller:
    contained = tuple(kind.resource for kind in kinds.stored() if kind.namespaced)

    def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
        if change.key.resource == "namespaces":
            yield change.key
        elif change.key.namespace and (change.value is None or change.previous is None):
            key = Key("namespaces", "", change.key.namespace)
            namespace = mirror.get(key)
            if namespace is not None and is_deleting(namespace):
                yield key

    def observe(mirror: Mirror, key: Key) -> Observed | None:
        namespace = mirror.get(key)
        if namespace is None or not is_deleting(namespace):
            return None
        contents = [(Key(resource, key.name, name), obj) for resource in contained
                    for name, obj in mirror.in_namespace(resource, key.name).items()]
        return Observed(key, namespace, contents)

    return Controller("namespace-controller", (
        "namespaces", *(Changes(one, status_too=False) for one in contained)), wakes, observe, plan)
