"""One thing that stands between a pod and a node, and what would take it away: the words and the proof.

`<node>` in a text stands for the node, so that nodes which say the same can be told of together.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..api.objects import Obj
from .fit import Refusal
from .snapshot import Room, Taken, taken_by
from .terms import Wishes
from .topology import Surroundings

NODE = "<node>"
Around = Callable[[Wishes], Surroundings]


class Case(NamedTuple):
    """A pod and a node, as they are or would be."""

    pod: Obj
    needs: Taken
    room: Room

    def with_pod(self, pod: Obj) -> Case:
        return Case(pod, taken_by(pod), self.room)

    def with_node(self, node: Obj) -> Case:
        return self._replace(room=self.room.with_node(node))


@dataclass(frozen=True, slots=True)
class Obstacle:
    refusal: Refusal
    found: str
    change: str = ""  # nothing: no change of this pod or node would do
    instead: str = ""  # another way, as good
    after: Case | None = None  # with the change; None: it is one of other objects
    needs_pod: tuple[str, Mapping[str, str]] | None = None  # the change is that such a pod is there: namespace, labels
    cost: float = 1.0  # how much of a change it is, against others

    @property
    def says(self) -> str:
        ways = ", or ".join(way for way in (self.change, self.instead) if way)
        return f"{self.found}; {ways}" if ways else self.found
