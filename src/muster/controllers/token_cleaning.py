"""Bootstrap tokens are deleted once they have expired.

https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#token-format
"""
from __future__ import annotations

from collections.abc import Iterable

from ..api.objects import Key, Obj, namespace_of, revision_of, uid_of
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Delete, Plan
from ..control.runtime import Controller
from ..server.bootstrap_tokens import NAMESPACE, TYPE, expires_at
from ..store.history import Change

SECRETS = "secrets"


def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    if change.value is not None and change.value.get("type") == TYPE and namespace_of(change.value) == NAMESPACE:
        yield change.key


def observe(mirror: Mirror, key: Key) -> tuple[Key, Obj] | None:
    secret = mirror.get(key)
    return (key, secret) if secret is not None else None


def plan(seen: tuple[Key, Obj], now: float) -> Plan:
    key, secret = seen
    ends = expires_at(secret)
    if ends is None:
        return NOTHING
    if ends > now:
        return Plan(wake_at=ends)
    # It may have been given more time meanwhile.
    return Plan([Delete(key, uid_of(secret), revision=revision_of(secret))])


controller = Controller("token-cleaner", (SECRETS,), wakes, observe, plan)
