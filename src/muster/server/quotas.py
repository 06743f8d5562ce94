"""Holds every write to the quotas of its namespace, so that no number of them at once can exceed one.

The ledger counts what is stored.  A write that is admitted also holds what it will add, from that moment until
the ledger has heard of it or it has failed; checking and holding happen without a pause between them.

    charge(attempt, key)    Forbidden, naming the quota; or what the write now holds
    release(charge)         the write has ended

`status.used` is written by the quota controller; nothing is decided by it.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#resourcequota
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..api.amounts import NONE, Amount, Amounts, add
from ..api.objects import Key, Obj
from ..api.quota_ledger import RESOURCE, Account, Ledger
from ..api.quota_usage import CLAIMS, NEVER_COUNTED, PODS, SERVICES, unsaid, usage
from ..store.history import Change, History
from .admission import Attempt, refused
from .listing import between

_CHARGED_AGAIN = frozenset((SERVICES, CLAIMS))  # whose change may take more; all others are charged once


@dataclass(eq=False, slots=True)
class Charge:
    """What one write holds of each account; let go once."""

    key: Key
    parts: list[tuple[Account, Amounts]] = field(default_factory=list)


class Quotas:
    def __init__(self, history: History, resources: Collection[str], now: Callable[[], float]):
        self._history = history
        self._now = now
        self._ledger = Ledger(self._objects, resources)
        self._held: dict[Key, list[Charge]] = {}  # bounded by the writes under way
        for (namespace, name), snapshot in history.lane(RESOURCE).objects.items():
            self._ledger.open(Key(RESOURCE, namespace, name), snapshot.value)
        history.on_append(self._follow)

    def charge(self, attempt: Attempt, key: Key) -> Charge | None:
        accounts = self._ledger.of(key.namespace)
        if not accounts or attempt.subresource or key.resource in NEVER_COUNTED or not (
                attempt.operation == "CREATE" or key.resource in _CHARGED_AGAIN):
            return None
        concerned = [accounts[name] for name in sorted(accounts)
                     if accounts[name].concerns(key.resource, attempt.obj)]
        if key.resource == PODS:
            _check_said(attempt, concerned)
        added = _added(attempt, key.resource)
        charge = Charge(key)
        for account in concerned:
            asked = {name: added[name] for name in account.names[key.resource] if name in added}
            if asked:
                self._check(attempt, account, asked)
                charge.parts.append((account, asked))
        if not charge.parts:
            return None
        for account, asked in charge.parts:
            add(account.held, asked)
        self._held.setdefault(key, []).append(charge)
        return charge

    def release(self, charge: Charge | None) -> None:
        if charge is not None and charge in self._held.get(charge.key, ()):
            self._held[charge.key].remove(charge)
            if not self._held[charge.key]:
                del self._held[charge.key]
            _let_go(charge)

    def _check(self, attempt: Attempt, account: Account, asked: Amounts) -> None:
        if _exceeded(account, account.used, asked):  # only then does it matter who should long be gone
            used = account.used_at(self._now())
            if exceeded := _exceeded(account, used, asked):
                add(used, account.held)
                raise refused(attempt, f"exceeded quota: {account.quota['metadata']['name']}, "
                                       f"requested: {_told(asked, exceeded)}, used: {_told(used, exceeded)}, "
                                       f"limited: {_told(account.hard, exceeded)}")

    # ---- what is stored

    def _follow(self, changes: Sequence[Change]) -> None:
        if self._held:
            for change in changes:
                # Whatever else is under way for this object expected it otherwise, and will fail.
                for charge in self._held.pop(change.key, ()):
                    _let_go(charge)
        limited = self._ledger.accounts
        counted = [(change.key, change.previous, change.value) for change in changes
                   if change.key.namespace in limited or change.key.resource == RESOURCE]
        if counted:
            self._ledger.hear(counted)

    def _objects(self, resource: str, namespace: str) -> Iterable[tuple[Key, Obj]]:
        lane = self._history.lane(resource)
        return ((Key(resource, *place), lane.objects[place].value) for place in between(lane, namespace))


def _let_go(charge: Charge) -> None:
    for account, asked in charge.parts:
        add(account.held, asked, -1)


def _check_said(attempt: Attempt, accounts: Iterable[Account]) -> None:
    for account in accounts:
        if missing := unsaid(account.names[PODS], attempt.obj):
            raise refused(attempt, f"failed quota: {account.quota['metadata']['name']}: must specify {missing}")


def _added(attempt: Attempt, resource: str) -> Amounts:
    """What the write takes more than is taken now."""
    taken = usage(resource, attempt.obj)
    if negative := sorted(name for name, one in taken.items() if one.value < 0):
        raise refused(attempt, f"quota usage is negative for resource(s): {','.join(negative)}")
    if attempt.old:
        add(taken, usage(resource, attempt.old), -1)
    return {name: one for name, one in taken.items() if one.value > 0}


def _exceeded(account: Account, used: Mapping[str, Amount], asked: Amounts) -> list[str]:
    return sorted(name for name, more in asked.items()
                  if used.get(name, NONE).value + account.held.get(name, NONE).value + more.value
                  > account.hard[name].value)


def _told(found: Mapping[str, Amount], names: Iterable[str]) -> str:
    return ",".join(f"{name}={found.get(name, NONE)}" for name in names)
