"""Tokens that let a machine in: whose they are, when they are no good, and what they open."""
from __future__ import annotations

from typing import Any

import pytest
from asking import ADMIN, NOBODY, Asking, asked

from muster.api.kinds.secret import defaults
from muster.api.objects import Obj, to_time
from muster.clock import START
from muster.server.bootstrap_tokens import generate, parse, secret_of, user_of
from muster.server.identity import User

TOKEN = "abcdef.0123456789abcdef"
NOW = START
WHO = User("system:bootstrap:abcdef", ("system:bootstrappers", "system:authenticated"))


def secret(expires: float | None = NOW + 10, **changed: str) -> Obj:
    made = secret_of(TOKEN, expires)
    return defaults({**made, "stringData": {**made["stringData"], **{
        name.replace("_", "-"): value for name, value in changed.items()}}})


@pytest.mark.parametrize(("given", "token", "whose"), [
    pytest.param(secret(), TOKEN, WHO, id="good"),
    pytest.param(secret(None), TOKEN, WHO, id="good for ever"),
    pytest.param(secret(), "abcdef.0123456789abcdeg", None, id="another secret"),
    pytest.param(secret(token_id="abcdeg"), TOKEN, None, id="another id"),
    pytest.param(None, TOKEN, None, id="unknown"),
    pytest.param(secret(NOW), TOKEN, None, id="over"),
    pytest.param(secret(expiration="tomorrow"), TOKEN, None, id="an end that can not be read"),
    pytest.param(secret(usage_bootstrap_authentication="false"), TOKEN, None, id="for something else"),
    pytest.param({**secret(), "type": "Opaque"}, TOKEN, None, id="an ordinary secret of that name"),
    pytest.param({**secret(), "metadata": {"deletionTimestamp": to_time(NOW)}}, TOKEN, None, id="being deleted"),
    pytest.param(secret(auth_extra_groups="system:bootstrappers:b,system:bootstrappers:a"), TOKEN,
                 User(WHO.name, ("system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b",
                                 "system:authenticated")), id="with groups"),
    pytest.param(secret(auth_extra_groups="system:masters"), TOKEN, None, id="a group that is not for it"),
    pytest.param({**secret(), "data": {}}, TOKEN, None, id="empty"),
])
def test_whose_it_is(given: Obj | None, token: str, whose: User | None):
    assert user_of(given, token, NOW) == whose


@pytest.mark.parametrize(("text", "parsed"), [
    pytest.param(TOKEN, ("abcdef", "0123456789abcdef"), id="a token"),
    pytest.param("ABCDEF.0123456789abcdef", None, id="upper case"),
    pytest.param("abcdef0123456789abcdef", None, id="no dot"),
    pytest.param(TOKEN + "\n", None, id="more than one"),
    pytest.param("", None, id="nothing"),
])
def test_what_is_a_token(text: str, parsed: Any):
    assert parse(text) == parsed


def test_no_two_are_alike():
    made = {generate() for _ in range(100)}
    assert len(made) == 100 and all(parse(one) for one in made)


@pytest.mark.parametrize(("token", "path", "status"), [
    pytest.param(TOKEN, "/apis", 200, id="discovery"),
    pytest.param(TOKEN, "/api/v1/secrets", 403, id="and not much more"),
    pytest.param("abcdef.0123456789abcdeg", "/apis", 401, id="a wrong one is nobody"),
    pytest.param("eyJhbGciOiJub25lIn0.e30.", "/healthz", 401, id="where strangers may look too"),
])
def test_what_it_opens(token: str, path: str, status: int):
    async def check(ask: Asking) -> int:
        await ask("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace",
                                                 "metadata": {"name": "kube-system"}})
        made = await ask("POST", "/api/v1/namespaces/kube-system/secrets", secret_of(TOKEN, NOW + 10))
        assert made.status == 201
        return (await ask("GET", path, user=NOBODY, authorization=f"Bearer {token}")).status
    assert asked(check) == status


def test_a_certificate_counts_before_a_token():
    async def check(ask: Asking) -> int:
        return (await ask("GET", "/api/v1/nodes", user=ADMIN, authorization="Bearer nonsense")).status
    assert asked(check) == 200
