"""What the token of a service account says, and who brings one: claims -> User.  Pure; signing_key.py signs.

    bound     asked for (token_requests.py): ends by itself, and with the account, pod, secret or node it names by uid
    legacy    kept in a Secret of type kubernetes.io/service-account-token: good for as long as that Secret holds it

What a token names is looked up each time it is brought, so that a deletion is felt by the next request.
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims
"""
from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from ..api.objects import Key, Obj, at, from_time, name_of, namespace_of, uid_of
from .account_names import account_of, groups, user_name
from .bearer import AUDIENCES, Untrusted
from .identity import AUTHENTICATED, User
from .service_accounts import RESOURCE as ACCOUNTS

ISSUER = AUDIENCES[0]
LEGACY_ISSUER = "kubernetes/serviceaccount"
LEEWAY_S = 60.0  # by which clocks may differ
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"

_PRIVATE = "kubernetes.io"
_LEGACY = "kubernetes.io/serviceaccount/"
_EXTRA = "authentication.kubernetes.io/"
_INVALIDATED = "service account token has been invalidated"
_BOUND = {"pod": "pods", "secret": "secrets", "node": "nodes"}


class Look(Protocol):
    def get(self, key: Key) -> Obj | None: ...


class Bound(NamedTuple):
    """The objects that a token is good for as long as."""

    pod: Obj | None = None
    secret: Obj | None = None
    node: Obj | None = None  # beside a pod it is only told, and may have no uid


def claims(account: Obj, bound: Bound, audiences: Sequence[str], lifetime_s: int, warn_after_s: int, now: float,
           id_: str) -> Obj:
    """Of a bound token.  `warn_after_s`: when it should have been renewed; 0 for not at all."""
    since = int(now)
    about: Obj = {"namespace": namespace_of(account),
                  "serviceaccount": {"name": name_of(account), "uid": uid_of(account)}}
    for field, obj in zip(_BOUND, bound, strict=True):
        if obj is not None:
            about[field] = {"name": name_of(obj), **({"uid": uid_of(obj)} if uid_of(obj) else {})}
    if warn_after_s:
        about["warnafter"] = since + warn_after_s
    return {"aud": list(audiences), "exp": since + lifetime_s, "iat": since, "iss": ISSUER, "jti": id_, "nbf": since,
            "sub": user_name(namespace_of(account), name_of(account)), _PRIVATE: about}


def legacy_claims(account: Obj, secret: Obj) -> Obj:
    said = {"namespace": namespace_of(account), "service-account.name": name_of(account),
            "service-account.uid": uid_of(account), "secret.name": name_of(secret)}
    return {"iss": LEGACY_ISSUER, "sub": user_name(namespace_of(account), name_of(account)),
            **{_LEGACY + field: value for field, value in said.items()}}


def is_ours(said: Obj) -> bool:
    """Does it claim to be one of these?"""
    return said.get("iss") in (ISSUER, LEGACY_ISSUER)


def audiences_of(said: Obj, wanted: Sequence[str]) -> list[str]:
    """Those for whom the token is and who are asked about.  Raises Untrusted where there is none."""
    told = said.get("aud")
    meant = [told] if isinstance(told, str) else told if isinstance(told, list) and told else AUDIENCES
    both = [one for one in meant if one in wanted]
    if not both:
        raise Untrusted(f"token audiences {_listed(meant)} is invalid for the target audiences {_listed(wanted)}")
    return both


def user_of(said: Obj, token: str, look: Look, now: float) -> User:
    """Whom claims speak for, whose signature was checked.  Raises Untrusted."""
    return _legacy(said, token, look) if said["iss"] == LEGACY_ISSUER else _bound(said, look, now)


def _bound(said: Obj, look: Look, now: float) -> User:
    if now > _number(said, "exp") + LEEWAY_S:
        raise Untrusted("service account token has expired")
    if now < _number(said, "nbf") - LEEWAY_S:
        raise Untrusted("service account token is not valid yet")
    private = said.get(_PRIVATE) or {}
    namespace, name = at(private, "namespace", ""), at(private, "serviceaccount.name", "")
    uid = at(private, "serviceaccount.uid", "")
    account = look.get(Key(ACCOUNTS, namespace, name))
    if account is None:
        raise Untrusted(f'serviceaccounts "{name}" not found')
    if _is_gone(account, now):
        raise Untrusted(f"service account {namespace}/{name} has been deleted")
    if uid_of(account) != uid:
        raise Untrusted(f"service account UID ({uid_of(account)}) does not match claim ({uid})")
    extra: dict[str, list[str]] = {_EXTRA + "credential-id": [f"JTI={said['jti']}"]} if said.get("jti") else {}
    for field in _BOUND:
        if (reference := private.get(field)) is None:
            continue
        if field != "node" or "pod" not in private:
            _check_there(field, reference, namespace, look, now)
        if field != "secret":
            extra |= {f"{_EXTRA}{field}-{part}": [reference[part]] for part in ("name", "uid") if reference.get(part)}
    return _user(namespace, name, uid, dict(sorted(extra.items())))


def _check_there(field: str, reference: Obj, namespace: str, look: Look, now: float) -> None:
    found = look.get(Key(_BOUND[field], "" if field == "node" else namespace, reference.get("name", "")))
    if found is None or _is_gone(found, now):
        raise Untrusted(_INVALIDATED)
    if uid_of(found) != reference.get("uid"):
        shown = {"pod": "pod UID", "secret": "secret UID", "node": "node UID"}[field]
        raise Untrusted(f"{shown} ({uid_of(found)}) does not match service account {field} ref claim "
                      f"({reference.get('uid')})")


def _legacy(said: Obj, token: str, look: Look) -> User:
    namespace, name = said.get(_LEGACY + "namespace", ""), said.get(_LEGACY + "service-account.name", "")
    uid, kept_in = said.get(_LEGACY + "service-account.uid", ""), said.get(_LEGACY + "secret.name", "")
    if account_of(said.get("sub", "")) != (namespace, name):
        raise Untrusted("sub claim is invalid")
    secret = look.get(Key("secrets", namespace, kept_in))
    if secret is None or "deletionTimestamp" in secret["metadata"]:
        raise Untrusted("Token has been invalidated")
    if not hmac.compare_digest(kept_token(secret), token.encode()):
        raise Untrusted("Token does not match server's copy")
    account = look.get(Key(ACCOUNTS, namespace, name))
    if account is None:
        raise Untrusted(f'serviceaccounts "{name}" not found')
    if "deletionTimestamp" in account["metadata"]:
        raise Untrusted(f"ServiceAccount {namespace}/{name} has been deleted")
    if uid_of(account) != uid:
        raise Untrusted(f"ServiceAccount UID ({uid_of(account)}) does not match claim ({uid})")
    if INVALID_SINCE in (secret["metadata"].get("labels") or {}):
        raise Untrusted(f"the token in secret {namespace}/{kept_in} for service account {namespace}/{name} has been "
                      "marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, "
                      f"or remove the '{INVALID_SINCE}' label from the secret to temporarily allow use of this token")
    return _user(namespace, name, uid, {})


def kept_token(secret: Obj) -> bytes:
    try:
        return base64.b64decode((secret.get("data") or {}).get("token") or "")
    except (binascii.Error, ValueError):
        return b""


def _user(namespace: str, name: str, uid: str, extra: dict[str, list[str]]) -> User:
    return User(user_name(namespace, name), (*groups(namespace), AUTHENTICATED), uid, extra)


def _is_gone(obj: Obj, now: float) -> bool:
    """Deleted, and its grace is over."""
    ends = obj["metadata"].get("deletionTimestamp")
    return ends is not None and from_time(ends) < now - LEEWAY_S


def _number(said: Obj, field: str) -> float:
    value: Any = said.get(field)
    return float(value) if isinstance(value, int | float) else 0.0


def _listed(audiences: Sequence[str]) -> str:
    return "[" + " ".join(f'"{one}"' for one in audiences) + "]"
