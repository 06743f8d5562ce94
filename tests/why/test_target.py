"""Which object a user means."""
import pytest

from muster.api.errors import BadRequest
from muster.why.target import Target, nothing_named


@pytest.mark.parametrize("typed, resource, name", [
    ("web-0", "", "web-0"), ("pod/web-0", "pods", "web-0"), ("po/a", "pods", "a"), ("pods/a", "pods", "a"), ("no/n1", "nodes", "n1"),
    ("ds/a", "daemonsets.apps", "a"), ("daemonset.apps/a", "daemonsets.apps", "a"), ("DaemonSet/a", "daemonsets.apps", "a"),
    ("deploy/a", "deployments.apps", "a"), ("deployments.v1.apps/a", "deployments.apps", "a"), ("rs/a", "replicasets.apps", "a"),
    ("sts/a", "statefulsets.apps", "a"), ("job/a", "jobs.batch", "a"), ("rc/a", "replicationcontrollers", "a")])
def test_reads(typed, resource, name):
    assert Target.parse(typed) == Target(resource, name)


@pytest.mark.parametrize("typed, wrong", [
    ("svc/a", "nothing is to be told about services"), ("foo/a", 'there is no kind "foo"'), ("ds/", "is no name"), ("", "is no name"),
    ("a/b/c", "is no name")])
def test_refuses(typed, wrong):
    with pytest.raises(BadRequest, match=wrong):
        Target.parse(typed)


@pytest.mark.parametrize("there, elsewhere, hint", [
    (["web-1", "db"], [], "did you mean web-1?"), (["x"], [], "there are x"), ([], [], "there are none"),
    (["x"], ["b", "a"], "there is one in namespace a and 1 more"), (list("abcdefgh"), [], "there are a, b, c, d, e and 3 more")])
def test_says_what_is_there(there, elsewhere, hint):
    assert nothing_named("web-0", "pod", there, elsewhere) == f'there is no pod "web-0"; {hint}'
