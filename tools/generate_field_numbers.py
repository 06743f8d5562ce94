"""Writes src/muster/api/schema_data/field_numbers.json.gz: the protobuf field numbers of Kubernetes' API types.

`kubectl create namespace`, `kubectl create deployment`, `kubectl auth can-i` and others send protobuf and no
JSON.  The numbers are part of the public wire format; every Go program that speaks it (kubectl among them)
carries the descriptions of its messages, packed, from which this reads them.

    python tools/generate_field_numbers.py /usr/local/bin/kubectl

The form of a line is described in `src/muster/api/protobuf.py`.
"""
from __future__ import annotations

import gzip
import json
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from muster.api.protobuf import fields  # noqa: E402
from muster.api.schema import Schema  # noqa: E402

TARGET = Path(__file__).parent.parent / "src" / "muster" / "api" / "schema_data" / "field_numbers.json.gz"
PACKAGES = re.compile(r"k8s\.io\.(api\.(core|apps|batch|policy|rbac|networking|authentication|authorization|scheduling"
                      r"|coordination|storage|autoscaling|discovery|events|node|certificates)\.v1"
                      r"|api\.autoscaling\.v2|apimachinery\.pkg\.apis\.meta\.v1)$")
PLAIN = {1: "double", 3: "int", 5: "int", 8: "bool", 9: "string", 12: "bytes"}
MESSAGE, REPEATED = 11, 3
# Fields that are pointers in Go: sent only when they were set, so a zero is meant.
POINTERS = """
    replicas revisionHistoryLimit progressDeadlineSeconds parallelism completions backoffLimit activeDeadlineSeconds
    ttlSecondsAfterFinished suspend terminationGracePeriodSeconds automountServiceAccountToken enableServiceLinks
    shareProcessNamespace runAsUser runAsGroup runAsNonRoot privileged allowPrivilegeEscalation fsGroup
    readOnlyRootFilesystem optional defaultMode mode priority controller blockOwnerDeletion immutable
    gracePeriodSeconds orphanDependents tolerationSeconds hostUsers setHostnameAsFQDN startingDeadlineSeconds
    successfulJobsHistoryLimit failedJobsHistoryLimit minReplicas storageClassName allowVolumeExpansion
    backoffLimitPerIndex maxFailedIndexes deletionGracePeriodSeconds allocateLoadBalancerNodePorts partition
"""


def descriptions(program: bytes) -> Iterator[bytes]:
    """The packed FileDescriptorProto messages inside a Go program."""
    for found in re.finditer(b"\x1f\x8b\x08", program):
        unpack = zlib.decompressobj(31)
        try:
            file = unpack.decompress(program[found.start():found.start() + 200_000])
        except zlib.error:
            continue
        if unpack.eof and file[:1] == b"\n" and b"k8s.io/" in file[:20]:
            yield file


def one(message: bytes, number: int) -> Any:
    return next((value for found, value in fields(message) if found == number), None)


def every(message: bytes, number: int) -> list[Any]:
    return [value for found, value in fields(message) if found == number]


def main() -> None:
    schema = Schema.load()
    numbers: dict[str, dict[str, str]] = {}
    for file in descriptions(Path(sys.argv[1]).read_bytes()):
        package = one(file, 2).decode()
        if PACKAGES.match(package):
            for message in every(file, 4):
                add(numbers, schema, package, message)
    text = json.dumps(numbers, sort_keys=True, separators=(",", ":")).encode()
    TARGET.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{len(numbers)} messages, {TARGET.stat().st_size} bytes")


def add(numbers: dict[str, dict[str, str]], schema: Schema, package: str, message: bytes) -> None:
    name = definition_name(f"{package}.{one(message, 1).decode()}")
    maps = {one(entry, 1).decode(): every(entry, 2)[1] for entry in every(message, 3)}
    try:
        known = schema.definition(name).fields
    except KeyError:
        known = None
    lines: dict[str, str] = {}
    pointers = frozenset(POINTERS.split())
    for field in every(message, 2):
        spoken = one(field, 1).decode()
        type_ = type_of(field, maps)
        inline = known is not None and spoken not in known and type_.startswith("#")
        required = known is not None and spoken in known and known[spoken].required
        kept = " kept" if type_ in ("int", "bool", "string") and (spoken in pointers or required) else ""
        lines[str(one(field, 3))] = f"{spoken} {type_}{' inline' if inline else kept}"
    numbers[name.removeprefix("io.k8s.")] = lines


def type_of(field: bytes, maps: dict[str, bytes]) -> str:
    if one(field, 5) != MESSAGE:
        plain = PLAIN[one(field, 5)]
    else:
        said = one(field, 6).decode().lstrip(".")
        if said.rpartition(".")[2] in maps:
            return "{}" + type_of(maps[said.rpartition(".")[2]], {})
        plain = "#" + definition_name(said).removeprefix("io.k8s.")
    return "[]" + plain if one(field, 4) == REPEATED else plain


def definition_name(message: str) -> str:
    return "io.k8s." + message.removeprefix("k8s.io.")


if __name__ == "__main__":
    main()
