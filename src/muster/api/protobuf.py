"""Request bodies in Kubernetes' protobuf, read as the JSON they stand for.

Parts of kubectl (`create namespace`, `create deployment`, `auth can-i`, `drain`) send protobuf and nothing
else; answers may be JSON.  A body is the four bytes `k8s\\0` and an envelope that says the kind and holds the
object.  The field numbers are facts of the API (`tools/generate_field_numbers.py`), one line a field:

    NAME TYPE [inline] [kept]        "4": "revisionHistoryLimit int kept"

TYPE is `string`, `bytes`, `int`, `bool`, `double`, `#message`, `[]TYPE` or `{}TYPE` (a map from text).  The fields
of an `inline` message belong to the one around it.  Go sends what was never set as zero: such fields are left
out, unless they are `kept` (sent only when set, or required).

https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""
from __future__ import annotations

import base64
import gzip
import struct
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any

import orjson

from .errors import BadRequest
from .objects import Obj, to_micro_time, to_time

MAGIC = b"k8s\x00"
DEEPEST = 100
_DATA = "schema_data/field_numbers.json.gz"
_META = "apimachinery.pkg.apis.meta.v1"


def decode(body: bytes) -> Obj:
    """The object, with its apiVersion and kind.  Raises BadRequest."""
    if not body.startswith(MAGIC):
        raise BadRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        return _envelope(body[len(MAGIC):])
    except (ValueError, IndexError, struct.error, RecursionError) as wrong:
        raise BadRequest(f"the protobuf body can not be read: {wrong}") from None


def _envelope(body: bytes) -> Obj:
    api_version = kind = ""
    raw = b""
    for number, value in fields(body):
        if number == 1:
            said = dict(fields(_bytes(value)))
            api_version, kind = _text(said.get(1, b"")), _text(said.get(2, b""))
        elif number == 2:
            raw = _bytes(value)
        elif number in (3, 4) and value not in (b"", b"application/vnd.kubernetes.protobuf"):
            raise ValueError("its object is packed or written in another way")
    name = _message_of(api_version, kind)
    return {"apiVersion": api_version, "kind": kind, **_object(name, raw, 0)}


def _message_of(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    name = f"api.{group.removesuffix('.k8s.io').partition('.')[0] or 'core'}.{version}.{kind}"
    if name in _numbers():
        return name
    if f"{_META}.{kind}" in _numbers():  # DeleteOptions: the same in every group
        return f"{_META}.{kind}"
    raise ValueError(f'no kind "{kind}" is registered for version "{api_version}"')


@lru_cache(maxsize=1)
def _numbers() -> dict[str, dict[int, list[str]]]:
    """Message -> number -> [name, type, mark]."""
    raw = (files(__package__) / _DATA).read_bytes()
    return {message: {int(number): [*line.split(), ""][:3] for number, line in lines.items()}
            for message, lines in orjson.loads(gzip.decompress(raw)).items()}


def _object(message: str, raw: bytes, depth: int) -> Obj:
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    known = _numbers().get(message)
    if known is None:
        raise ValueError(f"{message} is not known")
    result: Obj = {}
    for number, value in fields(raw):
        if number not in known:
            continue  # of a later release
        name, type_, mark = known[number]
        if mark == "inline":
            result.update(_object(type_[1:], _bytes(value), depth + 1))
        elif type_.startswith("[]"):
            result.setdefault(name, []).extend(_items(type_[2:], value, depth))
        elif type_.startswith("{}"):
            entry = dict(fields(_bytes(value)))
            result.setdefault(name, {})[_text(entry.get(1, b""))] = _value(type_[2:], entry.get(2), depth)
        else:
            read = _value(type_, value, depth)
            if mark or read not in _UNSET or (type_[0] == "#" and read is not None):
                result[name] = read
    return result


_UNSET = (None, "", 0, False, 0.0)


def _items(type_: str, value: Any, depth: int) -> list[Any]:
    if type_ in ("int", "bool") and isinstance(value, bytes):  # packed
        packed, numbers = 0, []
        while packed < len(value):
            number, packed = _varint(value, packed)
            numbers.append(_value(type_, number, depth))
        return numbers
    return [_value(type_, value, depth)]


def _value(type_: str, value: Any, depth: int) -> Any:
    if type_ == "string":
        return _text(value or b"")
    if type_ == "int":
        return _signed(value or 0)
    if type_ == "bool":
        return bool(value)
    if type_ == "bytes":
        return base64.b64encode(_bytes(value or b"")).decode()
    if type_ == "double":
        return struct.unpack("<d", value)[0] if value else 0.0
    special = _SPECIAL.get(type_[1:])
    if special is not None:
        return special(dict(fields(_bytes(value or b""))))
    if type_.endswith(".ExtraValue") or type_.endswith(".Verbs"):  # a list that Go gave a name
        return [_text(one) for number, one in fields(_bytes(value or b"")) if number == 1]
    return _object(type_[1:], _bytes(value or b""), depth + 1)


def _time(said: dict[int, Any]) -> str | None:
    return to_time(_signed(said.get(1, 0))) if said else None


def _micro_time(said: dict[int, Any]) -> str | None:
    return to_micro_time(_signed(said.get(1, 0)) + _signed(said.get(2, 0)) / 1e9) if said else None


def _raw(said: dict[int, Any]) -> Any:
    text = said.get(1, b"")
    return orjson.loads(text) if text else None


_SPECIAL = {
    f"{_META}.Time": _time,
    f"{_META}.MicroTime": _micro_time,
    f"{_META}.FieldsV1": _raw,
    "apimachinery.pkg.runtime.RawExtension": _raw,
    "apimachinery.pkg.api.resource.Quantity": lambda said: _text(said.get(1, b"")) or "0",
    "apimachinery.pkg.util.intstr.IntOrString": lambda said: (
        _text(said.get(3, b"")) if said.get(1) else _signed(said.get(2, 0))),
}


# ---- the wire format


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value): an int for a varint, else bytes.  Raises ValueError for what is no message."""
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("a field has no number")
        if wire == 0:
            value, place = _varint(message, place)
            yield number, value
            continue
        if wire == 2:
            length, place = _varint(message, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} is not used")
        if place + length > end:
            raise ValueError("unexpected end of the message")
        yield number, message[place:place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("unexpected end of the message" if shift <= 63 else "a number is too long")
        byte = message[place]
        place += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, place
        shift += 7


def _signed(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError("a number is written as text")
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number is where a message or a text should be")
    return value


def _text(value: Any) -> str:
    return _bytes(value).decode()
