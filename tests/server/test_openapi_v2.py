"""What kubectl before 1.25, and any kubectl with a List, asks for first: an OpenAPI v2 document."""
import json

from muster.server import openapi_v2
from muster.server.negotiation import JSON


def test_the_document_in_json():
    body, media = openapi_v2.document(b"application/json")
    assert media is JSON
    assert json.loads(body)["swagger"] == "2.0" and json.loads(body)["paths"] == {}


def test_the_document_in_protobuf():
    """Each field: its number and wire type, its length, its bytes; read here as any reader of protobuf would."""
    body, media = openapi_v2.document(b"application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert b"proto-openapi" in media
    fields = dict(read(body))
    assert fields[1] == b"2.0" and dict(read(fields[2])) == {1: b"Kubernetes", 2: b"v1.32.4+muster"}
    assert fields[8] == fields[9] == b""


def read(body):
    while body:
        tag, length, body = body[0], body[1], body[2:]
        assert tag & 7 == 2
        yield tag >> 3, body[:length]
        body = body[length:]
