"""Event: what happened to an object, as `kubectl describe` ends with.

Stored in the core form ("events").  The form of events.k8s.io/v1 is the same thing under newer field names:
`regarding` for involvedObject, `note` for message, `deprecated...` for what series replaced.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import names
from ..causes import Cause, invalid, required
from ..defaults import filled
from ..objects import Obj, at, namespace_of
from ..tables import NAME, path_cell, since
from ..validation.metadata import complain, immutable, validate_metadata, validate_metadata_update
from .kind import Column, Kind

LONGEST_NOTE, LONGEST_REASON, LONGEST_ACTION, LONGEST_INSTANCE = 1024, 128, 128, 128
TYPES = ("Normal", "Warning")

# events.k8s.io/v1 name -> core/v1 name, where they differ
_STORED_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_NEWER_NAMES = {stored: newer for newer, stored in _STORED_NAMES.items()}


def to_stored(event: Obj) -> Obj:
    return {_STORED_NAMES.get(field, field): value for field, value in event.items()} | {"apiVersion": "v1"}


def from_stored(event: Obj) -> Obj:
    return ({_NEWER_NAMES.get(field, field): value for field, value in event.items()}
            | {"apiVersion": "events.k8s.io/v1"})


def defaults(event: Obj) -> Obj:
    return filled(event, source={}, reportingComponent="", reportingInstance="")


# ------------------------------------------------------------------ validation


def validate(event: Obj) -> list[Cause]:
    wrong = validate_metadata(event, namespaced=True) + _beside(event, "involvedObject", ("default",))
    if event.get("eventTime") is not None:  # written by a client of the newer form
        wrong += _reported(event, "reportingComponent", "message")
    return wrong


def validate_newer(event: Obj) -> list[Cause]:
    wrong = validate_metadata(event, namespaced=True) + _beside(event, "regarding", ("default", "kube-system"))
    if event.get("eventTime") is None:
        wrong.append(required("eventTime"))
    wrong += _reported(event, "reportingController", "note")
    if event.get("type") not in TYPES:
        wrong.append(invalid("type", "", f"has invalid value: {event.get('type') or ''}"))
    series = event.get("series")
    if series is not None:
        if series.get("count", 0) < 2:
            wrong.append(invalid("series.count", "", "should be at least 2"))
        if series.get("lastObservedTime") is None:
            wrong.append(required("series.lastObservedTime"))
    return wrong


def _beside(event: Obj, field: str, for_cluster_wide: tuple[str, ...]) -> list[Cause]:
    """Events stand in the namespace of what they are about, or in one of those for cluster-wide objects."""
    about, namespace = at(event, f"{field}.namespace", ""), namespace_of(event)
    if namespace == about or (not about and namespace in for_cluster_wide):
        return []
    return [invalid("involvedObject.namespace", about, "does not match event.namespace")]


def _reported(event: Obj, controller_field: str, note_field: str) -> list[Cause]:
    """Who says so, what was done and why must be told."""
    wrong: list[Cause] = []
    if controller := event.get(controller_field):
        wrong += complain(controller_field, controller, names.is_qualified_name(controller))
    else:
        wrong.append(required(controller_field))
    for field, longest in (("reportingInstance", LONGEST_INSTANCE), ("action", LONGEST_ACTION),
                           ("reason", LONGEST_REASON)):
        if not event.get(field):
            wrong.append(required(field))
        elif len(event[field]) > longest:
            wrong.append(invalid(field, "", f"can have at most {longest} characters"))
    if len(event.get(note_field) or "") > LONGEST_NOTE:
        wrong.append(invalid("message", "", f"can have at most {LONGEST_NOTE} characters"))
    return wrong


def validate_newer_update(new: Obj, old: Obj) -> list[Cause]:
    """Only the series goes on."""
    wrong = validate_metadata_update(new, old)
    for field in ("regarding", "reason", "note", "type", "eventTime", "action", "related",
                  "reportingController", "reportingInstance"):
        wrong += immutable(new.get(field), old.get(field), _STORED_NAMES.get(field, field))
    return wrong


# ------------------------------------------------------------------ columns (over the stored form)


def _first_seen(event: Obj, now: float) -> str:
    return since(event.get("firstTimestamp") or event.get("eventTime"), now)


def _last_seen(event: Obj, now: float) -> str:
    if last := at(event, "series.lastObservedTime") or event.get("lastTimestamp"):
        return since(last, now)
    return _first_seen(event, now)


def _count(event: Obj, now: float) -> int:
    return at(event, "series.count") or event.get("count") or 1


def _object(event: Obj, now: float) -> str:
    kind, name = at(event, "involvedObject.kind", "").lower(), at(event, "involvedObject.name", "")
    return f"{kind}/{name}" if name else kind


def _source(event: Obj, now: float) -> str:
    component = at(event, "source.component") or event.get("reportingComponent") or ""
    instance = at(event, "source.host") or event.get("reportingInstance") or ""
    return f"{component}, {instance}" if instance else component


_COLUMNS = (
    Column("Last Seen", _last_seen, description="Time since it was last seen."),
    Column("Type", path_cell("type"), description="Normal or Warning."),
    Column("Reason", path_cell("reason"), description="Why, in one word."),
    Column("Object", _object, description="What it is about."),
    Column("Subobject", path_cell("involvedObject.fieldPath"), priority=1),
    Column("Source", _source, priority=1, description="Who says so."),
    Column("Message", lambda event, now: (event.get("message") or "").strip(), description="What happened."),
    Column("First Seen", _first_seen, priority=1, description="Time since it was first seen."),
    Column("Count", _count, type="integer", priority=1, description="How often it was seen."),
    Column(NAME.name, NAME.cell, format=NAME.format, description=NAME.description, priority=1),
)


def _over_stored(column: Column) -> Column:
    return Column(column.name, lambda event, now: column.cell(to_stored(event), now), column.type,
                  column.format, column.description, column.priority)


# ------------------------------------------------------------------ field selectors

_ABOUT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _text(path: str) -> Callable[[Obj], str]:
    def read(event: Obj) -> str:
        found: Any = at(event, path)
        return str(found) if found else ""
    return read


EVENT = Kind(
    group="", version="v1", name="Event", plural="events", singular="event", namespaced=True,
    definition="io.k8s.api.core.v1.Event", short_names=("ev",), columns=_COLUMNS,
    selectable={
        **{f"involvedObject.{field}": _text(f"involvedObject.{field}") for field in _ABOUT},
        "reason": _text("reason"),
        "reportingComponent": _text("reportingComponent"),
        "source": lambda event: at(event, "source.component") or event.get("reportingComponent") or "",
        "type": _text("type"),
    },
    generation_fields=(), defaults=defaults, validate=validate, validate_update=validate_metadata_update,
)

NEWER_EVENT = Kind(
    group="events.k8s.io", version="v1", name="Event", plural="events", singular="event", namespaced=True,
    definition="io.k8s.api.events.v1.Event", short_names=("ev",),
    columns=tuple(map(_over_stored, _COLUMNS)),
    selectable={
        **{f"regarding.{field}": _text(f"regarding.{field}") for field in _ABOUT},
        "reason": _text("reason"),
        "reportingController": _text("reportingController"),
        "type": _text("type"),
    },
    generation_fields=(), stored_as="events", to_stored=to_stored, from_stored=from_stored,
    validate=validate_newer, validate_update=validate_newer_update,
)
