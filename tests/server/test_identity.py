"""Who asks."""
from __future__ import annotations

import pytest

from muster.server.identity import ANONYMOUS, User, from_certificate

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
