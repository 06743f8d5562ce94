"""Images without a registry: an OCI layout of one layer, as a tar that containerd imports.

    archive("localhost/pause:muster", {"pause": Entry(program, 0o755)}, entrypoint=["/pause"])

The names of the blobs are their digests, so the same contents always are the same image.
https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""
from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_OCI = "application/vnd.oci.image"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Entry(NamedTuple):
    """A file; a link where it says to what; a folder where it holds nothing."""

    content: bytes | None = None
    mode: int = 0o644
    link: str = ""


def architecture() -> str:
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def archive(name: str, files: Mapping[str, Entry], *, entrypoint: Sequence[str] = (), command: Sequence[str] = (),
            env: Sequence[str] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",),
            user: str = "", working_dir: str = "") -> bytes:
    layer = _tar(files)
    layer_digest = _digest(layer)
    config = json.dumps({
        "architecture": architecture(), "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "Cmd": list(command), "Env": list(env), "User": user,
                   "WorkingDir": working_dir},
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
    }).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": f"{_OCI}.manifest.v1+json",
        "config": _descriptor("config.v1+json", config), "layers": [_descriptor("layer.v1.tar", layer)],
    }).encode()
    index = {"schemaVersion": 2, "manifests": [{**_descriptor("manifest.v1+json", manifest),
                                                "annotations": {"io.containerd.image.name": name}}]}
    blobs = {f"blobs/sha256/{_digest(blob)[7:]}": Entry(blob) for blob in (layer, config, manifest)}
    return _tar({"oci-layout": Entry(b'{"imageLayoutVersion": "1.0.0"}'),
                 "index.json": Entry(json.dumps(index).encode()), **blobs})


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _tar(files: Mapping[str, Entry]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, entry in files.items():
            member = tarfile.TarInfo(path)
            member.mode = entry.mode
            if entry.link:
                member.type, member.linkname = tarfile.SYMTYPE, entry.link
                tar.addfile(member)
            elif entry.content is None:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            else:
                member.size = len(entry.content)
                tar.addfile(member, io.BytesIO(entry.content))
    return made.getvalue()


# ------------------------------------------------------------------ the process that holds a pod's namespaces

PAUSE = "localhost/muster/pause:1"

_X86_64 = bytes.fromhex(
    "31d2"  # xor edx, edx            no old action is asked for
    "488d351b000000"  # lea rsi, [act]
    "bf11000000"  # mov edi, 17       SIGCHLD
    "41ba08000000"  # mov r10d, 8     bytes of a signal set
    "b80d000000"  # mov eax, 13       rt_sigaction
    "0f05"  # syscall
    "b822000000"  # mov eax, 34       pause
    "0f05"  # syscall
    "ebf7"  # jmp back to pause
    "0100000000000000" + "00" * 24  # act: SIG_IGN, so that whoever ends in its PID namespace is reaped
)


def pause_archive() -> bytes:
    """Does nothing for ever, and reaps those that end in its PID namespace.  x86-64 alone."""
    return archive(PAUSE, {"pause": Entry(_executable(_X86_64), 0o755)}, entrypoint=["/pause"])


def _executable(code: bytes) -> bytes:
    """A static ELF of one segment: elf(5)."""
    base, head = 0x400000, 64 + 56
    size = head + len(code)
    number = int.to_bytes
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + b"".join((
        number(2, 2, "little"), number(62, 2, "little"), number(1, 4, "little"), number(base + head, 8, "little"),
        number(64, 8, "little"), bytes(8), bytes(4), number(64, 2, "little"), number(56, 2, "little"),
        number(1, 2, "little"), bytes(6)))
    segment = b"".join((
        number(1, 4, "little"), number(5, 4, "little"), bytes(8), number(base, 8, "little"), number(base, 8, "little"),
        number(size, 8, "little"), number(size, 8, "little"), number(0x1000, 8, "little")))
    return elf + segment + code
