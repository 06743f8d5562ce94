"""A Secret of type kubernetes.io/service-account-token holds a token of the account it names, while both are there.

Kubernetes made one for each account once; since v1.24 they are made by hand, where a token must not end by itself.  The
Secret is filled (token, ca.crt, namespace), kept right, and deleted with its account, or at once where there is none.
https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets
"""
from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..api.kinds.secret import ACCOUNT_ANNOTATION, ACCOUNT_TOKEN
from ..api.objects import Key, Obj, annotations_of, is_deleting, name_of, namespace_of, uid_of
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Delete, Plan, Replace
from ..control.runtime import Controller
from ..store.history import Change

SECRETS, ACCOUNTS = "secrets", "serviceaccounts"
UID_ANNOTATION = "kubernetes.io/service-account.uid"

Sign = Callable[[Obj, Obj], str]  # (account, secret) -> token


@dataclass(frozen=True)
class Observed:
    secret: Obj
    account: Obj | None
    certificate: str
    sign: Sign


def plan(seen: Observed, now: float) -> Plan:
    secret, account = seen.secret, seen.account
    said = annotations_of(secret)
    key = Key(SECRETS, namespace_of(secret), name_of(secret))
    if account is None or said.get(UID_ANNOTATION) not in (None, "", uid_of(account)):
        # Asked of the API once more: the account may be newer than this look.
        there = Key(ACCOUNTS, namespace_of(secret), said.get(ACCOUNT_ANNOTATION, ""))
        return Plan([Delete(key, uid_of(secret), unless=((there, said.get(UID_ANNOTATION, "")),))])
    data = secret.get("data") or {}
    wanted = {**data, "ca.crt": _encoded(seen.certificate),
              "namespace": data.get("namespace") or _encoded(namespace_of(secret))}
    if not data.get("token"):
        wanted["token"] = _encoded(seen.sign(account, secret))
    if wanted == data:
        return NOTHING
    metadata = {**secret["metadata"], "annotations": {**said, UID_ANNOTATION: uid_of(account)}}
    return Plan([Replace({**secret, "metadata": metadata, "data": wanted})])


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def token_secrets(certificate: str, sign: Sign) -> Controller:
    """`certificate`: the CA's, in PEM form; `sign` makes a token for a Secret to hold."""

    def wakes(change: Change, mirror: Mirror) -> Iterable[tuple[str, str]]:
        if change.key.resource == SECRETS:
            if change.value is not None and _is_token(change.value):
                yield change.key.namespace, change.key.name
            return
        for name, secret in mirror.in_namespace(SECRETS, change.key.namespace).items():
            if _is_token(secret) and annotations_of(secret).get(ACCOUNT_ANNOTATION) == change.key.name:
                yield change.key.namespace, name

    def observe(mirror: Mirror, key: tuple[str, str]) -> Observed | None:
        namespace, name = key
        secret = mirror.get(Key(SECRETS, namespace, name))
        if secret is None or not _is_token(secret) or is_deleting(secret):
            return None
        account = mirror.get(Key(ACCOUNTS, namespace, annotations_of(secret).get(ACCOUNT_ANNOTATION, "")))
        return Observed(secret, account, certificate, sign)

    return Controller("serviceaccount-token-controller", (SECRETS, ACCOUNTS), wakes, observe, plan,
                      account="tokens-controller")


def _is_token(secret: Obj) -> bool:
    return secret.get("type") == ACCOUNT_TOKEN
