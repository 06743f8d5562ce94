"""The cluster's certificates: who signs whom, what is kept, what is made again, and who can read the keys."""
from __future__ import annotations

import stat
from base64 import b64decode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from certificate_requests import client_certificate, request
from muster.api.errors import Internal
from muster.server.certificates import ALWAYS_SERVED, CA_DAYS, LEAF_DAYS, prepare, signer

NOW = 1_767_225_600.0
DAY = 86_400.0


def loaded(path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def served(path) -> set[str]:
    names = loaded(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_made_once_and_kept(tmp_path):
    pki = tmp_path / "new" / "pki"
    first = prepare(pki, NOW)
    before = contents(pki)
    assert set(before) == {"ca.crt", "ca.key", "server.crt", "server.key", "admin.crt", "admin.key"}
    assert prepare(pki, NOW + DAY) == first
    assert contents(pki) == before


def test_keys_are_their_owners_alone(tmp_path):
    prepare(tmp_path / "pki", NOW)
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    for path in (tmp_path / "pki").glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_they_say(tmp_path):
    prepare(tmp_path, NOW, ["muster.example", "10.1.2.3"])
    ca, server, admin = (loaded(tmp_path / f"{name}.crt") for name in ("ca", "server", "admin"))
    assert served(tmp_path / "server.crt") == {*ALWAYS_SERVED, "muster.example", "10.1.2.3"}
    for one in (server, admin):
        one.verify_directly_issued_by(ca)
        assert not one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    said = {attribute.oid: attribute.value for attribute in admin.subject}
    assert said == {NameOID.ORGANIZATION_NAME: "system:masters", NameOID.COMMON_NAME: "kubernetes-admin"}
    assert ca.public_key().curve.name == "secp256r1"


@pytest.mark.parametrize(("days", "hosts", "renewed"), [
    pytest.param(LEAF_DAYS - 31, (), set(), id="not yet"),
    pytest.param(LEAF_DAYS - 29, (), {"server", "admin"}, id="soon over"),
    pytest.param(CA_DAYS - 29, (), {"ca", "server", "admin"}, id="the authority too"),
    pytest.param(1, ("other.example",), {"server"}, id="another host"),
    pytest.param(-2, (), {"ca", "server", "admin"}, id="not yet valid: the clock was set back"),
])
def test_renewal(tmp_path, days, hosts, renewed):
    prepare(tmp_path, NOW, ["first.example"])
    before = contents(tmp_path)
    prepare(tmp_path, NOW + days * DAY, hosts)
    changed = {name.partition(".")[0] for name, content in contents(tmp_path).items() if content != before[name]}
    assert changed == renewed
    if "other.example" in hosts:
        assert {"first.example", "other.example"} <= served(tmp_path / "server.crt")


@pytest.mark.parametrize(("file", "renewed"), [
    ("server.crt", {"server"}), ("admin.key", {"admin"}), ("ca.key", {"ca", "server", "admin"}),
])
def test_what_is_broken_is_made_again(tmp_path, file, renewed):
    prepare(tmp_path, NOW)
    before = contents(tmp_path)
    (tmp_path / file).write_bytes(b"not what it was")
    prepare(tmp_path, NOW)
    assert {name.partition(".")[0] for name, content in contents(tmp_path).items() if content != before[name]} == renewed


def test_what_a_client_asked_for(tmp_path):
    prepare(tmp_path, NOW)
    certificate, key = client_certificate(tmp_path, NOW, "bob", ["developers"])
    made = x509.load_pem_x509_certificate(certificate)
    made.verify_directly_issued_by(loaded(tmp_path / "ca.crt"))
    assert made.subject.rfc4514_string() == "CN=bob,O=developers"
    assert made.public_key() == load_pem_private_key(key, None).public_key()


def test_a_signature_ends_with_the_authority(tmp_path):
    prepare(tmp_path, NOW)
    made = x509.load_pem_x509_certificate(signer(tmp_path)(b64decode(request("bob")), NOW, 2 * CA_DAYS * 86_400))
    assert made.not_valid_after_utc == loaded(tmp_path / "ca.crt").not_valid_after_utc


def test_nobody_signs_without_an_authority(tmp_path):
    with pytest.raises(Internal, match="no certificate authority is there to sign with"):
        signer(tmp_path)(b64decode(request("bob")), NOW, 60)


def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    prepare(tmp_path, NOW)
    before = contents(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        prepare(tmp_path, NOW + CA_DAYS * DAY)
    assert contents(tmp_path) == before
