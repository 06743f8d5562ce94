"""For whom a request is made: the one whose certificate it came with, or whom they speak for (`kubectl --as`).

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

from ..api.errors import BadRequest
from .asked import Asked
from .grants import ACCOUNT_USER
from .identity import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User
from .rights import Rights

_AUTHENTICATION = "authentication.k8s.io"
_USER, _GROUP, _UID, _EXTRA = b"impersonate-user", b"impersonate-group", b"impersonate-uid", b"impersonate-extra-"


def acting(user: User, headers: Mapping[bytes, bytes], lines: Sequence[tuple[bytes, bytes]],
           rights: Rights) -> User:
    """`lines`: the same headers with those that come several times.  Raises Forbidden."""
    if _USER not in headers:
        if _GROUP in headers or _UID in headers:
            raise BadRequest("requested impersonation of groups or uid without impersonating a user")
        return user
    name, uid = headers[_USER].decode("utf-8", "replace"), headers.get(_UID, b"").decode("utf-8", "replace")
    groups = [value.decode("utf-8", "replace") for header, value in lines if header == _GROUP]
    extra: dict[str, list[str]] = {}
    for header, value in lines:
        if header.startswith(_EXTRA):
            key = unquote(header[len(_EXTRA):].decode("latin-1"))
            extra.setdefault(key, []).append(value.decode("utf-8", "replace"))
    for asked in _asked(name, groups, uid, extra):
        rights.check(user, asked)
    known = UNAUTHENTICATED if name == ANONYMOUS.name else AUTHENTICATED
    if known not in groups:
        groups.append(known)
    return User(name, tuple(groups), uid, extra)


def _asked(name: str, groups: Sequence[str], uid: str, extra: Mapping[str, Sequence[str]]) -> Iterator[Asked]:
    """Each thing that is said of the one they speak for is to be allowed."""
    account = name.removeprefix(ACCOUNT_USER).split(":")
    if name.startswith(ACCOUNT_USER) and len(account) == 2:
        yield Asked("impersonate", "serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield Asked("impersonate", "users", name=name)
    for group in groups:
        yield Asked("impersonate", "groups", name=group)
    if uid:
        yield Asked("impersonate", f"uids.{_AUTHENTICATION}", name=uid)
    for key, values in extra.items():
        for value in values:
            yield Asked("impersonate", f"userextras.{_AUTHENTICATION}", subresource=key, name=value)
