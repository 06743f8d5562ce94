"""Two histories have one fingerprint only if they are one history."""
from __future__ import annotations

import pytest

from muster.api.objects import Key, with_, without_
from muster.rehearsal.fingerprint import Fingerprint
from muster.store.history import Change, at_revision

KEY = Key("pods", "default", "a")
POD = {"kind": "Pod", "metadata": {"name": "a", "namespace": "default"}, "spec": {"nodeName": "n1"},
       "status": {"phase": "Pending"}}
RUNS = with_(POD, "status.phase", "Running")


def of(*values, key=KEY, first=1):
    told, before = Fingerprint(), None
    for revision, value in enumerate(values, first):
        after = at_revision(value, revision) if value is not None else None
        told.hear(Change(revision, key, after, before))
        before = after
    return told.text()


def test_equal_histories_have_one_fingerprint_also_where_nothing_is_shared():
    copied = with_(with_(RUNS, "spec", dict(POD["spec"])), "metadata", dict(POD["metadata"]))
    assert of(POD, RUNS, None) == of(POD, copied, None)


@pytest.mark.parametrize("other", [
    pytest.param(of(POD, RUNS), id="one change less"),
    pytest.param(of(POD, with_(RUNS, "status.phase", "Failed"), None), id="another status"),
    pytest.param(of(POD, with_(RUNS, "spec.nodeName", "n2"), None), id="another specification"),
    pytest.param(of(POD, with_(RUNS, "metadata.labels", {"a": "b"}), None), id="another label"),
    pytest.param(of(with_(POD, "spec.nodeName", "n2"), RUNS, None), id="another beginning"),
    pytest.param(of(POD, without_(RUNS, "spec"), None), id="a field less"),
    pytest.param(of(POD, {**RUNS, "data": 1}, None), id="a field more"),
    pytest.param(of({**POD, "data": 1}, RUNS, None), id="a field that was there before"),
    pytest.param(of(POD, RUNS, None, first=2), id="later revisions"),
    pytest.param(of(POD, RUNS, None, key=Key("pods", "default", "b")), id="another pod"),
])
def test_whatever_differs_shows(other):
    assert other != of(POD, RUNS, None)


def test_a_field_that_goes_is_not_one_that_stays():
    replaced = {"kind": "Pod", "metadata": {"name": "a"}, "data": 1}
    assert of({**replaced, "spec": 1, "data": 0}, replaced) != of({**replaced, "spec": 1, "data": 0},
                                                                  {**replaced, "spec": 1})
