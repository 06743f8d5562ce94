"""The quality of service class of a pod: who is killed first when a node runs out of memory.

Guaranteed: every container limits cpu and memory, and requests as much.  BestEffort: no container requests or
limits either.  Burstable: all others.  It is decided once, when the pod is created, and never changes.

https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
"""
from __future__ import annotations

from typing import Any

from ..objects import Obj
from ..quantities import Number, parse
from ..remembered import Remembered

_COUNTED = ("cpu", "memory")


def qos_class(pod: Obj) -> str:
    spec = pod.get("spec") or {}
    return _class_of(spec.get("containers"), spec.get("initContainers"))


def _of_containers(*lists: list[Any] | None) -> str:
    guaranteed, requested = True, False
    for containers in lists:
        for container in containers or ():
            resources = container.get("resources") or {}
            requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
            for resource in _COUNTED:
                limit = _amount(limits.get(resource, 0))
                request = _amount(requests.get(resource, limit))
                requested = requested or request > 0 or limit > 0
                guaranteed = guaranteed and limit > 0 and request == limit
    if not requested:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


_class_of = Remembered(_of_containers)


def _amount(text: str | int | float) -> Number:
    try:
        return parse(text)
    except ValueError:  # validation says so
        return 0
