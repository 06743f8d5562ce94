"""Metadata and label selectors: the field and the words of each complaint."""
import pytest

from muster.api.causes import required
from muster.api.errors import invalid
from muster.api.validation.metadata import (
    validate_label_selector,
    validate_metadata,
    validate_metadata_update,
)


def said(causes):
    return [str(cause) for cause in causes]


def starts(causes, *beginnings):
    found = said(causes)
    assert len(found) == len(beginnings), found
    for text, beginning in zip(found, beginnings, strict=True):
        assert text.startswith(beginning), text


@pytest.mark.parametrize("metadata, namespaced, beginnings", [
    pytest.param({"name": "a", "namespace": "b"}, True, [], id="fine"),
    pytest.param({"name": "a"}, False, [], id="fine, of the whole cluster"),
    pytest.param({"namespace": "b"}, True, ["metadata.name: Required value: name or generateName is required"],
                 id="nameless"),
    pytest.param({"name": "A", "namespace": "b"}, True,
                 ['metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain'], id="capital name"),
    pytest.param({"name": "a", "generateName": "X-", "namespace": "b"}, True,
                 ['metadata.generateName: Invalid value: "X-": a lowercase RFC 1123 subdomain'], id="generated"),
    pytest.param({"name": "a"}, True, ["metadata.namespace: Required value"], id="no namespace"),
    pytest.param({"name": "a", "namespace": "b"}, False,
                 ["metadata.namespace: Forbidden: not allowed on this type"], id="a namespace too many"),
    pytest.param({"name": "a", "labels": {"a b": "c d"}}, False,
                 ['metadata.labels: Invalid value: "a b": name part must consist',
                  'metadata.labels: Invalid value: "c d": a valid label must be'], id="labels"),
    pytest.param({"name": "a", "annotations": {"A.B/Any": "c d", "": ""}}, False,
                 ['metadata.annotations: Invalid value: "": name part must be non-empty',
                  'metadata.annotations: Invalid value: "": name part must consist'], id="annotation keys"),
    pytest.param({"name": "a", "annotations": {"a": "é" * 131072}}, False,
                 ["metadata.annotations: Too long: may not be more than 262144 bytes"], id="annotations in bytes"),
    pytest.param({"name": "a", "annotations": {"a": "x" * 262143}}, False, [], id="annotations that just fit"),
    pytest.param({"name": "a", "finalizers": ["mine"]}, False,
                 ['metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it '
                  "fully qualified"], id="finalizer of no one"),
    pytest.param({"name": "a", "finalizers": ["orphan", "foregroundDeletion"]}, False,
                 ['metadata.finalizers: Invalid value: []string{"orphan", "foregroundDeletion"}: finalizer orphan and '
                  "foregroundDeletion cannot be both set"], id="finalizers at odds"),
    pytest.param({"name": "a", "ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x", "uid": "1", "controller": True},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "y", "uid": "", "controller": True}]}, False,
        ['metadata.ownerReferences.uid: Invalid value: "": must not be empty',
         'metadata.ownerReferences: Invalid value: []v1.OwnerReference{v1.OwnerReference{APIVersion:"apps/v1", Kind:'], id="two controllers"),
])
def test_create(metadata, namespaced, beginnings):
    starts(validate_metadata({"metadata": metadata}, namespaced=namespaced), *beginnings)


OLD = {"name": "a", "namespace": "b", "uid": "1", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize("change, before, beginnings", [
    pytest.param({}, {}, [], id="nothing"),
    pytest.param({"labels": {"a": "b"}}, {}, [], id="labels may change"),
    pytest.param({"name": "c"}, {}, ['metadata.name: Invalid value: "c": field is immutable'], id="name"),
    pytest.param({"uid": "2"}, {}, ['metadata.uid: Invalid value: "2": field is immutable'], id="uid"),
    pytest.param({"generation": 2}, {}, ["metadata.generation: Invalid value: 2: must not be decremented"],
                 id="generation"),
    pytest.param({"finalizers": ["a.b/c"]}, {}, [], id="a finalizer while it lives"),
    pytest.param({"finalizers": ["a.b/c"], "deletionTimestamp": "x"}, {"deletionTimestamp": "x"},
                 ["metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
                  'found new finalizers []string{"a.b/c"}'], id="a finalizer while it goes"),
])
def test_update(change, before, beginnings):
    starts(validate_metadata_update({"metadata": {**OLD, **change}}, {"metadata": {**OLD, **before}}), *beginnings)


@pytest.mark.parametrize("selector, beginnings", [
    pytest.param({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]}, [], id="fine"),
    pytest.param({"matchExpressions": [{"key": "c", "operator": "In"}]},
                 ["s.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or "
                  "'NotIn'"], id="In nothing"),
    pytest.param({"matchExpressions": [{"key": "c", "operator": "Exists", "values": ["d"]}]},
                 ["s.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or "
                  "'DoesNotExist'"], id="Exists with values"),
    pytest.param({"matchExpressions": [{"key": "c", "operator": "in", "values": ["d"]}]},
                 ['s.matchExpressions[0].operator: Invalid value: "in": not a valid selector operator'],
                 id="operator in small letters"),
    pytest.param({"matchLabels": {"a": "b c"}},
                 ['s.matchLabels: Invalid value: "b c": a valid label must be an empty string or consist'], id="value"),
])
def test_label_selector(selector, beginnings):
    wrong = []
    validate_label_selector(selector, "s", wrong)
    starts(wrong, *beginnings)


def test_what_two_rules_say_is_said_once():
    error = invalid("Pod", "", "p", [required("spec.a"), required("spec.b"), required("spec.a")])
    assert error.message == 'Pod "p" is invalid: [spec.a: Required value, spec.b: Required value]'
    assert [cause["field"] for cause in error.details["causes"]] == ["spec.a", "spec.b"]
