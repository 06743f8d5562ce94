"""The OpenAPI v3 documents that kubectl reads: one for each group and version, made from the Kind rows.

`kubectl explain` shows them, `apply` and `diff` take merge keys from them, and any write asks them whether
the server knows `fieldValidation` and `dryRun`.  kubectl reads `/openapi/v3` first (`index`), then the
document it names, whose address holds a hash: unchanged means it may be kept for ever.

Descriptions are not part of Muster's own facts.  They are shown where the package kubernetes-validate is
installed (`pip install muster[explain]`).
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""
from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import orjson

from ..api.errors import NotFound
from ..api.kinds.kind import Kind, Subresource
from ..api.objects import Obj
from ..api.schema import LIST, MAP, OBJECT, Definition, Field, Schema, Type

MOST_KEPT = 64  # documents, each some 100 KB
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_DELETE_OPTIONS, _LIST_META, _STATUS = f"{_META}.DeleteOptions", f"{_META}.ListMeta", f"{_META}.Status"
_PATCH = f"{_META}.Patch"
_SOURCE = "kubernetes-json-schema/v1.32.0-local/_definitions.json"
_PATCH_MEDIA = ("application/json-patch+json", "application/merge-patch+json",
                "application/strategic-merge-patch+json")

_PLAIN: dict[str, Obj] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "boolean": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "double": {"type": "number", "format": "double"},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "time": {"type": "string", "format": "date-time"},
    "micro-time": {"type": "string", "format": "date-time"},
    "int-or-string": {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
    "any": {"x-kubernetes-preserve-unknown-fields": True},
}

_kept: OrderedDict[str, bytes] = OrderedDict()


def index(kinds: Iterable[Kind]) -> Obj:
    """`GET /openapi/v3`: where each group's document is."""
    rows_of: dict[str, list[Kind]] = {}
    for kind in kinds:
        rows_of.setdefault(_root(kind.group, kind.version), []).append(kind)
    return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}?hash={_hash(rows)}"}
                      for root, rows in sorted(rows_of.items())}}


def document(kinds: Iterable[Kind], schema: Schema, group: str, version: str) -> bytes:
    """`GET /openapi/v3/apis/apps/v1`.  Raises NotFound where nothing of that group and version is served."""
    rows = [kind for kind in kinds if (kind.group, kind.version) == (group, version)]
    if not rows:
        raise NotFound("the server could not find the requested resource")
    key = _hash(rows)
    made = _kept.get(key)
    if made is None:
        made = _kept[key] = orjson.dumps(_document(rows, schema))
        if len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return made


def _root(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _hash(rows: list[Kind]) -> str:
    facts = [[row.group, row.version, row.name, row.plural, row.namespaced, row.definition, row.verbs,
              [[one.name, one.verbs, one.kind, one.group, one.version] for one in row.subresources],
              dict(row.own_schema)] for row in rows]
    text = orjson.dumps([_has_descriptions(), facts], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:32].upper()


def _document(rows: list[Kind], schema: Schema) -> Obj:
    definitions = _definitions(rows, schema)
    descriptions = _descriptions() if _has_descriptions() else {}
    schemas = {name: _schema_of(one, _kinds_of(one, rows), descriptions.get(name) or {})
               for name, one in sorted(definitions.items())}
    paths: Obj = {}
    for row in rows:
        paths |= _paths(row)
        if "list" in row.verbs and f"{row.definition}List" not in schemas:
            schemas[f"{row.definition}List"] = _list_schema(row)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.32.0"},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas},
    }


# ---- schemas -----------------------------------------------------------------------------------------------

def _definitions(rows: list[Kind], schema: Schema) -> dict[str, Definition]:
    """Everything the rows speak of, directly or through a field."""
    found: dict[str, Definition] = {}
    pending = [_DELETE_OPTIONS, _STATUS, _LIST_META, _PATCH]
    for row in rows:
        pending.append(schema.definition_of(row).name)
        if _knows(schema, f"{row.definition}List"):
            pending.append(f"{row.definition}List")
    while pending:
        name = pending.pop()
        if name not in found:
            definition = found[name] = schema.definition(name)
            named = [field.type for field in definition.fields.values()]
            pending += [target for one in named if (target := _target(one))]
    return found


def _knows(schema: Schema, name: str) -> bool:
    try:
        schema.definition(name)
    except KeyError:
        return False
    return True


def _target(type_: Type) -> str:
    while type_.item is not None:
        type_ = type_.item
    return type_.definition


def _kinds_of(definition: Definition, rows: list[Kind]) -> list[Obj]:
    # DeleteOptions and its like belong to every group there is: what is not served here says nothing.
    served = {(row.group, row.version) for row in rows}
    listed = [kind for kind in definition.kinds if kind[:2] in served]
    listed += [(row.group, row.version, row.name) for row in rows
               if row.definition == definition.name and (row.group, row.version, row.name) not in listed]
    return [_gvk(*kind) for kind in listed]


def _gvk(group: str, version: str, kind: str) -> Obj:
    return {"group": group, "version": version, "kind": kind}


def _schema_of(definition: Definition, kinds: list[Obj], described: Obj) -> Obj:
    made: Obj = {}
    if text := described.get("description"):
        made["description"] = text
    if definition.plain:
        return {**made, **_PLAIN[definition.plain]}
    made["type"] = "object"
    if required := [field.name for field in definition.fields.values() if field.required]:
        made["required"] = required
    texts = described.get("properties") or {}
    if definition.fields:
        made["properties"] = {name: _field_schema(field, (texts.get(name) or {}).get("description", ""))
                              for name, field in definition.fields.items()}
    if definition.rest is not None:
        made["x-kubernetes-preserve-unknown-fields"] = True
    if definition.map_type:
        made["x-kubernetes-map-type"] = definition.map_type
    if kinds:
        made["x-kubernetes-group-version-kind"] = kinds
    return made


def _field_schema(field: Field, description: str) -> Obj:
    text = description or field.description
    made: Obj = {"description": text} if text else {}
    if field.type.shape == OBJECT:
        made["allOf"] = [_type_schema(field.type)]  # a bare $ref would hide what stands beside it
    else:
        made |= _type_schema(field.type)
    marks = {
        "x-kubernetes-patch-strategy": ",".join(field.patch),
        "x-kubernetes-patch-merge-key": field.merge_key,
        "x-kubernetes-list-type": field.list_type,
        "x-kubernetes-list-map-keys": list(field.list_keys),
        "x-kubernetes-map-type": field.map_type,
    }
    return made | {name: value for name, value in marks.items() if value}


def _type_schema(type_: Type) -> Obj:
    if type_.shape == OBJECT:
        return {"$ref": _reference(type_.definition)}
    if type_.shape == LIST and type_.item is not None:
        return {"type": "array", "items": _type_schema(type_.item)}
    if type_.shape == MAP and type_.item is not None:
        return {"type": "object", "additionalProperties": _type_schema(type_.item)}
    return _PLAIN[type_.shape]


def _reference(definition: str) -> str:
    return f"#/components/schemas/{definition}"


def _list_schema(row: Kind) -> Obj:
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [{"$ref": _reference(_LIST_META)}]},
            "items": {"type": "array", "items": {"$ref": _reference(row.definition)}},
        },
        "x-kubernetes-group-version-kind": [_gvk(row.group, row.version, f"{row.name}List")],
    }


# ---- paths -------------------------------------------------------------------------------------------------

def _path_parameter(name: str) -> Obj:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query(**types: str) -> list[Obj]:
    return [{"name": name, "in": "query", "schema": {"type": type_}} for name, type_ in types.items()]


_NAME, _NAMESPACE = _path_parameter("name"), _path_parameter("namespace")
_LISTING = _query(**{
    "continue": "string", "fieldSelector": "string", "labelSelector": "string", "limit": "integer",
    "resourceVersion": "string", "resourceVersionMatch": "string", "sendInitialEvents": "boolean",
    "timeoutSeconds": "integer", "watch": "boolean",
})
_WRITING = _query(dryRun="string", fieldManager="string", fieldValidation="string")
_PATCHING = [*_WRITING, *_query(force="boolean")]
_DELETING = _query(dryRun="string", gracePeriodSeconds="integer", propagationPolicy="string")
_MEDIA = ("application/json", "application/yaml")

Operations = dict[str, tuple[str, Obj]]  # verb -> (HTTP method, operation)


def _paths(row: Kind) -> Obj:
    """The paths that serve a kind.  A path no verb of which is served is left out."""
    root = "/" + _root(row.group, row.version)
    scope, place = (f"{root}/namespaces/{{namespace}}", [_NAMESPACE]) if row.namespaced else (root, [])
    every, single = f"{scope}/{row.plural}", f"{scope}/{row.plural}/{{name}}"
    paths = {
        every: _path(_operations_on_all(row), row.verbs, place),
        single: _path(_operations_on_one(row), row.verbs, [_NAME, *place]),
    }
    if row.namespaced:
        across = [verb for verb in row.verbs if verb == "list"]
        paths[f"{root}/{row.plural}"] = _path(_operations_on_all(row), across, [])
    for subresource in row.subresources:
        operations = _operations_on_subresource(row, subresource)
        paths[f"{single}/{subresource.name}"] = _path(operations, subresource.verbs, [_NAME, *place])
    return {path: item for path, item in paths.items() if item}


def _path(operations: Operations, verbs: Iterable[str], parameters: list[Obj]) -> Obj:
    served = dict(operations[verb] for verb in verbs if verb in operations)
    return {**served, "parameters": parameters} if served else {}


def _operations_on_all(row: Kind) -> Operations:
    gvk = _gvk(row.group, row.version, row.name)
    return {
        "list": ("get", _operation("list", gvk, _LISTING, f"{row.definition}List")),
        "create": ("post", _operation("post", gvk, _WRITING, row.definition, body=row.definition)),
        "deletecollection": ("delete", _operation("deletecollection", gvk, [*_LISTING, *_DELETING], _STATUS,
                                                  body=_DELETE_OPTIONS)),
    }


def _operations_on_one(row: Kind) -> Operations:
    gvk = _gvk(row.group, row.version, row.name)
    return {
        **_reads_and_writes(row, gvk, row.definition),
        "delete": ("delete", _operation("delete", gvk, _DELETING, _STATUS, body=_DELETE_OPTIONS)),
    }


def _operations_on_subresource(row: Kind, subresource: Subresource) -> Operations:
    if not subresource.kind:
        gvk, body = _gvk(row.group, row.version, row.name), row.definition
    else:
        gvk, body = _gvk(subresource.group, subresource.version or row.version, subresource.kind), ""
    return {
        **_reads_and_writes(row, gvk, body),
        "create": ("post", _operation("post", gvk, _WRITING, body, body=body)),
    }


def _reads_and_writes(row: Kind, gvk: Obj, body: str) -> Operations:
    media = _PATCH_MEDIA[:2] if row.own_schema else _PATCH_MEDIA  # others have no strategic merge, as CRDs
    return {
        "get": ("get", _operation("get", gvk, [], body)),
        "update": ("put", _operation("put", gvk, _WRITING, body, body=body)),
        "patch": ("patch", _operation("patch", gvk, _PATCHING, body, body=_PATCH, media=media)),
    }


def _operation(action: str, gvk: Obj, parameters: list[Obj], answer: str, *, body: str | None = None,
               media: Iterable[str] = _MEDIA) -> Obj:
    made: Obj = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk,
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": _content(answer, _MEDIA)}},
    }
    if body is not None:
        made["requestBody"] = {"content": _content(body, media)}
    return made


def _content(definition: str, media: Iterable[str]) -> Obj:
    schema = {"$ref": _reference(definition)} if definition else {}
    return {one: {"schema": schema} for one in media}


# ---- descriptions ------------------------------------------------------------------------------------------

@lru_cache(maxsize=1)
def _has_descriptions() -> bool:
    return find_spec("kubernetes_validate") is not None


def _descriptions() -> dict[str, Any]:
    """Read for each document and then let go: a megabyte that is needed seldom."""
    source = files("kubernetes_validate").joinpath(_SOURCE)
    return orjson.loads(source.read_bytes())["$defs"] if source.is_file() else {}
