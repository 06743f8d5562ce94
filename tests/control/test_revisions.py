"""One revision a template: its data, its hash, its number, and when it goes."""
from __future__ import annotations

import orjson
import pytest

from muster.api.objects import labels_of, name_of, with_
from muster.control.plan import Create, Delete, Patch
from muster.control.revisions import HASH_LABEL, data_of, hash_of, keep, revision_of, same_template, surplus

OWNER = {"apiVersion": "apps/v1", "kind": "DaemonSet",
         "metadata": {"name": "agent", "namespace": "logging", "uid": "u1",
                      "annotations": {"kubernetes.io/change-cause": "kubectl set image"}}}


def a_template(image):
    return {"spec": {"containers": [{"name": "c", "image": image}]}, "metadata": {"labels": {"app": "agent"}}}


ONE, TWO = a_template("a:1"), a_template("a:2")


def a_revision(template, number, name=""):
    revision = revision_of(OWNER, template, number)
    metadata = {**revision["metadata"], "uid": f"u-{number}"}
    if name:
        metadata = {**metadata, "name": f"agent-{name}", "labels": {**metadata["labels"], HASH_LABEL: name}}
    return {**revision, "metadata": metadata}


def a_pod(hash):
    return {"metadata": {"name": f"p-{hash}", "namespace": "logging", "uid": "p", "labels": {HASH_LABEL: hash}}}


def test_data_is_the_patch_that_kubectl_sends_and_compares():
    assert orjson.dumps(data_of(ONE)) == (
        b'{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"agent"}},'
        b'"spec":{"containers":[{"image":"a:1","name":"c","resources":{}}]}}}}')
    assert data_of(ONE) is data_of(ONE)


@pytest.mark.parametrize("other, is_same", [
    pytest.param({**ONE}, True, id="a copy"),
    pytest.param(with_(ONE, "metadata.creationTimestamp", None), True, id="with a null, as the Go client writes"),
    pytest.param({"metadata": ONE["metadata"], "spec": {"containers": [
        {"image": "a:1", "resources": {}, "name": "c"}]}}, True, id="in another order, with an empty struct"),
    pytest.param(TWO, False, id="another image"),
    pytest.param(with_(ONE, "metadata.labels", {"app": "agent", "x": "y"}), False, id="another label"),
    pytest.param(with_(ONE, "spec.volumes", [{"name": "v", "emptyDir": {}}]), False, id="another volume"),
])
def test_same_template_has_the_same_hash(other, is_same):
    assert same_template(data_of(ONE), other) is is_same
    assert (hash_of(other) == hash_of(ONE)) is is_same


def test_the_hash_is_stable_and_speakable():
    assert hash_of(ONE) == "59857bcf89", "another hash would replace every pod after an upgrade"
    assert set(hash_of(TWO)) <= set("bcdfghjklmnpqrstvwxz2456789")
    assert hash_of(ONE) != hash_of(ONE, 0) != hash_of(ONE, 1)


def kept(template, mine, pods=(), names=None):
    return keep(OWNER, template, mine, pods, names if names is not None else {name_of(one): one for one in mine})


def test_a_new_template_gets_the_next_number():
    past = kept(TWO, [a_revision(ONE, 4)])
    (made,) = past.actions
    assert isinstance(made, Create)
    assert made.obj["revision"] == 5
    assert name_of(made.obj) == f"agent-{past.hash}" == f"agent-{hash_of(TWO)}"
    assert labels_of(made.obj) == {"app": "agent", HASH_LABEL: past.hash}
    assert made.obj["metadata"]["annotations"] == OWNER["metadata"]["annotations"]
    assert made.obj["metadata"]["ownerReferences"][0]["uid"] == "u1"
    assert [name_of(one) for one in past.old] == [f"agent-{hash_of(ONE)}"]


def test_going_back_takes_the_old_revision_along():
    past = kept(ONE, [a_revision(ONE, 1), a_revision(TWO, 2)])
    (raised,) = past.actions
    assert isinstance(raised, Patch) and raised.patch == {"revision": 3} and raised.uid == "u-1"
    assert past.hash == hash_of(ONE)


def test_nothing_to_do_for_the_latest():
    assert kept(TWO, [a_revision(ONE, 1), a_revision(TWO, 2)]).actions == []


def test_twins_become_one_once_their_pods_carry_its_hash():
    twins = [a_revision(ONE, 1, "b"), a_revision(ONE, 2, "c")]
    first = kept(ONE, twins, [a_pod("b"), a_pod("c"), a_pod("x")])
    assert first.hash == "c"
    assert [(type(one), one.key.name) for one in first.actions] == [(Patch, "p-b")]
    then = kept(ONE, twins, [a_pod("c"), a_pod("x")])
    assert [(type(one), one.key.name) for one in then.actions] == [(Delete, "agent-b")]


def test_a_revision_without_the_label_gets_its_name():
    bare = a_revision(ONE, 1)
    bare = {**bare, "metadata": {**bare["metadata"], "labels": {"app": "agent"}}}
    past = kept(ONE, [bare])
    assert past.hash == name_of(bare)
    assert [one.patch for one in past.actions] == [{"metadata": {"labels": {HASH_LABEL: name_of(bare)}}}]


def test_a_name_that_is_taken():
    name = f"agent-{hash_of(ONE)}"
    assert kept(ONE, [], names={name: a_revision(TWO, 1)}).collides
    same = kept(ONE, [], names={name: a_revision(ONE, 1)})
    assert (same.collides, same.hash, same.actions) == (False, hash_of(ONE), [])


@pytest.mark.parametrize("limit, live, gone", [
    pytest.param(2, (), [], id="within the limit"),
    pytest.param(1, (), [1], id="the oldest first"),
    pytest.param(0, (), [1, 2], id="all"),
    pytest.param(1, (ONE,), [2], id="none that is in use"),
    pytest.param(0, (ONE, TWO), [], id="all in use"),
])
def test_surplus(limit, live, gone):
    old = [a_revision(ONE, 1), a_revision(TWO, 2)]
    deleted = surplus(old, [a_pod(hash_of(template)) for template in live], limit)
    assert [one.uid for one in deleted] == [f"u-{number}" for number in gone]
