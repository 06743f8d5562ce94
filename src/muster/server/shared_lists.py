"""Lists that were rewritten once, for all objects that were made from the same one.

Pods of one template come in with the very same list of containers.  What admission makes of it is remembered
by the identity of that list, so ten thousand pods hold one copy of the result and it is made once.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ..api.objects import Obj


class SharedLists:
    """The original is held with the result, so its identity can not be taken by another list meanwhile."""

    def __init__(self, size: int = 2048):
        self._size = size
        self._made: OrderedDict[tuple[int, str], tuple[list[Obj], list[Obj]]] = OrderedDict()

    def made(self, original: list[Obj], how: str, make: Callable[[list[Obj]], list[Obj]]) -> list[Obj]:
        """`make(original)`, or the original itself where that changes no item; `how` names what `make` does."""
        found = self._made.get((id(original), how))
        if found is not None:
            return found[1]
        result = make(original)
        if len(result) == len(original) and all(new is old for new, old in zip(result, original, strict=True)):
            result = original
        self._made[id(original), how] = (original, result)
        if len(self._made) > self._size:
            self._made.popitem(last=False)
        return result
