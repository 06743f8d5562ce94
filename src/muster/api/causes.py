"""What is wrong with one field, worded as kubectl users know it.

`Invalid` (errors.py) joins these into "The DaemonSet "x" is invalid: spec...: Invalid value: ...".
The wordings follow the apimachinery field errors that every Kubernetes API answers with.
"""
from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

import orjson

from .go_text import Syntax, quoted, syntax_of_map, syntax_of_selector, syntax_of_texts


@dataclass(frozen=True, slots=True)
class Cause:
    reason: str  # "FieldValueInvalid", ...: metav1.CauseType
    field: str  # "spec.template.spec.containers[0].image"
    message: str  # everything after "field: "

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def to_json(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


def shown(value: Any) -> str:
    """A value as an error shows it: text in quotes, numbers bare, the rest as JSON."""
    if isinstance(value, str):
        return quoted(value)
    if value is None:
        return "null"
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


_MAPS = ("labels", "annotations", "matchLabels", "nodeSelector")


def shown_in(field: str, value: Any) -> str:
    """The same for a field that v1.32 shows as Go would write it (users search for these words): maps and
    lists of text, label selectors, and nothing."""
    if isinstance(value, Syntax):
        return value.text
    name = field.rpartition(".")[2]
    if isinstance(value, dict) and name in ("selector", "labelSelector"):
        return syntax_of_selector(value)
    if (value is None or isinstance(value, dict)) and name in _MAPS:
        return syntax_of_map(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return syntax_of_texts(value)
    return '"null"' if value is None else shown(value)


def invalid(field: str, value: Any, detail: str) -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {shown_in(field, value)}: {detail}")


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value")


def not_supported(field: str, value: Any, allowed: Iterable[str]) -> Cause:
    ordered = sorted(allowed) if isinstance(allowed, Set) else allowed  # a list is shown in its own order
    choices = ", ".join(f'"{choice}"' for choice in ordered)
    return Cause("FieldValueNotSupported", field,
                 f"Unsupported value: {shown_in(field, value)}: supported values: {choices}")


def duplicate(field: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", field, f"Duplicate value: {shown_in(field, value)}")


def not_found(field: str, value: Any) -> Cause:
    return Cause("FieldValueNotFound", field, f"Not found: {shown(value)}")


def forbidden(field: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {detail}")


def too_long(field: str, limit: int) -> Cause:
    return Cause("FieldValueTooLong", field, f"Too long: may not be more than {limit} bytes")


def too_many(field: str, found: int, limit: int) -> Cause:
    return Cause("FieldValueTooMany", field, f"Too many: {found}: must have at most {limit} items")
