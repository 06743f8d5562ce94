"""What a pod gets from its RuntimeClass: the class's overhead, and where its nodes are.

A pod that names a class is refused where there is none, and never brings an overhead of its own: the number
is the class's alone, as a priority is.  The class's node selector and tolerations are added to the pod's, so
that the scheduler and the DaemonSet controller need not know of classes.

https://kubernetes.io/docs/concepts/containers/runtime-class/#scheduling
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-overhead/
"""
from __future__ import annotations

from collections.abc import Iterable

from ..api.objects import Key, Obj, at
from .admission import Attempt, Look, refused

RESOURCE = "runtimeclasses.node.k8s.io"


def runtime_class(attempt: Attempt, look: Look) -> Obj:
    pod = attempt.obj
    if attempt.kind.resource != "pods" or attempt.operation != "CREATE" or attempt.subresource:
        return pod
    spec = pod.get("spec") or {}
    found: Obj = {}
    if name := spec.get("runtimeClassName"):
        found = look.get(Key(RESOURCE, "", name)) or {}
        if not found:
            raise refused(attempt, f'pod rejected: RuntimeClass "{name}" not found')
    given = {**_overhead(attempt, spec, found), **_places(attempt, spec, found.get("scheduling") or {})}
    return {**pod, "spec": {**spec, **given}} if given else pod


def _overhead(attempt: Attempt, spec: Obj, found: Obj) -> Obj:
    fixed = at(found, "overhead.podFixed") or {}
    said = spec.get("overhead") or {}
    if "overhead" not in found:
        if said:
            raise refused(attempt, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
        return {}
    if said and said != fixed:
        raise refused(attempt, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    return {"overhead": fixed} if fixed else {}


def _places(attempt: Attempt, spec: Obj, scheduling: Obj) -> Obj:
    given: Obj = {}
    if wanted := scheduling.get("nodeSelector"):
        own = spec.get("nodeSelector") or {}
        for key, value in sorted(wanted.items()):
            if own.get(key, value) != value:
                raise refused(attempt, f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                                       f"pod.spec.nodeSelector[{key}] = {own[key]}")
        given["nodeSelector"] = {**own, **wanted}
    if more := scheduling.get("tolerations"):
        given["tolerations"] = merged([*(spec.get("tolerations") or ()), *more])
    return given


def merged(tolerations: list[Obj]) -> list[Obj]:
    """Without those that another of them covers; of equal ones the first stays."""
    kept: list[Obj] = []
    for index, one in enumerate(tolerations):
        later = (other for other in tolerations[index + 1:] if other != one)
        if not _any_covers(kept, one) and not _any_covers(later, one):
            kept.append(one)
    return kept


def _any_covers(others: Iterable[Obj], one: Obj) -> bool:
    return any(_covers(other, one) for other in others)


def _covers(wide: Obj, narrow: Obj) -> bool:
    """Does `wide` tolerate all that `narrow` does, and for as long?"""
    if wide == narrow:
        return True
    exists = wide.get("operator") == "Exists"
    if (wide.get("key") or "") != (narrow.get("key") or "") and (wide.get("key") or not exists):
        return False
    if wide.get("effect") and wide.get("effect") != narrow.get("effect"):
        return False
    if wide.get("effect") == "NoExecute" and (longest := wide.get("tolerationSeconds")) is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > longest:
            return False
    return exists or (narrow.get("operator") != "Exists" and (wide.get("value") or "") == (narrow.get("value") or ""))
