"""What the scheduler decides on: every node with what is taken there, and the pods that wait.

`Snapshot` is kept up to date change by change, so that a look costs what changed and not a walk over all
pods.  What it hands out (`Room`, `Waiting`) are values: they are replaced, never changed.

A pod that found no place waits until something happens that could help it: a change of the one node it is
for, or of any node, or a pod that leaves.  `Room.changes` and `Snapshot.changes` count those.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import orjson

from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    condition,
    controller_of,
    is_deleting,
    labels_of,
    name_of,
    uid_of,
)
from ..api.placement import Amounts, HostPort, amounts_of, host_ports_of, pinned_node, requests_of
from ..store.history import Change

FINISHED = ("Succeeded", "Failed")
DEFAULT_SCHEDULER = "default-scheduler"
ZONE = "topology.kubernetes.io/zone"
SCORED_AS: Amounts = {"cpu": 100, "memory": 200 * 1024 * 1024}  # a container that says nothing, in scores


@dataclass(slots=True, eq=False)
class Taken:
    """What one pod takes of its node.  Never changed once made."""

    uid: str
    priority: int
    amounts: Amounts
    ports: tuple[HostPort, ...]
    since: str  # when it was created
    leaving: bool
    owner: str = ""  # the uid of its controller: pods of one owner are spread
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
    changes: int = 0  # how often something happened here that could help a waiting pod
    siblings: Mapping[str, int] = field(default_factory=dict)  # uid of a controller -> how many of its pods are here

    def with_pod(self, key: Key, pod: Taken) -> Room:
        amounts = dict(self.taken)
        for name, amount in pod.amounts.items():
            amounts[name] = amounts.get(name, 0) + amount
        return Room(self.name, self.node, self.allocatable, amounts, {**self.pods, key: pod},
                    self.ports + pod.ports if pod.ports else self.ports, self.scored_cpu + pod.scored_cpu,
                    self.scored_memory + pod.scored_memory, self.changes, self._counted(pod, 1))

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
                    self.scored_memory - gone.scored_memory, self.changes + 1, self._counted(gone, -1))

    def with_node(self, node: Obj, *, helps: bool) -> Room:
        return replace(self, node=node, allocatable=amounts_of(at(node, "status.allocatable")),
                       changes=self.changes + helps)

    def _counted(self, pod: Taken, more: int) -> Mapping[str, int]:
        if not pod.owner:
            return self.siblings
        count = self.siblings.get(pod.owner, 0) + more
        others = {owner: there for owner, there in self.siblings.items() if owner != pod.owner}
        return {**others, pod.owner: count} if count else others


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pod that no node was found for yet."""

    key: Key
    pod: Obj
    needs: Taken
    only_on: str | None  # pinned to one node: nothing else is looked at
    shape: bytes  # pods of one shape get the same answers from a node
    tried: int = -1  # the count of helpful changes at the last try


class Snapshot:
    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.waiting: dict[Key, Waiting] = {}
        self.changes = 0
        self.order: tuple[str, ...] = ()  # names of nodes, a zone at a time; empty: to be made again
        self._homeless: dict[str, dict[Key, Taken]] = {}  # pods whose node is not known (yet)

    def apply(self, change: Change) -> bool:
        """Takes a change in; True when the scheduler should look."""
        if change.key.resource == "nodes":
            return self._apply_node(change)
        return self._apply_pod(change)

    def ready(self) -> list[Waiting]:
        """The waiting pods for which something that could help has happened since they were last tried.

        One that was never told why it waits is tried again too: its binding must have failed on the way.
        """
        return [one for one in self.waiting.values()
                if one.tried < self._helpful(one) or condition(one.pod, "PodScheduled") is None]

    def node_order(self) -> tuple[str, ...]:
        """The names of the nodes, one of each zone in turn, so that any stretch of them is of all zones."""
        if len(self.order) != len(self.rooms):
            zones: dict[str, list[str]] = {}
            for name in sorted(self.rooms):
                zones.setdefault(labels_of(self.rooms[name].node).get(ZONE, ""), []).append(name)
            turns = zip_longest(*(zones[zone] for zone in sorted(zones)))
            self.order = tuple(name for turn in turns for name in turn if name is not None)
        return self.order

    def tried(self, key: Key) -> None:
        """Notes that a pod found no place as things are now."""
        if (one := self.waiting.get(key)) is not None:
            self.waiting[key] = replace(one, tried=self._helpful(one))

    def try_those_with_claims(self) -> bool:
        """A claim, a volume or a class has changed: the pods that may wait for one are tried again, if any."""
        found = [one for one in self.waiting.values()
                 if any(volume.get("persistentVolumeClaim") for volume in one.pod["spec"].get("volumes") or ())]
        for one in found:
            self.waiting[one.key] = replace(one, tried=-1)
        return bool(found)

    def _helpful(self, one: Waiting) -> int:
        if one.only_on is None:
            return self.changes
        room = self.rooms.get(one.only_on)
        return room.changes if room is not None else 0

    def _apply_node(self, change: Change) -> bool:
        name, node, old = change.key.name, change.value, change.previous
        if node is None:
            room = self.rooms.pop(name, None)
            self.order = ()
            if room is not None and room.pods:
                self._homeless[name] = dict(room.pods)
            self.changes += 1
            return bool(self.waiting)
        room = self.rooms.get(name)
        if room is None:
            self.order = ()
            room = Room(name, node, amounts_of(at(node, "status.allocatable")))
            for key, pod in self._homeless.pop(name, {}).items():
                room = room.with_pod(key, pod)
        elif old is not None and not _matters(old, node):
            self.rooms[name] = room.with_node(node, helps=False)
            return False
        self.changes += 1
        self.rooms[name] = room.with_node(node, helps=True)
        return bool(self.waiting)

    def _apply_pod(self, change: Change) -> bool:
        key, pod, old = change.key, change.value, change.previous
        if pod is None or at(pod, "status.phase") in FINISHED:
            self.waiting.pop(key, None)
            return self._leave(key, (pod or old or {}).get("spec", {}).get("nodeName", ""))
        node = pod["spec"].get("nodeName", "")
        if node:
            self.waiting.pop(key, None)
            if old is None or not old["spec"].get("nodeName") or is_deleting(old) != is_deleting(pod) \
                    or at(old, "status.phase") in FINISHED:
                self._settle(key, node, taken_by(pod))
            return False
        if is_deleting(pod) or (pod["spec"].get("schedulerName") or DEFAULT_SCHEDULER) != DEFAULT_SCHEDULER:
            self.waiting.pop(key, None)
            return False
        known = self.waiting.get(key)
        if known is not None and known.pod["spec"] == pod["spec"]:
            self.waiting[key] = replace(known, pod=pod)
            return False
        needs = taken_by(pod)
        self.waiting[key] = Waiting(key, pod, needs, pinned_node(pod["spec"]), shape_of(pod, needs))
        return True

    def _settle(self, key: Key, node: str, pod: Taken) -> None:
        room = self.rooms.get(node)
        if room is None:
            self._homeless.setdefault(node, {})[key] = pod
        else:
            if key in room.pods:
                room = room.without_pod(key)
            self.rooms[node] = room.with_pod(key, pod)

    def _leave(self, key: Key, node: str) -> bool:
        room = self.rooms.get(node)
        if room is None:
            if node in self._homeless:
                self._homeless[node].pop(key, None)
                if not self._homeless[node]:
                    del self._homeless[node]
            return False
        if key not in room.pods:
            return False
        self.rooms[node] = room.without_pod(key)
        self.changes += 1
        return bool(self.waiting)


def taken_by(pod: Obj) -> Taken:
    spec = pod["spec"]
    scored = requests_of(spec, unasked=SCORED_AS)
    return Taken(uid_of(pod), spec.get("priority") or 0, requests_of(spec), tuple(host_ports_of(spec)),
                 pod["metadata"].get("creationTimestamp", ""), is_deleting(pod),
                 (controller_of(pod) or {}).get("uid", ""), scored.get("cpu", 0), scored.get("memory", 0))


def shape_of(pod: Obj, needs: Taken) -> bytes:
    """All of a pod that a single node's answer depends on."""
    spec = pod["spec"]
    return orjson.dumps((spec.get("nodeSelector"), at(spec, "affinity.nodeAffinity"), spec.get("tolerations"),
                         needs.amounts, [list(port) for port in needs.ports], needs.scored_cpu, needs.scored_memory),
                        option=orjson.OPT_SORT_KEYS)


def _matters(old: Obj, new: Obj) -> bool:
    """Could this change of a node let a waiting pod in?  (A heartbeat could not.)"""
    return (old["spec"] != new["spec"] or labels_of(old) != labels_of(new)
            or annotations_of(old) != annotations_of(new) or name_of(old) != name_of(new)
            or at(old, "status.allocatable") != at(new, "status.allocatable"))
