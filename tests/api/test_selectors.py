import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api.errors import BadRequest
from muster.api.selectors import EVERYTHING, NOTHING, from_label_selector, from_labels, parse_fields, parse_labels


@pytest.mark.parametrize(("text", "labels", "matches"), [
    ("", {}, True),
    ("a=b", {"a": "b"}, True),
    ("a==b", {"a": "b"}, True),
    ("a=b", {"a": "c"}, False),
    ("a=b", {}, False),
    ("a!=b", {}, True),
    ("a!=b", {"a": "b"}, False),
    ("a in (b, c)", {"a": "c"}, True),
    ("a in (b,c)", {"a": "d"}, False),
    ("a notin (b,c)", {}, True),
    ("a notin (b,c)", {"a": "b"}, False),
    ("a", {"a": ""}, True),
    ("a", {}, False),
    ("!a", {}, True),
    ("!a", {"a": "1"}, False),
    ("a>5", {"a": "6"}, True),
    ("a>5", {"a": "5"}, False),
    ("a<5", {"a": "x"}, False),
    ("a=", {"a": ""}, True),
    ("a in (,b)", {"a": ""}, True),
    ("in in (in)", {"in": "in"}, True),
    ("x=1,y!=2", {"x": "1", "y": "2"}, False),
    ("kubernetes.io/os=linux,!old", {"kubernetes.io/os": "linux"}, True),
])
def test_labels(text, labels, matches):
    assert parse_labels(text).matches(labels) is matches


@pytest.mark.parametrize(("text", "message"), [
    ("a=b=c", "found '=', expected: ',' or 'end of string'"),
    ("=a", "found '=', expected: !, identifier, or 'end of string'"),
    ("a,", "found '', expected: identifier after ','"),
    ("a=b,,c", "found ',', expected: identifier after ','"),
    ("!", "unable to parse requirement: found '', expected: identifier"),
    ("a in b", "unable to parse requirement: found 'b' expected: '('"),
    ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
    ("a in ()", "unable to parse requirement: values: Invalid value: []string{}: "
                "for 'in', 'notin' operators, values set can't be empty"),
    ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ("a>x", 'unable to parse requirement: values[0]: Invalid value: "x": '
            "for 'Gt', 'Lt' operators, the value must be an integer"),
])
def test_malformed_label_selectors(text, message):
    with pytest.raises(BadRequest) as raised:
        parse_labels(text)
    assert raised.value.message == message


def test_a_bad_key_or_value_names_itself():
    with pytest.raises(BadRequest, match=r'unable to parse requirement: key: Invalid value: "-x": name part must'):
        parse_labels("-x=1")
    with pytest.raises(BadRequest, match=r'values\[0\]\[a\]: Invalid value: "@@": a valid label must'):
        parse_labels("a=@@")


@pytest.mark.parametrize(("selector", "labels", "matches"), [
    (None, {}, False),
    ({}, {"any": "thing"}, True),
    ({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, True),
    ({"matchLabels": {"a": "b"}}, {"a": "c"}, False),
    ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}, {"a": "b"}, True),
    ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, {}, True),
    ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
    ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": "b"}, False),
    ({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": "b"}, False),
])
def test_selectors_in_objects(selector, labels, matches):
    assert from_label_selector(selector).matches(labels) is matches


def test_the_empty_ones():
    assert EVERYTHING.is_empty and EVERYTHING.matches(None)
    assert not NOTHING.is_empty and not NOTHING.matches({"a": "b"})
    assert from_labels(None) is EVERYTHING


def test_an_unknown_operator_in_an_object():
    with pytest.raises(BadRequest, match='"in" is not a valid label selector operator'):
        from_label_selector({"matchExpressions": [{"key": "a", "operator": "in", "values": ["b"]}]})


def test_text_is_sorted_and_reads_back():
    text = str(from_label_selector({"matchLabels": {"z": "1", "a": "2"}, "matchExpressions": [
        {"key": "m", "operator": "In", "values": ["y", "x"]}, {"key": "o", "operator": "DoesNotExist"}]}))
    assert text == "a=2,m in (x,y),!o,z=1"
    assert str(parse_labels(text)) == text


keys = st.sampled_from(["a", "b", "c"])
values = st.sampled_from(["", "1", "2", "x"])
terms = st.one_of(
    st.builds("{}={}".format, keys, values), st.builds("{}!={}".format, keys, values),
    keys, keys.map("!{}".format), st.builds("{} in ({},{})".format, keys, values, values),
    st.builds("{} notin ({},{})".format, keys, values, values), st.builds("{}>{}".format, keys, st.integers(0, 3)))
label_sets = st.dictionaries(keys, values)


@given(st.lists(terms, max_size=4), label_sets)
def test_all_requirements_must_hold(listed, labels):
    selector = parse_labels(",".join(listed))
    assert selector.matches(labels) == all(parse_labels(term).matches(labels) for term in listed)
    assert parse_labels(str(selector)) == selector


@given(keys, values, values, label_sets)
def test_notin_is_the_opposite_of_in(key, one, other, labels):
    assert parse_labels(f"{key} in ({one},{other})").matches(labels) \
        != parse_labels(f"{key} notin ({one},{other})").matches(labels)


@pytest.mark.parametrize(("text", "found", "matches"), [
    ("", {}, True),
    ("spec.nodeName=n1", {"spec.nodeName": "n1"}, True),
    ("spec.nodeName==n1", {"spec.nodeName": "n2"}, False),
    ("status.phase!=Running", {"status.phase": "Pending"}, True),
    ("a=1,b!=2", {"a": "1", "b": "2"}, False),
    ("a=", {}, True),
    (r"a=b\,c", {"a": "b,c"}, True),
    (r"a=b\=c", {"a": "b=c"}, True),
])
def test_fields(text, found, matches):
    assert parse_fields(text).matches(lambda field: found.get(field, "")) is matches


@pytest.mark.parametrize(("text", "message"), [
    ("a", "invalid selector: 'a'; can't understand 'a'"),
    ("a=1,b", "invalid selector: 'a=1,b'; can't understand 'b'"),
    ("a=b=c", "invalid field selector: unescaped character in value: '='"),
])
def test_malformed_field_selectors(text, message):
    with pytest.raises(BadRequest) as raised:
        parse_fields(text)
    assert raised.value.message == message


def test_the_one_value_a_field_must_have():
    selector = parse_fields("metadata.name=x,spec.nodeName!=n1")
    assert selector.exactly("metadata.name") == "x"
    assert selector.exactly("spec.nodeName") is None
