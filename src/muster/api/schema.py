"""What Kubernetes v1.32 says of every field: its type, whether it must be there, how lists merge.

The facts come from the Kubernetes OpenAPI definitions (`tools/generate_schema.py`), 17 KB packed, unpacked at
first need.  Everything that must know the shape of an object asks here: reading (`schema_read.py`), patching
(`patches.py`) and the documents kubectl reads (`server/openapi.py`).

A field is one line of text, the same in the generated facts and in `Kind.own_schema`
(`{definition name: {field name: line}}`, for kinds that Kubernetes does not define):

    TYPE["!"] [patch=merge|retainKeys|merge,retainKeys|replace] [key=MERGE-KEY] [list=atomic|set|map]
              [keys=A,B] [map=atomic|granular] [-- what it is for, as kubectl explain shows it]

    "string!"                                         text, must be there
    "[]#io.k8s.api.core.v1.Container! patch=merge key=name list=map keys=name"
    "{}int32"                                         a map from text to int32

TYPE is `string`, `bytes` (base64), `boolean`, `int32`, `int64`, `double`, `quantity`, `time`, `micro-time`,
`int-or-string`, `any`, `#definition name`, `[]TYPE` or `{}TYPE`.  A field named `*` stands for all that are
not named (a CRD that preserves unknown fields: `{"*": "any"}`).
"""
from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

import orjson

from .errors import BadRequest
from .kinds.kind import Kind
from .objects import Obj
from .schema_json import decode_json as decode_json
from .schema_read import Mode, Readers, check_kind, read_with

_DATA = "schema_data/v1.32.json.gz"
OBJECT, LIST, MAP = "object", "list", "map"


@dataclass(frozen=True, slots=True)
class Type:
    shape: str  # OBJECT, LIST, MAP, or a plain one: "string", "int32", "quantity", ...
    definition: str = ""  # of an OBJECT
    item: Type | None = None  # of a LIST or a MAP


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: Type
    required: bool = False
    patch: tuple[str, ...] = ()  # strategies of a strategic merge patch: "merge", "retainKeys", "replace"
    merge_key: str = ""
    list_type: str = ""  # "atomic" | "set" | "map"
    list_keys: tuple[str, ...] = ()  # what tells the items of a list of type "map" apart
    map_type: str = ""
    description: str = ""  # of own schemas; the generated facts hold none


@dataclass(frozen=True, slots=True)
class Definition:
    name: str
    fields: Mapping[str, Field]
    kinds: tuple[tuple[str, str, str], ...] = ()  # (group, version, kind) that have this shape
    map_type: str = ""  # "atomic": replaced as a whole
    plain: str = ""  # for one that is no object but a plain type: "quantity", "time", "any", ...
    rest: Field | None = field(default=None)  # what the fields that have no name may hold


@lru_cache(maxsize=1024)
def type_of(text: str) -> Type:
    """`type_of("[]#io.k8s.api.core.v1.Container")`"""
    if text.startswith("[]"):
        return Type(LIST, item=type_of(text[2:]))
    if text.startswith("{}"):
        return Type(MAP, item=type_of(text[2:]))
    if text.startswith("#"):
        return Type(OBJECT, definition=text[1:])
    return Type(text)


def field_of(name: str, line: str) -> Field:
    """A line of the facts as a Field."""
    line, _, description = line.partition(" -- ")
    type_text, *marks = line.split(" ")
    marked = dict(mark.split("=", 1) for mark in marks)
    return Field(
        name=name,
        type=type_of(type_text.removesuffix("!")),
        required=type_text.endswith("!"),
        patch=tuple(marked["patch"].split(",")) if "patch" in marked else (),
        merge_key=marked.get("key", ""),
        list_type=marked.get("list", ""),
        list_keys=tuple(marked["keys"].split(",")) if "keys" in marked else (),
        map_type=marked.get("map", ""),
        description=description,
    )


def _definition_of(name: str, facts: Mapping[str, Any]) -> Definition:
    fields = {one: field_of(one, line) for one, line in facts.get("fields", {}).items()}
    return Definition(
        name=name,
        rest=fields.pop("*", None),
        fields=fields,
        kinds=tuple(tuple(kind) for kind in facts.get("kinds", ())),
        map_type=facts.get("map", ""),
        plain=facts.get("is", ""),
    )


@lru_cache(maxsize=1)
def _generated() -> Mapping[str, Mapping[str, Any]]:
    packed = files(__package__).joinpath(_DATA).read_bytes()
    return orjson.loads(gzip.decompress(packed))["definitions"]


class Unreadable(BadRequest):
    """A body that does not have its kind's shape.  `wrong` says what, without naming the kind."""

    def __init__(self, name: str, version: str, wrong: ValueError):
        super().__init__(f'{name} in version "{version}" cannot be handled as a {name}: {wrong}')
        self.wrong = wrong


class Schema:
    """The definitions, parsed when first asked for, and the readers made of them."""

    def __init__(self, facts: Mapping[str, Mapping[str, Any]]):
        self._facts = facts
        self._definitions: dict[str, Definition] = {}
        self._own: dict[str, Mapping[str, Any]] = {}  # definition of a kind -> its own_schema
        self._own_facts: dict[str, Mapping[str, Any]] = {}
        self._readers = Readers(self.definition)

    @staticmethod
    def load() -> Schema:
        """All of Kubernetes v1.32."""
        return Schema(_generated())

    def definition(self, name: str) -> Definition:
        """KeyError for one that is neither Kubernetes' nor of a kind this schema was shown."""
        found = self._definitions.get(name)
        if found is None:
            facts = self._own_facts.get(name) or self._facts[name]
            found = self._definitions[name] = _definition_of(name, facts)
        return found

    def definition_of(self, kind: Kind) -> Definition:
        """The shape of a kind.  Learns its own schema, and learns it anew where a row replaced another."""
        if kind.own_schema and self._own.get(kind.definition) is not kind.own_schema:
            self._own[kind.definition] = kind.own_schema
            for name, fields in kind.own_schema.items():
                self._own_facts[name] = {"fields": fields}
                self._definitions.pop(name, None)
            self._readers = Readers(self.definition)
        return self.definition(kind.definition)

    def read(self, kind: Kind, obj: Any, mode: Mode, duplicates: Sequence[str] = ()) -> tuple[Obj, list[str]]:
        """The object as Kubernetes would decode it, and the warnings to send along.

        Unknown fields and nulls are left out; what nothing is left out of is the same object afterwards.
        `duplicates` are the fields that the body named twice (`decode_json`).  Raises BadRequest for a wrong
        type or, when Strict, for an unknown or a duplicate field.
        """
        check_kind(obj, kind.group, kind.version, kind.name)
        self.definition_of(kind)
        return self.read_as(kind.definition, obj, mode, duplicates, name=kind.name, version=kind.version)

    def read_as(self, definition: str, obj: Any, mode: Mode, duplicates: Sequence[str] = (), *,
                name: str = "", version: str = "") -> tuple[Obj, list[str]]:
        """`read` for a body that is no kind of its own: DeleteOptions, Scale, Binding, Eviction."""
        group, _, last = definition.rpartition(".")
        name, version = name or last, version or group.rpartition(".")[2]
        try:
            return read_with(self._readers.reader(definition), obj, mode, duplicates)
        except ValueError as wrong:
            raise Unreadable(name, version, wrong) from None
