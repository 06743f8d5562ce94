"""The one way every component reaches the cluster: in-process (`local`) or over HTTP (`remote`).

Objects carry apiVersion and kind, so `create` and `replace` know where they go.  Errors are the
classes of api/errors.py at both ends.
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..api.objects import Key, Obj
from ..store.history import Change

How = Literal["merge", "json", "strategic"]
Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class Listing:
    items: Sequence[Obj]  # each with apiVersion and kind
    revision: int  # of the look; follow from here to miss nothing


class Client(Protocol):
    async def get(self, key: Key) -> Obj: ...

    async def list(self, resource: str, namespace: str = "", *, labels: str = "",
                   fields: str = "") -> Listing: ...

    def follow(self, resource: str, after: int) -> AsyncIterator[Sequence[Change]]:
        """The changes after a revision, for ever.  Raises Gone when they are no longer kept."""
        ...

    async def create(self, obj: Obj, *, subresource: str = "") -> Obj:
        """With a subresource `obj` is its body (Binding, Eviction, TokenRequest), named as what it is done to."""
        ...

    async def replace(self, obj: Obj, *, subresource: str = "") -> Obj:
        """Raises Conflict unless the object is still at obj's resourceVersion (where it has one)."""
        ...

    async def patch(self, key: Key, patch: Any, *, how: How = "merge", subresource: str = "") -> Obj: ...

    async def set_status(self, key: Key, uid: str, status: Obj) -> Obj:
        """Replaces the whole status of the object with that uid.  Raises Conflict for a namesake."""
        ...

    async def delete(self, key: Key, *, uid: str | None = None, revision: int = 0, grace_period_s: int | None = None,
                     propagation: Propagation | None = None) -> int:
        """Returns the revision at which it was deleted or marked (0: unknown).

        Raises Conflict for another uid, or (unless it is 0) another revision, than those that were meant."""
        ...
