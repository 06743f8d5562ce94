"""Who brings a token in the place of a certificate: `Authorization: Bearer ...`.

There are several sorts of tokens; each has a function that says whose one is, or None where it is not of its sort.
A token is meant for somebody, its audiences: one that is for others tells the API server nothing.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#putting-a-bearer-token-in-a-request
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ..api.errors import Unauthorized
from .identity import ANONYMOUS, User

AUDIENCES = ("https://kubernetes.default.svc.cluster.local",)  # the API server itself


class Untrusted(Exception):
    """The token is no good (any more), or not for these audiences."""


class Known(NamedTuple):
    user: User
    audiences: Sequence[str]  # of those that were asked about


Authenticator = Callable[[str, Sequence[str]], Known | None]


def for_the_server(whose: Callable[[str], User | None]) -> Authenticator:
    """A sort of tokens that is for the API server alone."""
    def known(token: str, audiences: Sequence[str]) -> Known | None:
        both = [one for one in audiences if one in AUDIENCES]
        user = whose(token) if both else None
        return Known(user, both) if user is not None else None
    return known


def known(token: str, audiences: Sequence[str], authenticators: Iterable[Authenticator]) -> Known:
    """Raises Untrusted."""
    for whose in authenticators:
        found = whose(token, audiences)
        if found is not None:
            return found
    raise Untrusted("invalid bearer token")


def authenticated(user: User, headers: Mapping[bytes, bytes], authenticators: Iterable[Authenticator]) -> User:
    """`user`: who the connection's certificate names, which counts first.  Raises Unauthorized for a bad token."""
    if user is not ANONYMOUS or b"authorization" not in headers:
        return user
    sort, _, token = headers[b"authorization"].decode("latin-1").partition(" ")
    token = token.strip()
    if sort.lower() != "bearer" or not token:
        return user
    try:
        return known(token, AUDIENCES, authenticators).user
    except Untrusted:
        raise Unauthorized("Unauthorized") from None
