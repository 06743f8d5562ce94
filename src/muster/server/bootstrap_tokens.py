"""Bootstrap tokens: `abcdef.0123456789abcdef`, with which a machine that has nothing yet may ask for a certificate.

One is kept as a Secret `bootstrap-token-abcdef` in kube-system, which ends it when it is deleted or has expired.
Whoever brings one is `system:bootstrap:abcdef` of the group `system:bootstrappers`.

https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
"""
from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import string
from collections.abc import Callable

from ..api.objects import Key, Obj, from_time, is_deleting, to_time
from ..store.history import History
from .identity import AUTHENTICATED, User

TYPE, NAMESPACE, PREFIX = "bootstrap.kubernetes.io/token", "kube-system", "bootstrap-token-"
BOOTSTRAPPERS = "system:bootstrappers"
_ALPHABET = string.ascii_lowercase + string.digits
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def parse(token: str) -> tuple[str, str] | None:
    """(id, secret), or None for what is no such token."""
    found = _TOKEN.fullmatch(token)
    return (found[1], found[2]) if found is not None else None


def generate() -> str:
    """A new one.  From the system's randomness and never from a seed: it opens a door."""
    drawn = "".join(secrets.choice(_ALPHABET) for _ in range(22))
    return f"{drawn[:6]}.{drawn[6:]}"


def secret_of(token: str, expires: float | None, description: str = "") -> Obj:
    """The Secret that makes a token good until `expires` (Unix seconds; None: for ever)."""
    parsed = parse(token)
    assert parsed is not None, "made by generate()"
    plain = {"token-id": parsed[0], "token-secret": parsed[1], "usage-bootstrap-authentication": "true"}
    if expires is not None:
        plain["expiration"] = to_time(expires)
    if description:
        plain["description"] = description
    return {"apiVersion": "v1", "kind": "Secret", "type": TYPE,
            "metadata": {"name": PREFIX + parsed[0], "namespace": NAMESPACE}, "stringData": plain}


def expires_at(secret: Obj) -> float | None:
    """When it ends; None for never.  One whose end can not be read has ended."""
    said = _field(secret, "expiration")
    if not said:
        return None
    try:
        return from_time(said)
    except ValueError:
        return 0.0


def user_of(secret: Obj | None, token: str, now: float) -> User | None:
    """Whom the token speaks for, by the Secret of its id."""
    parsed = parse(token)
    if parsed is None or secret is None or secret.get("type") != TYPE or is_deleting(secret):
        return None
    same = hmac.compare_digest(_field(secret, "token-secret").encode(), parsed[1].encode())
    if not same or _field(secret, "token-id") != parsed[0]:
        return None
    ends = expires_at(secret)
    if ends is not None and ends <= now or _field(secret, "usage-bootstrap-authentication") != "true":
        return None
    groups = sorted(filter(None, _field(secret, "auth-extra-groups").split(",")))
    if not all(_GROUP.fullmatch(group) for group in groups):
        return None
    return User(f"system:bootstrap:{parsed[0]}", (BOOTSTRAPPERS, *groups, AUTHENTICATED))


def authenticator(history: History, now: Callable[[], float]) -> Callable[[str], User | None]:
    def whose(token: str) -> User | None:
        parsed = parse(token)
        if parsed is None:
            return None
        found = history.get(Key("secrets", NAMESPACE, PREFIX + parsed[0]))
        return user_of(found.value if found is not None else None, token, now())
    return whose


def _field(secret: Obj, name: str) -> str:
    try:
        return base64.b64decode((secret.get("data") or {}).get(name) or "").decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
