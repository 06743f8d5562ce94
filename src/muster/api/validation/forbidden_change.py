"""What differs, where hardly anything may change: shown beside the refusal.

Upstream prints the difference of two Go structs there, in a form that is meant for people and not promised to stay;
here a line is a field.

    - spec.nodeName: "node-1"
    + spec.nodeName: "node-2"
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..causes import shown

DIFFERENCES_SHOWN = 10


def difference(before: Any, after: Any, path: str) -> str:
    """The first fields that differ, one line for what was and one for what would be."""
    found = list(_differences(before, after, path))
    lines = [line for at, old, new in found[:DIFFERENCES_SHOWN] for line in (
        f"- {at}: {shown(old)}" if old is not None else "", f"+ {at}: {shown(new)}" if new is not None else "")]
    if len(found) > DIFFERENCES_SHOWN:
        lines.append(f"... and {len(found) - DIFFERENCES_SHOWN} more")
    return "\n".join(line for line in lines if line)


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for field in sorted(before.keys() | after.keys()):
            yield from _differences(before.get(field), after.get(field), f"{path}.{field}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differences(old, new, f"{path}[{index}]")
    else:
        yield path, before, after
