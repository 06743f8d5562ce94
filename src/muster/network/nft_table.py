"""A table of nftables as values, and the script that turns what the kernel has into what it should have (pure).

    Part     what one service adds: chains with their rules, sets that rules fill, elements of maps and sets
    Table    the frame that all parts hang in, and what the parts add up to

`script` is for `nft -f`, which takes all of it or nothing: packets meet the rules before or after, never between.
The first one replaces the whole table, whoever made it; each later one holds what differs, so that it costs what
changed, and sets that the kernel fills (who is bound to which endpoint) live on.
https://wiki.nftables.org/wiki-nftables/index.php/Atomic_rule_replacement
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Owner = tuple[str, str]
Element = tuple[str, str]  # the map or set, and the key in it
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Part:
    """Chains and sets have names that no other part uses; an element goes to the first who claims it."""

    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)  # name -> declaration
    elements: Mapping[Element, str] = field(default_factory=dict)  # -> the verdict; "" in a set


EMPTY = Part()


@dataclass(frozen=True)
class _Difference(Generic[_Key, _Value]):
    new: dict[_Key, _Value]
    changed: dict[_Key, _Value]
    stale: list[_Key]


class _Lane(Generic[_Key, _Value]):
    """What is wanted of one sort, what the kernel has, and where they may differ."""

    def __init__(self) -> None:
        self.wanted: dict[_Key, _Value] = {}
        self._there: dict[_Key, _Value] = {}
        self._touched: dict[_Key, None] = {}  # in this order

    def want(self, key: _Key, value: _Value | None) -> None:
        self._touched[key] = None
        if value is None:
            self.wanted.pop(key, None)
        else:
            self.wanted[key] = value

    def exchange(self, before: Mapping[_Key, _Value], after: Mapping[_Key, _Value]) -> None:
        for key in before:
            if key not in after:
                self.want(key, None)
        for key, value in after.items():
            if before.get(key) != value:
                self.want(key, value)

    def difference(self) -> _Difference[_Key, _Value]:
        found = _Difference[_Key, _Value]({}, {}, [])
        for key in self._touched:
            value, was = self.wanted.get(key), self._there.get(key)
            if value is None and was is not None:
                found.stale.append(key)
            elif value is not None and was is None:
                found.new[key] = value
            elif value is not None and value != was:
                found.changed[key] = value
        return found

    def settle(self, known: bool) -> None:
        """What is wanted is there now."""
        if not known:
            self._there = dict(self.wanted)
        for key in self._touched:
            if key in self.wanted:
                self._there[key] = self.wanted[key]
            else:
                self._there.pop(key, None)
        self._touched.clear()


class Table:
    """`frame`: the declarations that are always there, as nft reads them between the table's braces."""

    def __init__(self, name: str, frame: str):
        self.name, self._frame = name, frame
        self._parts: dict[Owner, Part] = {}
        self._claims: dict[Element, dict[Owner, str]] = {}
        self._chains, self._sets = _Lane[str, tuple[str, ...]](), _Lane[str, str]()
        self._elements = _Lane[Element, str]()
        self._known = False  # does the kernel have what was carried out last?

    def put(self, owner: Owner, part: Part | None) -> None:
        """What `owner` adds from now on; None: nothing."""
        before, after = self._parts.pop(owner, EMPTY), part or EMPTY
        if part is not None:
            self._parts[owner] = part
        if before == after:
            return
        self._chains.exchange(before.chains, after.chains)
        self._sets.exchange(before.sets, after.sets)
        for place in dict.fromkeys((*before.elements, *after.elements)):
            claims = self._claims.setdefault(place, {})
            claims.pop(owner, None)
            if place in after.elements:
                claims[owner] = after.elements[place]
            if claims:
                self._elements.want(place, claims[min(claims)])
            else:
                del self._claims[place]
                self._elements.want(place, None)

    def lost(self) -> None:
        """What the kernel has is not known (any more): the next script says everything."""
        self._known = False

    def script(self) -> str:
        """What is to be done; "" for nothing.  `done` says that it was."""
        if self._known:
            lines = self._difference()
        else:
            lines = [f"add table ip {self.name}", f"delete table ip {self.name}",
                     f"table ip {self.name} {{\n{self._frame}}}", *self._whole()]
        return "".join(f"{line}\n" for line in lines)

    def leaving(self) -> list[str]:
        """The chains that the script takes away."""
        return self._chains.difference().stale if self._known else []

    def done(self) -> None:
        """The script was carried out."""
        self._chains.settle(self._known)
        self._sets.settle(self._known)
        self._elements.settle(self._known)
        self._known = True

    def _whole(self) -> list[str]:
        return [*(self._set(name, said) for name, said in self._sets.wanted.items()),
                *(self._chain(name) for name in self._chains.wanted),
                *self._rules(self._chains.wanted.items()),
                *self._to_elements("add", self._elements.wanted.items())]

    def _difference(self) -> list[str]:
        """What is new before what names it; what is stale after nothing names it any more."""
        chains, sets, elements = self._chains.difference(), self._sets.difference(), self._elements.difference()
        assert not sets.changed, "a set that is declared otherwise has another name"
        return [*(self._set(name, said) for name, said in sets.new.items()),
                *(self._chain(name) for name in chains.new),
                *(f"flush chain ip {self.name} {name}" for name in (*chains.changed, *chains.stale)),
                *self._rules((chains.new | chains.changed).items()),
                *self._to_elements("delete", ((place, "") for place in (*elements.changed, *elements.stale))),
                *self._to_elements("add", (elements.new | elements.changed).items()),
                *self._gone("chain", chains.stale), *self._gone("set", sets.stale)]

    def _set(self, name: str, said: str) -> str:
        return f"add set ip {self.name} {name} {{ {said} }}"

    def _chain(self, name: str) -> str:
        return f"add chain ip {self.name} {name}"

    def _rules(self, chains: Iterable[tuple[str, tuple[str, ...]]]) -> list[str]:
        return [f"add rule ip {self.name} {name} {rule}" for name, rules in chains for rule in rules]

    def _to_elements(self, verb: str, elements: Iterable[tuple[Element, str]]) -> list[str]:
        return [f"{verb} element ip {self.name} {name} {{ {key}{f' : {verdict}' if verdict else ''} }}"
                for (name, key), verdict in elements]

    def _gone(self, what: str, names: Iterable[str]) -> list[str]:
        return [f"delete {what} ip {self.name} {name}" for name in names]
