"""Signs what was approved.  The signature itself is made outside: `sign` has the authority's key.

https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#signer-control-plane
"""
from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..api.certificate_requests import (
    APPROVED,
    CLIENT,
    DENIED,
    FAILED,
    KUBELET_CLIENT,
    RESOURCE,
    pem_of,
    wrong_for_signer,
)
from ..api.kinds.certificate_signing_request import conditions_of
from ..api.objects import Key, Obj, at, name_of, to_time, uid_of
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Patch, Plan
from ..control.runtime import Controller
from ..store.history import Change
from .certificate_approval import ACCOUNT

Sign = Callable[[bytes, float, float], bytes]  # (request in PEM, from when, for how many seconds) -> chain in PEM

LONGEST_S = 365 * 86_400.0
SIGNERS = (CLIENT, KUBELET_CLIENT)


@dataclass(frozen=True)
class Observed:
    csr: Obj
    sign: Sign


def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
    if change.value is not None and _is_due(change.value):
        yield change.key.name


def _is_due(csr: Obj) -> bool:
    types = conditions_of(csr)
    return (APPROVED in types and DENIED not in types and FAILED not in types and not at(csr, "status.certificate")
            and csr["spec"].get("signerName") in SIGNERS)


def plan(seen: Observed, now: float) -> Plan:
    """The one plan that is not the same each time: every certificate has a serial number by chance."""
    csr = seen.csr
    if not _is_due(csr):
        return NOTHING
    key, status = Key(RESOURCE, "", name_of(csr)), csr.get("status") or {}
    if wrong := wrong_for_signer(csr):
        moment = to_time(now)
        failed = {"type": FAILED, "status": "True", "reason": "SignerValidationFailure", "message": wrong,
                  "lastUpdateTime": moment, "lastTransitionTime": moment}
        status = {"conditions": [*status.get("conditions", ()), failed]}
    else:
        lasts = min(LONGEST_S, float(csr["spec"].get("expirationSeconds") or LONGEST_S))
        status = {"certificate": base64.b64encode(seen.sign(pem_of(csr), now, lasts)).decode()}
    return Plan([Patch(key, uid_of(csr), {"status": status}, subresource="status")])


def certificate_signing(sign: Sign) -> Controller:
    def observe(mirror: Mirror, name: str) -> Observed | None:
        csr = mirror.get(Key(RESOURCE, "", name))
        return Observed(csr, sign) if csr is not None else None

    return Controller("csrsigning", (RESOURCE,), wakes, observe, plan, account=ACCOUNT)
