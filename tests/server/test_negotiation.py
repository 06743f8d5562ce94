"""Accept and Content-Type headers, queries and bodies: what is read from them, and what is refused."""
from __future__ import annotations

import contextlib

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.api.errors import ApiError, BadRequest, NotAcceptable, UnsupportedMediaType
from muster.server.bodies import decode
from muster.server.exchange import in_pieces, warning_headers
from muster.server.negotiation import accepted, accepted_discovery, body_media, patch_media
from muster.server.options import flag, number, read_query

KUBECTL_GET = (b"application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,"
               b"application/json")


@pytest.mark.parametrize(("header", "form"), [
    pytest.param(b"", (b"application/json", "whole"), id="nothing said"),
    pytest.param(b"*/*", (b"application/json", "whole"), id="anything"),
    pytest.param(KUBECTL_GET, (b"application/json", "table"), id="kubectl get"),
    pytest.param(b"application/vnd.kubernetes.protobuf,application/json", (b"application/json", "whole"),
                 id="protobuf if possible"),
    pytest.param(b"application/json;q=0.5, application/yaml", (b"application/yaml", "whole"), id="yaml preferred"),
    pytest.param(b"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", (b"application/json", "partial"),
                 id="metadata alone"),
    pytest.param(b"application/json;as=Riddle;g=meta.k8s.io;v=v1,application/json", (b"application/json", "whole"),
                 id="a form nobody knows"),
])
def test_accept(header, form):
    assert accepted(header) == form


@pytest.mark.parametrize("header", [b"application/vnd.kubernetes.protobuf", b"text/html", b"application/json;q=0",
                                    b"application/json;as=Table;v=v9;g=meta.k8s.io", b",;,="])
def test_accept_refused(header):
    with pytest.raises(NotAcceptable, match="only the following media types are accepted: application/json"):
        accepted(header)


@pytest.mark.parametrize(("header", "version"), [
    pytest.param(b"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", "v2", id="v2"),
    pytest.param(b"application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,application/json", "",
                 id="a later one"),
])
def test_accept_of_discovery(header, version):
    assert accepted_discovery(header) == (b"application/json", version)


def test_content_types():
    assert body_media(b"application/json; charset=utf-8") == "json"
    assert body_media(b"application/yaml") == "yaml"
    assert patch_media(b"application/apply-patch+yaml") == "apply"
    with pytest.raises(UnsupportedMediaType, match="application/strategic-merge-patch"):
        patch_media(b"application/json")


@pytest.mark.parametrize(("query", "value"), [
    pytest.param(b"", None, id="not there"), pytest.param(b"a", True, id="without a value"),
    pytest.param(b"a=", True, id="empty"), pytest.param(b"a=FALSE", False, id="false"),
    pytest.param(b"a=0", False, id="0"), pytest.param(b"a=no", True, id="anything else"),
])
def test_flags(query, value):
    assert flag(read_query(query), "a") is value


@pytest.mark.parametrize(("text", "message"), [
    ("1e3", 'strconv.ParseInt: parsing "1e3": invalid syntax'), ("½", "invalid syntax"),
    ("9223372036854775808", "value out of range"), ("9" * 5000, "value out of range"),
])
def test_numbers_refused(text, message):
    with pytest.raises(BadRequest, match=message):
        number({"a": [text]}, "a")


@pytest.mark.parametrize(("text", "value"), [
    pytest.param(b"a: yes\nb: off", {"a": True, "b": False}, id="old booleans"),
    pytest.param(b"a: 2026-01-31\nb: 12:30:45", {"a": "2026-01-31", "b": "12:30:45"}, id="dates stay texts"),
    pytest.param(b"a: 0644\nb: 1e3\nc: 1_000", {"a": 420, "b": 1000.0, "c": 1000}, id="numbers"),
    pytest.param(b"2: two\ntrue: yes", {"2": "two", "true": True}, id="keys are texts"),
    pytest.param(b"a: &x {k: v}\nb: *x\nc: {<<: *x, m: n}", {"a": {"k": "v"}, "b": {"k": "v"}, "c": {"k": "v", "m": "n"}},
                 id="aliases and merges"),
])
def test_yaml(text, value):
    assert decode(text, "yaml") == (value, [])


@pytest.mark.parametrize("text", [
    pytest.param(b"a: &a [x]\n" + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9))
                                          for c in range(ord("b"), ord("k"))), id="a billion laughs"),
    pytest.param(b"a: &a [*a]", id="inside itself"), pytest.param(b"[" * 500, id="deep"),
    pytest.param(b"a: .nan", id="not a number"), pytest.param(b"a: .inf", id="endless"),
    pytest.param(b"a: 1\n---\nb: 2", id="two documents"), pytest.param(b"{a: b", id="unfinished"),
    pytest.param(b"? {a: b}\n: c", id="a map as key"), pytest.param(b"a: !!python/object:os.system x", id="a foreign tag"),
    pytest.param(b"\xff\xfe\x00", id="no text"), pytest.param(b"a: !!set {x}", id="a set"),
    pytest.param(b"a: &a ['" + b"x" * 1_000_000 + b"']\nb: [*a,*a,*a,*a]", id="long texts repeated"),
])
def test_yaml_refused(text):
    with pytest.raises(BadRequest):
        decode(text, "yaml")


@pytest.mark.parametrize("text", [b"", b"NaN", b"{", b'{"a":1}{', b"[" * 100_000, b'{"a":"\xff"}', b"1e999"])
def test_json_refused(text):
    with pytest.raises(BadRequest):
        decode(text, "json")


@pytest.mark.parametrize(("text", "twice"), [
    pytest.param(b'{"a":1,"a":2}', ["a"], id="plain"),
    pytest.param(b'{"a": {"b" : 1, "b" : 2}}', ["a.b"], id="spaces before the colon"),
    pytest.param(b'{"a" :1,"b":1,"b":2}', ["b"], id="as many colons as fields"),
    pytest.param(b'{"a":1,"\\u0061":2}', ["a"], id="escaped"),
    pytest.param(b'{"a":[{"b":1},{"b":1,"b":[{"b":1}]}]}', ["a[1].b"], id="inside a list"),
    pytest.param(b'{"a":"\\":","b":{"c":1,"d":1}}', [], id="none, though it looks like it"),
])
def test_fields_named_twice(text, twice):
    assert decode(text, "json")[1] == twice


JSON_VALUES = st.recursive(st.none() | st.booleans() | st.integers(-2**53, 2**53) | st.text(),
                           lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
                           max_leaves=20)


@settings(max_examples=60, deadline=None)
@given(JSON_VALUES)
def test_what_is_written_once_is_read_as_it_was(value):
    assert decode(orjson.dumps(value), "json") == (value, [])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_do_more_than_be_refused(raw):
    for media in ("json", "yaml"):
        with contextlib.suppress(ApiError):
            decode(raw, media)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(), max_size=6))
def test_warnings_are_always_legal_headers(texts):
    for name, value in warning_headers(texts):
        assert name == b"warning" and value.startswith(b'299 - "') and value.endswith(b'"')
        assert not any(byte < 32 or byte == 127 for byte in value)


def test_warnings_are_bounded():
    assert sum(len(value) for _, value in warning_headers([f"{n}" * 500 for n in range(100)])) < 5000


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 200_000), max_size=12))
def test_pieces_add_up(sizes):
    items = [b'"' + b"x" * size + b'"' for size in sizes]
    made = in_pieces(b"[", items, b"]")
    whole = made if isinstance(made, bytes) else b"".join(made)
    assert orjson.loads(whole) == ["x" * size for size in sizes]
