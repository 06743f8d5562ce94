"""What must hold at every moment of every history: the laws, checked after each change.

    laws = Laws(store.history, clock.now, who=lambda: line.writers.who, seen_until=line.seen_until,
                missed_from=line.missed_from, good_since=line.good_since)
    ...
    laws.broken       [Broken(at, law, about, text, before)], in order

The laws hear the History itself and share no code with the controllers (invariants_scene.py is their own opinion).  A
law that is broken is noted, never raised: an exception would end up in the task that wrote.  What a change costs does
not grow with the cluster.

Decisions are made on what was seen a moment before.  So what happened by itself after `seen_until()` is not held
against a decision, whereas what the controller did itself always is: it reads its own writes, unless watches stand
still (`missed_from()`).  A write may come long after the decision to make it: `seen_until()` is about the decision.
`who()` is the account that is writing while a change is heard (faults_line.py knows it).
"""
from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from ..api.objects import Key, Obj, annotations_of, finalizers_of, is_deleting, owners_of, revision_of, uid_of
from ..store.history import Change, History, Snapshot
from .invariants_daemons import Daemons
from .invariants_jobs import Jobs
from .invariants_nodes import LEASES, Nodes
from .invariants_ordered import Ordered
from .invariants_replicas import ROLLOUTS, Replicas
from .invariants_scaling import AUTOSCALERS, Scaling
from .invariants_scene import WORKLOADS, Scene

COLLECTED_WITHIN_S = 90.0  # the pods of an owner that is gone, on nodes that are well
IN_A_ROW, FEW = 80, 2  # so many changes of so few objects, one after the other ...
TOO_FAST_S = 20.0  # ... in this time are a hot loop
OWNED = {"replicasets.apps": 1, "pods": 2}  # they are taken in once their owners are known
NOT_COUNTED = ("events", "leases.coordination.k8s.io", "nodes")
TOLD_BEFORE = 25
MOST_BROKEN = 1000  # that are remembered
FAIL = "muster.dev/fail"


@dataclass(frozen=True)
class Broken:
    at: float
    law: str
    about: Key
    text: str
    before: tuple[str, ...] = ()  # what happened last

    def __str__(self) -> str:
        return f"{self.law}: {self.about}: {self.text}"


class Law(Protocol):
    def hear(self, change: Change) -> None:
        """Called for each change that concerns it, before the scene knows of it."""
        ...

    def heard(self, change: Change) -> None:
        """Called for the same change, once the scene knows of it."""
        ...


class Laws:
    def __init__(self, history: History, now: Callable[[], float], *, who: Callable[[], str] = lambda: "",
                 seen_until: Callable[[], float] | None = None, missed_from: Callable[[], float] = lambda: math.inf,
                 good_since: Callable[[], float] = lambda: -math.inf, keep_values: bool = False):
        """`keep_values`: also that no stored value is ever changed in place; it costs a digest a change."""
        self.now, self.who, self.seen_until, self.missed_from = now, who, seen_until or now, missed_from
        self.good_since = good_since  # since when writes have not failed and changes have been heard of
        self.scene = Scene()
        self.broken: list[Broken] = []
        self.count = 0  # of all that were broken, also beyond those that are remembered
        self.story: deque[str] = deque(maxlen=TOLD_BEFORE)
        self.writes: Counter[str] = Counter()
        self.begun = now()  # when the components began; nobody is blamed for the time before
        self.restarted: dict[str, float] = {}  # when one of them began anew, and knew nothing
        self._history = history
        self._revision = 0
        self._orphans = Orphans(self)
        self._loops = HotLoops(self)
        self._values: list[tuple[Snapshot, bytes]] | None = [] if keep_values else None
        daemons, replicas = Daemons(self), Replicas(self)
        ordered, jobs = Ordered(self), Jobs(self)
        self.nodes, self.scaling = Nodes(self), Scaling(self)
        self._laws: dict[str, Sequence[Law]] = {
            "pods": (daemons, replicas, ordered, jobs, self.scaling), "nodes": (daemons, self.nodes),
            LEASES: (self.nodes,), "daemonsets.apps": (daemons,), "controllerrevisions.apps": (daemons,),
            "replicasets.apps": (replicas, self.scaling), "deployments.apps": (replicas, self.scaling),
            "statefulsets.apps": (ordered, self.scaling), "jobs.batch": (jobs,), AUTOSCALERS: (self.scaling,)}
        for lane in sorted(history.lanes(), key=lambda lane: OWNED.get(lane.resource, 0)):  # what is there already
            for snapshot in lane.snapshots():
                value = snapshot.value
                key = Key(lane.resource, value["metadata"].get("namespace", ""), value["metadata"]["name"])
                self._take_in(Change(snapshot.revision, key, snapshot, None))
        self._revision = history.revision
        history.on_append(self._hear)

    # ---- what laws ask and say

    def say(self, text: str) -> None:
        self.story.append(f"{self.now() % 1e6:10.2f}  {text}")

    def wrong(self, law: str, about: Key, text: str) -> None:
        self.count += 1
        if len(self.broken) < MOST_BROKEN:
            self.broken.append(Broken(self.now(), law, about, text, tuple(self.story)))

    def is_fresh(self, when: float | None) -> bool:
        """May a decision of this moment have been made without knowing what happened then?"""
        return when is not None and when >= self.seen_until()

    def is_hidden(self, when: float | None) -> bool:
        """Did it happen while watches stood still, so that even who did it may not know that it is done?"""
        return when is not None and when >= self.missed_from()

    def acknowledged(self, key: Key, revision: int) -> None:
        """A write was answered with this revision: it is kept, unless something later took its place."""
        kept = self._history.get(key)
        if revision > self._history.revision or (kept is not None and kept.revision < revision):
            self.wrong("acknowledged writes are kept", key, f"revision {revision} was answered, and is not there")

    # ---- what is heard

    def _hear(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.revision <= self._revision:
                self.wrong("revisions only grow", change.key, f"{change.revision} after {self._revision}")
            self._revision = change.revision
            self.writes[change.key.resource] += 1
            if change.key.resource not in NOT_COUNTED:
                self._loops.hear(change.key)
            if change.after is not None:
                if revision_of(change.after.value) != change.revision:
                    self.wrong("revisions only grow", change.key,
                               f"says {revision_of(change.after.value)} at {change.revision}")
                if self._values is not None:
                    self._values.append((change.after, _digest(change.after.value)))
                if change.before is not None:
                    self._is_the_same(change.key, change.before.value, change.after.value)
            self._take_in(change)

    def _take_in(self, change: Change) -> None:
        laws = self._laws.get(change.key.resource, ())
        for law in laws:
            law.hear(change)
        self.scene.apply(change, self.now())
        for law in laws:
            law.heard(change)
        self._orphans.hear(change)

    def _is_the_same(self, key: Key, old: Obj, new: Obj) -> None:
        if uid_of(old) != uid_of(new):
            self.wrong("an object stays itself", key, "became another one without being deleted")
        if is_deleting(old) and not is_deleting(new):
            self.wrong("an object stays itself", key, "is no longer being deleted")
        if key.resource in WORKLOADS:
            self._generations(key, old, new)

    def _generations(self, key: Key, old: Obj, new: Obj) -> None:
        before, after = old["metadata"].get("generation", 0), new["metadata"].get("generation", 0)
        asked = old["spec"] != new["spec"] or is_deleting(old) != is_deleting(new) or (
            new["kind"] == "Deployment" and annotations_of(old) != annotations_of(new) and self.who() != ROLLOUTS)
        if after != before + asked:
            self.wrong("generations count changes", key, f"{before} -> {after}, {'' if asked else 'not '}asked for")
        seen_before, seen = ((one.get("status") or {}).get("observedGeneration", 0) for one in (old, new))
        if not seen_before <= seen <= after:
            self.wrong("generations count changes", key, f"observedGeneration {seen_before} -> {seen} of {after}")

    # ---- what is asked now and then

    def check(self) -> None:
        """What time alone can break."""
        self._orphans.overdue()
        self.nodes.overdue()

    def check_values(self) -> None:
        """Was a value changed after it was stored?"""
        for snapshot, digest in self._values or ():
            value = snapshot.value
            key = Key(value.get("kind", ""), value["metadata"].get("namespace", ""), value["metadata"]["name"])
            if _digest(value) != digest:
                self.wrong("stored values stay", key, f"was changed after revision {snapshot.revision} was stored")
            elif snapshot.encoded() != orjson.dumps(value):
                self.wrong("stored values stay", key, f"the JSON of revision {snapshot.revision} is not its value")


def _digest(value: Obj) -> bytes:
    return hashlib.blake2b(orjson.dumps(value), digest_size=12).digest()


class Orphans:
    """Pods do not outlive their owner for longer than the collector takes.

    Who could not write tries again after a while that doubles, up to a minute; so the time begins anew when the line is
    good again, as it does when the node is back.
    """

    def __init__(self, laws: Laws):
        self._laws = laws
        self._due: list[tuple[float, str]] = []  # (when its pods must be gone, uid of the owner)
        self._back: dict[str, float] = {}  # nodes that were silent, and since when they are not

    def hear(self, change: Change) -> None:
        now = self._laws.now()
        if change.after is None and change.before is not None and change.key.resource in WORKLOADS:
            heapq.heappush(self._due, (now + COLLECTED_WITHIN_S, uid_of(change.before.value)))
        elif change.key.resource == "nodes" and _is_silent(change.previous) and not _is_silent(change.value):
            self._back[change.key.name] = now
        if self._due and self._due[0][0] < now:
            self.overdue()

    def overdue(self) -> None:
        laws, now = self._laws, self._laws.now()
        while self._due and self._due[0][0] < now:
            _, uid = heapq.heappop(self._due)
            left = [(key, pod) for key, pod in laws.scene.pods_of(uid).items()
                    if all(owner["uid"] not in laws.scene.workloads for owner in owners_of(pod))]
            held = [(key, pod) for key, pod in left if self._may_stay(pod)]
            if held:
                heapq.heappush(self._due, (now + COLLECTED_WITHIN_S, uid))
            elif left:
                laws.wrong("pods do not outlive their owner", left[0][0],
                           f"one of {len(left)} whose owner {uid} is gone for {COLLECTED_WITHIN_S:g} s")

    def _may_stay(self, pod: Obj) -> bool:
        """Held by a finalizer; or its node says nothing, or the line is bad, or that was so until a short time ago."""
        name, recently = pod["spec"].get("nodeName", ""), self._laws.now() - COLLECTED_WITHIN_S
        return (bool(finalizers_of(pod)) or _is_silent(self._laws.scene.nodes.get(name))
                or max(self._back.get(name, recently), self._laws.begun, self._laws.good_since()) > recently)


def _is_silent(node: Obj | None) -> bool:
    return node is not None and (
        (node["metadata"].get("annotations") or {}).get(FAIL) == "true"
        or any(taint["key"] == "node.kubernetes.io/unreachable" for taint in node["spec"].get("taints") or ()))


class HotLoops:
    """What has come to rest stays at rest: the same few objects are not written over and over."""

    def __init__(self, laws: Laws):
        self._laws = laws
        self._keys: Counter[Key] = Counter()
        self._count, self._began = 0, 0.0

    def hear(self, key: Key) -> None:
        if not self._count:
            self._began = self._laws.now()
        self._keys[key] += 1
        self._count += 1
        if len(self._keys) > FEW:
            self._keys.clear()
            self._count = 0
        elif self._count >= IN_A_ROW:
            took_s = self._laws.now() - self._began
            if took_s < TOO_FAST_S:
                self._laws.wrong("nothing loops", key, f"{self._count} writes in a row to {len(self._keys)} objects in "
                                                       f"{took_s:.1f} s")
            self._keys.clear()
            self._count = 0
