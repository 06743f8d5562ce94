"""Who asks for a certificate is written into the request by the server; and nobody is made an administrator so.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#certificatesubjectrestriction
"""
from __future__ import annotations

from ..api.certificate_requests import CLIENT, RESOURCE, wanted
from ..api.kinds.certificate_signing_request import stamped
from ..api.objects import Obj
from .admission import Attempt, Look, refused
from .identity import MASTERS


def certificate_requester(attempt: Attempt, look: Look) -> Obj:
    if attempt.kind.resource != RESOURCE or attempt.operation == "DELETE":
        return attempt.obj
    if attempt.operation == "UPDATE":
        return stamped(attempt.obj)
    csr, user = attempt.obj, attempt.user
    spec = {field: value for field, value in (csr.get("spec") or {}).items()
            if field not in ("username", "uid", "groups", "extra")}
    _refuse_masters(attempt, spec)
    said: Obj = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        said["uid"] = user.uid
    if user.extra:
        said["extra"] = {key: list(values) for key, values in user.extra.items()}
    return {**csr, "spec": {**spec, **said}}


def _refuse_masters(attempt: Attempt, spec: Obj) -> None:
    if spec.get("signerName") != CLIENT:
        return
    try:
        groups = wanted({"spec": spec}).groups
    except ValueError:
        return  # what is wrong with it is said by its kind
    if MASTERS in groups:
        raise refused(attempt, f"use of {CLIENT} signer with {MASTERS} group is not allowed")
