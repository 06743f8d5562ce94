"""Reads a body in Kubernetes' protobuf as the JSON object that it stands for.  Nothing is ever written in it.

kubectl and other clients in Go send what they create this way where a kind is built in:

    "k8s\\0", then runtime.Unknown { 1: { 1: apiVersion, 2: kind }, 2: the object's own message, ... }

A message is made of `number << 3 | wire type`, value, and so on.  Which number is which field comes from
`tools/generate_protobuf_fields.py`, 13 KB packed, unpacked at first need.  A field is one line, under its number:

    NAME TYPE["?"]["!"]     "replicas int32?"   "containers []#io.k8s.api.core.v1.Container!"

TYPE is written as in `schema.py`; `()TYPE` is a message around a list; without a NAME, the fields of the inner
message are the outer one's own.  Go puts every field that is no pointer on the wire, zero or not.  So, as when
Go writes JSON: a pointer (`?`) is there if it was sent, be it 0 or false; of the rest, a zero is left out, unless
Go's JSON always holds the field (`!`, and all that are structs).  Numbers that v1.32 does not know are passed
over, as upstream does: a newer client sends even those it leaves at zero.
https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""
from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import orjson

from .errors import BadRequest
from .objects import Obj
from .schema_json import decode_json

_DATA = "schema_data/v1.32-protobuf.json.gz"
_PREFIX = b"k8s\0"
VARINT, FIXED_64, SIZED, GROUP, END_GROUP, FIXED_32 = range(6)  # wire types
_MOST_GROUPS = 100  # inside one another; nothing of Kubernetes is written as a group
_MOST_VALUES = 250_000  # messages and items in one body: what is small on the wire is large in memory
_ENDS_EARLY = "unexpected EOF"


def decode(body: bytes) -> Obj:
    """Raises BadRequest."""
    if not body.startswith(_PREFIX):
        raise BadRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
                         if body else "empty data")
    try:
        envelope = _Reading(body).message(_message("Unknown"), len(_PREFIX), len(body))
    except ValueError as wrong:
        raise BadRequest(f"the body of the request is no protobuf message: {wrong}") from None
    kind, api_version = envelope["typeMeta"].get("kind"), envelope["typeMeta"].get("apiVersion")
    if not kind or not api_version:
        raise BadRequest(f"Object '{'apiVersion' if kind else 'Kind'}' is missing in the protobuf message")
    if envelope.get("contentEncoding"):
        raise BadRequest(f"protobuf content is encoded as {envelope['contentEncoding']!r}, which is not supported")
    group, _, version = api_version.rpartition("/")
    definition = _facts()["kinds"].get(f"{group}/{version}/{kind}")
    if definition is None:
        raise BadRequest(f'no kind "{kind}" is registered for version "{api_version}"')
    raw = envelope.get("raw", b"")
    try:
        return {"kind": kind, "apiVersion": api_version,
                **_Reading(raw).message(_message(definition), 0, len(raw))}
    except ValueError as wrong:
        raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: {wrong}') from None


# ---- what the messages are -----------------------------------------------------------------------------------

class _Field(NamedTuple):
    name: str  # "": the fields of `message` are those of the message it is in
    wire: int  # VARINT | SIZED: Kubernetes uses no other
    shape: str  # "one" | "list" | "map"
    kept: bool  # also when it is zero
    plain: Callable[[Any], Any] | None  # from what is on the wire; None: a message
    message: _Message | None


class _Message(NamedTuple):
    name: str
    fields: dict[int, _Field]
    zeros: list[tuple[str, Any]]  # what is there even if nothing was sent; a _Message stands for its own zero
    finish: Callable[[Obj], Any] | None  # for what is no object in JSON


def _signed(bits: int) -> Callable[[int], int]:
    low, over = 1 << bits - 1, 1 << bits

    def read(value: int) -> int:
        value &= over - 1
        return value - over if value >= low else value
    return read


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


_PLAIN: dict[str, tuple[int, Callable[[Any], Any], Any]] = {  # wire type, reading, zero in JSON
    "string": (SIZED, _text, ""),
    "bytes": (SIZED, _base64, None),
    "raw": (SIZED, bytes, b""),
    "boolean": (VARINT, bool, False),
    "int32": (VARINT, _signed(32), 0),
    "int64": (VARINT, _signed(64), 0),
}
_EPOCH = datetime(1970, 1, 1)


def _moment(sent: Obj, microseconds: int) -> datetime | None:
    if not sent:
        return None
    try:
        moment = _EPOCH + timedelta(seconds=sent.get("seconds", 0), microseconds=microseconds)
    except OverflowError:
        raise ValueError("Time.MarshalJSON: year outside of range [0,9999]") from None
    return None if moment == datetime.min else moment


def _time(sent: Obj) -> str | None:
    """Whole seconds: upstream passes over the rest."""
    moment = _moment(sent, 0)
    return None if moment is None else moment.isoformat(timespec="seconds") + "Z"


def _micro_time(sent: Obj) -> str | None:
    moment = _moment(sent, sent.get("nanos", 0) // 1000)
    return None if moment is None else moment.isoformat(timespec="microseconds") + "Z"


def _int_or_string(sent: Obj) -> int | str:
    which = sent.get("type", 0)
    if which not in (0, 1):
        raise ValueError("impossible IntOrString.Type")
    found: int | str = sent.get("strVal", "") if which else sent.get("intVal", 0)
    return found


def _any(sent: Obj) -> Any:
    """JSON inside a message."""
    return decode_json(sent["raw"], False)[0] if sent.get("raw") else None


# Messages that JSON writes as something else, and how; field lines as in the facts.
_SPECIAL: dict[str, tuple[Mapping[str, str], Callable[[Obj], Any]]] = {
    "quantity": ({"1": "string string"}, lambda sent: sent.get("string", "0")),
    "time": ({"1": "seconds int64?", "2": "nanos int32?"}, _time),
    "micro-time": ({"1": "seconds int64?", "2": "nanos int32?"}, _micro_time),
    "int-or-string": ({"1": "type int64", "2": "intVal int32", "3": "strVal string"}, _int_or_string),
    "any": ({"1": "raw raw"}, _any),
}
_ENVELOPE: dict[str, Mapping[str, str]] = {
    "Unknown": {"1": "typeMeta #TypeMeta", "2": "raw raw", "3": "contentEncoding string", "4": "contentType string"},
    "TypeMeta": {"1": "apiVersion string", "2": "kind string"},
}


@cache
def _facts() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = orjson.loads(
        gzip.decompress(files(__package__).joinpath(_DATA).read_bytes()))
    return found


@cache  # bounded by the facts
def _message(definition: str) -> _Message:
    """No message of the facts contains itself."""
    lines = _ENVELOPE.get(definition) or _facts()["messages"][definition]
    return _made(definition.rpartition(".")[2], lines, None)


@cache
def _special(name: str) -> _Message:
    lines, finish = _SPECIAL[name]
    return _made(name, lines, finish)


def _made(name: str, lines: Mapping[str, str], finish: Callable[[Obj], Any] | None) -> _Message:
    fields: dict[int, _Field] = {}
    zeros: list[tuple[str, Any]] = []
    for number, line in lines.items():
        called, _, said = line.partition(" ")
        always, pointer = said.endswith("!"), said.removesuffix("!").endswith("?")
        field = fields[int(number)] = _field(called, said.rstrip("?!"), kept=always or pointer)
        if not called:
            assert field.message is not None
            zeros += field.message.zeros
        elif pointer or field.shape != "one":
            zeros += [(called, None)] if always else []
        elif field.message is not None:
            zeros.append((called, field.message))
        elif always:
            zeros.append((called, _PLAIN[said.rstrip("!")][2]))
    return _Message(name, fields, zeros, finish)


def _field(name: str, type_text: str, *, kept: bool) -> _Field:
    shape = {"[]": "list", "{}": "map"}.get(type_text[:2], "one")
    item = type_text[2:] if shape != "one" else type_text
    plain = _PLAIN.get(item)
    if shape == "map":
        # An entry is a message of its own: the key, and the value.
        entry = {"1": "key string!", "2": f"value {item}{'?' if item == 'bytes' else '!'}"}
        return _Field(name, SIZED, shape, kept, None, _made(f"{name} entry", entry, None))
    if plain is not None:
        return _Field(name, plain[0], shape, kept, plain[1], None)
    return _Field(name, SIZED, shape, kept, None, _message_of(item))


def _message_of(type_text: str) -> _Message:
    if type_text.startswith("#"):
        return _message(type_text[1:])
    if type_text.startswith("()"):
        return _made("list", {"1": f"items []{type_text[2:]}"}, lambda sent: sent.get("items", []))
    return _special(type_text)


def _zero(message: _Message) -> Any:
    value: Obj = {name: _zero(zero) if zero.__class__ is _Message else zero for name, zero in message.zeros}
    return value if message.finish is None else message.finish(value)


# ---- reading them --------------------------------------------------------------------------------------------

class _Reading:
    """One walk over the bytes, which are never left: each step checks how many there are."""

    def __init__(self, body: bytes):
        self._body = body
        self._left = _MOST_VALUES

    def message(self, message: _Message, start: int, end: int, into: Obj | None = None) -> Any:
        """What is between `start` and `end`.  Merged `into` what the same field was sent as before."""
        at, fields = start, message.fields
        value: Obj = _zero(message) if into is None and message.finish is None else {} if into is None else into
        self._count()
        while at < end:
            tag, at = self._varint(at, end)
            number, wire = tag >> 3 & 0xFFFFFFFF, tag & 7
            if wire == END_GROUP:
                raise ValueError(f"proto: {message.name}: wiretype end group for non-group")
            if not 0 < number < 1 << 31:
                raise ValueError(f"proto: {message.name}: illegal tag {_signed(32)(number)} (wire type {wire})")
            field = fields.get(number)
            if field is None:
                at = self._skip(wire, at, end)
            elif wire == SIZED:
                size, start = self._varint(at, end)
                at = start + size
                if at > end:
                    raise ValueError(_ENDS_EARLY)
                self._sized(field, start, at, value)
            elif wire != field.wire:
                raise _wrong_wire_type(wire, field)
            else:
                sent, at = self._varint(at, end)
                self._keep(field, sent, value)
        return value if message.finish is None else message.finish(value)

    def _sized(self, field: _Field, start: int, end: int, value: Obj) -> None:
        message = field.message
        if message is None:
            if field.wire == SIZED:
                self._keep(field, self._body[start:end], value)
            elif field.shape == "list":  # packed: many numbers in one
                while start < end:
                    sent, start = self._varint(start, end)
                    self._keep(field, sent, value)
            else:
                raise _wrong_wire_type(SIZED, field)
        elif not field.name:
            self.message(message, start, end, value)
        elif field.shape == "one":
            before = value.get(field.name) if message.finish is None else None
            value[field.name] = self.message(message, start, end, before)
        else:
            item = self.message(message, start, end)
            if field.shape == "list":
                self._append(field, item, value)
            else:
                known = value.get(field.name)
                if known is None:
                    known = value[field.name] = {}
                known[item["key"]] = item.get("value", "")  # Go does not send bytes that are none

    def _keep(self, field: _Field, sent: Any, value: Obj) -> None:
        assert field.plain is not None
        read = field.plain(sent)
        if field.shape == "list":
            self._count()
            self._append(field, read, value)
        elif read or field.kept:
            value[field.name] = read
        else:
            value.pop(field.name, None)  # what was sent last counts

    @staticmethod
    def _append(field: _Field, item: Any, value: Obj) -> None:
        known = value.get(field.name)
        if known is None:
            value[field.name] = [item]
        else:
            known.append(item)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {_MOST_VALUES} values in one body")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            if at >= end:
                raise ValueError(_ENDS_EARLY)
            byte = self._body[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value & 0xFFFFFFFFFFFFFFFF, at
            shift += 7
            if shift >= 64:
                raise ValueError("proto: integer overflow")

    def _skip(self, wire: int, at: int, end: int) -> int:
        """Where what is not known ends."""
        groups = 0
        while True:
            if wire == VARINT:
                _, at = self._varint(at, end)
            elif wire == SIZED:
                size, at = self._varint(at, end)
                at += size
            elif wire == FIXED_64:
                at += 8
            elif wire == FIXED_32:
                at += 4
            elif wire == GROUP:
                groups += 1
                if groups > _MOST_GROUPS:
                    raise ValueError(f"proto: exceeded max depth of {_MOST_GROUPS}")
            elif wire == END_GROUP:
                groups -= 1
            else:
                raise ValueError(f"proto: illegal wireType {wire}")
            if at > end:
                raise ValueError(_ENDS_EARLY)
            if not groups:
                return at
            tag, at = self._varint(at, end)
            wire = tag & 7


def _wrong_wire_type(wire: int, field: _Field) -> ValueError:
    name = field.name or "an inlined field"
    return ValueError(f"proto: wrong wireType = {wire} for field {name[:1].upper()}{name[1:]}")
