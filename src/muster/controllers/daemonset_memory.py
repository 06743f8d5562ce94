"""What the DaemonSet controller keeps in mind between two looks at a set.

    Memories    of all sets: which of their pods changed since, and the nodes as long as they stay as they are
    Memory      of one: how often failed pods were replaced (upstream keeps that in memory too), what was read and told

All but the failures could be read again from the cluster: a controller that starts over reads it all once.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import is_

from ..api.objects import Key, Obj, controller_of, name_of, namespace_of, owners_of, uid_of
from ..client.mirror import Mirror
from ..control.revisions import Past
from ..store.history import Change
from .daemonset_board import Board
from .daemonset_places import Failure

RESOURCE = "daemonsets.apps"
MOST_SETS = 4096  # whose failures are remembered


def key_of(daemonset: Obj) -> Key:
    return Key(RESOURCE, namespace_of(daemonset), name_of(daemonset))


class Own:
    """The pods that are the set's own and need nothing done for that, by name; and which the board has not heard of."""

    def __init__(self) -> None:
        self.all: dict[str, Obj] = {}
        self.unread: dict[str, Obj | None] = {}

    def note(self, touched: Mapping[str, Obj | None]) -> None:
        """None: it is not (any more)."""
        self.unread.update(touched)
        for name, pod in touched.items():
            if pod is None:
                self.all.pop(name, None)
            else:
                self.all[name] = pod


@dataclass(frozen=True, slots=True)
class Kept:
    """A history in which nothing was to be done, and what it was found in."""

    template: Obj
    revisions: Sequence[Obj]
    past: Past

    def holds(self, template: Obj, revisions: Sequence[Obj]) -> bool:
        return (template is self.template and len(revisions) == len(self.revisions)
                and all(map(is_, revisions, self.revisions)))


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read so far: the next look reads what changed since."""

    selector: Obj
    own: Own
    board: Board | None = None
    kept: Kept | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """When failed pods were ended, by node (a new generation of the set starts afresh); what was read, and told."""

    generation: int = 0
    failures: Mapping[str, Failure] = field(default_factory=dict)
    reading: Reading | None = None
    said: Obj | None = None  # its status


NO_MEMORY = Memory()


class Memories:
    """The memory of every set that is there, and which of its pods changed since it was last looked at."""

    def __init__(self) -> None:
        self._nodes: Sequence[Obj] | None = None  # None: one of them changed since
        self._of: dict[Key, tuple[str, Memory]] = {}  # with the uid: never that of a namesake
        self._touched: dict[str, dict[str, None]] = {}  # uid of a set -> names of pods

    def of(self, daemonset: Obj) -> Memory:
        uid, memory = self._of.get(key_of(daemonset), ("", NO_MEMORY))
        return memory if uid == uid_of(daemonset) else NO_MEMORY

    def keep(self, daemonset: Obj, memory: Memory) -> None:
        key = key_of(daemonset)
        if key not in self._of and len(self._of) >= MOST_SETS:
            del self._of[next(iter(self._of))]
        self._of[key] = uid_of(daemonset), memory

    def forget(self, key: Key) -> None:
        uid, _ = self._of.pop(key, ("", None))
        self._touched.pop(uid, None)

    def hear(self, change: Change) -> None:
        """A pod changed: whoever controls it, or did, looks at it again.  A node did: everybody looks at all again."""
        if change.key.resource == "nodes":
            self._nodes = None
            return
        old, new = change.previous, change.value
        same = old is not None and new is not None and owners_of(old) is owners_of(new)
        for pod in (new,) if same else (old, new):
            controller = controller_of(pod) if pod is not None else None
            if controller is not None and (touched := self._touched.get(controller["uid"])) is not None:
                touched[change.key.name] = None

    def nodes(self, mirror: Mirror) -> Sequence[Obj]:
        """The very same list, for as long as they stay as they are."""
        if self._nodes is None:
            self._nodes = list(mirror.objects("nodes").values())
        return self._nodes

    def is_echo(self, change: Change) -> bool:
        """Is it a set's status coming back as it was last decided?"""
        new = change.value
        return new is not None and change.is_of_status and self.of(new).said == new.get("status")

    def touched(self, daemonset: Obj) -> Iterable[str] | None:
        """None: nobody has listened so far."""
        return self._touched.get(uid_of(daemonset))

    def read(self, daemonset: Obj) -> None:
        """All that was touched was looked at."""
        if uid_of(daemonset) not in self._touched and len(self._touched) >= MOST_SETS:
            del self._touched[next(iter(self._touched))]
        self._touched[uid_of(daemonset)] = {}
