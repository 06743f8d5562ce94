"""Requests for certificates do not stay: decided ones go after an hour, those that nobody decided after a day.

https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#request-signing-process
"""
from __future__ import annotations

from collections.abc import Iterable

from ..api.certificate_requests import APPROVED, RESOURCE
from ..api.objects import Key, Obj, at, from_time, name_of, revision_of, uid_of
from ..client.mirror import Mirror
from ..control.plan import Delete, Plan
from ..control.runtime import Controller
from ..store.history import Change
from .certificate_approval import ACCOUNT

DECIDED_KEPT_S, PENDING_KEPT_S = 3600.0, 86_400.0


def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
    if change.value is not None:
        yield change.key.name


def observe(mirror: Mirror, name: str) -> Obj | None:
    return mirror.get(Key(RESOURCE, "", name))


def kept_until(csr: Obj) -> float:
    created = from_time(csr["metadata"]["creationTimestamp"])
    until = created + PENDING_KEPT_S
    for condition in at(csr, "status.conditions") or ():
        if condition.get("type") == APPROVED and not at(csr, "status.certificate"):
            continue  # it waits for its signer
        decided = condition.get("lastUpdateTime")
        until = min(until, (from_time(decided) if decided else created) + DECIDED_KEPT_S)
    return until


def plan(csr: Obj, now: float) -> Plan:
    until = kept_until(csr)
    if until > now:
        return Plan(wake_at=until)
    # It may have been decided meanwhile.
    return Plan([Delete(Key(RESOURCE, "", name_of(csr)), uid_of(csr), revision=revision_of(csr))])


controller = Controller("csrcleaner", (RESOURCE,), wakes, observe, plan, account=ACCOUNT)
