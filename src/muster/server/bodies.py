"""Request bodies: JSON, or YAML or protobuf read as the JSON they stand for.

A YAML of a few bytes can stand for gigabytes (aliases of aliases), so what it would expand to is weighed
before anyone walks it.  Values that JSON does not have become what Kubernetes makes of them: dates are texts,
keys are texts.  Fields named twice are reported, since only the parser can see them.
"""
from __future__ import annotations

import math
import re
from typing import Any

import orjson
import yaml

from ..api import protobuf
from ..api.errors import BadRequest, TooLarge
from ..api.schema_json import DEEPEST, UNREADABLE, decode_json

LARGEST = 3 * 1024 * 1024  # bytes, as upstream's limit on request bodies

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SPACED_KEY = re.compile(rb'"\s+:')


def too_large() -> TooLarge:
    return TooLarge(f"Request entity too large: limit is {LARGEST}")


def decode(body: bytes, media: str, complaint: str = UNREADABLE) -> tuple[Any, list[str]]:
    """The value, and the paths of fields that were named twice."""
    if media == "yaml":
        return _decode_yaml(body), []
    if media == "protobuf":
        return protobuf.decode(body), []
    value, duplicates = decode_json(body, False, complaint)
    return decode_json(body, True, complaint) if _may_have_duplicates(body, value) else (value, duplicates)


def _may_have_duplicates(body: bytes, value: Any) -> bool:
    """False only where nothing was named twice: then writing what was read gives as many keys as came in.

    This costs 3 µs for a pod, where looking for duplicates costs 60; and most bodies are written as orjson would.
    """
    try:
        written = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False  # half a surrogate pair: whoever writes the object will say so
    if body.rstrip() == written:
        return False
    return body.count(b'":') != written.count(b'":') or b"\\u" in body or _SPACED_KEY.search(body) is not None


class _Loader(_LOADER):  # type: ignore[misc]
    """YAML without dates and base-60 numbers: `2026-01-31` and `12:30` are texts, as kubectl reads them."""


_PLAIN_INT = re.compile(r"^(?:[-+]?0b[0-1_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?0o?[0-7_]+|[-+]?(?:0|[1-9][0-9_]*))$")
_PLAIN_FLOAT = re.compile(r"^(?:[-+]?(?:[0-9][0-9_]*)?\.?[0-9]+(?:[eE][-+]?[0-9]+)?"
                          r"|[-+]?[0-9][0-9_]*\.(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$")
_INT, _FLOAT, _TIMESTAMP = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_INT, _FLOAT, _TIMESTAMP)]
    for first, resolvers in _LOADER.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, _PLAIN_INT, list("-+0123456789"))
_Loader.add_implicit_resolver(_FLOAT, _PLAIN_FLOAT, list("-+0123456789."))


def _decode_yaml(body: bytes) -> Any:
    try:
        documents = yaml.load_all(body, Loader=_Loader)
        value = next(documents, None)
        if next(documents, None) is not None:
            raise BadRequest("the request body holds more than one YAML document")
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError) as wrong:
        raise BadRequest(f"error converting YAML to JSON: yaml: {_said(wrong)}") from None
    except RecursionError:
        raise _too_deep() from None
    if _weight(value, {}, 0) > LARGEST:
        raise BadRequest("error converting YAML to JSON: yaml: document contains excessive aliasing")
    return _as_json(value)


def _said(wrong: Exception) -> str:
    """In the words of kubectl's own parser, which counts lines from 0 but where single characters are wrong."""
    if not isinstance(wrong, yaml.MarkedYAMLError) or wrong.problem is None:
        return " ".join(str(wrong).split())
    line = wrong.problem_mark.line if wrong.problem_mark is not None else 0
    if line:
        line += isinstance(wrong, yaml.scanner.ScannerError)
    elif wrong.context_mark is not None:
        line = wrong.context_mark.line
    return f"line {line}: {wrong.problem}" if line else str(wrong.problem)


def _weight(value: Any, known: dict[int, int], depth: int) -> int:
    """About how many bytes of JSON the value stands for, aliases written out."""
    if isinstance(value, str):
        return len(value) + 2
    if not isinstance(value, (dict, list, set, tuple)):
        return 4
    if depth > DEEPEST:
        raise _too_deep()  # as is a document that contains itself
    found = known.get(id(value))
    if found is None:
        inner = value.items() if isinstance(value, dict) else ((None, one) for one in value)
        found = 2 + sum((len(str(key)) + 3 if key is not None else 1) + _weight(one, known, depth + 1)
                        for key, one in inner)
        known[id(value)] = found
    return found


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {_as_key(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise BadRequest(f"error converting YAML to JSON: json: unsupported value: {value}")
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return float(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise BadRequest("error converting YAML to JSON: yaml: a !!binary value is not text") from None
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise BadRequest(f"error converting YAML to JSON: yaml: a {type(value).__name__} has no form in JSON")


def _as_key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, (int, float)):
        return str(key)
    raise BadRequest(f"error converting YAML to JSON: yaml: unsupported map key of type {type(key).__name__}")


def _too_deep() -> BadRequest:
    return BadRequest(f"error converting YAML to JSON: yaml: exceeded max depth of {DEEPEST}")
