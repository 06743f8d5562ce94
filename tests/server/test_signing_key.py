"""The key that signs the tokens of service accounts: made once, kept to itself, and the only one that counts."""
from __future__ import annotations

import base64
import stat
from pathlib import Path

import jwt
import orjson
import pytest

from muster.server.signing_key import NotSigned, SigningKey, prepare, unchecked_claims

SAID = {"iss": "me", "sub": "you"}
KEY = SigningKey.made()


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


def test_it_is_made_once_and_nobody_else_may_read_it(tmp_path: Path):
    first = prepare(tmp_path)
    assert stat.S_IMODE((tmp_path / "sa.key").stat().st_mode) == 0o600
    again = prepare(tmp_path)
    assert again.id == first.id and again.claims(first.sign(SAID)) == SAID


@pytest.mark.parametrize("content", [
    pytest.param(b"", id="empty"),
    pytest.param(b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n", id="broken"),
])
def test_one_that_can_not_be_read_is_replaced(tmp_path: Path, content: bytes):
    (tmp_path / "sa.key").write_bytes(content)
    made = prepare(tmp_path)
    assert prepare(tmp_path).id == made.id


def test_anyone_may_check_a_token_by_the_published_key():
    header = jwt.get_unverified_header(KEY.sign(SAID))
    assert header == {"alg": "ES256", "kid": KEY.published()["kid"]}, "as upstream's: no typ"
    key = jwt.PyJWK(KEY.published())
    assert jwt.decode(KEY.sign(SAID), key.key, algorithms=["ES256"]) == SAID
    assert not set(KEY.published()) & {"d"}, "the public half alone"


@pytest.mark.parametrize("token", [
    pytest.param(SigningKey.made().sign(SAID), id="another key"),
    pytest.param(f"{encoded({'alg': 'none'})}.{encoded(SAID)}.", id="no signature"),
    pytest.param(f"{encoded({'alg': 'ES256', 'kid': KEY.id})}.{encoded(SAID)}.{'A' * 86}", id="a made-up signature"),
    pytest.param(jwt.encode(SAID, KEY.published()["x"], "HS256", {"kid": KEY.id}), id="what is public as a secret"),
    pytest.param("{}.{}.{}".format(*(lambda one, two: (one[0], two[1], one[2]))(
        KEY.sign(SAID).split("."), KEY.sign({**SAID, "sub": "root"}).split("."))), id="other claims under a signature"),
    pytest.param("a.b.c", id="nonsense"),
    pytest.param("", id="nothing"),
])
def test_what_it_has_not_signed_counts_for_nothing(token: str):
    for _ in range(2):
        with pytest.raises(NotSigned):
            KEY.claims(token)


@pytest.mark.parametrize(("token", "said"), [
    pytest.param(KEY.sign(SAID), SAID, id="its claims"),
    pytest.param(f"x.{encoded([1])}.y", None, id="no object"),
    pytest.param("x.%%%.y", None, id="no base64"),
    pytest.param("abcdef.0123456789abcdef", None, id="a bootstrap token"),
])
def test_what_a_token_says_of_itself(token: str, said: object):
    assert unchecked_claims(token) == said
