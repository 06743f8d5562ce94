"""What the simulated nodes know of an image: its full name, digest and size, and whether it can be pulled.

Nothing is ever fetched.  Digest and size are drawn from the name, so that every node agrees on them.
https://kubernetes.io/docs/concepts/containers/images/
"""
from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

_NAME = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,})?")


@lru_cache(maxsize=4096)
def is_valid(image: str) -> bool:
    return _NAME.fullmatch(image) is not None


@lru_cache(maxsize=4096)
def full_name(image: str) -> str:
    """With registry, path and tag, as the runtime reports it: "nginx" is docker.io/library/nginx:latest."""
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif "." not in first and ":" not in first and first != "localhost":
        image = f"docker.io/{image}"
    if "@" in image or ":" in image.rpartition("/")[2]:
        return image
    return f"{image}:latest"


@lru_cache(maxsize=4096)
def repository(image: str) -> str:
    """The full name without tag and digest."""
    path, _, last = full_name(image).partition("@")[0].rpartition("/")
    return f"{path}/{last.partition(':')[0]}"


@lru_cache(maxsize=4096)
def image_id(image: str) -> str:
    """ "docker.io/library/nginx@sha256:...", as a container's status names it."""
    name, at, digest = full_name(image).partition("@")
    return f"{repository(image)}@{digest if at else 'sha256:' + hashlib.sha256(name.encode()).hexdigest()}"


@lru_cache(maxsize=4096)
def size_bytes(image: str) -> int:
    """Between 4 and 260 MB, the same for all tags within a tenth."""
    base = int.from_bytes(hashlib.sha256(repository(image).encode()).digest()[:4], "big")
    part = int.from_bytes(hashlib.sha256(full_name(image).encode()).digest()[:4], "big")
    size = 4_000_000 + base % 250_000_000
    return size + part % (size // 10)


@lru_cache(maxsize=16384)
def is_missing(image: str, patterns: tuple[str, ...]) -> bool:
    """Does a pattern ("*:broken", "docker.elastic.co/beats/*") match the image, as written or in full?"""
    return _any_match((image, full_name(image)), patterns)


def _any_match(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


@lru_cache(maxsize=4096)
def not_found_message(image: str) -> str:
    """Why a pull failed, as containerd words it for a tag that the registry does not have."""
    return failed_message(image, f"{full_name(image)}: not found")


def failed_message(image: str, why: str) -> str:
    name = full_name(image)
    return f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": {why}'
