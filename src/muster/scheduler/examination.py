"""What a node answers to pods of one shape, asked once until something changes there.

A thousand pods of one template ask the same thing of every node.  A `Room` never changes, so an answer holds
for as long as the room is the same one: after a pod was placed only that node is asked again.  So a pod costs
a glance at the nodes it may choose from, and one examination, however large the cluster is.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..api.objects import labels_of
from .fit import Refusal, refusal
from .score import node_preference, room_left, unwelcome
from .snapshot import Room, Waiting

MOST_ANSWERS = 400_000  # kept for all shapes together (some 150 bytes each); then the memory starts afresh


@dataclass(slots=True, eq=False)
class Answer:
    room: Room  # that was asked
    refusal: Refusal | None
    labels: Mapping[str, str]  # of its node
    left: int = 0  # room left and balance, 0 to 200
    preferred: int = 0  # the weights of the preferred node affinity that it matches
    unwelcome: int = 0  # how many of its taints say "rather not"


class Examinations:
    """The answers so far.  They are what asking again would give, so keeping them decides nothing."""

    def __init__(self) -> None:
        self._answers: dict[bytes, dict[str, Answer]] = {}

    def known(self, shape: bytes) -> dict[str, Answer]:
        """The answers for one shape, to be added to; those of rooms that are no more are asked again."""
        found = self._answers.get(shape)
        if found is None:
            if sum(map(len, self._answers.values())) > MOST_ANSWERS:
                self._answers.clear()
            found = self._answers[shape] = {}
        return found


def examine(one: Waiting, room: Room) -> Answer:
    labels = labels_of(room.node)
    why_not = refusal(one.pod, one.needs, room)
    if why_not is not None:
        return Answer(room, why_not, labels)
    return Answer(room, None, labels, room_left(one.needs, room), node_preference(one.pod, room),
                  unwelcome(one.pod, room))
