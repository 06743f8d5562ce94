"""What is told of what was made, changed and ended, and of what was refused."""
from __future__ import annotations

import pytest

from muster.api.errors import AlreadyExists, Forbidden
from muster.control.telling import done, lacking, refused

NO = Forbidden("no")
CLAIM = "PersistentVolumeClaim"


def owner(kind: str) -> dict:
    return {"kind": kind, "metadata": {"name": "web"}}


@pytest.mark.parametrize("verb, by, kind, name, success, failure", [
    pytest.param("create", "ReplicaSet", "Pod", "web-x", "Created pod: web-x", "Error creating: no", id="a pod"),
    pytest.param("delete", "DaemonSet", "Pod", "web-x", "Deleted pod: web-x", "Error deleting: no", id="a pod ends"),
    pytest.param("create", "CronJob", "Job", "web-1", "Created job web-1", "Error creating job: no", id="a job"),
    pytest.param("delete", "CronJob", "Job", "web-1", "Deleted job web-1", "Deleted job: no", id="a job ends"),
    pytest.param("create", "StatefulSet", "Pod", "web-0", "create Pod web-0 in StatefulSet web successful",
                 "create Pod web-0 in StatefulSet web failed error: no", id="a member"),
    pytest.param("update", "StatefulSet", "Pod", "web-0", "update Pod web-0 in StatefulSet web successful",
                 "update Pod web-0 in StatefulSet web failed error: no", id="a member is named"),
    pytest.param("delete", "StatefulSet", "Pod", "web-0", "delete Pod web-0 in StatefulSet web successful",
                 "delete Pod web-0 in StatefulSet web failed error: no", id="a member ends"),
    pytest.param("create", "StatefulSet", CLAIM, "www-web-0", "create Claim www-web-0 Pod web-0 in StatefulSet web success",
                 "create Claim www-web-0 for Pod web-0 in StatefulSet web failed error: no", id="a claim"),
    pytest.param("update", "StatefulSet", CLAIM, "www-web-0", "update Pod web-0 in StatefulSet web successful",
                 "update Pod web-0 in StatefulSet web failed error: could not update claim www-web-0 for delete policy "
                 "ownerRefs: no", id="a claim gets an owner"),
])
def test_words(verb, by, kind, name, success, failure):
    told, failed = done(verb, owner(by), kind, name), refused(verb, owner(by), kind, name, NO)
    assert (told.type, told.reason, told.message) == ("Normal", f"Successful{verb.capitalize()}", success)
    assert failed is not None
    assert (failed.type, failed.reason, failed.message) == ("Warning", f"Failed{verb.capitalize()}", failure)


@pytest.mark.parametrize("by, is_said", [("StatefulSet", False), ("CronJob", False), ("ReplicaSet", True)])
def test_what_an_earlier_try_may_have_made(by, is_said):
    assert (refused("create", owner(by), "Pod", "web-0", AlreadyExists("there")) is not None) is is_said


def test_a_pod_whose_claims_are_refused():
    assert lacking([("a-web-0", NO)]) == "failed to create PVC a-web-0: no"
    assert lacking([("a-web-0", NO), ("b-web-0", NO)]) == (
        "[failed to create PVC a-web-0: no, failed to create PVC b-web-0: no]")
