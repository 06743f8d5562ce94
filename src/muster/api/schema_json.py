"""A request body as JSON: fast when all is well, exact about what is not.

orjson reads; the standard library is asked only for what orjson can not tell: which fields were named twice
(it keeps the last one silently, as Go does) and where a body stops being JSON.  Nesting is bounded, since
what comes in must also go out again, and numbers that are no numbers (NaN, 1e400) are refused.
"""
from __future__ import annotations

import json
from typing import Any

import orjson

from .errors import BadRequest

DEEPEST = 200  # levels: orjson writes 254, and an object may travel inside a list inside an event


UNREADABLE = "couldn't get version/kind; json parse error: "  # of an object


def decode_json(body: bytes, find_duplicates: bool, complaint: str = UNREADABLE) -> tuple[Any, list[str]]:
    """The value, and the paths of fields that are there twice (`spec.containers[0].image`) if asked for."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as wrong:
        raise BadRequest(complaint + _complaint(body, wrong)) from None
    # Brackets in texts count too, so this only ever looks twice at what is shallow.
    if body.count(b"{") + body.count(b"[") > DEEPEST and is_deeper(value, DEEPEST):
        raise BadRequest(f"{complaint}exceeded max depth of {DEEPEST}")
    return value, _duplicates(body) if find_duplicates else []


def is_deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists nest deeper than that."""
    level = [value] if isinstance(value, (dict, list)) else []
    while level and levels:
        levels -= 1
        level = [inner for outer in level for inner in (outer.values() if outer.__class__ is dict else outer)
                 if inner.__class__ is dict or inner.__class__ is list]
    return bool(level)


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    if one is other:
        return True
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def _duplicates(body: bytes) -> list[str]:
    twice: dict[int, list[str]] = {}  # id of an object -> its fields that were named again
    kept: list[Any] = []  # keeps those objects alive, so that an id stays one object's

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            again = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
            twice[id(made)] = list(dict.fromkeys(again))
            kept.append(made)
        return made

    try:
        value = json.loads(body, object_pairs_hook=collect)
    except ValueError:  # a number of thousands of digits: the standard library refuses to read it
        return []
    return _paths(value, twice) if twice else []


def _paths(value: Any, twice: dict[int, list[str]]) -> list[str]:
    found: list[str] = []
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        path, inner = pending.pop()
        if isinstance(inner, dict):
            start = f"{path}." if path else ""
            found += [start + key for key in twice.get(id(inner), ())]
            pending += reversed([(start + key, one) for key, one in inner.items()])
        elif isinstance(inner, list):
            pending += reversed([(f"{path}[{index}]", one) for index, one in enumerate(inner)])
    return found


_GO_WORDS = {  # how the standard library says it -> how Go says it
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
}


def _complaint(body: bytes, wrong: orjson.JSONDecodeError) -> str:
    try:
        text = body.decode()
        json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as found:
        if found.pos >= len(text) or found.msg.startswith("Unterminated string"):
            return "unexpected end of JSON input"
        if place := _GO_WORDS.get(found.msg):
            return f"invalid character {text[found.pos]!r} {place}"
    except (ValueError, RecursionError):
        pass
    return str(wrong)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
