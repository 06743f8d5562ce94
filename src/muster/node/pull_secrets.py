"""With which credentials an image is pulled: what a pod's pull secrets say of its registry.

    registry.example, https://registry.example/v1/     every image there
    registry.example/team, *.example:5000              those below a path; * stands for a part of the host's name

The most particular comes first, and each is tried until one is let in; where none is for the image, it is pulled
without.  https://kubernetes.io/docs/concepts/containers/images/#config-json
"""
from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..api.objects import Obj, namespace_of
from .environment import Lookup

# The type of a secret, the file in it, and where the registries stand in that.
_FORMS = {"kubernetes.io/dockerconfigjson": (".dockerconfigjson", "auths"),
          "kubernetes.io/dockercfg": (".dockercfg", "")}
HUB, HUB_KEY = "docker.io/", "index.docker.io"


class Credentials(NamedTuple):
    username: str
    password: str


def named(pod: Obj) -> list[str]:
    return [name for one in pod["spec"].get("imagePullSecrets") or () if (name := one.get("name"))]


def missing(pod: Obj, lookup: Lookup) -> list[str]:
    return [name for name in named(pod) if lookup("secrets", namespace_of(pod), name) is None]


def credentials(pod: Obj, image: str, lookup: Lookup) -> tuple[Credentials, ...]:
    """`image`: its full name."""
    known: dict[str, list[Credentials]] = {}
    for name in named(pod):
        secret = lookup("secrets", namespace_of(pod), name)
        for key, found in _of_secret(secret) if secret is not None else ():
            known.setdefault(key, []).append(found)
    matching = [found for key in sorted(known, reverse=True) if _is_for(key, image) for found in known[key]]
    if not matching and image.startswith(HUB):
        matching = known.get(HUB_KEY, [])
    return tuple(dict.fromkeys(matching))


def _of_secret(secret: Obj) -> Iterator[tuple[str, Credentials]]:
    """What can not be read is of no use, and no reason not to try the rest."""
    file, field = _FORMS.get(secret.get("type", ""), ("", ""))
    try:
        told: Any = json.loads(base64.b64decode((secret.get("data") or {}).get(file) or ""))
        for place, entry in (told.get(field) or {} if field else told).items():
            yield _key(place), _read(entry)
    except (ValueError, AttributeError, TypeError):
        return


def _read(entry: Obj) -> Credentials:
    if not entry.get("auth"):
        return Credentials(str(entry.get("username") or ""), str(entry.get("password") or ""))
    username, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    return Credentials(username, password.rstrip("\0"))


def _key(place: str) -> str:
    """Host and path; the old and new paths of the protocol itself mean the whole host."""
    parts = urlsplit(place if place.startswith(("http://", "https://")) else f"https://{place}")
    path = parts.path[3:] if parts.path.startswith(("/v1/", "/v2/")) else parts.path
    return parts.netloc + ("" if path == "/" else path)


def _is_for(key: str, image: str) -> bool:
    pattern, below = _split(key)
    host, path = _split(image)
    wanted, there = pattern.partition(":"), host.partition(":")
    words, asked = wanted[0].split("."), there[0].split(".")
    return (wanted[2] == there[2] and len(words) == len(asked) and path.startswith(below)
            and all(fnmatchcase(one, word) for one, word in zip(asked, words, strict=True)))


def _split(name: str) -> tuple[str, str]:
    host, slash, path = name.partition("/")
    return host, slash + path
