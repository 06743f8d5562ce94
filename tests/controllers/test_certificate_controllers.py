"""Requests for certificates and tokens: who is approved, what is signed, what is cleaned away."""
import base64

import pytest

from certificate_requests import CLIENT, csr
from muster.api.objects import Key, to_time
from muster.control.plan import Delete, Patch
from muster.controllers import certificate_approval, certificate_cleaning, certificate_signing, token_cleaning
from muster.server.bootstrap_tokens import secret_of

NOW = 1_767_225_600.0
HOUR, DAY = 3600.0, 86_400.0
BOOTSTRAP = {"username": "system:bootstrap:abcdef", "groups": ["system:bootstrappers", "system:authenticated"]}
ITSELF = {"username": "system:node:n1", "groups": ["system:nodes", "system:authenticated"]}
OTHER = {"username": "system:node:n2", "groups": ["system:nodes", "system:authenticated"]}


def asked(by=BOOTSTRAP, *, conditions=(), certificate="", created=NOW, **more):
    made = csr(**more)
    status = {"conditions": [{"type": type_, "status": "True", "lastUpdateTime": to_time(when)}
                             for type_, when in conditions]}
    return {**made, "metadata": {**made["metadata"], "uid": "u", "resourceVersion": "7", "creationTimestamp": to_time(created)},
            "spec": {**made["spec"], **by}, "status": {**status, **({"certificate": certificate} if certificate else {})}}


def node(ready):
    return {"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def written(plan):
    """What a plan puts into the request's status."""
    return plan.actions[0].patch["status"] if plan.actions else None


@pytest.mark.parametrize("given, there, decided", [
    pytest.param(asked(), None, "Approved AutoApproved", id="a new node"),
    pytest.param(asked(), node("False"), "Approved AutoApproved", id="a node that is down may come back so"),
    pytest.param(asked(), node("Unknown"), "Approved AutoApproved", id="or one that is lost"),
    pytest.param(asked(), node("True"), "Denied NameTaken", id="not in the name of one that is alive"),
    pytest.param(asked(ITSELF), node("True"), "Approved AutoApproved", id="a node for itself, again"),
    pytest.param(asked(OTHER), None, "", id="a node for another"),
    pytest.param(asked({"username": "bob", "groups": ["system:authenticated"]}), None, "", id="anybody else"),
    pytest.param(asked(signer=CLIENT), None, "", id="another signer"),
    pytest.param(asked(user="bob"), None, "", id="no node"),
    pytest.param(asked(groups=("system:nodes", "system:masters")), None, "", id="a node and more"),
    pytest.param(asked(groups=()), None, "", id="a node without its group"),
    pytest.param(asked(names=("kubernetes",)), None, "", id="with a name to serve under"),
    pytest.param(asked(usages=("server auth",)), None, "", id="to serve"),
    pytest.param(asked(conditions=[("Denied", NOW)]), None, "", id="decided already"),
])
def test_who_is_approved(given, there, decided):
    status = written(certificate_approval.plan(certificate_approval.Observed(given, there), NOW))
    last = status["conditions"][-1] if status else {}
    assert f"{last.get('type', '')} {last.get('reason', '')}".strip() == decided


def sign(request, now, lasts_s):
    assert b"BEGIN CERTIFICATE REQUEST" in request
    return f"{now - NOW:.0f}+{lasts_s:.0f}".encode()


APPROVED = [("Approved", NOW)]


@pytest.mark.parametrize("given, certificate, failed", [
    pytest.param(asked(conditions=APPROVED), f"0+{365 * 86400}", "", id="a node's"),
    pytest.param(asked(conditions=APPROVED, expirationSeconds=600), "0+600", "", id="for as long as it asks"),
    pytest.param(asked(conditions=APPROVED, expirationSeconds=10**9), f"0+{365 * 86400}", "", id="but not for ever"),
    pytest.param(asked(conditions=APPROVED, signer=CLIENT, user="bob", groups=("dev",)), f"0+{365 * 86400}", "",
                 id="a user's"),
    pytest.param(asked(), "", "", id="not approved"),
    pytest.param(asked(conditions=[("Denied", NOW)]), "", "", id="denied"),
    pytest.param(asked(conditions=APPROVED, certificate="x"), "", "", id="signed already"),
    pytest.param(asked(conditions=APPROVED, signer="example.com/mine"), "", "", id="somebody else signs it"),
    pytest.param(asked(conditions=APPROVED, user="bob"), "", "subject common name did not begin with system:node:",
                 id="no node, whoever approved it"),
    pytest.param(asked(conditions=APPROVED, groups=("system:masters",)), "",
                 "organization in subject was not system:nodes", id="of another group"),
    pytest.param(asked(conditions=APPROVED, signer=CLIENT, usages=("client auth", "server auth")), "",
                 "usages did not match client auth, digital signature, key encipherment", id="for more than a client does"),
])
def test_what_is_signed(given, certificate, failed):
    status = written(certificate_signing.plan(certificate_signing.Observed(given, sign), NOW)) or {}
    assert base64.b64decode(status.get("certificate", "")).decode() == certificate
    assert [one["message"] for one in status.get("conditions", ()) if one["type"] == "Failed"] == ([failed] if failed else [])
    if failed:
        assert status["conditions"][0]["type"] == "Approved"  # what was there stays


@pytest.mark.parametrize("given, until", [
    pytest.param(asked(), NOW + DAY, id="nobody decided"),
    pytest.param(asked(conditions=APPROVED), NOW + DAY, id="nobody signed"),
    pytest.param(asked(conditions=[("Approved", NOW + 60)], certificate="x"), NOW + 60 + HOUR, id="signed"),
    pytest.param(asked(conditions=[("Denied", NOW)]), NOW + HOUR, id="denied"),
])
def test_how_long_requests_stay(given, until):
    assert certificate_cleaning.plan(given, until - 1).wake_at == until
    assert certificate_cleaning.plan(given, until).actions == [
        Delete(Key("certificatesigningrequests.certificates.k8s.io", "", "csr"), "u", revision=7)]


@pytest.mark.parametrize("ends, at, wake_at, deleted", [
    pytest.param(NOW, NOW - 1, NOW, False, id="good for a second"),
    pytest.param(NOW, NOW, None, True, id="over"),
    pytest.param(None, NOW, None, False, id="good for ever"),
])
def test_tokens_end(ends, at, wake_at, deleted):
    from muster.api.kinds.secret import defaults
    secret = defaults(secret_of("abcdef.0123456789abcdef", ends))
    key = Key("secrets", "kube-system", "t")
    secret = {**secret, "metadata": {**secret["metadata"], "uid": "u", "resourceVersion": "7"}}
    plan = token_cleaning.plan((key, secret), at)
    assert (plan.wake_at, plan.actions) == (wake_at, [Delete(key, "u", revision=7)] if deleted else [])


def test_only_what_was_seen_is_written_to():
    action, = certificate_approval.plan(certificate_approval.Observed(asked(), None), NOW).actions
    assert isinstance(action, Patch) and action.uid == "u" and action.subresource == "approval"
