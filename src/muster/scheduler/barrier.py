"""What stands between a pod and a node, and the smallest change that would take it away: for people.

A node says one thing at a time (fit.py, topology.py).  Here the pod is asked about again as it would be with the
change that was named (remedies.py), until the node takes it: so all that stands in the way is told, and each change
is known to do.

    barrier(Case(pod, needs, room), around).on("node-7")
    "taint dedicated=gpu:NoSchedule is not tolerated; add this toleration: {...}; and asks for cpu 2, free 300m of 4;
     ask for 300m at most, or free 1700m"

`smallest` is what a pod that found no place is told in the event WouldHelp.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from heapq import nsmallest

from ..api.objects import Obj, at, labels_of, name_of
from ..api.placement import taken_port
from .fit import Refusal, misplaced, refusal
from .obstacle import NODE, Around, Case, Obstacle
from .remedies import CONDITIONS, REQUIRED, remedies
from .snapshot import Room, Waiting, taken_by
from .terms import Wishes
from .topology import Surroundings
from .volumes import VolumeNeeds

MOST = 16  # changes named for one node; a pod whose own rules contradict each other is given up on
CANDIDATES = 8  # nodes compared for the smallest change


@dataclass(frozen=True, slots=True)
class Barrier:
    """All that keeps a pod off a node."""

    obstacles: tuple[Obstacle, ...]
    says: str = field(init=False)
    can_be_lifted: bool = field(init=False)
    cost: float = field(init=False)  # how much of a change it would take, against others

    def __post_init__(self) -> None:
        object.__setattr__(self, "says", "; and ".join(one.says for one in self.obstacles))
        object.__setattr__(self, "can_be_lifted", all(one.change for one in self.obstacles))
        object.__setattr__(self, "cost", sum(one.cost for one in self.obstacles))

    def on(self, node: str) -> str:
        return self.says.replace(NODE, node)


def barrier(case: Case, around: Around, volumes: VolumeNeeds | None = None) -> Barrier | None:
    """None: the node takes the pod."""
    def ask(one: Case) -> Refusal | None:
        return (refusal(one.pod, one.needs, one.room)
                or (volumes.refusal(one.room.node) if volumes is not None else None)
                or around(one.needs.wishes).refusal(one.room.node))
    found = _walk(case, ask, around, volumes)
    return Barrier(tuple(found)) if found else None


def placement_barrier(spec: Obj, node: Obj) -> Barrier | None:
    """Of a pod that is to be made (a DaemonSet's): does it belong there, whatever is taken there?"""
    pod: Obj = {"metadata": {}, "spec": spec}
    room = Room(name_of(node), node, {})
    found = _walk(Case(pod, taken_by(pod), room), lambda one: misplaced(one.pod["spec"], one.room.node), None, None)
    return Barrier(tuple(found)) if found else None


def _walk(case: Case, ask: Callable[[Case], Refusal | None], around: Around | None,
          volumes: VolumeNeeds | None) -> list[Obstacle]:
    found: list[Obstacle] = []
    while (why := ask(case)) is not None:
        if len(found) >= MOST:
            last = found[-1]
            return [*found[:-1], replace(last, change="", instead="", after=None)]
        steps = remedies(why, case, around, volumes)
        found += steps
        after = steps[-1].after
        if after is None:
            break
        case = after
    return found


# ------------------------------------------------------------------ nodes that are alike

def likeness(one: Waiting, around: Surroundings) -> Callable[[Room], Hashable | None]:
    """All of a node that its barrier for this pod depends on: nodes of which it is equal have equal barriers.

    None for a node that has to be asked by itself, for what is told of it names its pods or its conditions."""
    spec, needs = one.pod["spec"], one.needs
    terms = at(spec, f"affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms", ())
    by_name = any(term.get("matchFields") for term in terms)
    keys = sorted({*(spec.get("nodeSelector") or ()),
                   *(each.get("key", "") for term in terms for each in term.get("matchExpressions") or ()),
                   *(each.counted.key for each in needs.wishes.hard), *(key for key, _ in around.together),
                   *(key for key, _ in around.apart), *(key for key, _ in around.keep_away)})

    def of(room: Room) -> Hashable | None:
        there, node = room.allocatable, room.node
        taints = [(taint["key"], taint.get("value"), taint["effect"]) for taint in at(node, "spec.taints", ())]
        if by_name or len(room.pods) + 1 > there.get("pods", 0) or any(taint[0] in CONDITIONS for taint in taints) \
                or needs.ports and taken_port(needs.ports, room.ports) is not None:
            return None
        labels = labels_of(node)
        return (at(node, "spec.unschedulable", False), tuple(taints), tuple(labels.get(key) for key in keys),
                tuple((room.taken.get(name, 0), there.get(name, 0)) for name in needs.amounts))

    return of


# ------------------------------------------------------------------ the smallest of all

_RANK = {"NodeUnschedulable": 1, "NodeAffinity": 2, "NodeResourcesFit": 2, "NodePorts": 3, "TaintToleration": 3,
         "PodTopologySpread": 4, "InterPodAffinity": 5, "VolumeBinding": 9}


def smallest(one: Waiting, room_of: Callable[[str], Room], said: Mapping[str, Refusal], around: Around,
             volumes: VolumeNeeds | None) -> str:
    """What would let the pod onto a node with the least ado: "node-7: ...; ..."; "" where nothing is known to.

    A glance at each answer that was given, and a closer look at a few."""
    likely = nsmallest(CANDIDATES, said.items(), key=lambda item: (_glance(item[1]), item[0]))
    found: list[tuple[float, str, Barrier]] = []
    for name, _ in likely:
        there = barrier(Case(one.pod, one.needs, room_of(name)), around, volumes)
        if there is not None and there.can_be_lifted:
            found.append((there.cost, name, there))
    if not found:
        return ""
    _, name, best = min(found, key=lambda item: item[:2])
    return f"{name}: {best.on(name)}"


def _glance(why: Refusal) -> tuple[int, int, str]:
    return _RANK.get(why.plugin, 6), len(why.reasons), why.found


def remembering(make: Around) -> Around:
    """One for all nodes: what surrounds a pod is the same for all of them."""
    known: dict[Wishes, Surroundings] = {}

    def around(wishes: Wishes) -> Surroundings:
        found = known.get(wishes)
        if found is None:
            found = known[wishes] = make(wishes)
        return found

    return around
