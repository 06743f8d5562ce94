"""What of an object's metadata is the client's, and what the server's."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api.errors import BadRequest
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Obj
from muster.clock import NAME_ALPHABET
from muster.server import metadata
from muster.server.deletion import may_end

KINDS = Kinds(BUILT_IN)
SET, NODE = KINDS.resource("daemonsets.apps"), KINDS.resource("nodes")
OLD: Obj = {"metadata": {"name": "a", "uid": "u", "creationTimestamp": "t", "generation": 3, "resourceVersion": "7"},
            "spec": {"x": 1}}


@pytest.mark.parametrize(("kind", "said", "asked", "expected"), [
    pytest.param(SET, {"name": "a"}, "x", {"name": "a", "namespace": "x"}, id="from the route"),
    pytest.param(SET, {"namespace": "x"}, "x", {"namespace": "x"}, id="the same"),
    pytest.param(NODE, {"namespace": "x"}, "", {}, id="a cluster has no namespace"),
    pytest.param(SET, {"namespace": "y"}, "x", BadRequest, id="another"),
    pytest.param(SET, {"namespace": ""}, "", BadRequest, id="none"),
])
def test_the_namespace(kind, said: Obj, asked: str, expected: Obj | type[Exception]):
    if isinstance(expected, dict):
        assert metadata.in_namespace({"metadata": said}, kind, asked)["metadata"] == expected
    else:
        with pytest.raises(expected):
            metadata.in_namespace({"metadata": said}, kind, asked)


@given(st.text(alphabet="abc-", min_size=1, max_size=100), st.text(alphabet=NAME_ALPHABET, min_size=5, max_size=5))
def test_generated_names_keep_the_suffix_and_fit_a_label(prefix: str, suffix: str):
    name = metadata.generated_name(prefix, suffix)
    assert name.endswith(suffix) and len(name) <= 63
    assert prefix.startswith(name.removesuffix(suffix))


FIELDS = st.dictionaries(
    st.sampled_from(["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds",
                     "resourceVersion", "selfLink", "managedFields", "labels", "annotations", "finalizers"]),
    st.sampled_from(["", "u", "other"]))


@given(said=FIELDS, held=FIELDS)
def test_an_update_only_says_what_is_the_clients(said: Obj, held: Obj):
    old = {"metadata": {"name": "a", "uid": "u", **{k: v for k, v in held.items() if k not in (
        "uid", "selfLink", "managedFields")}}}
    new = metadata.of_update({"metadata": {"name": "a", **said}}, old)["metadata"]
    for field in ("creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds",
                  "resourceVersion"):
        assert new.get(field) == old["metadata"].get(field)
    for field in ("labels", "annotations", "finalizers"):
        assert new.get(field) == said.get(field)
    assert "selfLink" not in new and "managedFields" not in new
    assert new["uid"] == (said.get("uid") or "u")  # another one is refused by validation


@pytest.mark.parametrize(("new", "generation"), [
    pytest.param({**OLD}, 3, id="the same"),
    pytest.param({**OLD, "spec": {"x": 1}}, 3, id="equal"),
    pytest.param({**OLD, "spec": {"x": 2}}, 4, id="another specification"),
    pytest.param({**OLD, "status": {"x": 2}}, 3, id="another status"),
    pytest.param({"metadata": OLD["metadata"]}, 4, id="none"),
])
def test_the_generation(new: Obj, generation: int):
    assert metadata.with_generation(SET, new, OLD)["metadata"]["generation"] == generation
    assert metadata.with_generation(NODE, new, OLD)["metadata"]["generation"] == 3


@pytest.mark.parametrize(("obj", "ends"), [
    pytest.param({"metadata": {}}, False, id="nobody asked"),
    pytest.param({"metadata": {"deletionTimestamp": "t"}}, True, id="nothing holds it"),
    pytest.param({"metadata": {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 0}}, True, id="no grace"),
    pytest.param({"metadata": {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 5}}, False, id="grace"),
    pytest.param({"metadata": {"deletionTimestamp": "t", "finalizers": ["a"]}}, False, id="a finalizer"),
    pytest.param({"kind": "Namespace", "metadata": {"deletionTimestamp": "t"}, "spec": {"finalizers": ["kubernetes"]}},
                 False, id="a namespace that still holds something"),
])
def test_when_an_object_may_end(obj: Obj, ends: bool):
    assert may_end(obj) is ends
