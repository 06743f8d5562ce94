"""Applying a manifest twice: what is gone from it goes, what others set stays."""
import pytest

from muster.api.apply import LAST_APPLIED, apply_patch, recorded
from muster.api.errors import BadRequest
from muster.api.patches import strategic_merge
from muster.api.schema import Schema

SCHEMA = Schema.load()
DAEMONSET = SCHEMA.definition("io.k8s.api.apps.v1.DaemonSet")


def manifest(*containers, **spec):
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "a", "namespace": "x"},
            "spec": {"template": {"spec": {"containers": list(containers), **spec}}}}


def container(name, image="a:1", **more):
    return {"name": name, "image": image, **more}


def applied(first, others, second):
    """The pod spec after `first`, then somebody's change, then `second`."""
    current = strategic_merge(recorded(first), others, DAEMONSET, SCHEMA)
    current = strategic_merge(current, apply_patch(current, second, DAEMONSET, SCHEMA), DAEMONSET, SCHEMA)
    return current["spec"]["template"]["spec"]


@pytest.mark.parametrize("first, others, second, then", [
    pytest.param(manifest(container("a")), {}, manifest(container("a", "a:2")),
                 {"containers": [container("a", "a:2")]}, id="a field changes"),
    pytest.param(manifest(container("a"), nodeSelector={"disk": "ssd"}), {}, manifest(container("a")),
                 {"containers": [container("a")]}, id="a field that is gone goes"),
    pytest.param(manifest(container("a"), container("b")), {}, manifest(container("a")),
                 {"containers": [container("a")]}, id="an item that is gone goes"),
    pytest.param(manifest(container("a")), {"spec": {"template": {"spec": {"priority": 7}}}}, manifest(container("a")),
                 {"containers": [container("a")], "priority": 7}, id="what others set stays"),
    pytest.param(manifest(container("a", tty=True)), {}, manifest(container("a")),
                 {"containers": [container("a")]}, id="a field of an item that is gone goes"),
])
def test_applies(first, others, second, then):
    assert applied(first, others, second) == then


def test_the_annotation_does_not_hold_itself():
    twice = recorded(recorded(manifest(container("a"))))
    assert LAST_APPLIED not in twice["metadata"]["annotations"][LAST_APPLIED]


def test_an_unreadable_annotation_is_named():
    current = manifest(container("a"))
    current["metadata"]["annotations"] = {LAST_APPLIED: "{"}
    with pytest.raises(BadRequest, match=LAST_APPLIED):
        apply_patch(current, manifest(container("a")), DAEMONSET, SCHEMA)
