"""What `kubectl get` prints: the server renders rows (meta.k8s.io/v1 Table), kubectl only aligns them.

The columns come from the Kind row; a kind without any shows NAME and AGE.  Ages are text made here, with
the moment of the answer as `now`, in the units kubectl users know ("119s", "2m", "2d12h").
See https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from .kinds.kind import Column, Kind
from .objects import Obj, at, from_time

NONE = "<none>"
UNKNOWN = "<unknown>"
Include = Literal["Metadata", "Object", "None"]

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY


def age(seconds: float) -> str:
    """How long, as kubectl says it: two units at most, and the smaller only while it matters."""
    total = int(seconds)  # towards zero: a clock that is a second ahead still reads as now
    if total < -1:
        return "<invalid>"
    if total < 2 * _MINUTE:
        return f"{max(total, 0)}s"
    if total < 10 * _MINUTE:
        return _two(total, _MINUTE, "m", 1, "s")
    if total < 3 * _HOUR:
        return f"{total // _MINUTE}m"
    if total < 8 * _HOUR:
        return _two(total, _HOUR, "h", _MINUTE, "m")
    if total < 2 * _DAY:
        return f"{total // _HOUR}h"
    if total < 8 * _DAY:
        return _two(total, _DAY, "d", _HOUR, "h")
    if total < 2 * _YEAR:
        return f"{total // _DAY}d"
    if total < 8 * _YEAR:
        return _two(total, _YEAR, "y", _DAY, "d")
    return f"{total // _YEAR}y"


def _two(total: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = total % large // small
    return f"{total // large}{large_unit}{f'{rest}{small_unit}' if rest else ''}"


def since(text: str | None, now: float) -> str:
    """The age of a moment given as RFC 3339; "<unknown>" for one that is missing or unreadable."""
    if not text:
        return UNKNOWN
    try:
        return age(now - from_time(text))
    except ValueError:
        return UNKNOWN


def age_of(obj: Obj, now: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _name(obj: Obj, now: float) -> str:
    return obj["metadata"].get("name", "")


NAME = Column("Name", _name, format="name",
              description="Unique within the namespace (or the cluster) among objects of this kind.")
AGE = Column("Age", age_of, description="Time since the object was created.")


def columns_of(kind: Kind) -> tuple[Column, ...]:
    """The kind's columns; NAME comes first where the row does not place it itself."""
    if not kind.columns:
        return NAME, AGE
    if any(column.format == "name" for column in kind.columns):
        return kind.columns
    return NAME, *kind.columns


def table(kind: Kind, items: Iterable[Obj], now: float, include: str = "Metadata", *,
          metadata: Obj | None = None, headers: bool = True) -> Obj:
    """The Table of these objects.  `metadata` is the list's own (resourceVersion, continue, ...).

    `headers=False` leaves the column definitions out, as watches do after their first event.
    """
    columns = columns_of(kind)
    cells = [column.cell for column in columns]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata or {},
        "columnDefinitions": [_definition(column) for column in columns] if headers else [],
        "rows": [_row(obj, [cell(obj, now) for cell in cells], include) for obj in items],
    }


def _definition(column: Column) -> dict[str, Any]:
    return {"name": column.name, "type": column.type, "format": column.format,
            "description": column.description, "priority": column.priority}


def _row(obj: Obj, cells: list[Any], include: str) -> Obj:
    if include == "None":
        return {"cells": cells, "object": None}
    return {"cells": cells, "object": obj if include == "Object" else partial(obj)}


def partial(obj: Obj) -> Obj:
    """The object's metadata alone, as metav1.PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def path_cell(path: str, default: Any = "") -> Any:
    """A cell that reads one field: `Column("Type", path_cell("type"))`."""
    return lambda obj, now: at(obj, path, default)
