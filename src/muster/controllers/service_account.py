"""Every namespace has a service account called `default`, for pods that name none.

https://kubernetes.io/docs/concepts/security/service-accounts/#default-service-accounts
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.objects import Key, Obj, is_deleting, name_of
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Create, Plan
from ..control.runtime import Controller
from ..store.history import Change

ACCOUNTS, DEFAULT = "serviceaccounts", "default"


@dataclass(frozen=True)
class Observed:
    namespace: Obj
    has_default: bool


def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
    if change.key.resource == "namespaces" and change.value is not None:
        yield change.key.name
    elif change.key.resource == ACCOUNTS and change.value is None and change.key.name == DEFAULT:
        yield change.key.namespace


def observe(mirror: Mirror, name: str) -> Observed | None:
    namespace = mirror.get(Key("namespaces", "", name))
    if namespace is None or is_deleting(namespace):
        return None
    return Observed(namespace, mirror.get(Key(ACCOUNTS, name, DEFAULT)) is not None)


def plan(seen: Observed, now: float) -> Plan:
    if seen.has_default:
        return NOTHING
    return Plan([Create({"apiVersion": "v1", "kind": "ServiceAccount",
                         "metadata": {"name": DEFAULT, "namespace": name_of(seen.namespace)}})])


controller = Controller("service-account-controller", ("namespaces", ACCOUNTS), wakes, observe, plan)
