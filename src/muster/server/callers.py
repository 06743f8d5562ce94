"""For whom a request is made: the one whose certificate it came with, or whom they speak for (`kubectl --as`).

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from ..api.errors import BadRequest
from .identity import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User
from .rights import may, refusal

_USER, _GROUP, _UID, _EXTRA = b"impersonate-user", b"impersonate-group", b"impersonate-uid", b"impersonate-extra-"


def acting(user: User, headers: Mapping[bytes, bytes], lines: Sequence[tuple[bytes, bytes]]) -> User:
    """`lines`: the same headers with those that come several times.  Raises Forbidden."""
    if _USER not in headers:
        if _GROUP in headers or _UID in headers:
            raise BadRequest("requested impersonation of groups or uid without impersonating a user")
        return user
    name = headers[_USER].decode("utf-8", "replace")
    groups = [value.decode("utf-8", "replace") for header, value in lines if header == _GROUP]
    if not may(user, "impersonate", resource="users"):
        raise refusal(user, "impersonate", resource="users", name=name)
    extra: dict[str, list[str]] = {}
    for header, value in lines:
        if header.startswith(_EXTRA):
            key = unquote(header[len(_EXTRA):].decode("latin-1"))
            extra.setdefault(key, []).append(value.decode("utf-8", "replace"))
    known = UNAUTHENTICATED if name == ANONYMOUS.name else AUTHENTICATED
    if known not in groups:
        groups.append(known)
    return User(name, tuple(groups), headers.get(_UID, b"").decode("utf-8", "replace"), extra)
