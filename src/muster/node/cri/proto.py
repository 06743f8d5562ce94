"""Messages and methods from our own .proto files, made when they are first read: no generated code is kept.

    runtime = read("runtime.proto")
    runtime.message("Mount")(container_path="/data", host_path="/var/data")
    runtime.methods["RuntimeService"]["Version"]        its path, what it takes and answers, whether it streams

Generated code is tied to one version of protobuf; a descriptor is not.  What is understood is what these files
hold: proto3 messages with scalars, other messages, enums, `repeated` and maps, services; no nesting, no oneof.
https://protobuf.dev/programming-guides/proto3/
"""
from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {name: getattr(_FIELD, f"TYPE_{name.upper()}")
            for name in ("string", "bytes", "bool", "int32", "int64", "uint32", "uint64")}
_TOKEN = re.compile(r'"[^"]*"|[\w.]+|[{}()<>=,;]')


class Method(NamedTuple):
    path: str  # "/runtime.v1.RuntimeService/Version"
    request: Any  # the message's class
    response: Any
    streams: bool  # does it answer with a stream?


class Messages:
    def __init__(self, package: str, classes: dict[str, Any], methods: dict[str, dict[str, Method]]):
        self.package, self.classes, self.methods = package, classes, methods

    def message(self, name: str) -> Any:
        return self.classes[name]


@lru_cache(maxsize=8)
def read(name: str) -> Messages:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return _Reader(name, text).read()


class _Reader:
    def __init__(self, name: str, text: str):
        self._tokens = _TOKEN.findall(re.sub(r"//.*", "", text))
        self._place = 0
        self._file = descriptor_pb2.FileDescriptorProto(name=f"muster/{name}", syntax="proto3")
        self._services: dict[str, list[tuple[str, str, str, bool]]] = {}

    def read(self) -> Messages:
        while self._place < len(self._tokens):
            match self._next():
                case "syntax":
                    self._skip("=", '"proto3"', ";")
                case "package":
                    self._file.package = self._next()
                    self._skip(";")
                case "message":
                    self._message()
                case "enum":
                    self._enum()
                case "service":
                    self._service()
                case other:
                    raise AssertionError(f"{self._file.name}: {other!r} is not understood")
        self._resolve()
        pool = descriptor_pool.DescriptorPool()
        pool.Add(self._file)
        package = self._file.package
        classes = {message.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{package}.{message.name}")) for message in self._file.message_type}
        methods = {service: {method: Method(f"/{package}.{service}/{method}", classes[takes], classes[gives], streams)
                             for method, takes, gives, streams in rows} for service, rows in self._services.items()}
        return Messages(package, classes, methods)

    def _next(self) -> str:
        self._place += 1
        return str(self._tokens[self._place - 1])

    def _skip(self, *expected: str) -> None:
        for one in expected:
            found = self._next()
            assert found == one, f"{self._file.name}: {one!r} was expected, not {found!r}"

    def _is_end(self) -> bool:
        if self._tokens[self._place] != "}":
            return False
        self._place += 1
        return True

    def _message(self) -> None:
        message = self._file.message_type.add(name=self._next())
        self._skip("{")
        while not self._is_end():
            word = self._next()
            if word == "map":
                self._map(message)
                continue
            label = _FIELD.LABEL_REPEATED if word == "repeated" else _FIELD.LABEL_OPTIONAL
            self._field(message, self._next() if word == "repeated" else word, label)

    def _field(self, message: Any, type_: str, label: Any) -> None:
        field = message.field.add(name=self._next(), label=label)
        _set_type(field, type_)
        self._skip("=")
        field.number = int(self._next())
        self._skip(";")

    def _map(self, message: Any) -> None:
        """A map is, on the wire, a repeated message of a key and a value."""
        self._skip("<")
        key = self._next()
        self._skip(",")
        value = self._next()
        self._skip(">")
        entry = "".join(part.capitalize() for part in self._tokens[self._place].split("_")) + "Entry"
        self._field(message, f".{self._file.package}.{message.name}.{entry}", _FIELD.LABEL_REPEATED)
        nested = message.nested_type.add(name=entry)
        nested.options.map_entry = True
        for number, (name, type_) in enumerate((("key", key), ("value", value)), 1):
            _set_type(nested.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL), type_)

    def _enum(self) -> None:
        enum = self._file.enum_type.add(name=self._next())
        self._skip("{")
        while not self._is_end():
            name = self._next()
            self._skip("=")
            enum.value.add(name=name, number=int(self._next()))
            self._skip(";")

    def _service(self) -> None:
        rows = self._services.setdefault(self._next(), [])
        self._skip("{")
        while not self._is_end():
            self._skip("rpc")
            method = self._next()
            self._skip("(")
            takes = self._next()
            self._skip(")", "returns", "(")
            gives = self._next()
            streams = gives == "stream"
            rows.append((method, takes, self._next() if streams else gives, streams))
            self._skip(")", ";")

    def _resolve(self) -> None:
        """Now that every name is known: which of them are enums, and what they are called in full."""
        enums = {enum.name for enum in self._file.enum_type}
        for message in self._file.message_type:
            for field in message.field:
                if field.type_name and not field.type_name.startswith("."):
                    field.type = _FIELD.TYPE_ENUM if field.type_name in enums else _FIELD.TYPE_MESSAGE
                    field.type_name = f".{self._file.package}.{field.type_name}"


def _set_type(field: Any, type_: str) -> None:
    if type_ in _SCALARS:
        field.type = _SCALARS[type_]
    else:
        field.type_name = type_
        field.type = _FIELD.TYPE_MESSAGE
