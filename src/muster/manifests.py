"""Reads files of manifests: YAML documents divided by `---`, or JSON, with errors that name file and line."""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .api.errors import ApiError, BadRequest
from .api.kinds.catalogue import Kinds
from .api.objects import Obj
from .api.schema import Schema
from .server.bodies import decode

_DIVIDER = re.compile(r"^---(?:\s|$)")
_LINE = re.compile(r"\bline (\d+)")


class Manifest(NamedTuple):
    where: str  # "fluentd.yaml, line 12": where its document begins
    value: Obj


def read_manifests(file: Path) -> list[Manifest]:
    """The objects in a file, in order; a List gives its items.  Raises BadRequest."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadRequest(f"{file}: not a text file: {error.reason}") from error
    return manifests_in(text, str(file))


def manifests_in(text: str, name: str) -> list[Manifest]:
    """The same for a text; `name` is what errors call it."""
    found: list[Manifest] = []
    for first_line, document in _documents(text):
        try:
            value, duplicates = decode(document.encode(), "yaml")
        except BadRequest as error:
            raise BadRequest(f"{name}: {_moved(str(error), first_line)}") from error
        where = f"{name}, line {first_line + 1}"
        if duplicates:
            raise BadRequest(f"{where}: {duplicates[0]} is given twice")
        found.extend(Manifest(where, one) for one in _objects(value, where))
    if not found:
        raise BadRequest(f"{name}: no objects in it")
    return found


def check(manifest: Manifest, kinds: Kinds, schema: Schema) -> None:
    """Raises BadRequest for a kind that is not served, and for a field that it does not have."""
    value = manifest.value
    kind = kinds.named(value["apiVersion"], value["kind"])
    if kind is None:
        raise BadRequest(f'{manifest.where}: no matches for kind "{value["kind"]}" in version "{value["apiVersion"]}"')
    try:
        schema.read(kind, value, "Strict")
    except ApiError as error:
        raise located(error, manifest) from None


def located(error: ApiError, manifest: Manifest) -> ApiError:
    """The error, now naming the manifest that is to blame."""
    error.message = f"{manifest.where}: {error.message}"
    error.args = (error.message,)
    return error


def _documents(text: str) -> Iterator[tuple[int, str]]:
    """Each document with the number of lines before it."""
    lines, start = text.splitlines(keepends=True), 0
    for number, line in enumerate(lines):
        if _DIVIDER.match(line):
            yield start, "".join(lines[start:number])
            start = number + 1
    yield start, "".join(lines[start:])


def _objects(value: Any, where: str) -> Iterator[Obj]:
    if value is None:
        return
    if not isinstance(value, dict):
        raise BadRequest(f"{where}: an object is expected, with apiVersion, kind and metadata")
    for word in ("apiVersion", "kind"):
        if not isinstance(value.get(word), str) or not value[word]:
            raise BadRequest(f"{where}: {word} is not set")
    if value["kind"] == "List" and isinstance(value.get("items"), list):
        for item in value["items"]:
            yield from _objects(item, where)
        return
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise BadRequest(f"{where}: {value['kind']}: metadata.name is not set")
    yield value


def _moved(message: str, lines: int) -> str:
    """The message with its line counted from the top of the file."""
    return _LINE.sub(lambda found: f"line {int(found[1]) + lines}", message)
