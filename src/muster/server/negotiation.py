"""Which form the caller wants: `Accept` for what goes out, `Content-Type` for what comes in.

The same objects go out as JSON or YAML, whole, as a Table (what `kubectl get` prints) or as their metadata
alone.  kubectl lists what it can read, best first: the first form we speak wins.  Protobuf is read but not
written: who takes nothing else gets a 406, and everyone we know of takes JSON too.
https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
"""
from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from ..api.errors import NotAcceptable, UnsupportedMediaType

JSON, YAML = b"application/json", b"application/yaml"

PATCHES: dict[str, Literal["json", "merge", "strategic", "apply"]] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
_SPOKEN = ("application/json", "application/yaml")
_TRANSFORMED = {"Table": "table", "PartialObjectMetadata": "partial", "PartialObjectMetadataList": "partial"}


class Form(NamedTuple):
    media: bytes = JSON  # JSON or YAML
    shape: Literal["whole", "table", "partial"] = "whole"


WHOLE = Form()


class _Range(NamedTuple):
    media: str
    parameters: dict[str, str]


@lru_cache(maxsize=256)
def accepted(header: bytes) -> Form:
    """The form of a resource.  Raises NotAcceptable."""
    if not header:
        return WHOLE
    for one in _ranges(header):
        media = _media(one.media)
        if media is None:
            continue
        asked = one.parameters.get("as")
        if asked is None:
            return Form(media, "whole")
        if one.parameters.get("g") == "meta.k8s.io" and one.parameters.get("v") in ("v1", "v1beta1"):
            shape = _TRANSFORMED.get(asked)
            if shape is not None:
                return Form(media, shape)  # type: ignore[arg-type]
    raise not_acceptable(_SPOKEN)


@lru_cache(maxsize=256)
def accepted_discovery(header: bytes) -> tuple[bytes, str]:
    """The media type of a discovery document, and the version of the aggregated form ("": the plain one)."""
    if not header:
        return JSON, ""
    for one in _ranges(header):
        media = _media(one.media)
        if media is None:
            continue
        asked = one.parameters.get("as")
        if asked is None:
            return media, ""
        version = one.parameters.get("v", "")
        if (asked == "APIGroupDiscoveryList" and version in ("v2", "v2beta1") and media is JSON
                and one.parameters.get("g") == "apidiscovery.k8s.io"):
            return JSON, version
    raise not_acceptable(_SPOKEN)


@lru_cache(maxsize=256)
def body_media(header: bytes) -> Literal["json", "yaml", "protobuf"]:
    """How a body that creates or replaces is written.  Raises UnsupportedMediaType."""
    media = header.partition(b";")[0].strip().lower()
    if media in (b"", JSON, b"text/json"):
        return "json"
    if media in (YAML, b"text/yaml", b"application/x-yaml"):
        return "yaml"
    if media == b"application/vnd.kubernetes.protobuf":
        return "protobuf"
    raise _unsupported((*_SPOKEN, "application/vnd.kubernetes.protobuf"))


@lru_cache(maxsize=256)
def patch_media(header: bytes) -> Literal["json", "merge", "strategic", "apply"]:
    how = PATCHES.get(header.partition(b";")[0].strip().lower().decode("latin-1"))
    if how is None:
        raise _unsupported(PATCHES)
    return how


def not_acceptable(spoken: tuple[str, ...]) -> NotAcceptable:
    return NotAcceptable(f"only the following media types are accepted: {', '.join(spoken)}")


def _unsupported(spoken: Iterable[str]) -> UnsupportedMediaType:
    return UnsupportedMediaType("the body of the request was in an unknown format - accepted media types include: "
                                + ", ".join(spoken))


def _media(name: str) -> bytes | None:
    if name in ("application/json", "*/*", "application/*"):
        return JSON
    return YAML if name == "application/yaml" else None


def _ranges(header: bytes) -> list[_Range]:
    """What an Accept header lists, best first: by q, then as written."""
    weighed: list[tuple[float, _Range]] = []
    for part in header.decode("latin-1").split(","):
        media, *rest = (piece.strip() for piece in part.split(";"))
        parameters = dict(piece.partition("=")[::2] for piece in rest)
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            weight = 1.0
        if weight > 0:
            weighed.append((weight, _Range(media.lower(), parameters)))
    weighed.sort(key=lambda one: -one[0])
    return [one for _, one in weighed]
