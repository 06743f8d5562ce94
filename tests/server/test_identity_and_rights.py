"""Who asks, and what they may."""
from __future__ import annotations

import pytest

from muster.server.identity import ANONYMOUS, User, component, from_certificate
from muster.server.rights import may, refusal

ADMIN = component("admin")
BOB = User("bob", ("system:authenticated",))


def certificate(*attributes: tuple[str, str]) -> dict[str, object]:
    return {"subject": tuple((one,) for one in attributes)}


@pytest.mark.parametrize(("given", "user"), [
    pytest.param(None, ANONYMOUS, id="no certificate"),
    pytest.param({}, ANONYMOUS, id="one that was not verified"),
    pytest.param(certificate(("organizationName", "system:masters")), ANONYMOUS, id="no name"),
    pytest.param(certificate(("commonName", "bob")), BOB, id="a name"),
    pytest.param(certificate(("organizationName", "dev"), ("organizationName", "ops"), ("commonName", "bob")),
                 User("bob", ("dev", "ops", "system:authenticated")), id="a name and groups"),
])
def test_who_a_certificate_names(given: dict[str, object] | None, user: User):
    assert from_certificate(given) == user


@pytest.mark.parametrize(("user", "verb", "about", "allowed"), [
    pytest.param(ADMIN, "delete", {"resource": "nodes"}, True, id="masters may all"),
    pytest.param(ADMIN, "post", {"path": "/anything"}, True, id="everywhere"),
    pytest.param(BOB, "get", {"resource": "pods"}, False, id="others nothing yet"),
    pytest.param(BOB, "get", {"path": "/apis/apps/v1"}, True, id="but discovery"),
    pytest.param(ANONYMOUS, "get", {"path": "/apis"}, False, id="which is not for strangers"),
    pytest.param(ANONYMOUS, "get", {"path": "/healthz"}, True, id="health is"),
    pytest.param(ANONYMOUS, "get", {"path": "/livez/ping"}, True, id="and its parts"),
    pytest.param(ANONYMOUS, "get", {"path": "/healthzzz"}, False, id="but not what starts alike"),
    pytest.param(ANONYMOUS, "post", {"path": "/healthz"}, False, id="nor another verb"),
])
def test_rights(user: User, verb: str, about: dict[str, str], allowed: bool):
    assert may(user, verb, **about) is allowed


@pytest.mark.parametrize(("about", "message"), [
    pytest.param({"resource": "pods", "namespace": "default"}, 'pods is forbidden: User "bob" cannot list resource '
                 '"pods" in API group "" in the namespace "default"', id="a list"),
    pytest.param({"resource": "daemonsets.apps", "namespace": "x", "name": "a", "subresource": "status"},
                 'daemonsets.apps "a" is forbidden: User "bob" cannot list resource "daemonsets/status" in API group '
                 '"apps" in the namespace "x"', id="a subresource"),
    pytest.param({"resource": "nodes"}, 'nodes is forbidden: User "bob" cannot list resource "nodes" in API group "" '
                 "at the cluster scope", id="the whole cluster"),
    pytest.param({"path": "/metrics"}, 'forbidden: User "bob" cannot list path "/metrics"', id="a path"),
])
def test_how_it_is_refused(about: dict[str, str], message: str):
    assert refusal(BOB, "list", **about).message == message
