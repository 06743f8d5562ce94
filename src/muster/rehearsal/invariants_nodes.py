"""The laws of nodes: who gives signs of life is not lost, and who gives none is found missing, whatever clocks say.

A sign of life is a lease that was renewed or a status that was reported, at the moment at which the history heard of
it; what is written in them is told by the node's own clock, and counts for nothing here.  (A lease may say how long ago
it should have been renewed.)
"""
from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING

from ..api.objects import Key, Obj, annotations_of, condition, from_time
from ..store.history import Change

if TYPE_CHECKING:
    from .invariants import Laws

LEASES, LEASE_NAMESPACE = "leases.coordination.k8s.io", "kube-node-lease"
WATCHER = "node-controller"
GRACE_S, STARTUP_GRACE_S = 50.0, 60.0
ROUNDING_S = 0.01
LOOK_AGAIN_S = 10.0
RENEWED_AGO = "muster.dev/renewed-seconds-ago"
FOUND_WITHIN_S = 120.0  # after the grace period: whoever is to write it may be refused for a while


class _Watched:
    """A node, and when it gave signs of life."""

    def __init__(self, node: Obj, now: float):
        self.node = node
        self.made = now
        # When each was heard, when it should have been, and for how long the lease held then.
        self.signs: deque[tuple[float, float, float]] = deque(maxlen=16)
        self.holds_s = 0.0  # its lease

    def give_sign(self, now: float, late_s: float = 0.0) -> None:
        self.signs.append((now, now - late_s, self.holds_s))

    def last_sign(self, heard_before: float = math.inf) -> tuple[float, float]:
        """When it was, and how much later it may be called lost."""
        _, when, holds_s = next((one for one in reversed(self.signs) if one[0] < heard_before), (0.0, self.made, 0.0))
        return when, max(GRACE_S if condition(self.node, "Ready") is not None else STARTUP_GRACE_S, holds_s)


class Nodes:
    def __init__(self, laws: Laws):
        self._laws = laws
        self._watched: dict[str, _Watched] = {}
        self._due: list[tuple[float, str]] = []  # when it is to be looked whether a node was found missing

    def hear(self, change: Change) -> None:
        new, now = change.value, self._laws.now()
        watched = self._watched.get(change.key.name)
        if change.key.resource != "nodes" or watched is None or new is None:
            return
        if _ready(watched.node) != "Unknown" and _ready(new) == "Unknown" and self._laws.who() == WATCHER:
            when, grace_s = watched.last_sign(self._laws.seen_until())
            if now - when < grace_s - ROUNDING_S:
                self._laws.wrong("who gives signs of life is not lost", change.key,
                                 f"was heard of {now - when:.1f} s ago, and is called lost")

    def heard(self, change: Change) -> None:
        name, old, new, now = change.key.name, change.previous, change.value, self._laws.now()
        if change.key.resource == "nodes":
            self._node_changed(name, old, new, now)
        elif change.key.namespace == LEASE_NAMESPACE and (watched := self._watched.get(name)) is not None:
            before, watched.holds_s = watched.holds_s, float(((new or {}).get("spec") or {}).get(
                "leaseDurationSeconds") or 0)
            if _renewed(old) != _renewed(new):  # also one that was taken away: it held until then
                watched.give_sign(now, float(annotations_of(new or {"metadata": {}}).get(RENEWED_AGO, 0.0)))
            elif watched.holds_s != before:
                watched.give_sign(now, now - watched.last_sign()[0])  # none, but it holds for another time
            if watched.holds_s < before:
                self._look_later(name, watched, now)
        if self._due and self._due[0][0] < now:
            self.overdue()

    def _node_changed(self, name: str, old: Obj | None, new: Obj | None, now: float) -> None:
        if new is None:
            self._watched.pop(name, None)
            return
        watched = self._watched.get(name)
        if watched is None:
            watched = self._watched[name] = _Watched(new, from_time(new["metadata"]["creationTimestamp"]))
            self._look_later(name, watched, now)
        watched.node = new
        if self._laws.who() != WATCHER and _heartbeat(old) != _heartbeat(new):
            watched.give_sign(now)

    def _look_later(self, name: str, watched: _Watched, now: float) -> None:
        heapq.heappush(self._due, (now + watched.last_sign()[1] + FOUND_WITHIN_S, name))

    def overdue(self) -> None:
        now = self._laws.now()
        while self._due and self._due[0][0] < now:
            self._look(heapq.heappop(self._due)[1], now)

    def _look(self, name: str, now: float) -> None:
        """Is it silent for too long, and nobody said so?"""
        watched, laws = self._watched.get(name), self._laws
        if watched is None or _ready(watched.node) == "Unknown":
            return
        when, grace_s = watched.last_sign()
        since = max(when, laws.begun, laws.good_since(), laws.restarted.get(WATCHER, 0.0))
        due = since + grace_s + FOUND_WITHIN_S
        if due > now:
            heapq.heappush(self._due, (max(due, now + LOOK_AGAIN_S), name))
        else:
            laws.wrong("who falls silent is found missing", _key(watched.node),
                       f"was heard of {now - since:.0f} s ago, and nobody says so")


def _key(node: Obj) -> Key:
    return Key("nodes", "", node["metadata"]["name"])


def _ready(node: Obj) -> str | None:
    return (condition(node, "Ready") or {}).get("status")


def _heartbeat(node: Obj | None) -> str | None:
    return (condition(node, "Ready") or {}).get("lastHeartbeatTime") if node is not None else None


def _renewed(lease: Obj | None) -> str | None:
    return ((lease or {}).get("spec") or {}).get("renewTime")
