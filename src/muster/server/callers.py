"""For whom a request is made: the one whose certificate it came with, or whom they speak for (`kubectl --as`).

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

from ..api.errors import BadRequest
from .account_names import account_of
from .account_names import groups as groups_of_account
from .asked import Asked
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
    if not groups and (account := account_of(name)) is not None:
        groups += groups_of_account(account.namespace)
    known = UNAUTHENTICATED if name == ANONYMOUS.name else AUTHENTICATED
    if known not in groups:
        groups.append(known)
    return User(name, tuple(groups), uid, extra)


def _asked(name: str, groups: Sequence[str], uid: str, extra: Mapping[str, Sequence[str]]) -> Iterator[Asked]:
    """Each thing that is said of the one they speak for is to be allowed."""
    if (account := account_of(name)) is not None:
        yield Asked("impersonate", "serviceaccounts", namespace=account.namespace, name=account.name)
    else:
        yield Asked("impersonate", "users", name=name)
    for group in groups:
        yield Asked("impersonate", "groups", name=group)
    if uid:
        yield Asked("impersonate", f"uids.{_AUTHENTICATION}", name=uid)
    for key, values in extra.items():
        for value in values:
            yield Asked("impersonate", f"userextras.{_AUTHENTICATION}", subresource=key, name=value)
