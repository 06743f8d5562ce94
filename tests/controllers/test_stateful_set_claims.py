"""The claims of a StatefulSet's pods: made once, and owned by whom they are to go with."""
from __future__ import annotations

import pytest

from muster.api.objects import controller_reference, name_of
from muster.control.plan import Patch, Tell
from muster.controllers.stateful_set_claims import is_leaving, missing_claims, owned_claims


def a_set(uid="set", **policy):
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "namespace": "shop", "uid": uid},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "persistentVolumeClaimRetentionPolicy": policy,
                     "volumeClaimTemplates": [{"metadata": {"name": "www"}, "spec": {}}]}}


def a_pod(uid="pod"):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0", "namespace": "shop", "uid": uid, "labels": {}}}


def a_claim(*owners):
    return {"metadata": {"name": "www-web-0", "namespace": "shop", "uid": "claim", "ownerReferences": list(owners)}}


def plain(owner):
    return {field: owner[field] for field in ("apiVersion", "kind", "name", "uid")}


SET, POD = controller_reference(a_set()), controller_reference(a_pod())
OTHER = {"apiVersion": "db.example.com/v1", "kind": "Backup", "name": "b", "uid": "other"}
OPERATOR = {**OTHER, "controller": True}
WITH_SET, WITH_POD = {"whenDeleted": "Delete"}, {"whenScaled": "Delete"}
WITH_EITHER = {**WITH_SET, **WITH_POD}


def test_a_claim_is_made_once():
    (made,) = missing_claims(a_set(), "web-0", {})
    assert (name_of(made.obj), made.obj["metadata"]["labels"]) == ("www-web-0", {"app": "web"})
    assert missing_claims(a_set(), "web-0", {"www-web-0": made.obj}) == []
    (made,) = missing_claims(a_set(**WITH_SET), "web-0", {})
    assert made.obj["metadata"]["ownerReferences"] == [SET]


@pytest.mark.parametrize("policy, replicas, owner", [
    ({}, 1, None), ({}, 0, None), (WITH_SET, 1, SET), (WITH_SET, 0, SET), (WITH_POD, 1, None), (WITH_POD, 0, POD),
    (WITH_EITHER, 1, SET), (WITH_EITHER, 0, POD)])
@pytest.mark.parametrize("before", [[], [SET], [POD], [plain(SET)], [plain(POD)], [OTHER], [OTHER, SET]])
def test_who_takes_a_claim_along(policy, replicas, owner, before):
    """As its controller, and beside whoever else owns it."""
    after = [one for one in before if one is OTHER] + ([owner] if owner else [])
    changes = owned_claims(a_set(**policy), [a_pod()], range(replicas), {"web-0": 0}, {"www-web-0": a_claim(*before)})
    if before == after:
        assert changes == []
    else:
        (patch,) = changes
        assert patch.patch["metadata"]["ownerReferences"] == (after or None)
        assert (patch.tell is not None) is (replicas == 1), "of a pod that is to go nothing is told"


@pytest.mark.parametrize("policy, before, after, is_told", [
    pytest.param(WITH_SET, [OPERATOR], None, False, id="somebody else controls it: nobody is added"),
    pytest.param(WITH_SET, [OPERATOR, SET], [OPERATOR], True, id="two controllers: ours goes"),
    pytest.param({}, [OPERATOR, plain(SET)], [OPERATOR], False, id="it is to stay anyway"),
    pytest.param(WITH_SET, [controller_reference(a_set(uid="old"))], None, False, id="of an earlier set of the name"),
    pytest.param({}, [controller_reference(a_pod(uid="old"))], None, False, id="of an earlier pod of the name"),
])
def test_claims_of_others(policy, before, after, is_told):
    changes = owned_claims(a_set(**policy), [a_pod()], range(1), {"web-0": 0}, {"www-web-0": a_claim(*before)})
    assert [one.patch["metadata"]["ownerReferences"] for one in changes if isinstance(one, Patch)] == ([after] if after else [])
    assert [(one.reason, one.message) for one in changes if isinstance(one, Tell)] == [
        ("ConflictingController", "PersistentVolumeClaim www-web-0 has a conflicting OwnerReference that acts as a manging "
                                  "controller, the retention policy is ignored for this claim")] * is_told


@pytest.mark.parametrize("policy, claim, leaves", [
    pytest.param({}, a_claim(), False, id="nothing said"),
    pytest.param({}, {"metadata": {**a_claim()["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}, True, id="deleted"),
    pytest.param(WITH_POD, a_claim(POD), True, id="goes with a pod that had the name"),
    pytest.param({}, a_claim(POD), False, id="claims stay"),
])
def test_a_new_pod_waits_for_what_leaves(policy, claim, leaves):
    assert is_leaving(a_set(**policy), "web-0", {"www-web-0": claim}) is leaves
