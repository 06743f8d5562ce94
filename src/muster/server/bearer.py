"""Who brings a token in the place of a certificate: `Authorization: Bearer ...`.

There are several sorts of tokens; each has a function that says whose one is, or None where it is not of its sort, or
no good any more.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#putting-a-bearer-token-in-a-request
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..api.errors import Unauthorized
from .identity import ANONYMOUS, User

Authenticator = Callable[[str], User | None]


def authenticated(user: User, headers: Mapping[bytes, bytes], authenticators: Iterable[Authenticator]) -> User:
    """`user`: who the connection's certificate names, which counts first.  Raises Unauthorized for a bad token."""
    if user is not ANONYMOUS or b"authorization" not in headers:
        return user
    sort, _, token = headers[b"authorization"].decode("latin-1").partition(" ")
    token = token.strip()
    if sort.lower() != "bearer" or not token:
        return user
    for whose in authenticators:
        found = whose(token)
        if found is not None:
            return found
    raise Unauthorized("Unauthorized")
