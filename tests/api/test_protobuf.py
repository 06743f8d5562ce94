"""Bodies in protobuf: real ones of kubectl, ones written here as Go writes them, and ones that are broken."""
from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.api.errors import BadRequest
from muster.api.protobuf import _facts, decode
from muster.api.schema import Schema

MAGIC = b"k8s\0"
# What kubectl 1.32 sends for `kubectl auth whoami`.
WHOAMI = bytes.fromhex(
    "6b387300 0a2d0a18 61757468656e7469636174696f6e2e6b38732e696f2f7631 1211 53656c665375626a656374526576696577"
    "121a0a100a0012001a0022002a0032003800420012060a040a0012001a002200")
KIND_AND_VERSION = {"kind", "apiVersion"}  # of an object: the envelope holds them


# ---- writing, field by field

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


def enveloped(api_version: str, kind: str, raw: bytes) -> bytes:
    return MAGIC + message((1, message((1, api_version), (2, kind))), (2, raw), (3, ""), (4, ""))


def body(api_version: str, kind: str, *pairs: tuple[int, int | bytes | str]) -> bytes:
    return enveloped(api_version, kind, message(*pairs))


def read(api_version: str, kind: str, *pairs: tuple[int, int | bytes | str]) -> dict[str, Any]:
    return decode(body(api_version, kind, *pairs))


def pod_with(*pairs: tuple[int, int | bytes | str]) -> dict[str, Any]:
    """The spec of a pod, without what JSON always holds of it."""
    spec = read("v1", "Pod", (2, message(*pairs)))["spec"]
    return {key: value for key, value in spec.items() if value is not None}


# ---- tables

def test_what_kubectl_sends():
    assert decode(WHOAMI) == {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
                              "metadata": {"creationTimestamp": None}, "status": {"userInfo": {}}}


CONTAINER = {"name": "c", "resources": {}}


@pytest.mark.parametrize(("pairs", "spec"), [
    pytest.param([(10, "n1")], {"nodeName": "n1"}, id="text"),
    pytest.param([(10, "")], {}, id="text never set"),
    pytest.param([(10, "n1"), (10, "")], {}, id="what was sent last counts"),
    pytest.param([(4, 0)], {"terminationGracePeriodSeconds": 0}, id="no time at all"),
    pytest.param([(21, 0), (30, 0)], {"automountServiceAccountToken": False, "enableServiceLinks": False},
                 id="no, and not just never said"),
    pytest.param([(29, "")], {"runtimeClassName": ""}, id="an empty text that is meant"),
    pytest.param([(11, 0), (12, 1)], {"hostPID": True}, id="flags"),
    pytest.param([(25, -5)], {"priority": -5}, id="below zero"),
    pytest.param([(7, message((1, "disk"), (2, "ssd"))), (7, message((1, "empty"), (2, "")))],
                 {"nodeSelector": {"disk": "ssd", "empty": ""}}, id="a map"),
    pytest.param([(14, b"")], {"securityContext": {}}, id="an empty object that is meant"),
    pytest.param([(14, message((2, 0), (3, 0), (5, 0)))],
                 {"securityContext": {"runAsUser": 0, "runAsNonRoot": False, "fsGroup": 0}}, id="root"),
    pytest.param([(14, message((2, 7))), (14, message((5, 8)))], {"securityContext": {"runAsUser": 7, "fsGroup": 8}},
                 id="an object sent in two parts"),
    pytest.param([(14, message((4, 5), (4, 6)))], {"securityContext": {"supplementalGroups": [5, 6]}}, id="numbers"),
    pytest.param([(14, message((4, b"\x05\x06")))], {"securityContext": {"supplementalGroups": [5, 6]}},
                 id="numbers packed together"),
    pytest.param([(22, message((1, "key"), (5, 0)))], {"tolerations": [{"key": "key", "tolerationSeconds": 0}]},
                 id="tolerated for no time"),
    pytest.param([(2, message((1, "c"), (3, "sh"), (3, ""),
                              (8, message((1, message((1, "cpu"), (2, message((1, "1")))))))))],
                 {"containers": [{"name": "c", "command": ["sh", ""], "resources": {"limits": {"cpu": "1"}}}]},
                 id="a container with quantities"),
    pytest.param([(2, message((1, "c"), (10, message((1, message((2, message((1, ""), (2, message((1, 0), (2, 80)))))
                                                               )), (2, 0), (3, 1)))))],
                 {"containers": [{**CONTAINER, "livenessProbe": {"httpGet": {"port": 80}, "timeoutSeconds": 1}}]},
                 id="a probe"),
    pytest.param([(1, message((1, "v"), (2, message((2, b"")))))], {"volumes": [{"name": "v", "emptyDir": {}}]},
                 id="fields of a message inside"),
    pytest.param([(1, message((1, "v"), (2, message((6, message((1, "s"), (3, 0), (4, 0)))))))],
                 {"volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 0, "optional": False}}]},
                 id="a mode and a flag that are meant"),
    pytest.param([(999, "later"), (998, 1)], {}, id="fields of a later release"),
])
def test_a_pod(pairs, spec):
    assert pod_with(*pairs) == spec


@pytest.mark.parametrize(("api_version", "kind", "pairs", "path", "value"), [
    pytest.param("scheduling.k8s.io/v1", "PriorityClass", [(2, 0), (3, 0)], "value", 0, id="a class of priority zero"),
    pytest.param("scheduling.k8s.io/v1", "PriorityClass", [(2, 0), (3, 0)], "globalDefault", None, id="never set"),
    pytest.param("v1", "Service", [(2, message((1, message((3, 0)))))], "spec.ports", [{"port": 0, "targetPort": 0}],
                 id="a port that is not given"),
    pytest.param("v1", "Service", [(2, message((1, message((3, 80), (4, message((1, 1), (2, 0), (3, "web")))))))],
                 "spec.ports", [{"port": 80, "targetPort": "web"}], id="a port by its name"),
    pytest.param("v1", "Service", [(2, message((1, message((3, 80), (4, message((1, 0), (2, 8080)))))))],
                 "spec.ports", [{"port": 80, "targetPort": 8080}], id="a port by its number"),
    pytest.param("v1", "ConfigMap", [(4, 0)], "immutable", False, id="said not to be immutable"),
    pytest.param("v1", "ConfigMap", [], "immutable", None, id="immutable never said"),
    pytest.param("apps/v1", "Deployment", [(2, message((1, 0), (5, 0)))], "spec.replicas", 0, id="no replicas"),
    pytest.param("apps/v1", "Deployment", [(2, message((1, 0), (5, 0)))], "spec.minReadySeconds", None,
                 id="minReadySeconds never set"),
    pytest.param("apps/v1", "DaemonSet", [(3, message((9, 0)))], "status",
                 {"collisionCount": 0, "currentNumberScheduled": 0, "numberMisscheduled": 0,
                  "desiredNumberScheduled": 0, "numberReady": 0}, id="counts that JSON always holds"),
    pytest.param("batch/v1", "Job", [(2, message((1, 0), (7, 0), (10, 0)))], "spec.suspend", False, id="not suspended"),
    pytest.param("batch/v1", "Job", [(2, message((7, 0)))], "spec.backoffLimit", 0, id="never tried again"),
    pytest.param("discovery.k8s.io/v1", "EndpointSlice", [(2, message((1, "10.0.0.1"), (2, message((1, 0)))))],
                 "endpoints", [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}], id="not ready"),
    pytest.param("v1", "Secret", [(2, message((1, "a"), (2, b"\x00\xff"))), (2, message((1, "b")))], "data",
                 {"a": "AP8=", "b": ""}, id="bytes as base64"),
    pytest.param("v1", "ResourceQuota", [(2, message((1, message((1, "pods"), (2, message((1, "10")))))))], "spec.hard",
                 {"pods": "10"}, id="quantities"),
    pytest.param("v1", "Pod", [(1, message((8, b""), (9, message((1, 0), (2, 0)))))], "metadata",
                 {"creationTimestamp": None, "deletionTimestamp": "1970-01-01T00:00:00Z"}, id="no time, and time zero"),
    pytest.param("v1", "Pod", [(1, message((8, message((1, -62135596800), (2, 0)))))], "metadata.creationTimestamp",
                 None, id="Go's time of nothing"),
    pytest.param("coordination.k8s.io/v1", "Lease",
                 [(2, message((2, 0), (3, message((1, 1_767_225_600), (2, 1_999)))))], "spec",
                 {"leaseDurationSeconds": 0, "acquireTime": "2026-01-01T00:00:00.000001Z"}, id="microseconds"),
    pytest.param("apps/v1", "ControllerRevision", [(2, message((1, '{"spec":{"a":[1]}}'))), (3, 2)], "data",
                 {"spec": {"a": [1]}}, id="JSON inside"),
    pytest.param("authorization.k8s.io/v1", "SubjectAccessReview",
                 [(2, message((3, "bob"), (5, message((1, "scopes"), (2, message((1, "a"), (1, "b")))))))], "spec",
                 {"user": "bob", "extra": {"scopes": ["a", "b"]}}, id="a list with a name of its own"),
    pytest.param("authorization.k8s.io/v1", "SelfSubjectAccessReview",
                 [(2, message((1, message((1, ""), (2, "list"), (3, ""), (4, ""), (5, "pods")))))], "spec",
                 {"resourceAttributes": {"verb": "list", "resource": "pods"}}, id="may I"),
    pytest.param("networking.k8s.io/v1", "IngressClass", [(2, message((2, message((1, "g"), (2, "K"), (3, "n")))))],
                 "spec.parameters", {"apiGroup": "g", "kind": "K", "name": "n", "scope": None},
                 id="a name that Go and JSON spell differently"),
    pytest.param("v1", "Service", [(2, message((4, ""))), (1, message((1, "\u00e4")))], "metadata.name", "\u00e4",
                 id="not ASCII"),
])
def test_values(api_version, kind, pairs, path, value):
    found: Any = read(api_version, kind, *pairs)
    for step in path.split("."):
        found = found.get(step)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("api_version", ["v1", "apps/v1", "policy/v1"])
def test_delete_options(api_version):
    options = read(api_version, "DeleteOptions", (1, 0), (2, message((1, "u"))), (3, 0), (4, "Background"), (5, "All"))
    assert options == {"kind": "DeleteOptions", "apiVersion": api_version, "gracePeriodSeconds": 0,
                       "preconditions": {"uid": "u"}, "orphanDependents": False, "propagationPolicy": "Background",
                       "dryRun": ["All"]}


def test_an_eviction():
    eviction = read("policy/v1", "Eviction", (1, message((1, "p"), (3, "ns"))), (2, message((1, 0))))
    assert eviction["metadata"] == {"name": "p", "namespace": "ns", "creationTimestamp": None}
    assert eviction["deleteOptions"] == {"gracePeriodSeconds": 0}


POD = body("v1", "Pod", (1, message((1, "p"))), (2, message((10, "n"))))
ABOUT_POD = 'Pod in version "v1" cannot be handled as a Pod: '


@pytest.mark.parametrize(("raw", "said"), [
    pytest.param(b"", "empty data", id="nothing"),
    pytest.param(b'{"kind":"Pod"}', "expected prefix [107 56 115 0]", id="JSON"),
    pytest.param(MAGIC, "Object 'Kind' is missing", id="no envelope"),
    pytest.param(body("", "Pod"), "Object 'apiVersion' is missing", id="no version"),
    pytest.param(body("v1", "Unicorn"), 'no kind "Unicorn" is registered for version "v1"', id="no such kind"),
    pytest.param(body("v1", "PodList"), 'no kind "PodList" is registered', id="a list is nothing to write"),
    pytest.param(WHOAMI[:-3], "unexpected EOF", id="cut off"),
    pytest.param(MAGIC + b"\xff" * 20, "proto: integer overflow", id="endless number"),
    pytest.param(MAGIC + b"\x0b", "wrong wireType = 3 for field TypeMeta", id="a group"),
    pytest.param(MAGIC + b"\x0c", "Unknown: wiretype end group for non-group", id="the end of no group"),
    pytest.param(MAGIC + b"\x00\x00", "Unknown: illegal tag 0 (wire type 0)", id="no number"),
    pytest.param(MAGIC + message((1, message((1, "v1"), (2, "Pod"))), (3, "gzip")), "encoded as 'gzip'", id="packed"),
    pytest.param(body("v1", "Pod", (2, 5)), ABOUT_POD + "proto: wrong wireType = 0 for field Spec", id="no message"),
    pytest.param(body("v1", "Pod", (2, message((4, "x")))), "wrong wireType = 2 for field TerminationGracePeriodSeconds",
                 id="text for a number"),
    pytest.param(body("v1", "Pod", (2, message((10, 5)))), "wrong wireType = 0 for field NodeName", id="number for text"),
    pytest.param(enveloped("v1", "Pod", b"\x12\x05\x0a"), ABOUT_POD + "unexpected EOF", id="longer than there is"),
    pytest.param(enveloped("v1", "Pod", b"\x12" + b"\xff" * 8 + b"\x7f"), "unexpected EOF", id="longer than anything"),
    pytest.param(enveloped("v1", "Pod", b"\xfa\x3f\x05\x0a"), "unexpected EOF", id="an unknown one that is cut off"),
    pytest.param(enveloped("v1", "Pod", b"\xfb\x3f" * 200), "exceeded max depth", id="groups in groups"),
    pytest.param(enveloped("v1", "Pod", b"\xfe\x3f"), "illegal wireType 6", id="no such wire type"),
    pytest.param(body("v1", "Pod", (1, message((8, message((1, 2**62)))))), "year outside of range", id="far away"),
    pytest.param(body("v1", "Service", (2, message((1, message((4, message((1, 2)))))))), "impossible IntOrString.Type",
                 id="neither number nor text"),
    pytest.param(body("apps/v1", "ControllerRevision", (2, message((1, "{")))), "unexpected end of JSON input",
                 id="no JSON inside"),
    pytest.param(body("apps/v1", "ControllerRevision", (2, message((1, b"[" * 300 + b"]" * 300)))), "max depth",
                 id="deep JSON inside"),
    pytest.param(enveloped("v1", "Pod", message((2, b"\x12\x00" * 250_000))), "more than 250000 values",
                 id="much memory in few bytes"),
])
def test_refused(raw, said):
    with pytest.raises(BadRequest) as error:
        decode(raw)
    assert said in str(error.value)


def test_every_start_of_a_body_is_refused_or_read():
    for length in range(len(POD)):
        with suppress(BadRequest):
            decode(POD[:length])


# ---- laws

@cache
def lines(definition: str) -> list[tuple[int, str, str, bool, bool]]:
    """(number, name, type, pointer, always) of each field."""
    found = []
    for number, line in _facts()["messages"][definition].items():
        name, _, said = line.partition(" ")
        found.append((int(number), name, said.rstrip("?!"), said.rstrip("!").endswith("?"), said.endswith("!")))
    return found


def test_no_message_contains_itself():
    def below(definition: str, above: tuple[str, ...]) -> None:
        assert definition not in above, (*above, definition)
        for _, _, said, _, _ in lines(definition):
            if "#" in said:
                below(said.partition("#")[2], (*above, definition))
    for definition in set(_facts()["kinds"].values()):
        below(definition, ())


def test_the_facts_agree_with_the_schema():
    """Every field that JSON may hold has a number, and no number is of a field that JSON does not know."""
    schema = Schema.load()

    def names(definition: str) -> set[str]:
        found: set[str] = set()
        for _, name, said, _, _ in lines(definition):
            found |= {name} if name else names(said[1:])
        return found
    inlined = {said[1:] for definition in _facts()["messages"] for _, name, said, _, _ in lines(definition) if not name}
    for definition in _facts()["messages"].keys() - inlined:
        known = schema.definition(definition).fields.keys()
        assert names(definition) - KIND_AND_VERSION == known - KIND_AND_VERSION, definition


VALUES: dict[str, st.SearchStrategy[Any]] = {  # what is on the wire, and what JSON says
    "string": st.sampled_from(["", "x", "\u00e4\u00f6", "a" * 200]), "bytes": st.binary(max_size=5),
    "boolean": st.booleans(), "int32": st.sampled_from([0, 1, -1, 2**31 - 1, -2**31]),
    "int64": st.sampled_from([0, 1, -1, 2**63 - 1, -2**63]),
}


def drawn(data: st.DataObject, said: str) -> tuple[bytes | int, Any]:
    """A value as it is sent, and as JSON has it."""
    if said.startswith("#"):
        return write(data, said[1:])
    if said.startswith("()"):
        items = [drawn(data, said[2:]) for _ in range(data.draw(st.integers(0, 2)))]
        return message(*[(1, sent) for sent, _ in items]), [value for _, value in items]
    if said == "quantity":
        return message((1, "100m")), "100m"
    if said == "int-or-string":
        return data.draw(st.sampled_from([(message((1, 0), (2, 0), (3, "")), 0), (message((1, 0), (2, -4), (3, "")), -4),
                                          (message((1, 1), (2, 0), (3, "50%")), "50%")]))
    if said in ("time", "micro-time"):
        part = ".000000" if said == "micro-time" else ""
        return data.draw(st.sampled_from([(b"", None), (message((1, 0), (2, 0)), f"1970-01-01T00:00:00{part}Z")]))
    if said == "any":
        return message((1, '{"a":1}')), {"a": 1}
    value = data.draw(VALUES[said])
    if said == "bytes":
        return value, value
    return (int(value), value) if isinstance(value, (bool, int)) else (value.encode(), value)


def write(data: st.DataObject, definition: str) -> tuple[bytes, dict[str, Any]]:
    """An object as Go writes it to the wire, and as Go writes it as JSON."""
    sent, value = b"", {}
    for number, name, said, pointer, always in lines(definition):
        if not name:
            inner, more = write(data, said[1:])
            sent += message((number, inner))
            value |= more
            continue
        if said[:2] in ("[]", "{}"):
            items = [drawn(data, said[2:]) for _ in range(data.draw(st.sampled_from([0, 0, 0, 2])))]
            keys = [f"key{index}" for index in range(len(items))]
            if said[0] == "[":
                sent += message(*[(number, one) for one, _ in items])
                said_in_json: Any = [one for _, one in items]
            else:
                sent += message(*[(number, message((1, key), (2, one))) for key, (one, _) in
                                  zip(keys, items, strict=True)])
                said_in_json = {key: b64(one) for key, (_, one) in zip(keys, items, strict=True)}
            if items or always:
                value[name] = said_in_json if items else None
            continue
        if (pointer or said == "bytes") and data.draw(st.sampled_from([True, True, False])):
            if always:
                value[name] = None
            continue
        one, in_json = drawn(data, said)
        sent += message((number, one))
        if in_json or pointer or always or in_json is None or said[0] == "#" or said == "int-or-string":
            value[name] = b64(in_json)
    return sent, value


def b64(value: Any) -> Any:
    return value if not isinstance(value, bytes) else _Base64(value)


class _Base64:
    """Bytes, which JSON writes as base64."""

    def __init__(self, value: bytes):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and b64decode(other, validate=True) == self.value


KINDS = sorted(key for key in _facts()["kinds"] if "DeleteOptions" not in key or key.startswith("/"))


@pytest.mark.parametrize("key", KINDS)
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_what_go_writes_is_read_as_the_json_it_writes(key, data):
    group, version, kind = key.split("/")
    api_version = f"{group}/{version}" if group else version
    sent, value = write(data, _facts()["kinds"][key])
    assert decode(enveloped(api_version, kind, sent)) == {"kind": kind, "apiVersion": api_version, **value}


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40))
def test_no_bytes_do_more_than_be_refused(noise):
    for raw in (MAGIC + noise, body("v1", "Pod", (2, noise)), body("v1", "Pod", (1, noise), (2, message((2, noise)))),
                body("v1", "Service", (2, message((1, message((4, noise))))))):
        with suppress(BadRequest):
            decode(raw)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_does_more_than_be_refused(data):
    raw = bytearray(POD)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadRequest):
        decode(bytes(raw))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(500, 2**29 - 1), st.integers(0, 2**64 - 1) | st.binary(max_size=20)), max_size=8))
def test_what_later_releases_add_changes_nothing(pairs):
    known = (1, message((1, "p")))
    assert read("v1", "ConfigMap", *pairs, known, *pairs) == read("v1", "ConfigMap", known)
