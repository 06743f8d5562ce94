"""Approves what nodes ask for: a machine with a bootstrap token its first certificate, a node its next one.

A machine can not take the name of a node that is there and alive; once that one is gone, or not ready, it can.
https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#approval-controller
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.certificate_requests import APPROVED, DENIED, NODE_PREFIX, NODES, RESOURCE, node_of
from ..api.kinds.certificate_signing_request import conditions_of
from ..api.objects import Key, Obj, at, is_true, name_of, to_time, uid_of
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Patch, Plan
from ..control.runtime import Controller
from ..store.history import Change

BOOTSTRAPPERS = "system:bootstrappers"
ACCOUNT = "certificate-controller"
_AFTER_REVIEW = "Auto approving {}kubelet client certificate after SubjectAccessReview."


@dataclass(frozen=True)
class Observed:
    csr: Obj
    node: Obj | None  # whom the certificate would be for, if it is there


def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
    if change.value is not None and not conditions_of(change.value):
        yield change.key.name


def observe(mirror: Mirror, name: str) -> Observed | None:
    csr = mirror.get(Key(RESOURCE, "", name))
    if csr is None:
        return None
    node = node_of(csr)
    return Observed(csr, mirror.get(Key("nodes", "", node)) if node else None)


def plan(seen: Observed, now: float) -> Plan:
    csr, name = seen.csr, node_of(seen.csr)
    if not name or conditions_of(csr):
        return NOTHING
    groups = csr["spec"].get("groups") or ()
    if csr["spec"].get("username") == NODE_PREFIX + name and NODES in groups:
        return _decided(csr, APPROVED, "AutoApproved", _AFTER_REVIEW.format("self "), now)
    if BOOTSTRAPPERS not in groups:
        return NOTHING
    if seen.node is not None and is_true(seen.node, "Ready"):
        return _decided(csr, DENIED, "NameTaken", f"node {name} is there and ready; choose another name, "
                                                  f"or take it away first with `kubectl delete node {name}`", now)
    return _decided(csr, APPROVED, "AutoApproved", _AFTER_REVIEW.format(""), now)


def _decided(csr: Obj, type_: str, reason: str, message: str, now: float) -> Plan:
    moment = to_time(now)
    condition = {"type": type_, "status": "True", "reason": reason, "message": message, "lastUpdateTime": moment,
                 "lastTransitionTime": moment}
    told = [*(at(csr, "status.conditions") or ()), condition]
    return Plan([Patch(Key(RESOURCE, "", name_of(csr)), uid_of(csr), {"status": {"conditions": told}},
                       subresource="approval")])


controller = Controller("csrapproving", (RESOURCE, "nodes"), lambda change, mirror: (
    wakes(change, mirror) if change.key.resource == RESOURCE else ()), observe, plan, account=ACCOUNT)
