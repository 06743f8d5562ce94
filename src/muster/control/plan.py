"""What a controller may decide to do.  Values only: nothing here acts.

A plan is carried out in this order: deletions together, then creations in slow-start batches of 1, 2, 4, ...
(so that a bad template fails once and not a thousand times), then changes of scale, then the rest, whatever failed
before.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..api.objects import Key, Obj


@dataclass(frozen=True, slots=True)
class Create:
    obj: Obj  # with metadata.generateName or name
    tell: Obj | None = None  # say so in an event about this object: "Created pod: x" or "Error creating: ..."
    first: tuple[Create, ...] = ()  # made before: it is not made where one of these can not be


@dataclass(frozen=True, slots=True)
class Delete:
    key: Key
    uid: str  # never the namesake that replaced it
    tell: Obj | None = None  # "Deleted pod: x"
    grace_period_s: int | None = None
    propagation: Literal["Background", "Foreground", "Orphan"] | None = None
    # Left undone if one of these is there after all, asked of the API itself: (key, uid; "" for any uid).
    unless: tuple[tuple[Key, str], ...] = ()
    first: Patch | None = None  # done just before: what has to be read of the object while it ends
    revision: int = 0  # only as it was seen at this revision (0: whatever has become of it since)


@dataclass(frozen=True, slots=True)
class Replace:
    """Writes the whole object if it is still at its resourceVersion."""

    obj: Obj
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    key: Key
    uid: str
    patch: Any
    how: Literal["merge", "json", "strategic"] = "merge"
    subresource: str = ""
    tell: Obj | None = None  # a StatefulSet, which says what it changes of its pods


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Replaces the whole status.  Plan it only where it differs from what was seen."""

    key: Key
    uid: str
    status: Obj
    tell: Obj | None = None  # an autoscaler, which says where that was refused: "FailedUpdateStatus"


@dataclass(frozen=True, slots=True)
class Bind:
    key: Key  # the pod
    uid: str
    node: str
    tell: Obj | None = None  # "Successfully assigned ns/x to node" or why it failed


@dataclass(frozen=True, slots=True)
class Tell:
    """An event about an object, as `kubectl describe` shows it."""

    about: Obj
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    field_path: str = ""  # the part it is about: "spec.containers{nginx}"
    host: str = ""  # the node it is told from, where one source speaks for many


Action = Create | Delete | Replace | Patch | SetStatus | Bind | Tell


@dataclass(frozen=True, slots=True)
class Plan:
    actions: list[Action] = field(default_factory=list)
    wake_at: float | None = None  # Unix seconds: look again then, even if nothing changes
    size: int = 1  # how many objects were looked at; the runtime paces large looks
    # Where a creation, a deletion or a change of scale was refused, with its error's text: what to do in the place of
    # all that follows.
    otherwise: Callable[[str], list[Action]] | None = None


NOTHING = Plan()
