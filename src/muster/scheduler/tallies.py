"""How many pods of which kind are in each zone, on each host, ...: kept, not counted again for every pod.

Terms and constraints ask two things of the pods that are there:

    how many of those it means are at each value of its key      a Tally for its `Count`
    which of them hold a term that means it, and where           a Tally for each `Held`

A tally is made when it is first asked for, from groups (pods of one template are one group: their labels
are matched once), and then follows each pod that comes or goes: the work is in proportion to what changed.
`Draft` lays the pods of one look over the tallies without changing them.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..api.objects import Obj
from .terms import Count, Group, Held, NamespaceLabels, Wishes

MOST_TALLIES = 4_000  # then all are let go, and made again when asked for
MOST_GROUPS = 20_000  # groups whose holders are remembered


class Tally:
    """Numbers by the value of a topology key."""

    __slots__ = ("counts", "nodes", "levels")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.nodes: dict[str, int] = {}  # value -> how many nodes have it (kept where the lowest is asked for)
        self.levels: dict[int, int] = {}  # number -> how many of the values in `nodes` have it

    def copy(self) -> Tally:
        other = Tally()
        other.counts, other.nodes, other.levels = dict(self.counts), dict(self.nodes), dict(self.levels)
        return other

    @property
    def lowest(self) -> int:
        return min(self.levels, default=0)

    def add(self, value: str, more: int) -> None:
        before = self.counts.get(value, 0)
        if value in self.nodes:
            self._level(before, -1)
            self._level(before + more, 1)
        if before + more:
            self.counts[value] = before + more
        else:
            del self.counts[value]

    def add_node(self, value: str, more: int) -> None:
        there = self.nodes.get(value, 0)
        if there + more:
            self.nodes[value] = there + more
        else:
            del self.nodes[value]
        if not there or not there + more:
            self._level(self.counts.get(value, 0), 1 if more > 0 else -1)

    def _level(self, number: int, more: int) -> None:
        there = self.levels.get(number, 0) + more
        if there:
            self.levels[number] = there
        else:
            del self.levels[number]


class Tallies:
    """What holds for all pods that are on nodes."""

    def __init__(self) -> None:
        self.namespaces: dict[str, Mapping[str, str]] = {}  # labels of namespaces
        self._nodes: dict[str, Obj] = {}
        self._groups: dict[Group, dict[str, list[int]]] = {}  # -> node -> [pods, of which on their way out]
        self._counts: dict[Count, Tally] = {}
        self._asked: dict[Group, list[Count]] = {}  # the counts that mean a group
        self._held: dict[Held, Tally] = {}
        self._about: dict[Group, list[Held]] = {}  # the held terms that mean a group

    # ------------------------------------------------------------------ what is asked

    def tally(self, count: Count) -> Tally:
        found = self._counts.get(count)
        if found is None:
            if len(self._counts) >= MOST_TALLIES:
                self._forget_counts()
            found = self._counts[count] = self._counted(count)
        return found

    def is_kept(self, count: Count) -> bool:
        return count in self._counts

    def asked_of(self, group: Group) -> Iterable[Count]:
        """The kept counts that mean pods of this group."""
        found = self._asked.get(group)
        if found is None:
            found = [count for count in self._counts if count.means(group, self.namespaces)]
            if len(self._asked) >= MOST_GROUPS:
                self._asked.clear()
            self._asked[group] = found
        return found

    def held(self, held: Held) -> Tally | None:
        return self._held.get(held)

    def held_about(self, group: Group) -> list[Held]:
        """The terms of pods on nodes that mean a pod of this group."""
        if not self._held:
            return []
        found = self._about.get(group)
        if found is None:
            if len(self._about) >= MOST_GROUPS:
                self._about.clear()
            found = self._about[group] = [one for one in self._held if one.term.who.means(group, self.namespaces)]
        return found

    def _counted(self, count: Count) -> Tally:
        tally = Tally()
        if count.evenly:
            for node in self._nodes.values():
                if (value := count.value_on(node)) is not None:
                    tally.add_node(value, 1)
        for group, places in self._groups.items():
            if not count.means(group, self.namespaces):
                continue
            for name, (pods, leaving) in places.items():
                number = pods - leaving if count.staying else pods
                if number and (value := count.value_on(self._nodes[name])) is not None:
                    tally.add(value, number)
        for group, asked in self._asked.items():
            if count.means(group, self.namespaces):
                asked.append(count)
        return tally

    # ------------------------------------------------------------------ what changes

    def add_node(self, node: Obj) -> None:
        self._nodes[node["metadata"]["name"]] = node
        self._note_node(node, 1)

    def remove_node(self, name: str) -> None:
        """Its pods were taken off before."""
        self._note_node(self._nodes.pop(name), -1)

    def _note_node(self, node: Obj, more: int) -> None:
        for count, tally in self._counts.items():
            if count.evenly and (value := count.value_on(node)) is not None:
                tally.add_node(value, more)

    def add_pod(self, node: str, wishes: Wishes, leaving: bool, more: int = 1) -> None:
        group = wishes.group
        places = self._groups.setdefault(group, {})
        place = places.setdefault(node, [0, 0])
        place[0] += more
        place[1] += more * leaving
        if not place[0]:
            del places[node]
            if not places:
                del self._groups[group]
        there = self._nodes[node]
        if self._counts:
            for count in self.asked_of(group):
                if not (leaving and count.staying) and (value := count.value_on(there)) is not None:
                    self._counts[count].add(value, more)
        for one in wishes.held:
            value = (there["metadata"].get("labels") or {}).get(one.term.key)
            if value is None:
                continue
            tally = self._held.get(one)
            if tally is None:
                tally = self._held[one] = Tally()
                for other, known in self._about.items():
                    if one.term.who.means(other, self.namespaces):
                        known.append(one)
            tally.add(value, more)
            if not tally.counts:
                del self._held[one]
                for known in self._about.values():
                    if one in known:
                        known.remove(one)

    def remove_pod(self, node: str, wishes: Wishes, leaving: bool) -> None:
        self.add_pod(node, wishes, leaving, -1)

    def label_namespace(self, name: str, labels: Mapping[str, str] | None) -> bool:
        """True when what terms mean may have changed."""
        if (self.namespaces.get(name) or {}) == (labels or {}):
            return False
        if labels:
            self.namespaces[name] = labels
        else:
            del self.namespaces[name]
        self._forget_counts()
        self._about.clear()
        return True

    def _forget_counts(self) -> None:
        self._counts.clear()
        self._asked.clear()


class Draft:
    """The tallies as they will be once this look is carried out.  What it is laid over stays as it is."""

    def __init__(self, tallies: Tallies):
        self._base = tallies
        self._counts: dict[Count, Tally] = {}
        self._held: dict[Held, Tally] = {}
        self._moved: list[tuple[Obj, Group, bool, int]] = []

    @property
    def namespaces(self) -> NamespaceLabels:
        return self._base.namespaces

    def tally(self, count: Count) -> Tally:
        found = self._counts.get(count)
        if found is not None:
            return found
        if self._base.is_kept(count):
            return self._base.tally(count)
        self._base.tally(count)
        for node, group, leaving, more in self._moved:
            if count.means(group, self.namespaces):
                self._add(count, node, leaving, more)
        return self._counts.get(count) or self._base.tally(count)

    def held(self, held: Held) -> Tally:
        return self._held.get(held) or self._base.held(held) or Tally()

    def held_about(self, group: Group) -> list[Held]:
        new = [held for held in self._held
               if self._base.held(held) is None and held.term.who.means(group, self.namespaces)]
        return [*self._base.held_about(group), *new] if new else self._base.held_about(group)

    def place(self, node: Obj, wishes: Wishes, *, leaving: bool = False, more: int = 1) -> None:
        group = wishes.group
        self._moved.append((node, group, leaving, more))
        for count in self._base.asked_of(group):
            self._add(count, node, leaving, more)
        for held in wishes.held:
            value = (node["metadata"].get("labels") or {}).get(held.term.key)
            if value is not None:
                if held not in self._held:
                    known = self._base.held(held)
                    self._held[held] = known.copy() if known is not None else Tally()
                self._held[held].add(value, more)

    def take_away(self, node: Obj, wishes: Wishes, *, leaving: bool = False) -> None:
        self.place(node, wishes, leaving=leaving, more=-1)

    def _add(self, count: Count, node: Obj, leaving: bool, more: int) -> None:
        if leaving and count.staying:
            return
        value = count.value_on(node)
        if value is not None:
            if count not in self._counts:
                self._counts[count] = self._base.tally(count).copy()
            self._counts[count].add(value, more)
