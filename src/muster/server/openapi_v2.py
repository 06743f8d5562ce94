"""`/openapi/v2`: a document that describes no kind.

kubectl reads OpenAPI v3 (openapi.py).  But for a manifest of `kind: List`, and before 1.25 for every manifest, it
asks for v2 first and stops at a 404.  Fields of a kind that v2 does not know it leaves to the server, which checks
all of them anyway (fieldValidation).  There are the two forms that clients ask for: JSON, and the protobuf of
`gnostic.openapi.v2.Document`, of which this is swagger (1), info (2), paths (8) and definitions (9).
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v2
"""
from __future__ import annotations

import orjson

from .discovery import VERSION
from .negotiation import JSON

PROTOBUF = b"application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED_AS = b"proto-openapi.spec.v2"  # "@v1.0+protobuf" or ".v1.0+protobuf"


def _field(number: int, value: bytes) -> bytes:
    assert len(value) < 128, "its length is one byte"
    return bytes((number << 3 | 2, len(value))) + value


_AS_JSON = orjson.dumps({"swagger": "2.0", "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
                         "paths": {}, "definitions": {}})
_AS_PROTOBUF = (_field(1, b"2.0") + _field(2, _field(1, b"Kubernetes") + _field(2, VERSION["gitVersion"].encode()))
                + _field(8, b"") + _field(9, b""))


def document(accept: bytes) -> tuple[bytes, bytes]:
    """The document in the form that is asked for, and its media type."""
    return (_AS_PROTOBUF, PROTOBUF) if ASKED_AS in accept else (_AS_JSON, JSON)
