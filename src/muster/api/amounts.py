"""Amounts that are added up: what the containers of a pod ask for together, what a namespace uses.

An Amount is an exact number and the family of suffixes it is written with; a sum is written in the family of
its first part that is not zero, as `kubectl` shows sums.  A pod takes the larger of what its containers take
together and what any start-up step takes; sidecars run beside both.

https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from . import quantities
from .objects import Obj
from .quantities import DECIMAL, Number


class Amount(NamedTuple):
    value: Number
    family: str = DECIMAL

    def __str__(self) -> str:
        return quantities.written(self.value, self.family)

    def plus(self, other: Amount, sign: int = 1) -> Amount:
        return Amount(self.value + sign * other.value, self.family if self.value else other.family)


Amounts = dict[str, Amount]  # resource -> how much
NONE, ONE = Amount(0), Amount(1)
N = TypeVar("N")


@lru_cache(maxsize=16384)
def amount(text: str | int | float) -> Amount:
    return Amount(quantities.parse(text), quantities.family_of(text))


def amounts(texts: Mapping[str, Any] | None) -> Amounts:
    return {resource: amount(text) for resource, text in texts.items()} if texts else {}


def add(total: Amounts, more: Mapping[str, Amount], sign: int = 1) -> None:
    """Into `total`, which is the caller's own."""
    for resource, one in more.items():
        total[resource] = total.get(resource, NONE).plus(one, sign)


def _raise_to(total: Amounts, least: Mapping[str, Amount]) -> None:
    for resource, one in least.items():
        if resource not in total or one.value > total[resource].value:
            total[resource] = one


def pod_requests(spec: Obj, *, overhead: bool = True) -> Amounts:
    total = _together(spec, "requests")
    if overhead and spec.get("overhead"):
        add(total, amounts(spec["overhead"]))
    return total


def pod_limits(spec: Obj, *, overhead: bool = True) -> Amounts:
    """The overhead counts only towards what is limited at all."""
    total = _together(spec, "limits")
    if overhead and spec.get("overhead"):
        add(total, {resource: one for resource, one in amounts(spec["overhead"]).items() if resource in total})
    return total


def _together(spec: Obj, field: str) -> Amounts:
    return together(spec, lambda container: of_container(container, field), add, _raise_to)


def together(spec: Obj, takes: Callable[[Obj], dict[str, N]], add: Callable[[dict[str, N], dict[str, N]], None],
             raise_to: Callable[[dict[str, N], dict[str, N]], None]) -> dict[str, N]:
    """What the containers of a pod take, in numbers of any kind; `takes` makes a new dict each time."""
    total: dict[str, N] = {}
    for container in spec.get("containers") or ():
        add(total, takes(container))
    sidecars: dict[str, N] = {}
    largest_step: dict[str, N] = {}
    for container in spec.get("initContainers") or ():
        step = takes(container)
        if container.get("restartPolicy") == "Always":
            add(total, step)
            add(sidecars, step)
            step = sidecars
        else:
            add(step, sidecars)
        raise_to(largest_step, step)
    raise_to(total, largest_step)
    return total


def of_container(container: Obj, field: str) -> Amounts:
    """Its "requests" or "limits"."""
    resources = container.get("resources")
    return amounts(resources.get(field)) if resources else {}
