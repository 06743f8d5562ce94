"""What a caller asks of the registry, and what it is answered: plain values.

HTTP makes these from query parameters and bodies, `LocalClient` makes them directly; the registry
sees no difference.  Names follow the API's own (metav1.ListOptions, DeleteOptions, ...), units last.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ..api.objects import Obj
from ..store.history import Snapshot
from .identity import User

Mode = Literal["Strict", "Warn", "Ignore"]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    user: User
    dry_run: bool = False
    field_validation: Mode = "Warn"
    duplicates: tuple[str, ...] = ()  # paths that the body named twice: only the parser can know


@dataclass(frozen=True, slots=True)
class PatchBody:
    how: Literal["json", "merge", "strategic", "apply"]
    body: Any  # a list of operations for "json", else an object


class DeleteOptions(NamedTuple):
    grace_period_s: int | None = None  # None: did not say
    propagation: str | None = None  # "Orphan" | "Background" | "Foreground"
    orphan_dependents: bool | None = None  # how it was said before propagationPolicy
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False

    @classmethod
    def of(cls, body: Obj | None, *, dry_run: bool = False) -> DeleteOptions:
        """From the JSON of a meta.k8s.io/v1 DeleteOptions."""
        body = body or {}
        conditions = body.get("preconditions") or {}
        return cls(
            grace_period_s=body.get("gracePeriodSeconds"), propagation=body.get("propagationPolicy"),
            orphan_dependents=body.get("orphanDependents"), uid=conditions.get("uid"),
            resource_version=conditions.get("resourceVersion"), dry_run=dry_run or bool(body.get("dryRun")),
        )


@dataclass(frozen=True, slots=True)
class ListQuery:
    labels: str = ""
    fields: str = ""
    limit: int = 0  # 0: all
    continue_: str = ""
    resource_version: str = ""
    resource_version_match: str = ""  # "" | "Exact" | "NotOlderThan"


@dataclass(frozen=True, slots=True)
class WatchQuery:
    labels: str = ""
    fields: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    send_initial_events: bool | None = None
    allow_bookmarks: bool = False
    timeout_s: float | None = None  # None: for ever


class WatchEvent(NamedTuple):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    snapshot: Snapshot


class Ear(NamedTuple):
    """Of a watcher who can be told without being woken."""

    render: Callable[[Sequence[WatchEvent]], bytes]  # one function for all who are told the same
    say: Callable[[bytes], bool]  # sends it at once; False where there is no room


class Page(NamedTuple):
    items: Sequence[Snapshot]
    revision: int
    continue_token: str = ""
    remaining: int | None = None  # known only when nothing is selected


class Written(NamedTuple):
    snapshot: Snapshot
    warnings: Sequence[str] = ()


class Deleted(NamedTuple):
    snapshot: Snapshot  # as it was left, or as it last was
    gone: bool  # False: still there, until its grace has passed or its finalizers are done
