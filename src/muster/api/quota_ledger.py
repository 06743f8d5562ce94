"""How much of its quotas each namespace uses, kept current change by change.

A quota is counted once, over the objects of its namespace, when it appears or is changed; from then on every
change adds what the object takes now and takes off what it took.  A namespace without a quota costs nothing,
and nothing is ever looked through for a single write.

    hear(key, before, after)    an object, or a quota itself, has changed
    of(namespace)               its accounts, by the name of the quota

An account's `used_at(now)` leaves out pods that should long be gone (see `counts_until`).
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from . import quota_usage
from .amounts import Amount, Amounts, add, amounts
from .objects import Key, Obj, at, uid_of
from .quota_scopes import matches_scopes, selectors_of
from .quota_usage import COUNT, PODS, counts_until, has_ended, resource_of, usage

RESOURCE = "resourcequotas"
ObjectsOf = Callable[[str, str], Iterable[tuple[Key, Obj]]]  # (resource, namespace) -> what is there


class Version:
    """An object before or after a change; what it takes is computed once, if anybody asks."""

    __slots__ = ("resource", "obj", "_usage")

    def __init__(self, resource: str, obj: Obj | None):
        self.resource = resource
        self.obj = obj
        self._usage: Amounts | None = None

    def usage(self) -> Amounts:
        if self._usage is None:
            self._usage = usage(self.resource, self.obj) if self.obj is not None else {}
        return self._usage


def _takes_the_same(resource: str, before: Obj | None, after: Obj | None) -> bool:
    """The usual change of a pod: its status, but not whether it has ended."""
    return (resource == PODS and before is not None and after is not None
            and before.get("spec") is after.get("spec") and has_ended(before) == has_ended(after))


class Account:
    """One quota: its limits, and what counts against them."""

    def __init__(self, quota: Obj, known: Collection[str]):
        self.quota = quota
        self.uid = uid_of(quota)
        self.held: Amounts = {}  # by writes that are admitted, and not yet seen
        self.change(quota, known)

    def change(self, quota: Obj, known: Collection[str]) -> None:
        """Takes the quota's limits; what it had counted is forgotten."""
        self.quota = quota
        self.hard = amounts(at(quota, "spec.hard"))
        self.selectors = selectors_of(quota)
        names: dict[str, list[str]] = {}
        for name in sorted(self.hard):
            if (resource := resource_of(name)) in known:
                names.setdefault(resource, []).append(name)
        self.names = names  # resource -> the limits its objects count against
        self.used: Amounts = {name: Amount(0) for resource in names for name in names[resource]}
        self._going: dict[Key, tuple[float, Amounts]] = {}

    def concerns(self, resource: str, obj: Obj) -> bool:
        return resource in self.names and matches_scopes(self.selectors, resource, obj)

    def taken(self, version: Version) -> Amounts:
        if version.obj is None or not self.concerns(version.resource, version.obj):
            return {}
        found = version.usage()
        return {name: found[name] for name in self.names[version.resource] if name in found}

    def count(self, key: Key, before: Version, after: Version) -> None:
        if key.resource not in self.names:
            return
        now = self.taken(after)
        if not _takes_the_same(key.resource, before.obj, after.obj):
            add(self.used, self.taken(before), -1)
            add(self.used, now)
        if key.resource == PODS:
            self._going.pop(key, None)
            until = counts_until(after.obj) if after.obj is not None and now else None
            if until is not None:
                self._going[key] = until, {name: one for name, one in now.items() if name != COUNT + PODS}

    def used_at(self, now: float) -> Amounts:
        used = dict(self.used)
        for until, taken in self._going.values():
            if until < now:
                add(used, taken, -1)
        return used

    def next_end(self, now: float) -> float | None:
        """When the next pod stops counting by the passing of time alone."""
        return min((until for until, _ in self._going.values() if until >= now), default=None)


class Ledger:
    def __init__(self, objects: ObjectsOf, known: Collection[str]):
        self._objects = objects
        self._known = frozenset(known) - quota_usage.NEVER_COUNTED
        self.accounts: dict[str, dict[str, Account]] = {}  # of the namespaces that have a quota

    def of(self, namespace: str) -> Mapping[str, Account]:
        return self.accounts.get(namespace, {})

    def open(self, key: Key, quota: Obj) -> None:
        """Counts from the beginning, over everything that is there now."""
        accounts = self.accounts.setdefault(key.namespace, {})
        account = accounts.get(key.name)
        if account is None or account.uid != uid_of(quota):
            account = accounts[key.name] = Account(quota, self._known)
        else:
            account.change(quota, self._known)
        for resource in account.names:
            for place, obj in self._objects(resource, key.namespace):
                account.count(place, Version(resource, None), Version(resource, obj))

    def close(self, key: Key) -> None:
        accounts = self.accounts.get(key.namespace, {})
        accounts.pop(key.name, None)
        if not accounts:
            self.accounts.pop(key.namespace, None)

    def hear(self, changes: Iterable[tuple[Key, Obj | None, Obj | None]]) -> None:
        """Changes (key, before, after) that the objects already show, all of them."""
        opened: dict[Key, Obj] = {}
        for key, before, after in changes:
            if accounts := self.of(key.namespace):
                versions = Version(key.resource, before), Version(key.resource, after)
                for account in accounts.values():
                    account.count(key, *versions)
            if key.resource == RESOURCE:
                opened.pop(key, None)
                if after is None:
                    self.close(key)
                elif before is None or at(before, "spec") != at(after, "spec") or uid_of(before) != uid_of(after):
                    opened[key] = after
        for key, quota in opened.items():
            self.open(key, quota)
