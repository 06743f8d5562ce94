"""Which nodes would take a pod, and which of them is best.

    ask      each node in the order of sample.py: what it answers by itself (kept answers), then whether the pod's
             volumes can be reached from there, then what other pods mean for it; until enough of them fit
    best     the sum of upstream's scores; ties by a number made of both names

A node that room is kept on for pods at least as important is asked as if they were there already.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from ..api.objects import Key, uid_of
from .examination import Answer, Examinations, examine
from .fit import Refusal
from .images import Images
from .sample import drawn, sample
from .score import FULL
from .snapshot import Room, Waiting
from .tallies import Draft, Tallies
from .topology import Surroundings
from .volumes import VolumeNeeds

# Weights of the default plugins.
AFFINITY, TAINTS, INTER_POD, SPREAD, IMAGE_LOCALITY = 2, 3, 2, 2, 1
NEVER_LOWER = 1 << 31  # above every priority
Nominated = Mapping[str, Mapping[Key, Waiting]]


@dataclass(slots=True)
class World:
    """What is decided on, and how it will be once the decisions so far are carried out."""

    rooms: Mapping[str, Room]  # as they are; `changed` beside them, for to copy them costs something for each node
    order: Sequence[str]
    draft: Draft
    images: Images
    examinations: Examinations
    nominated: dict[str, dict[Key, Waiting]] = field(default_factory=dict)
    changed: dict[str, Room] = field(default_factory=dict)  # by the decisions so far

    @classmethod
    def of(cls, rooms: Mapping[str, Room], order: Sequence[str] = (), *, tallies: Tallies | None = None,
           images: Images | None = None, examinations: Examinations | None = None,
           nominated: Nominated | None = None) -> World:
        return cls(rooms, order or tuple(rooms), Draft(tallies or Tallies()), images or Images(),
                   examinations or Examinations(),
                   {node: dict(pods) for node, pods in nominated.items()} if nominated else {})

    def room(self, name: str) -> Room:
        return self.changed.get(name) or self.rooms[name]

    def place(self, one: Waiting, node: str) -> None:
        room = self.room(node)
        self.changed[node] = room.with_pod(one.key, one.needs)
        self.draft.place(room.node, one.needs.wishes)
        self.release(one)

    def take_away(self, key: Key, node: str) -> None:
        """A victim.  It takes its room until it has ended, but no other pod will preempt it again."""
        room = self.room(node)
        leaving = replace(room.pods[key], priority=NEVER_LOWER)
        self.changed[node] = room.without_pod(key).with_pod(key, leaving)

    def keep_room(self, one: Waiting, node: str) -> None:
        self.release(one)
        self.nominated.setdefault(node, {})[one.key] = one

    def release(self, one: Waiting) -> None:
        for pods in self.nominated.values():
            pods.pop(one.key, None)

    def room_for(self, one: Waiting, name: str) -> Room:
        """The room as the pod meets it: taken, too, by those that it is kept for."""
        room = self.room(name)
        for key, other in self.nominated.get(name, {}).items():
            if key != one.key and other.needs.priority >= one.needs.priority and key not in room.pods:
                room = room.with_pod(key, other.needs)
        return room


@dataclass(slots=True)
class Asked:
    fitting: list[Answer]
    refused: dict[str, Refusal]
    examined: int
    glanced: int


def ask(one: Waiting, world: World, around: Surroundings, volumes: VolumeNeeds | None) -> Asked:
    """The nodes that fit, as many as are compared, and why the others that were asked do not."""
    known, names, enough = _whom(one, world)
    preferred = (volumes.selected if volumes is not None else "") or one.nominated
    if preferred in world.rooms and one.only_on is None:
        names = chain((preferred,), names)
    fitting: list[Answer] = []
    refused: dict[str, Refusal] = {}
    rooms, changed, kept = world.rooms, world.changed, world.nominated
    by_itself = volumes is None and not around.is_narrow  # nothing but the node's own answer counts
    examined = glanced = 0
    for name in names:
        glanced += 1
        room, answer = changed.get(name) or rooms[name], known.get(name)
        if kept and name in kept:
            answer = examine(one, world.room_for(one, name))
            examined += 1
        elif answer is None or answer.room is not room:
            answer = known[name] = examine(one, room)
            examined += 1
        why_not = answer.refusal
        if why_not is None and not by_itself:
            why_not = (volumes.refusal(room.node) if volumes is not None else None) or around.refusal(room.node)
        if why_not is not None:
            refused[name] = why_not
        else:
            fitting.append(answer)
            if len(fitting) == enough or name == preferred:
                break
    return Asked(fitting, refused, examined, glanced)


def _whom(one: Waiting, world: World) -> tuple[dict[str, Answer], Iterable[str], int]:
    if one.only_on is not None:
        return {}, (one.only_on,) if one.only_on in world.rooms else (), 1
    names, enough = sample(world.order, uid_of(one.pod))
    return world.examinations.known(one.shape), names, enough


def best(one: Waiting, fitting: Sequence[Answer], world: World, around: Surroundings) -> str:
    if len(fitting) == 1:
        return fitting[0].room.name
    scores = score(one, fitting, world, around)
    highest = max(scores)
    return drawn([answer.room.name for answer, points in zip(fitting, scores, strict=True) if points == highest],
                 uid_of(one.pod))


def score(one: Waiting, fitting: Sequence[Answer], world: World, around: Surroundings) -> list[int]:
    """Higher is better.  What is the same for all nodes is left out."""
    scores = [answer.left for answer in fitting]
    labels = [answer.labels for answer in fitting]
    preferred, unwelcome = (max(answer.preferred for answer in fitting), max(answer.unwelcome for answer in fitting))
    parts = (
        (AFFINITY, [FULL * answer.preferred // preferred for answer in fitting] if preferred else None),
        (TAINTS, [FULL - FULL * answer.unwelcome // unwelcome for answer in fitting] if unwelcome else None),
        (INTER_POD, around.affinity_scores(labels)),
        (SPREAD, around.spread_scores(labels)),
        (IMAGE_LOCALITY, world.images.scores(one.pod, [answer.room.name for answer in fitting], len(world.rooms))),
    )
    for weight, points in parts:
        if points is not None:
            scores = [total + weight * more for total, more in zip(scores, points, strict=True)]
    return scores
