"""What was worked out for an object once, for as long as the very same object comes again.

    Remembered(work_out)    the result, for one object or for several parts that are worked on together
    Proven()                only that something held: parts that were read before, and found to be right

Objects never change once they are made, so the identity of one is as good a key as its contents, and
costs nothing to compare: a template that 5,000 pods share is hashed once.  Bounded; the object is kept
alive as long as its entry, so that no other object can take its identity.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    def __init__(self, work_out: Callable[..., T], keep: int = 1024):
        self._work_out = work_out
        self._keep = keep
        self._known: dict[int | tuple[int, ...], tuple[tuple[Any, ...], T]] = {}

    def __call__(self, part: Any, *more: Any) -> T:
        place = (id(part), *map(id, more)) if more else id(part)
        known = self._known.get(place)
        if known is not None:
            return known[1]
        result = self._work_out(part, *more)
        if len(self._known) >= self._keep:
            del self._known[next(iter(self._known))]
        self._known[place] = ((part, *more), result)
        return result


class Proven:
    """Parts that were found to be right, one alone or several together."""

    def __init__(self, keep: int = 512):
        self._keep = keep
        self._known: dict[int | tuple[int, ...], tuple[Any, ...]] = {}

    def holds(self, part: Any, *more: Any) -> bool:
        return ((id(part), *map(id, more)) if more else id(part)) in self._known

    def add(self, part: Any, *more: Any) -> None:
        if len(self._known) >= self._keep:
            del self._known[next(iter(self._known))]
        self._known[(id(part), *map(id, more)) if more else id(part)] = (part, *more)
