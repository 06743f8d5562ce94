"""What each node says to a pod, for people who ask why it is not there: the very functions that decide.

    verdicts(pod, rooms, tallies=...)    {"n7": Refusal("TaintToleration", ("node(s) had ...",), "gpu=yes:NoSchedule")}

A node that would take the pod has None.  Nothing is sampled: every node is asked.
"""
from __future__ import annotations

from collections.abc import Mapping

from muster.api.objects import Key, Obj, name_of, namespace_of
from muster.scheduler.choice import Nominated, World
from muster.scheduler.fit import Refusal, refusal
from muster.scheduler.snapshot import Room, waiting_of
from muster.scheduler.tallies import Tallies
from muster.scheduler.topology import Surroundings
from muster.scheduler.volumes import NONE, VolumeNeeds
from muster.scheduler.words import NOT_THIS_NODE


def verdicts(pod: Obj, rooms: Mapping[str, Room], *, tallies: Tallies | None = None, nominated: Nominated | None = None,
             volumes: VolumeNeeds = NONE) -> dict[str, Refusal | None]:
    """For each node, in order of name: why the pod can not go there, or None where it can."""
    if volumes.why_not:
        return dict.fromkeys(sorted(rooms), Refusal("VolumeBinding", (volumes.why_not,)))
    one = waiting_of(Key("pods", namespace_of(pod), name_of(pod)), pod)
    world = World.of(rooms, tallies=tallies, nominated=nominated)
    around = Surroundings(one.needs.wishes, world.draft)
    found: dict[str, Refusal | None] = {}
    for name in sorted(rooms):
        if one.only_on not in (None, name):
            found[name] = Refusal("NodeAffinity", (NOT_THIS_NODE,), f"metadata.name={one.only_on}")
        else:
            room = world.room_for(one, name)
            found[name] = (refusal(pod, one.needs, room) or volumes.refusal(room.node) or around.refusal(room.node))
    return found
