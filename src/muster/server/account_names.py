"""How a service account is called as a user: `system:serviceaccount:NAMESPACE:NAME`, and the groups that go with it.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
"""
from __future__ import annotations

from typing import NamedTuple

from ..api import names

PREFIX = "system:serviceaccount:"
ALL = "system:serviceaccounts"


class Account(NamedTuple):
    namespace: str
    name: str


def user_name(namespace: str, name: str) -> str:
    return f"{PREFIX}{namespace}:{name}"


def groups(namespace: str) -> tuple[str, ...]:
    return ALL, f"{ALL}:{namespace}"


def account_of(user_name: str) -> Account | None:
    """None for a user who is no service account."""
    namespace, colon, name = user_name.removeprefix(PREFIX).partition(":")
    if not user_name.startswith(PREFIX) or not colon or names.is_dns_label(namespace) or names.is_dns_subdomain(name):
        return None
    return Account(namespace, name)
