"""What the cluster adds to a request, and what it refuses, knowing its other objects.

Each function is pure: it is handed the attempt and a read-only look at the cluster, and returns the object
to go on with (the same one where it has nothing to say) or raises.  They run in upstream's order, before the
kind prepares and validates the object, so a pod that is still to be named is spoken of by its generateName.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..api.errors import ApiError, forbidden, not_found
from ..api.kinds.kind import Kind
from ..api.kinds.priority_class import SYSTEM_CLASSES
from ..api.objects import Key, Obj, at, name_of
from .identity import User


@dataclass(slots=True)
class Attempt:
    operation: Literal["CREATE", "UPDATE", "DELETE"]
    kind: Kind
    namespace: str
    name: str  # "" where it is still to be generated
    obj: Obj  # as it would be; for a deletion, as it is
    old: Obj  # as it is; empty for a creation
    user: User
    dry_run: bool = False
    options: Any = None
    subresource: str = ""


class Look(Protocol):
    """The cluster as it is now."""

    def get(self, key: Key) -> Obj | None: ...

    def list(self, resource: str, namespace: str = "") -> Iterable[Obj]: ...


Admission = Callable[[Attempt, Look], Obj]

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
IMMORTAL_NAMESPACES = frozenset(("default", "kube-system", "kube-public"))
NO_PRIORITY = 0  # of a pod that names no class where no class is the default
_PODS, _NODES, _NAMESPACES, _PRIORITIES = "pods", "nodes", "namespaces", "priorityclasses.scheduling.k8s.io"


def admit(attempt: Attempt, look: Look, chain: Iterable[Admission]) -> Obj:
    """What the chain makes of the object; `attempt.obj` is what the next of the chain sees."""
    for admission in chain:
        attempt.obj = admission(attempt, look)
    return attempt.obj


def refused(attempt: Attempt, why: str) -> ApiError:
    name = attempt.name
    if not name:
        metadata = attempt.obj["metadata"]
        name = metadata.get("name") or metadata.get("generateName") or "Unknown"
    return forbidden(attempt.kind.resource, name, why)


def namespace_lifecycle(attempt: Attempt, look: Look) -> Obj:
    """Nothing new in a namespace that is not there or about to go; some namespaces never go."""
    if attempt.kind.resource == _NAMESPACES:
        if attempt.operation == "DELETE" and attempt.name in IMMORTAL_NAMESPACES:
            raise refused(attempt, "this namespace may not be deleted")
        return attempt.obj
    if not attempt.namespace or attempt.operation == "DELETE":
        return attempt.obj
    namespace = look.get(Key(_NAMESPACES, "", attempt.namespace))
    if namespace is None:
        raise not_found(_NAMESPACES, attempt.namespace)
    if attempt.operation == "CREATE" and at(namespace, "status.phase") == "Terminating":
        error = refused(attempt, f"unable to create new content in namespace {attempt.namespace} "
                                 "because it is being terminated")
        error.details["causes"] = [{"reason": "NamespaceTerminating", "field": "metadata.namespace",
                                    "message": f"namespace {attempt.namespace} is being terminated"}]
        raise error
    return attempt.obj


def node_taints(attempt: Attempt, look: Look) -> Obj:
    """A new node takes no pods until it has said that it is ready (TaintNodesByCondition)."""
    node = attempt.obj
    if attempt.kind.resource != _NODES or attempt.operation != "CREATE" or attempt.subresource:
        return node
    spec = node.get("spec") or {}
    taints = spec.get("taints") or []
    if any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
        return node
    return {**node, "spec": {**spec, "taints": [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]}}


def priority(attempt: Attempt, look: Look) -> Obj:
    """A pod's number comes from its class, and never from its author."""
    if attempt.subresource:
        return attempt.obj
    if attempt.kind.resource == _PRIORITIES:
        if attempt.operation == "DELETE" and attempt.name in SYSTEM_CLASSES:
            raise refused(attempt, "this is a system priority class and cannot be deleted")
        return _only_one_default(attempt, look)
    if attempt.kind.resource != _PODS or attempt.operation == "DELETE":
        return attempt.obj
    pod = attempt.obj
    spec = pod.get("spec") or {}
    if attempt.operation == "UPDATE":
        before = attempt.old.get("spec") or {}
        kept = {field: before[field] for field in ("priority", "preemptionPolicy")
                if spec.get(field) is None and before.get(field) is not None}
        return {**pod, "spec": {**spec, **kept}} if kept else pod
    return {**pod, "spec": {**spec, **_priority_of_new(attempt, spec, look)}}


def _priority_of_new(attempt: Attempt, spec: Obj, look: Look) -> Obj:
    name = spec.get("priorityClassName")
    if name:
        found = look.get(Key(_PRIORITIES, "", name))
        if found is None:
            raise refused(attempt, f"no PriorityClass with name {name} was found")
    else:
        found = _default_priority(look)
    value = found["value"] if found else NO_PRIORITY
    policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
    if spec.get("priority") not in (None, value):
        raise refused(attempt, f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                               f"priority admission controller computed {value} from the given PriorityClass name")
    if spec.get("preemptionPolicy") not in (None, policy):
        raise refused(attempt, f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be "
                               f"provided in pod spec; priority admission controller computed {policy} from the "
                               "given PriorityClass name")
    given = {"priority": value, "preemptionPolicy": policy}
    if found and not name:
        given["priorityClassName"] = name_of(found)
    return given


def _default_priority(look: Look) -> Obj | None:
    """The lowest of those that say they are the default (there is one, but for a race)."""
    defaults = [one for one in look.list(_PRIORITIES) if one.get("globalDefault")]
    return min(defaults, key=lambda one: one["value"]) if defaults else None


def _only_one_default(attempt: Attempt, look: Look) -> Obj:
    if attempt.operation != "DELETE" and attempt.obj.get("globalDefault"):
        default = _default_priority(look)
        if default is not None and (attempt.operation == "CREATE" or name_of(default) != name_of(attempt.obj)):
            raise refused(attempt, f"PriorityClass {name_of(default)} is already marked as default. "
                                   "Only one default can exist")
    return attempt.obj


PATIENCE_S = 300  # how long a pod stays on a node that went away, where it does not say
_PATIENT = {key: {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": PATIENCE_S}
            for key in (NOT_READY, UNREACHABLE)}


def default_tolerations(attempt: Attempt, look: Look) -> Obj:
    """DefaultTolerationSeconds: five minutes on a node that is not ready or not reached."""
    if attempt.kind.resource != _PODS or attempt.operation == "DELETE" or attempt.subresource:
        return attempt.obj
    pod = attempt.obj
    spec = pod.get("spec") or {}
    held = spec.get("tolerations") or []
    missing = [_PATIENT[key] for key in (NOT_READY, UNREACHABLE) if not any(
        toleration.get("key") in (key, None, "") and toleration.get("effect") in ("NoExecute", None, "")
        for toleration in held)]
    return {**pod, "spec": {**spec, "tolerations": [*held, *missing]}} if missing else pod
