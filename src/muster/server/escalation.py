"""Nobody grants what they may not do themselves.

Who writes a role must hold all that its rules allow, or may `escalate` it; who binds one must hold what it allows, or
may `bind` it; who approves or signs a request for a certificate may do so for its signer.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#authorization
"""
from __future__ import annotations

from collections.abc import Sequence

from ..api.certificate_requests import RESOURCE as REQUESTS
from ..api.objects import Obj, at
from .admission import Admission, Attempt, Look, refused
from .asked import Asked
from .grants import BINDINGS, CLUSTER_BINDINGS, CLUSTER_ROLES, ROLES
from .policy_rules import merged, not_covered, shown
from .rights import EVERYTHING, Rights

SIGNERS = "signers.certificates.k8s.io"
_OF_SIGNERS = {"approval": "approve", "status": "sign"}


def no_escalation(rights: Rights) -> Admission:
    def admission(attempt: Attempt, look: Look) -> Obj:
        if attempt.operation != "DELETE":
            match attempt.kind.resource:
                case resource if resource in (ROLES, CLUSTER_ROLES):
                    _check_role(attempt, rights)
                case resource if resource in (BINDINGS, CLUSTER_BINDINGS):
                    _check_binding(attempt, rights)
                case resource if resource == REQUESTS and attempt.subresource in _OF_SIGNERS:
                    _check_signer(attempt, rights, _OF_SIGNERS[attempt.subresource])
        return attempt.obj

    return admission


def _check_role(attempt: Attempt, rights: Rights) -> None:
    new, old = attempt.obj, attempt.old
    aggregates = bool(new.get("aggregationRule"))
    if old and new.get("rules") == old.get("rules") and new.get("aggregationRule") == old.get("aggregationRule"):
        return
    if _may(attempt, rights, "escalate", attempt.kind.resource, attempt.name):
        return
    if aggregates and new.get("aggregationRule") != old.get("aggregationRule") and not_covered(
            EVERYTHING, rights.rules(attempt.user, attempt.namespace)):
        raise refused(attempt, "must have cluster-admin privileges to use an aggregationRule")
    _check_rules(attempt, rights, new.get("rules") or ())


def _check_binding(attempt: Attempt, rights: Rights) -> None:
    new, old = attempt.obj, attempt.old
    if old and all(new.get(field) == old.get(field) for field in ("roleRef", "subjects")):
        return
    role = new.get("roleRef") or {}
    resource = ROLES if role.get("kind") == "Role" else CLUSTER_ROLES
    name = role.get("name", "")
    if _may(attempt, rights, "bind", resource, name):
        return
    rules = rights.grants.role_rules(role, attempt.namespace)
    if rules is None:
        raise refused(attempt, f'{resource} "{name}" not found')
    _check_rules(attempt, rights, rules)


def _check_signer(attempt: Attempt, rights: Rights, verb: str) -> None:
    """By the signer's name, or by `domain/*` for all of a domain."""
    if verb == "sign" and at(attempt.obj, "status.certificate") == at(attempt.old, "status.certificate"):
        return
    signer: str = at(attempt.old, "spec.signerName", "")
    if not any(_may(attempt, rights, verb, SIGNERS, name) for name in (signer, f"{signer.partition('/')[0]}/*")):
        raise refused(attempt, f'user not permitted to {verb} requests with signerName "{signer}"')


def _may(attempt: Attempt, rights: Rights, verb: str, resource: str, name: str) -> bool:
    return rights.may(attempt.user, Asked(verb, resource, namespace=attempt.namespace, name=name))


def _check_rules(attempt: Attempt, rights: Rights, wanted: Sequence[Obj]) -> None:
    user = attempt.user
    if missing := not_covered(wanted, rights.rules(user, attempt.namespace)):
        groups = " ".join(f'"{group}"' for group in user.groups)
        raise refused(attempt, f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions '
                               "not currently held:\n" + "\n".join(map(shown, merged(missing))))
