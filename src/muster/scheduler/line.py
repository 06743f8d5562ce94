"""The pods that wait, and when each is tried: now, after a while, or once something could help it.

    active    is decided on in the next look, the most important first, then the oldest
    resting   was refused and may be tried again, but not before its time: 1 s, doubling with each try up to 10 s
    stuck     was refused, and nothing has happened since that could help; tried anyway after 5 minutes

What could help depends on why it was refused: more room on a node that would take it, a pod that its rules are
about, a volume.  Stuck pods that ask for the same stand together, so that is asked once for all of them.
https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/#queueinghint
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from ..api.objects import Key, labels_of, name_of, namespace_of
from .snapshot import Happened, Room, Waiting
from .terms import NamespaceLabels, Wishes
from .topology import INTER_POD, SPREAD

FIRST_REST_S, LONGEST_REST_S, STUCK_S = 1.0, 10.0, 300.0
OTHER_PODS = {SPREAD, INTER_POD}
Fits = Callable[[Waiting, Room], bool]
Profile = tuple[bytes, Wishes]


@dataclass(slots=True)
class _Entry:
    one: Waiting
    state: str = "active"  # "deciding", "resting", "stuck", "roused": to be sorted at the next look
    tries: int = 0
    until: float = 0.0  # not tried again before
    stuck_since: float = 0.0


@dataclass(slots=True)
class _Alike:
    """Stuck pods that ask for the same."""

    keys: dict[Key, None] = field(default_factory=dict)
    why: set[str] = field(default_factory=set)  # the plugins that refused them


class Line:
    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}
        self._active: list[tuple[tuple[int, str, str, str], Key]] = []  # heaps; what has left meanwhile is skipped
        self._resting: list[tuple[float, Key]] = []
        self._roused: dict[Key, None] = {}
        self._deciding: dict[Key, None] = {}
        self._stuck: dict[Key, None] = {}  # the longest first
        self._alike: dict[str | None, dict[Profile, _Alike]] = {}  # by the one node they are for
        self._ruled: dict[tuple[str | None, Profile], None] = {}  # of those, whom rules about other pods keep waiting
        self.nominated: dict[str, dict[Key, Waiting]] = {}  # node -> pods that room is kept for there

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Waiting | None:
        entry = self._entries.get(key)
        return entry.one if entry is not None else None

    # ------------------------------------------------------------------ who waits

    def put(self, one: Waiting) -> bool:
        """A pod that is new or has changed; True when there is a reason to look."""
        if one.pod["spec"].get("schedulingGates"):
            self.drop(one.key)
            return False
        entry = self._entries.get(one.key)
        if entry is None:
            self._entries[one.key] = _Entry(one)
            self._nominate(one.key, "", one.nominated)
            self._activate(one.key)
            return True
        old = entry.one
        self._nominate(one.key, old.nominated, one.nominated, one)
        if old.pod["spec"] == one.pod["spec"] and labels_of(old.pod) == labels_of(one.pod):
            entry.one = replace(old, pod=one.pod, nominated=one.nominated)
            return False
        if entry.state == "stuck":
            self._unstick(one.key)
            self._rouse(one.key)
        entry.one = one
        return True

    def drop(self, key: Key) -> None:
        entry = self._entries.get(key)
        if entry is None:
            return
        if entry.state == "stuck":
            self._unstick(key)
        self._nominate(key, entry.one.nominated, "")
        self._roused.pop(key, None)
        self._deciding.pop(key, None)
        del self._entries[key]

    def keep_room(self, key: Key, node: str) -> None:
        """For a pod that will go there once its volumes do."""
        entry = self._entries.get(key)
        if entry is not None and entry.one.nominated != node:
            self._nominate(key, entry.one.nominated, node, entry.one)
            entry.one = replace(entry.one, nominated=node)

    def _nominate(self, key: Key, old: str, new: str, one: Waiting | None = None) -> None:
        if old and key in self.nominated.get(old, ()):
            del self.nominated[old][key]
            if not self.nominated[old]:
                del self.nominated[old]
        if new:
            self.nominated.setdefault(new, {})[key] = one or self._entries[key].one

    # ------------------------------------------------------------------ looks

    def take(self, now: float, most: int) -> list[Waiting]:
        """Those to be decided on now, the most important first."""
        for key in (*self._deciding, *self._roused):  # what was decided on and is still here was not bound after all
            self._wait_or_go(key, now)
        self._deciding.clear()
        self._roused.clear()
        while self._resting and self._resting[0][0] <= now:
            until, key = heappop(self._resting)
            entry = self._entries.get(key)
            if entry is not None and entry.state == "resting" and entry.until == until:
                self._activate(key)
        while self._stuck and self._entries[key := next(iter(self._stuck))].stuck_since + STUCK_S <= now:
            self._unstick(key)
            self._activate(key)
        taken: list[Waiting] = []
        while self._active and len(taken) < most:
            _, key = heappop(self._active)
            entry = self._entries.get(key)
            if entry is not None and entry.state == "active":
                entry.state = "deciding"
                self._deciding[key] = None
                taken.append(entry.one)
        return taken

    def refine(self, one: Waiting) -> Waiting:
        """What was found out about a pod that is being decided on stays known."""
        self._entries[one.key].one = one
        return one

    def undone(self, waiting: Iterable[Waiting]) -> None:
        """Not come to in this look."""
        for one in waiting:
            self._deciding.pop(one.key, None)
            self._activate(one.key)

    def tried(self, key: Key, now: float) -> None:
        entry = self._entries[key]
        entry.tries += 1
        entry.until = now + min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(entry.tries - 1, 10))

    def refused(self, key: Key, why: Iterable[str], now: float) -> None:
        self.tried(key, now)
        self._stick(key, why, now)

    def binds_volumes(self, key: Key, why: str, now: float) -> None:
        """It has its node, and waits for its claims; that is no refusal."""
        self._stick(key, (why,), now)

    def next_time(self) -> float | None:
        """When to look again if nothing happens."""
        while self._resting and not self._rests(*self._resting[0]):
            heappop(self._resting)
        times = [self._resting[0][0]] if self._resting else []
        if self._stuck:
            times.append(self._entries[next(iter(self._stuck))].stuck_since + STUCK_S)
        return min(times, default=None)

    @property
    def is_ready(self) -> bool:
        return bool(self._active or self._roused)

    def _rests(self, until: float, key: Key) -> bool:
        entry = self._entries.get(key)
        return entry is not None and entry.state == "resting" and entry.until == until

    def _wait_or_go(self, key: Key, now: float) -> None:
        entry = self._entries.get(key)
        if entry is None or entry.state not in ("deciding", "roused"):
            return
        if entry.until <= now:
            self._activate(key)
        else:
            entry.state = "resting"
            heappush(self._resting, (entry.until, key))

    def _activate(self, key: Key) -> None:
        entry = self._entries[key]
        entry.state = "active"
        heappush(self._active, (_importance(entry.one), key))

    # ------------------------------------------------------------------ what could help

    def hear(self, happened: Happened, fits: Fits, namespaces: NamespaceLabels) -> bool:
        """Wakes the stuck pods that it could help; True: some."""
        if not self._stuck:
            return False
        found: list[Key] = []
        if happened.places or happened.pod is not None:
            for node, profile in self._ruled:
                if happened.places or _concerns(profile[1], self._alike[node][profile].why, happened, namespaces):
                    found += self._alike[node][profile].keys
        if happened.room is not None:
            for node in (None, happened.room.name):
                for alike in self._alike.get(node, {}).values():
                    if alike.why - OTHER_PODS and fits(self._entries[next(iter(alike.keys))].one, happened.room):
                        found += alike.keys
        return self._wake(found)

    def wake_those_refused_by(self, plugins: Iterable[str]) -> bool:
        wanted = set(plugins)
        return self._wake([key for profiles in self._alike.values() for alike in profiles.values()
                           if alike.why & wanted for key in alike.keys])

    def _wake(self, keys: Iterable[Key]) -> bool:
        found = False
        for key in keys:
            if self._entries[key].state == "stuck":
                found = True
                self._unstick(key)
                self._rouse(key)
        return found

    def _rouse(self, key: Key) -> None:
        self._entries[key].state = "roused"
        self._roused[key] = None

    def _stick(self, key: Key, why: Iterable[str], now: float) -> None:
        entry = self._entries[key]
        self._deciding.pop(key, None)
        entry.state, entry.stuck_since = "stuck", now
        self._stuck[key] = None
        alike = self._alike.setdefault(entry.one.only_on, {}).setdefault(_profile(entry.one), _Alike())
        alike.keys[key] = None
        alike.why.update(why)
        if alike.why & OTHER_PODS:
            self._ruled[entry.one.only_on, _profile(entry.one)] = None

    def _unstick(self, key: Key) -> None:
        one = self._entries[key].one
        del self._stuck[key]
        profiles = self._alike[one.only_on]
        alike = profiles[_profile(one)]
        del alike.keys[key]
        if not alike.keys:
            del profiles[_profile(one)]
            self._ruled.pop((one.only_on, _profile(one)), None)
            if not profiles:
                del self._alike[one.only_on]


def _profile(one: Waiting) -> Profile:
    return one.shape, one.needs.wishes


def _concerns(wishes: Wishes, why: set[str], happened: Happened, namespaces: NamespaceLabels) -> bool:
    """Could what a pod did help one that rules speak of?  To be near it: by coming; apart: by leaving."""
    moved = happened.pod
    if moved is None:
        return False
    group = moved.wishes.group
    if SPREAD in why and any(one.counted.means(group, namespaces) for one in wishes.hard):
        return True
    if INTER_POD not in why:
        return False
    if any(count.means(group, namespaces) for count in wishes.together):
        return True
    return happened.left and (any(count.means(group, namespaces) for count in wishes.not_with)
                              or any(not held.weight and held.term.who.means(wishes.group, namespaces)
                                     for held in moved.wishes.held))


def _importance(one: Waiting) -> tuple[int, str, str, str]:
    """The most important first, then the oldest."""
    return (-one.needs.priority, one.pod["metadata"].get("creationTimestamp", ""),
            namespace_of(one.pod), name_of(one.pod))
