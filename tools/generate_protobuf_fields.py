"""Writes src/muster/api/schema_data/v1.32-protobuf.json.gz: which number each field has in protobuf.

kubectl holds the Go types that it sends, and a Go program keeps its types with it: for each field of a struct
its type and its tags (`json:"replicas,omitempty" protobuf:"varint,1,opt,name=replicas"`).  That says all there
is to know, and more exactly than the .proto files do, which cannot tell a pointer from a value.  So the one
input is the released kubectl for linux/amd64, any v1.32.x; the kinds to start from are those of v1.32.json.gz.

    python tools/generate_protobuf_fields.py KUBECTL            writes the file (the same bytes for the same release)
    python tools/generate_protobuf_fields.py KUBECTL --check    says whether the file is what KUBECTL would give

The form of a field is described in `src/muster/api/protobuf.py`.
"""
from __future__ import annotations

import gzip
import json
import re
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RELEASE = "v1.32"
DATA = Path(__file__).parent.parent / "src" / "muster" / "api" / "schema_data"
TARGET = DATA / f"{RELEASE}-protobuf.json.gz"
STABLE = re.compile(r"v\d+")

# https://go.dev/src/internal/abi/type.go: what the numbers of kinds mean, and the flags of a type
BOOL, INT32, INT64, UINT8, MAP, POINTER, SLICE, STRING, STRUCT = 1, 5, 6, 8, 21, 22, 23, 24, 25
UNCOMMON, EXTRA_STAR, NAMED = 1, 2, 4
PLAIN = {BOOL: "boolean", INT32: "int32", INT64: "int64", STRING: "string"}
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "micro-time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
}


@dataclass(frozen=True)
class GoType:
    address: int
    kind: int
    flags: int
    name: str  # "v1.Container", "[]v1.Container", "*int32"


class Program:
    """The types inside a Go program (ELF, 64 bits, little-endian)."""

    def __init__(self, binary: bytes):
        sections = dict(_sections(binary))
        self.base, start, size = sections[".rodata"]
        self._types = binary[start:start + size]
        _, start, size = sections[".typelink"]
        self._links = struct.unpack_from(f"<{size // 4}i", binary, start)

    def structs(self) -> dict[str, GoType]:
        """Every named struct that the program has a pointer type of, by its definition name."""
        pointers = [found for link in self._links if (found := self._type(self.base + link)).kind == POINTER]
        inner = [self.element(pointer) for pointer in pointers]
        return {self.definition(one): one for one in inner if one.kind == STRUCT and one.flags & NAMED}

    def fields(self, of: GoType) -> list[tuple[GoType, str]]:
        """(type, tags) of each field of a struct."""
        _, first, count, _ = self._read("<4Q", of.address + 48)
        pairs = (self._read("<2Q", first + 24 * index) for index in range(count))
        return [(self._type(type_), self._name(name)[1]) for name, type_ in pairs]

    def element(self, of: GoType) -> GoType:
        """What a pointer points to, or a list holds."""
        return self._type(self._read("<Q", of.address + 48)[0])

    def value(self, of: GoType) -> GoType:
        """What a map holds."""
        return self._type(self._read("<Q", of.address + 56)[0])

    def definition(self, of: GoType) -> str:
        """`v1.Container` of k8s.io/api/core/v1 -> `io.k8s.api.core.v1.Container`"""
        if not of.flags & UNCOMMON:
            return of.name
        head = {STRUCT: 80, SLICE: 56}[of.kind]  # bytes before what only named types have
        package = self._name(self.base + self._read("<i", of.address + head)[0])[0]
        domain, _, path = package.partition("/")
        return ".".join([*reversed(domain.split(".")), *path.split("/"), of.name.rpartition(".")[2]])

    def _type(self, address: int) -> GoType:
        flags, kind = self._read("<B", address + 20)[0], self._read("<B", address + 23)[0] & 31
        name = self._name(self.base + self._read("<i", address + 40)[0])[0]
        return GoType(address, kind, flags, name[1:] if flags & EXTRA_STAR else name)

    def _name(self, address: int) -> tuple[str, str]:
        """A name and its tags."""
        has_tags = self._read("<B", address)[0] & 2
        name, address = self._text(address + 1)
        return name, self._text(address)[0] if has_tags else ""

    def _text(self, address: int) -> tuple[str, int]:
        length = shift = 0
        while True:
            byte, = self._read("<B", address)
            address += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return self._read(f"<{length}s", address)[0].decode(), address + length

    def _read(self, form: str, address: int) -> tuple[Any, ...]:
        return struct.unpack_from(form, self._types, address - self.base)


def _sections(binary: bytes) -> list[tuple[str, tuple[int, int, int]]]:
    """name -> (address, offset, size)"""
    start, = struct.unpack_from("<Q", binary, 0x28)
    size, count, names = struct.unpack_from("<HHH", binary, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", binary, start + size * index) for index in range(count)]
    texts = headers[names][4]
    return [(binary[texts + name:binary.index(b"\0", texts + name)].decode(), (address, offset, length))
            for name, _, _, address, offset, length in headers]


class Messages:
    """The definitions that some kinds are made of, found by walking from one to the next."""

    def __init__(self, program: Program):
        self._program = program
        self.found: dict[str, dict[str, str]] = {}

    def add(self, of: GoType) -> str:
        name = self._program.definition(of)
        if name not in self.found:
            self.found[name] = {}
            self.found[name].update(self._fields(of))
        return name

    def _fields(self, of: GoType) -> dict[str, str]:
        lines: dict[str, str] = {}
        for type_, tags in self._program.fields(of):
            tag = dict(re.findall(r'(\w+):"([^"]*)"', tags))
            if "protobuf" not in tag:  # apiVersion and kind, which the envelope holds
                assert type_.name == "v1.TypeMeta", (of.name, type_.name)
                continue
            number = tag["protobuf"].split(",")[1]
            name, *options = tag["json"].split(",")
            assert bool(name) != ("inline" in options) and number not in lines, (of.name, tags)
            pointer = type_.kind == POINTER
            said = self._line(self._program.element(type_) if pointer else type_)
            marks = ("?" if pointer else "") + ("" if "omitempty" in options or not name else "!")
            lines[number] = f"{name} {said}{marks}"
        return dict(sorted(lines.items(), key=lambda line: int(line[0])))

    def _line(self, of: GoType) -> str:
        if of.kind in PLAIN:
            return PLAIN[of.kind]
        if of.kind == STRUCT:
            return SPECIAL.get(self._program.definition(of)) or "#" + self.add(of)
        if of.kind == MAP:
            return "{}" + self._line(self._program.value(of))
        assert of.kind == SLICE, of
        item = self._program.element(of)
        if item.kind == UINT8:
            return "bytes"
        # A list whose type has a name of its own (authorization's ExtraValue) is a message around the list.
        return ("()" if of.flags & NAMED else "[]") + self._line(item)


def generate(binary: bytes) -> bytes:
    program = Program(binary)
    structs, messages = program.structs(), Messages(program)
    schema = json.loads(gzip.decompress((DATA / f"{RELEASE}.json.gz").read_bytes()))["definitions"]
    kinds: dict[str, str] = {}
    for definition, facts in sorted(schema.items()):
        for group, version, kind in facts.get("kinds", ()):
            if definition in structs and STABLE.fullmatch(version) and not kind.endswith("List"):
                name = messages.add(structs[definition])
                kinds[f"{group}/{version}/{kind}"] = name
    text = json.dumps({"release": RELEASE, "kinds": dict(sorted(kinds.items())),
                       "messages": dict(sorted(messages.found.items()))}, separators=(",", ":")).encode()
    return gzip.compress(text, compresslevel=9, mtime=0)


def main() -> int:
    paths = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    if len(paths) != 1:
        print(__doc__)
        return 2
    said = json.loads(subprocess.run([paths[0], "version", "--client", "-o", "json"], check=True,
                                     capture_output=True).stdout)["clientVersion"]["gitVersion"]
    if not said.startswith(f"{RELEASE}."):
        print(f"{paths[0]} is {said}, and not {RELEASE}")
        return 2
    made = generate(Path(paths[0]).read_bytes())
    if "--check" in sys.argv[1:]:
        # Compared unpacked: two versions of zlib may pack the same text differently.
        same = TARGET.exists() and gzip.decompress(TARGET.read_bytes()) == gzip.decompress(made)
        print(f"{TARGET.name} is {'up to date' if same else 'out of date: run tools/generate_protobuf_fields.py'}")
        return 0 if same else 1
    TARGET.write_bytes(made)
    print(f"{TARGET}: {len(made)} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
