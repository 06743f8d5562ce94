"""What the scheduler decides on: every node with what is taken there, and how pods stand to each other.

`Snapshot` is kept up to date change by change, so that a look costs what changed and not a walk over all
pods.  What it hands out (`Room`, `Taken`) are values: they are replaced, never changed.

`apply` answers what happened, in the words of upstream's queueing hints, so that the pods that wait are
woken by what could help them and by nothing else (line.py).
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, NamedTuple

import orjson

from ..api.objects import Key, Obj, annotations_of, at, is_deleting, labels_of, name_of, namespace_of, uid_of
from ..api.placement import Amounts, HostPort, amounts_of, host_ports_of, pinned_node, requests_of
from ..api.remembered import Remembered
from ..store.history import Change
from ..store.history import Snapshot as Stored
from .images import Images
from .tallies import Tallies
from .terms import ZONE, Wishes, wishes_of

FINISHED = ("Succeeded", "Failed")
DEFAULT_SCHEDULER = "default-scheduler"
SCORED_AS: Amounts = {"cpu": 100, "memory": 200 * 1024 * 1024}  # a container that says nothing, in scores


@dataclass(slots=True, eq=False)
class Taken:
    """What one pod takes of its node.  Never changed once made."""

    uid: str
    priority: int
    amounts: Amounts
    ports: tuple[HostPort, ...]
    since: str  # when it was created or, on a node, started
    leaving: bool
    wishes: Wishes
    scored_cpu: int = 0  # what scores count: a container that asks for nothing counts as one that asks for a little
    scored_memory: int = 0


@dataclass(slots=True, eq=False)
class Room:
    """A node, and what is taken there.  Never changed once made: whoever holds one knows that it still is so."""

    name: str
    node: Obj
    allocatable: Amounts
    taken: Amounts = field(default_factory=dict)
    pods: Mapping[Key, Taken] = field(default_factory=dict)
    ports: tuple[HostPort, ...] = ()
    scored_cpu: int = 0
    scored_memory: int = 0

    def with_pod(self, key: Key, pod: Taken) -> Room:
        amounts = dict(self.taken)
        for name, amount in pod.amounts.items():
            amounts[name] = amounts.get(name, 0) + amount
        return Room(self.name, self.node, self.allocatable, amounts, {**self.pods, key: pod},
                    self.ports + pod.ports if pod.ports else self.ports, self.scored_cpu + pod.scored_cpu,
                    self.scored_memory + pod.scored_memory)

    def without_pod(self, key: Key) -> Room:
        gone = self.pods.get(key)
        if gone is None:
            return self
        amounts, others = dict(self.taken), dict(self.pods)
        for name, amount in gone.amounts.items():
            amounts[name] = amounts.get(name, 0) - amount
        del others[key]
        ports = tuple(port for pod in others.values() for port in pod.ports) if gone.ports else self.ports
        return Room(self.name, self.node, self.allocatable, amounts, others, ports, self.scored_cpu - gone.scored_cpu,
                    self.scored_memory - gone.scored_memory)

    def with_node(self, node: Obj) -> Room:
        return replace(self, node=node, allocatable=amounts_of(at(node, "status.allocatable")))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pod that no node was found for yet."""

    key: Key
    pod: Obj
    needs: Taken
    only_on: str | None  # pinned to one node: nothing else is looked at
    shape: bytes  # pods of one shape get the same answers from a node
    nominated: str = ""  # the node that room is kept on for it


class Happened(NamedTuple):
    """What could let a waiting pod in.  Nothing of it: no reason to look."""

    room: Room | None = None  # there is more room here, or the node answers otherwise than before
    pod: Taken | None = None  # a pod on a node is not what it was
    left: bool = False  # it is there no more; else it has come, or is on its way out
    places: bool = False  # which pods are where in terms of topology is not as before
    waiting: Waiting | None = None  # a pod that is to be decided on


NOTHING = Happened()


class Snapshot:
    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.tallies = Tallies()
        self.images = Images()
        self._priorities: dict[int, int] = {}  # of pods on nodes -> how many
        self._order: tuple[str, ...] = ()  # names of nodes, round the zones; empty: to be made again
        self._homeless: dict[str, dict[Key, Taken]] = {}  # pods whose node is not known (yet)

    def node_order(self) -> tuple[str, ...]:
        """The names of the nodes, one of each zone in turn, so that any stretch of them is of all zones."""
        if len(self._order) != len(self.rooms):
            zones: dict[str, list[str]] = {}
            for name in sorted(self.rooms):
                zones.setdefault(labels_of(self.rooms[name].node).get(ZONE, ""), []).append(name)
            turns = zip_longest(*(zones[zone] for zone in sorted(zones)))
            self._order = tuple(name for turn in turns for name in turn if name is not None)
        return self._order

    @property
    def lowest_priority(self) -> int:
        """Of all pods on nodes: whoever is not above it can preempt nobody."""
        return min(self._priorities, default=1 << 31)

    def _count(self, pod: Taken, more: int) -> None:
        there = self._priorities.get(pod.priority, 0) + more
        if there:
            self._priorities[pod.priority] = there
        else:
            del self._priorities[pod.priority]

    # ------------------------------------------------------------------ nodes

    def apply_node(self, change: Change) -> Happened:
        name, node, room = change.key.name, change.value, self.rooms.get(change.key.name)
        if node is None:
            if room is not None:
                self._order = ()
                self._remove(room)
                if room.pods:
                    self._homeless[name] = dict(room.pods)
            return Happened(places=True)
        if room is None:
            room = Room(name, node, amounts_of(at(node, "status.allocatable")))
            for key, pod in self._homeless.pop(name, {}).items():
                room = room.with_pod(key, pod)
            self._order = ()
            self._add(room)
            return Happened(room, places=True)
        if not _matters(room.node, node):
            self.images.change(room.node, node)
            self.rooms[name] = replace(room, node=node)
            return NOTHING
        moved = _places(room.node) != _places(node)
        if labels_of(room.node).get(ZONE) != labels_of(node).get(ZONE):
            self._order = ()
        self._remove(room)
        room = room.with_node(node)
        self._add(room)
        return Happened(room, places=moved)

    def _add(self, room: Room) -> None:
        self.rooms[room.name] = room
        self.images.change(None, room.node)
        self.tallies.add_node(room.node)
        for pod in room.pods.values():
            self.tallies.add_pod(room.name, pod.wishes, pod.leaving)
            self._count(pod, 1)

    def _remove(self, room: Room) -> None:
        for pod in room.pods.values():
            self.tallies.remove_pod(room.name, pod.wishes, pod.leaving)
            self._count(pod, -1)
        self.tallies.remove_node(room.name)
        self.images.change(room.node, None)
        del self.rooms[room.name]

    # ------------------------------------------------------------------ pods

    def apply_pod(self, change: Change) -> Happened:
        key, pod, old = change.key, change.value, change.previous
        if pod is None or at(pod, "status.phase") in FINISHED:
            return self._leave(key, (pod or old or {}).get("spec", {}).get("nodeName", ""))
        node = pod["spec"].get("nodeName", "")
        if node:
            if change.is_of_status and old is not None and at(old, "status.phase") not in FINISHED:
                return NOTHING
            if old is None or not old["spec"].get("nodeName") or is_deleting(old) != is_deleting(pod) \
                    or at(old, "status.phase") in FINISHED or labels_of(old) != labels_of(pod) \
                    or old["spec"] is not pod["spec"] and old["spec"] != pod["spec"]:
                return self._settle(key, node, taken_by(pod))
            return NOTHING
        if is_deleting(pod) or (pod["spec"].get("schedulerName") or DEFAULT_SCHEDULER) != DEFAULT_SCHEDULER:
            return NOTHING
        return Happened(waiting=waiting_of(key, pod))

    def _settle(self, key: Key, node: str, pod: Taken) -> Happened:
        room = self.rooms.get(node)
        if room is None:
            self._homeless.setdefault(node, {})[key] = pod
            return NOTHING
        before = room.pods.get(key)
        if before is not None:
            room = room.without_pod(key)
            self.tallies.remove_pod(node, before.wishes, before.leaving)
            self._count(before, -1)
        self.rooms[node] = room.with_pod(key, pod)
        self.tallies.add_pod(node, pod.wishes, pod.leaving)
        self._count(pod, 1)
        if before is None:
            return Happened(pod=pod)
        room = self.rooms[node] if before.amounts != pod.amounts else None
        if before.wishes.group != pod.wishes.group:
            return Happened(room, places=True)  # labelled otherwise: rare, and about whom it was is not kept
        return Happened(room, pod) if pod.leaving and not before.leaving else Happened(room)

    def _leave(self, key: Key, node: str) -> Happened:
        room = self.rooms.get(node)
        if room is None:
            if node in self._homeless:
                self._homeless[node].pop(key, None)
                if not self._homeless[node]:
                    del self._homeless[node]
            return NOTHING
        gone = room.pods.get(key)
        if gone is None:
            return NOTHING
        self.rooms[node] = room.without_pod(key)
        self.tallies.remove_pod(node, gone.wishes, gone.leaving)
        self._count(gone, -1)
        return Happened(self.rooms[node], gone, left=True)


def snapshot_of(nodes: Iterable[Obj], pods: Iterable[Obj], namespaces: Iterable[Obj] = ()) -> Snapshot:
    """All at once, for who only wants to look."""
    found = Snapshot()
    for one in namespaces:
        found.tallies.label_namespace(name_of(one), labels_of(one))
    for resource, objects in (("nodes", nodes), ("pods", pods)):
        for obj in objects:
            change = Change(0, Key(resource, namespace_of(obj), name_of(obj)), Stored(obj, 0), None)
            found.apply_node(change) if resource == "nodes" else found.apply_pod(change)
    return found


def waiting_of(key: Key, pod: Obj) -> Waiting:
    needs = taken_by(pod)
    return Waiting(key, pod, needs, pinned_node(pod["spec"]), shape_of(pod, needs),
                   at(pod, "status.nominatedNodeName", ""))


def taken_by(pod: Obj) -> Taken:
    spec = pod["spec"]
    amounts, ports, cpu, memory = _demands_of(spec.get("containers"), spec.get("initContainers"), spec.get("overhead"))
    since = at(pod, "status.startTime") or pod["metadata"].get("creationTimestamp", "")
    return Taken(uid_of(pod), spec.get("priority") or 0, amounts, ports, since, is_deleting(pod), wishes_of(pod),
                 cpu, memory)


def _demands(containers: Any, first: Any, overhead: Any) -> tuple[Amounts, tuple[HostPort, ...], int, int]:
    """What is asked for and what scores count: the same for all pods of a template, and worked out once for them."""
    spec = {"containers": containers, "initContainers": first, "overhead": overhead}
    scored = requests_of(spec, unasked=SCORED_AS)
    return requests_of(spec), tuple(host_ports_of(spec)), scored.get("cpu", 0), scored.get("memory", 0)


_demands_of = Remembered(_demands, keep=8192)


def shape_of(pod: Obj, needs: Taken) -> bytes:
    """All of a pod that a single node's answer depends on."""
    spec = pod["spec"]
    return orjson.dumps((spec.get("nodeSelector"), at(spec, "affinity.nodeAffinity"), spec.get("tolerations"),
                         needs.amounts, [list(port) for port in needs.ports], needs.scored_cpu, needs.scored_memory),
                        option=orjson.OPT_SORT_KEYS)


def _matters(old: Obj, new: Obj) -> bool:
    """Could this change of a node let a waiting pod in?  (A heartbeat could not.)"""
    return (old["spec"] != new["spec"] or labels_of(old) != labels_of(new)
            or annotations_of(old) != annotations_of(new) or uid_of(old) != uid_of(new)
            or at(old, "status.allocatable") != at(new, "status.allocatable"))


def _places(node: Obj) -> object:
    """What decides whether and where a node counts for topology."""
    return labels_of(node), at(node, "spec.taints") or []
