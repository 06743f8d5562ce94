"""Bodies: what is JSON, what was named twice, and what is refused before anyone walks it."""
from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api.errors import BadRequest
from muster.api.schema_json import DEEPEST, decode_json, is_deeper, same


@pytest.mark.parametrize(("body", "value", "duplicates"), [
    pytest.param(b'{"a": 1}', {"a": 1}, [], id="nothing twice"),
    pytest.param(b'{"a": 1, "a": 2}', {"a": 2}, ["a"], id="the last one counts"),
    pytest.param(b'{"s": {"c": [{}, {"n": 1, "n": 2, "n": 3}]}, "s2": {"x": 1, "x": 1}}',
                 {"s": {"c": [{}, {"n": 3}]}, "s2": {"x": 1}}, ["s.c[1].n", "s2.x"], id="with their paths"),
    pytest.param(b'{"a" : 1, "\\u0061": 2}', {"a": 2}, ["a"], id="however it is written"),
    pytest.param(b'[{"op": "add", "op": "test"}]', [{"op": "test"}], ["[0].op"], id="in a list"),
])
def test_decode(body: bytes, value: Any, duplicates: list[str]):
    assert decode_json(body, True) == (value, duplicates)
    assert decode_json(body, False) == (value, [])


@pytest.mark.parametrize(("body", "says"), [
    pytest.param(b"", "unexpected end of JSON input", id="empty"),
    pytest.param(b'{"a":', "unexpected end of JSON input", id="cut short"),
    pytest.param(b'{"a', "unexpected end of JSON input", id="cut in a text"),
    pytest.param(b'{"a" 1}', "invalid character '1' after object key", id="no colon"),
    pytest.param(b'{"a":1}x', "invalid character 'x' after top-level value", id="more than JSON"),
    pytest.param(b"nope", "invalid character 'n' looking for beginning of value", id="no JSON"),
    pytest.param(b'{"a":NaN}', "", id="NaN"),
    pytest.param(b'{"a":1e400}', "number is infinity", id="infinite"),
    pytest.param(b'{"a":"\xff"}', "UTF-8", id="not UTF-8"),
    pytest.param(b"[" * 100_000 + b"]" * 100_000, "depth limit exceeded", id="a deep bomb"),
    pytest.param(b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1), f"exceeded max depth of {DEEPEST}",
                 id="one level too deep"),
])
def test_refused(body: bytes, says: str):
    for find_duplicates in (True, False):
        with pytest.raises(BadRequest) as refused:
            decode_json(body, find_duplicates)
        assert refused.value.message.startswith("couldn't get version/kind; json parse error: ")
        assert says in refused.value.message


def test_what_may_come_in_can_go_out():
    body = b"[" * DEEPEST + b"]" * DEEPEST
    value, _ = decode_json(body, True)
    assert orjson.dumps({"items": [{"object": value}]})


def test_brackets_in_texts_do_not_count():
    assert decode_json(orjson.dumps({"a": "[" * 1000}), True) == ({"a": "[" * 1000}, [])


JSON = st.recursive(st.none() | st.booleans() | st.integers(-2**53, 2**53) | st.text(max_size=3),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
                    max_leaves=12)


@given(JSON)
def test_what_was_written_once_is_read_as_it_is(value: Any):
    assert decode_json(orjson.dumps(value), True) == (value, [])


@given(JSON, JSON)
def test_same_is_what_writing_shows(one: Any, other: Any):
    def sort(value: Any) -> bytes:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    assert same(one, other) == (sort(one) == sort(other))


def test_levels():
    assert not is_deeper(5, 0)
    assert is_deeper({}, 0)
    assert not is_deeper({"a": [1]}, 2)
    assert is_deeper({"a": [1]}, 1)
