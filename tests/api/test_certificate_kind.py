"""CertificateSigningRequests: how they read, and who may not change what of them."""
import pytest

from certificate_requests import csr
from muster.api.kinds.certificate_signing_request import (
    CERTIFICATE_SIGNING_REQUEST,
    condition_text,
    stamped,
    validate,
    validate_approval,
    validate_status_update,
)


def told(*types, certificate="", **more):
    status = {"conditions": [{"type": type_, "status": "True", **more} for type_ in types]}
    return {**csr(), "status": {**status, **({"certificate": certificate} if certificate else {})}}


@pytest.mark.parametrize("given, text", [
    pytest.param(csr(), "Pending", id="new"),
    pytest.param(told("Approved"), "Approved", id="approved"),
    pytest.param(told("Approved", certificate="x"), "Approved,Issued", id="signed"),
    pytest.param(told("Approved", "Failed"), "Approved,Failed", id="could not be signed"),
    pytest.param(told("Denied"), "Denied", id="denied"),
    pytest.param(told("Failed"), "Pending,Failed", id="failed before anybody decided"),
])
def test_condition(given, text):
    assert condition_text(given, 0.0) == text


@pytest.mark.parametrize("rule, new, old, said", [
    pytest.param(validate_approval, told("Approved"), csr(), "", id="approved"),
    pytest.param(validate_approval, csr(), told("Approved"), 'may not remove a condition of type "Approved"', id="taken back"),
    pytest.param(validate_status_update, told("Approved", certificate="x"), told("Approved"), "", id="signed"),
    pytest.param(validate_status_update, told("Approved"), csr(), 'may not add a condition of type "Approved"',
                 id="approved by who signs"),
    pytest.param(validate_status_update, told("Approved", certificate="y"), told("Approved", certificate="x"),
                 "may not set certificate content to a different value", id="another certificate"),
])
def test_who_changes_what(rule, new, old, said):
    wrong = [cause.message for cause in rule({**new, "metadata": {"name": "csr"}}, {**old, "metadata": {"name": "csr"}})]
    assert (said in " ".join(wrong)) and bool(wrong) == bool(said)


@pytest.mark.parametrize("given, said", [
    pytest.param(told("Approved", "Denied"), "Approved and Denied conditions are mutually exclusive", id="both"),
    pytest.param(told("Approved", "Approved"), "Duplicate value", id="twice"),
    pytest.param({**csr(), "status": {"conditions": [{"type": "Approved", "status": "False"}]}}, "Unsupported value",
                 id="approved, not"),
])
def test_conditions_that_can_not_be(given, said):
    assert any(said in cause.message for cause in validate(given))


def test_conditions_are_stamped():
    made = stamped({**csr(), "status": {"conditions": [{"type": "Approved", "lastUpdateTime": "t"}]}})
    assert made["status"]["conditions"] == [
        {"type": "Approved", "status": "True", "lastUpdateTime": "t", "lastTransitionTime": "t"}]


def test_what_was_asked_stays():
    old = told("Approved", certificate="x")
    assert CERTIFICATE_SIGNING_REQUEST.prepare_update({**csr(user="system:node:n2"), "metadata": {"a": 1}}, old) == {
        **old, "metadata": {"a": 1}}
