"""Writes src/muster/api/schema_data/v1.32.json.gz: what Kubernetes v1.32 says of its fields, in short.

The PyPI package `kubernetes-validate` (Apache-2.0) carries the OpenAPI definitions of every Kubernetes
release, with the patch and list extensions.  Muster keeps only names, types, formats, keys and kinds:
4% of the text, small enough to commit and fast enough to read at start.  Descriptions stay in that
package; `server/openapi.py` reads them from there when it is installed (`pip install muster[explain]`).

    python tools/generate_schema.py            writes the file (the same bytes for the same input)
    python tools/generate_schema.py --check    says whether the file is what the package would give

The form of a field is described in `src/muster/api/schema.py`.
"""
from __future__ import annotations

import gzip
import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

RELEASE = "v1.32"
SOURCE = f"kubernetes-json-schema/{RELEASE}.0-local/_definitions.json"
TARGET = Path(__file__).parent.parent / "src" / "muster" / "api" / "schema_data" / f"{RELEASE}.json.gz"
REFERENCE = "#/$defs/"

# Definitions that are not plain objects, by what their Go type accepts as JSON.
SPECIAL = {
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "any",
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "micro-time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": "any",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
}
PLAIN = {
    ("string", ""): "string", ("string", "byte"): "bytes", ("boolean", ""): "boolean",
    ("integer", "int32"): "int32", ("integer", "int64"): "int64", ("number", "double"): "double",
}


def type_of(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return "#" + schema["$ref"].removeprefix(REFERENCE)
    declared = schema["type"]
    name = next(one for one in declared if one != "null") if isinstance(declared, list) else declared
    if name == "array":
        return "[]" + type_of(schema["items"])
    if name == "object":
        return "{}" + type_of(schema["additionalProperties"])
    return PLAIN[name, schema.get("format", "")]


def field_of(schema: dict[str, Any], required: bool) -> str:
    words = [type_of(schema) + ("!" if required else "")]
    if strategy := schema.get("x-kubernetes-patch-strategy"):
        words.append(f"patch={strategy}")
    if key := schema.get("x-kubernetes-patch-merge-key"):
        words.append(f"key={key}")
    if list_type := schema.get("x-kubernetes-list-type"):
        words.append(f"list={list_type}")
    if list_keys := schema.get("x-kubernetes-list-map-keys"):
        words.append(f"keys={','.join(list_keys)}")
    if map_type := schema.get("x-kubernetes-map-type"):
        words.append(f"map={map_type}")
    return " ".join(words)


def definition_of(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    if name in SPECIAL:
        return {"is": SPECIAL[name]}
    required = set(schema.get("required", ()))
    facts: dict[str, Any] = {"fields": {field: field_of(inner, field in required)
                                        for field, inner in sorted(schema.get("properties", {}).items())}}
    if kinds := schema.get("x-kubernetes-group-version-kind"):
        facts["kinds"] = [[one["group"], one["version"], one["kind"]] for one in kinds]
    if map_type := schema.get("x-kubernetes-map-type"):
        facts["map"] = map_type
    return facts


def generate() -> bytes:
    source = json.loads(files("kubernetes_validate").joinpath(SOURCE).read_text())
    facts = {name: definition_of(name, schema) for name, schema in sorted(source["$defs"].items())}
    text = json.dumps({"release": RELEASE, "definitions": facts}, separators=(",", ":")).encode()
    return gzip.compress(text, compresslevel=9, mtime=0)


def main() -> int:
    made = generate()
    if "--check" in sys.argv[1:]:
        # Compared unpacked: two versions of zlib may pack the same text differently.
        same = TARGET.exists() and gzip.decompress(TARGET.read_bytes()) == gzip.decompress(made)
        print(f"{TARGET.name} is {'up to date' if same else 'out of date: run tools/generate_schema.py'}")
        return 0 if same else 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(made)
    print(f"{TARGET}: {len(made)} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
