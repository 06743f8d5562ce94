"""ConfigMap and Secret."""
import base64

import pytest

from muster.api.kinds.config_map import CONFIG_MAP
from muster.api.kinds.secret import SECRET
from muster.api.tables import table


def told(causes):
    return [str(cause) for cause in causes]


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def named(**fields):
    return {"metadata": {"name": "x", "namespace": "default"}, **fields}


@pytest.mark.parametrize(("fields", "wrong"), [
    ({}, []),
    ({"data": {"app.conf": "a"}, "binaryData": {"raw": "AA=="}}, []),
    ({"data": {"..x": ""}}, ['data[..x]: Invalid value: "..x": must not start with \'..\'']),
    ({"data": {"a": ""}, "binaryData": {"a": "AA=="}}, [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData',
        'binaryData[a]: Invalid value: "a": duplicate of key present in data']),
    ({"data": {"a": "x" * 2**20}}, []),
    ({"data": {"a": "x" * (2**20 + 1)}}, ["[]: Too long: may not be more than 1048576 bytes"]),
    ({"data": {"a": "ü" * 2**19 + "x"}}, ["[]: Too long: may not be more than 1048576 bytes"]),
    ({"binaryData": {"a": base64.b64encode(bytes(2**20)).decode()}}, []),
])
def test_a_config_map(fields, wrong):
    assert told(CONFIG_MAP.validate(named(**fields))) == wrong


FROZEN = "field is immutable when `immutable` is set"


@pytest.mark.parametrize(("after", "wrong"), [
    ({"immutable": True, "data": {"a": "1"}}, []),
    ({"immutable": True, "data": {"a": "2"}}, [f"data: Forbidden: {FROZEN}"]),
    ({"data": {"a": "1"}}, [f"immutable: Forbidden: {FROZEN}"]),
    ({"immutable": False}, [f"immutable: Forbidden: {FROZEN}", f"data: Forbidden: {FROZEN}"]),
])
@pytest.mark.parametrize("kind", [CONFIG_MAP, SECRET], ids=["config map", "secret"])
def test_what_is_immutable_stays(kind, after, wrong):
    assert told(kind.validate_update(named(**after), named(immutable=True, data={"a": "1"}))) == wrong


def test_plain_text_is_merged_into_the_data_and_not_kept():
    filled = SECRET.defaults(named(data={"a": encoded("1"), "b": encoded("2")}, stringData={"b": "3", "c": "é"}))
    assert filled["data"] == {"a": encoded("1"), "b": encoded("3"), "c": encoded("é")}
    assert "stringData" not in filled
    assert filled["type"] == "Opaque"
    assert SECRET.defaults(filled) is filled


@pytest.mark.parametrize(("type_", "data", "wrong"), [
    ("kubernetes.io/tls", {"tls.crt": "", "tls.key": ""}, []),
    ("kubernetes.io/tls", {"tls.crt": ""}, ["data[tls.key]: Required value"]),
    ("kubernetes.io/basic-auth", {"username": ""}, []),
    ("kubernetes.io/basic-auth", {}, ["data[username]: Required value", "data[password]: Required value"]),
    ("kubernetes.io/ssh-auth", {"ssh-privatekey": ""}, ["data[ssh-privatekey]: Required value"]),
    ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": encoded("{}")}, []),
    ("kubernetes.io/dockerconfigjson", {}, ["data[.dockerconfigjson]: Required value"]),
    ("kubernetes.io/service-account-token", {}, [
        "metadata.annotations[kubernetes.io/service-account.name]: Required value"]),
    ("mine", {}, []),
])
def test_well_known_secrets_hold_their_keys(type_, data, wrong):
    assert told(SECRET.validate(named(type=type_, data=data))) == wrong


def test_unreadable_settings_are_not_shown():
    wrong = told(SECRET.validate(named(type="kubernetes.io/dockercfg", data={".dockercfg": encoded("pass{")})))
    assert len(wrong) == 1
    assert wrong[0].startswith('data[.dockercfg]: Invalid value: "<secret contents redacted>": ')
    assert "pass" not in wrong[0]


def test_the_type_of_a_secret_stays():
    assert told(SECRET.validate_update(named(type="a"), named(type="b"))) == [
        'type: Invalid value: "a": field is immutable']


def test_columns_count_the_keys():
    assert table(CONFIG_MAP, [named(data={"a": ""}, binaryData={"b": ""})], 0)["rows"][0]["cells"] == [
        "x", 2, "<unknown>"]
    assert table(SECRET, [named(type="Opaque", data={"a": ""})], 0)["rows"][0]["cells"] == [
        "x", "Opaque", 1, "<unknown>"]
