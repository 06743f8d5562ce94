"""Who asks.

A client certificate names its user in the subject: CN is the name, each O a group (see "X.509 client
certificates" in the Kubernetes authentication reference).  Who brings nothing is system:anonymous.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))


def component(name: str) -> User:
    """A part of the cluster itself, such as `component("system:kube-scheduler")`."""
    return User(name, (MASTERS, AUTHENTICATED))


def from_certificate(certificate: Mapping[str, Any] | None) -> User:
    """From what `ssl.SSLSocket.getpeercert()` gives for a verified peer; None or {} is anonymous.

    A certificate without a common name identifies nobody.
    """
    named: dict[str, list[str]] = {}
    for part in (certificate or {}).get("subject", ()):
        for attribute, value in part:
            named.setdefault(attribute, []).append(value)
    names = named.get("commonName")
    if not names or not names[0]:
        return ANONYMOUS
    groups = tuple(dict.fromkeys(named.get("organizationName", [])))
    return User(names[0], groups if AUTHENTICATED in groups else (*groups, AUTHENTICATED))
