"""Is it alive, is it ready: `/livez`, `/readyz`, and `/healthz` for those who learnt the old name.

A check is a function that returns None when all is well, or says in a few words what is not.  One check is
asked by `/readyz/NAME`, all are listed by `?verbose`, some are left out by `?exclude=NAME`.
https://kubernetes.io/docs/reference/using-api/health-checks/
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .discovery import KUBERNETES_VERSION as KUBERNETES_VERSION

log = logging.getLogger(__name__)

Check = Callable[[], str | None]
ENDPOINTS = ("healthz", "livez", "readyz")


class Answer(NamedTuple):
    status: int
    body: bytes


class Health:
    """`live` checks decide `/livez`; `/readyz` and `/healthz` ask those and the `ready` ones."""

    def __init__(self, live: Mapping[str, Check] | None = None, ready: Mapping[str, Check] | None = None):
        self._live: dict[str, Check] = {"ping": lambda: None, **(live or {})}
        self._ready: dict[str, Check] = {**self._live, **(ready or {})}

    def answer(self, path: str, *, verbose: bool = False, exclude: Sequence[str] = ()) -> Answer | None:
        """None for a path that is no health check."""
        endpoint, _, name = path.strip("/").partition("/")
        if endpoint not in ENDPOINTS:
            return None
        checks = self._live if endpoint == "livez" else self._ready
        if name:
            if name not in checks:
                return None
            failed = _ask(name, checks[name])
            if failed is None:
                return Answer(200, b"ok")
            return Answer(500, f"internal server error: {failed}\n".encode())
        return _all(endpoint, checks, verbose, exclude)


def _all(endpoint: str, checks: Mapping[str, Check], verbose: bool, exclude: Sequence[str]) -> Answer:
    lines, failed = [], False
    for name, check in checks.items():
        if name in exclude:
            lines.append(f"[+]{name} excluded: ok")
        elif _ask(name, check) is None:
            lines.append(f"[+]{name} ok")
        else:
            failed = True
            lines.append(f"[-]{name} failed: reason withheld")
    if unknown := [f'"{name}"' for name in exclude if name not in checks]:
        lines.append(f"warn: some health checks cannot be excluded: no matches for {', '.join(unknown)}")
    if failed:
        return Answer(500, "\n".join([*lines, f"{endpoint} check failed", ""]).encode())
    return Answer(200, "\n".join([*lines, f"{endpoint} check passed", ""]).encode()) if verbose else Answer(200, b"ok")


def _ask(name: str, check: Check) -> str | None:
    try:
        said = check()
    except Exception as error:  # a check that can not even be asked has failed
        said = f"{type(error).__name__}: {error}"
    if said is not None:
        log.warning("health check %s: %s", name, said)
    return said
