"""Writes into each ResourceQuota how much of it is used.

    observe   the quota, and what the ledger of this mirror has counted for it
    decide    status.hard as the specification has it, status.used as it was counted

The ledger (api/quota_ledger.py) counts change by change, so that a namespace of ten thousand pods is looked
through once, when its quota appears.  A pod that should long be gone stops counting by the passing of time:
the next such moment is when to look again.  The server holds writes to quotas by a ledger of its own.

https://kubernetes.io/docs/concepts/policy/resource-quotas/#viewing-and-setting-quotas
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary, ref

from ..api.amounts import Amounts
from ..api.kinds.catalogue import Kinds
from ..api.objects import Key, Obj, at, is_deleting, name_of, namespace_of, uid_of
from ..api.quota_ledger import RESOURCE, Account, Ledger, Version
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.plan import Plan, SetStatus
from ..control.runtime import Controller
from ..store.history import Change


@dataclass(frozen=True, slots=True)
class Observed:
    quota: Obj
    account: Account


# ------------------------------------------------------------------ when to look

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    key = change.key
    if key.resource == RESOURCE:
        return (key,)
    quotas = mirror.in_namespace(RESOURCE, key.namespace)
    if not quotas:
        return ()
    found = _LEDGERS.get(mirror)
    accounts = found.of(key.namespace) if found is not None else {}
    return [Key(RESOURCE, key.namespace, name) for name in quotas
            if name not in accounts or _touches(accounts[name], change)]


def _touches(account: Account, change: Change) -> bool:
    resource = change.key.resource
    return resource in account.names and (
        account.taken(Version(resource, change.previous)) != account.taken(Version(resource, change.value))
        or _starts_to_go(change))


def _starts_to_go(change: Change) -> bool:
    """A pod that is now being deleted stops counting some time later, even if it stays."""
    return (change.previous is not None and change.value is not None
            and is_deleting(change.value) and not is_deleting(change.previous))


# ------------------------------------------------------------------ the look

def observe(mirror: Mirror, key: Key) -> Observed | None:
    quota, account = mirror.get(key), ledger(mirror).of(key.namespace).get(key.name)
    return Observed(quota, account) if quota is not None and account is not None else None


_LEDGERS: WeakKeyDictionary[Mirror, Ledger] = WeakKeyDictionary()


def ledger(mirror: Mirror) -> Ledger:
    """The ledger that follows this mirror; made, over what is there, at the first look."""
    found = _LEDGERS.get(mirror)
    if found is None:
        found = _LEDGERS[mirror] = _following(mirror)
    return found


def _following(mirror: Mirror) -> Ledger:
    seen = ref(mirror)  # the mirror holds the ledger by its listener, not the other way round

    def objects(resource: str, namespace: str) -> Iterator[tuple[Key, Obj]]:
        there = seen()
        assert there is not None, "only the mirror makes its ledger count"
        return ((Key(resource, namespace, name), obj)
                for name, obj in there.in_namespace(resource, namespace).items())

    made = Ledger(objects, mirror.resources)
    for (namespace, name), quota in mirror.objects(RESOURCE).items():
        made.open(Key(RESOURCE, namespace, name), quota)
    mirror.on_change(lambda change: made.hear([(change.key, change.previous, change.value)]))
    return made


# ------------------------------------------------------------------ the decision

def plan(seen: Observed, now: float) -> Plan:
    quota, account = seen.quota, seen.account
    status = {"hard": at(quota, "spec.hard", {}), "used": _written(account.used_at(now))}
    wake_at = account.next_end(now)
    if status == quota.get("status"):
        return Plan(wake_at=wake_at)
    return Plan([SetStatus(Key(RESOURCE, namespace_of(quota), name_of(quota)), uid_of(quota), status)], wake_at)


def _written(used: Amounts) -> dict[str, str]:
    return {name: str(used[name]) for name in sorted(used)}


def resource_quota_controller(kinds: Kinds) -> Controller:
    """Any kind that has a namespace may be counted."""
    counted = (kind.resource for kind in kinds.stored() if kind.namespaced and kind.resource != RESOURCE)
    return Controller("resourcequota-controller", (RESOURCE, *(Changes(one, concerning=RESOURCE) for one in counted)),
                      wakes, observe, plan)
