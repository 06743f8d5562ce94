"""What the LimitRanges of a namespace add to its pods, and what they refuse.

    limit_defaults   before validation: containers that name no request or limit get the range's, and the pod
                     an annotation that says which
    limits_kept      after it: least, most and the ratio of limit to request, for each container, for the pod
                     as a whole, and for the storage of a claim

A pod is held to them when it is created; its containers can not be changed later.
https://kubernetes.io/docs/concepts/policy/limit-range/
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..api.amounts import Amount, Amounts, amounts, of_container, pod_limits, pod_requests
from ..api.objects import Obj, annotations_of, at, is_deleting
from .admission import Attempt, Look, refused
from .shared_lists import SharedLists

RESOURCE = "limitranges"
ANNOTATION = "kubernetes.io/limit-ranger"
_SPOKEN = (("containers", "container"), ("initContainers", "init container"))


def limit_defaults(attempt: Attempt, look: Look) -> Obj:
    pod = attempt.obj
    if attempt.kind.resource != "pods" or attempt.operation != "CREATE" or attempt.subresource:
        return pod
    for limit_range in look.list(RESOURCE, attempt.namespace):
        pod = _with_defaults(pod, limit_range)
    return pod


def limits_kept(attempt: Attempt, look: Look) -> Obj:
    rule = _rule(attempt)
    if rule is None or (attempt.old and is_deleting(attempt.old)):
        return attempt.obj
    for limit_range in look.list(RESOURCE, attempt.namespace):
        wrong = list(dict.fromkeys(wrong for limit in at(limit_range, "spec.limits", ())
                                   for wrong in rule(limit, attempt.obj.get("spec") or {})))
        if wrong:
            raise refused(attempt, wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]")
    return attempt.obj


Rule = Callable[[Obj, Obj], Iterator[str]]


def _rule(attempt: Attempt) -> Rule | None:
    if attempt.subresource or attempt.operation == "DELETE":
        return None
    if attempt.kind.resource == "pods":
        return _of_pod if attempt.operation == "CREATE" else None
    return _of_claim if attempt.kind.resource == "persistentvolumeclaims" else None


# ------------------------------------------------------------------ what is added

_CONTAINERS = SharedLists()  # of one template's pods each list is filled once, and shared


def _with_defaults(pod: Obj, limit_range: Obj) -> Obj:
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for limit in at(limit_range, "spec.limits", ()):
        if limit.get("type") == "Container":
            limits.update(limit.get("default") or {})
            requests.update(limit.get("defaultRequest") or {})
    if not limits and not requests:
        return pod
    spec, said, version = pod.get("spec") or {}, [], limit_range["metadata"]["resourceVersion"]
    for field, spoken in _SPOKEN:
        containers = spec.get(field)
        if not containers:
            continue
        for container in containers:
            said += [f"{', '.join(missing)} {what} for {spoken} {container.get('name', '')}"
                     for what, missing in (("request", _missing(container, "requests", requests)),
                                           ("limit", _missing(container, "limits", limits))) if missing]
        name = f"{limit_range['metadata']['uid']}/{version}"
        filled = _CONTAINERS.made(containers, name, lambda held: [_filled(one, requests, limits) for one in held])
        if filled is not containers:
            spec = {**spec, field: filled}
    if not said:
        return pod
    annotations = {**annotations_of(pod), ANNOTATION: f"LimitRanger plugin set: {'; '.join(said)}"}
    return {**pod, "metadata": {**pod["metadata"], "annotations": annotations}, "spec": spec}


def _missing(container: Obj, field: str, defaults: Mapping[str, str]) -> list[str]:
    held = at(container, f"resources.{field}", {})
    return sorted(resource for resource in defaults if resource not in held)


def _filled(container: Obj, requests: Mapping[str, str], limits: Mapping[str, str]) -> Obj:
    resources = dict(container.get("resources") or {})
    for field, defaults in (("limits", limits), ("requests", requests)):
        if _missing(container, field, defaults):
            resources[field] = {**defaults, **(resources.get(field) or {})}
    return container if resources == (container.get("resources") or {}) else {**container, "resources": resources}


# ------------------------------------------------------------------ what is refused

def _of_pod(limit: Obj, spec: Obj) -> Iterator[str]:
    if limit.get("type") == "Container":
        for field, _ in _SPOKEN:
            for container in spec.get(field) or ():
                yield from _wrong(limit, of_container(container, "requests"), of_container(container, "limits"))
    elif limit.get("type") == "Pod":
        yield from _wrong(limit, pod_requests(spec, overhead=False), pod_limits(spec, overhead=False))


def _of_claim(limit: Obj, spec: Obj) -> Iterator[str]:
    if limit.get("type") != "PersistentVolumeClaim":
        return
    requests = amounts(at(spec, "resources.requests"))
    for resource, least in _bounds(limit, "min"):
        yield from _at_least(_spoken("minimum", resource, limit, least), least, requests.get(resource), None)
    for resource, most in _bounds(limit, "max"):
        yield from _at_most(_spoken("maximum", resource, limit, most), most, (("request", requests.get(resource)),))


def _wrong(limit: Obj, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for resource, least in _bounds(limit, "min"):
        yield from _at_least(_spoken("minimum", resource, limit, least), least, requests.get(resource),
                             limits.get(resource))
    for resource, most in _bounds(limit, "max"):
        yield from _at_most(_spoken("maximum", resource, limit, most), most,
                            (("limit", limits.get(resource)), ("request", requests.get(resource))))
    for resource, most in _bounds(limit, "maxLimitRequestRatio"):
        spoken = f"{resource} max limit to request ratio per {limit['type']} is {most}"
        yield from _ratio(spoken, most, requests.get(resource), limits.get(resource))


def _bounds(limit: Obj, field: str) -> list[tuple[str, Amount]]:
    return sorted(amounts(limit.get(field)).items())


def _spoken(which: str, resource: str, limit: Obj, bound: Amount) -> str:
    return f"{which} {resource} usage per {limit['type']} is {bound}"


def _at_least(spoken: str, least: Amount, request: Amount | None, limit: Amount | None) -> Iterator[str]:
    if request is None:
        yield f"{spoken}.  No request is specified"
    elif request.value < least.value:
        yield f"{spoken}, but request is {request}"
    elif limit is not None and limit.value < least.value:
        yield f"{spoken}, but limit is {limit}"


def _at_most(spoken: str, most: Amount, held: tuple[tuple[str, Amount | None], ...]) -> Iterator[str]:
    """The first of `held` must be there; the first that is too much is told."""
    what, first = held[0]
    if first is None:
        yield f"{spoken}.  No {what} is specified"
        return
    for what, found in held:
        if found is not None and found.value > most.value:
            yield f"{spoken}, but {what} is {found}"
            return


def _ratio(spoken: str, most: Amount, request: Amount | None, limit: Amount | None) -> Iterator[str]:
    if request is None or not request.value:
        yield f"{spoken}, but no request is specified or request is 0"
    elif limit is None or not limit.value:
        yield f"{spoken}, but no limit is specified or limit is 0"
    elif limit.value > most.value * request.value:
        yield f"{spoken}, but provided ratio is {float(limit.value / request.value):f}"
