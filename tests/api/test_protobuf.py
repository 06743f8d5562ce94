"""Bodies in protobuf: real ones of kubectl, ones written here, and ones that are broken."""
from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.api.errors import BadRequest
from muster.api.protobuf import MAGIC, decode, fields

# What kubectl 1.32 sends for `kubectl auth whoami`.
WHOAMI = bytes.fromhex(
    "6b387300 0a2d0a18 61757468656e7469636174696f6e2e6b38732e696f2f7631 1211 53656c665375626a656374526576696577"
    "121a0a100a0012001a0022002a0032003800420012060a040a0012001a002200".replace(" ", ""))


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def message(*pairs: tuple[int, int | bytes | str]) -> bytes:
    out = b""
    for number, value in pairs:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(raw)) + raw
    return out


def body(api_version: str, kind: str, *pairs: tuple[int, int | bytes | str]) -> bytes:
    return MAGIC + message((1, message((1, api_version), (2, kind))), (2, message(*pairs)), (3, ""), (4, ""))


def pod_with(*pairs: tuple[int, int | bytes | str]) -> dict:
    return decode(body("v1", "Pod", (2, message(*pairs))))["spec"]


def test_what_kubectl_sends():
    assert decode(WHOAMI) == {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {},
                              "status": {"userInfo": {}}}


@pytest.mark.parametrize(("pairs", "spec"), [
    pytest.param([(10, "n1")], {"nodeName": "n1"}, id="text"),
    pytest.param([(10, "")], {}, id="text never set"),
    pytest.param([(4, 0)], {"terminationGracePeriodSeconds": 0}, id="a zero that is meant"),
    pytest.param([(11, 0), (12, 1)], {"hostPID": True}, id="flags"),
    pytest.param([(25, -5)], {"priority": -5}, id="below zero"),
    pytest.param([(7, message((1, "disk"), (2, "ssd"))), (7, message((1, "empty"), (2, "")))],
                 {"nodeSelector": {"disk": "ssd", "empty": ""}}, id="a map"),
    pytest.param([(2, message((1, "c"), (3, "sh"), (3, ""), (8, message((1, message((1, "cpu"), (2, message((1, "1")))))))))],
                 {"containers": [{"name": "c", "command": ["sh", ""], "resources": {"limits": {"cpu": "1"}}}]},
                 id="a container with quantities"),
    pytest.param([(1, message((1, "v"), (2, message((2, b"")))))], {"volumes": [{"name": "v", "emptyDir": {}}]},
                 id="fields of a message inside"),
    pytest.param([(999, "later")], {}, id="a field of a later release"),
])
def test_a_pod(pairs, spec):
    assert pod_with(*pairs) == spec


def test_values_with_a_form_of_their_own():
    port = message((1, "http"), (3, 80), (4, message((1, 1), (2, 0), (3, "web"))))
    service = decode(body("v1", "Service", (2, message((1, port), (1, message((3, 81), (4, message((1, 0), (2, 8080)))))))))
    assert [one["targetPort"] for one in service["spec"]["ports"]] == ["web", 8080]
    secret = decode(body("v1", "Secret", (2, message((1, "a"), (2, b"\x00\xff")))))
    assert secret["data"] == {"a": "AP8="}
    meta = message((1, "x"), (8, message((1, 1_767_225_600))), (9, b""))
    assert decode(body("v1", "ConfigMap", (1, meta)))["metadata"] == {
        "name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
    options = decode(body("v1", "DeleteOptions", (1, 0), (4, "Background")))
    assert (options["gracePeriodSeconds"], options["propagationPolicy"]) == (0, "Background")


@pytest.mark.parametrize("raw", [
    pytest.param(b"", id="nothing"), pytest.param(b'{"kind":"Pod"}', id="JSON"), pytest.param(MAGIC, id="no envelope"),
    pytest.param(body("v1", "Unicorn"), id="no such kind"), pytest.param(WHOAMI[:-3], id="cut off"),
    pytest.param(MAGIC + b"\xff" * 20, id="endless number"), pytest.param(MAGIC + b"\x0b", id="wire type 3"),
    pytest.param(body("v1", "Pod", (2, 5)), id="a number for a message"),
    pytest.param(body("v1", "Pod", (2, message((10, b"\xff")))), id="no text"),
    pytest.param(body("v1", "Pod", (2, message((4, "x")))), id="text for a number"),
    pytest.param(MAGIC + message((1, message((1, "v1"), (2, "Pod"))), (3, "gzip")), id="packed"),
])
def test_refused(raw):
    with pytest.raises(BadRequest):
        decode(raw)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40))
def test_no_bytes_do_more_than_be_refused(noise):
    for raw in (MAGIC + noise, body("v1", "Pod", (2, noise)), body("v1", "Pod", (1, noise), (2, message((2, noise))))):
        with contextlib.suppress(BadRequest):
            decode(raw)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1) | st.binary(max_size=20)), max_size=8))
def test_the_wire_format_is_read_as_written(pairs):
    assert list(fields(message(*pairs))) == pairs
