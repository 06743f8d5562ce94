"""The certificates of one cluster, made when it first starts and kept in its data directory.

    ca.crt, ca.key          signs the two below; its certificate is what clients trust
    server.crt, server.key  the API server, for every name it is reached by
    admin.crt, admin.key    kubernetes-admin of system:masters, whom the kubeconfig speaks for

The authority also signs what clients ask for by CertificateSigningRequest, once that is approved (`signer`).

Keys are ECDSA P-256: a handshake costs half of what RSA does.  A file that is missing, unreadable, soon to
expire, signed by another CA or made for other hosts is made again; the others stay, so that a kubeconfig
that was copied elsewhere goes on working.  The server knows its clients by subject: CN is the user, O a group
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates).
"""
from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..api.errors import Internal
from ..private_file import write_private

CA_DAYS, LEAF_DAYS = 3650, 365
RENEW_BEFORE = timedelta(days=30)
BACKDATED = timedelta(hours=1)  # for clients whose clock is behind
ALWAYS_SERVED = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                 "kubernetes.default.svc.cluster.local", "127.0.0.1", "::1", "10.96.0.1")

_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Certificates:
    """Paths for the server's TLS, and the PEM texts that go into a kubeconfig."""

    ca_file: Path
    server_file: Path
    server_key_file: Path
    ca: bytes
    admin: bytes
    admin_key: bytes


class _Pair(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def prepare(folder: Path, now: float, hosts: Iterable[str] = ()) -> Certificates:
    """The certificates of the cluster whose `pki` folder this is; makes what is missing or worn out."""
    moment = datetime.fromtimestamp(now, UTC)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    ca = _load(folder / "ca", moment)
    if ca is None:
        ca = _make_ca(moment)
        _save(folder / "ca", ca)
    names = sorted({*ALWAYS_SERVED, *filter(None, hosts)})
    server = _load(folder / "server", moment, ca)
    if server is None or not set(names) <= _served(server.certificate):
        # What it was once reached by it still answers to: another `--host` does not break the first.
        names = sorted({*names, *(_served(server.certificate) if server else ())})
        server = _sign(ca, moment, common_name="muster", usage=_SERVER, hosts=names)
        _save(folder / "server", server)
    admin = _load(folder / "admin", moment, ca)
    if admin is None:
        admin = _sign(ca, moment, common_name="kubernetes-admin", groups=["system:masters"], usage=_CLIENT)
        _save(folder / "admin", admin)
    return Certificates(folder / "ca.crt", folder / "server.crt", folder / "server.key",
                        _pem(ca.certificate), _pem(admin.certificate), _key_pem(admin.key))


def authority_hash(ca: bytes) -> str:
    """`sha256:...` of the authority's public key: what tells it from any other (RFC 7469, as kubeadm prints it)."""
    key = x509.load_pem_x509_certificate(ca).public_key()
    return "sha256:" + hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def signer(folder: Path) -> Callable[[bytes, float, float], bytes]:
    """Signs requests of clients (PEM) from a moment on and for so many seconds, not beyond the authority's own end."""
    def sign(request: bytes, now: float, lasts_s: float) -> bytes:
        moment = datetime.fromtimestamp(now, UTC)
        ca = _load(folder / "ca", moment)
        if ca is None:
            raise Internal(f"{folder / 'ca.crt'}: no certificate authority is there to sign with")
        asked = x509.load_pem_x509_csr(request)
        ends = min(moment + timedelta(seconds=lasts_s), ca.certificate.not_valid_after_utc)
        builder = (
            _dated(asked.subject, ca.certificate.subject, asked.public_key(), moment, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_CLIENT]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False)
        )
        return _pem(builder.sign(ca.key, hashes.SHA256()))
    return sign


def _make_ca(moment: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "muster-ca")])
    builder = (
        _dated(name, name, key.public_key(), moment, moment + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
    )
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _sign(ca: _Pair, moment: datetime, *, common_name: str, usage: x509.ObjectIdentifier,
          groups: Iterable[str] = (), hosts: Iterable[str] = ()) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([*(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                         x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    builder = (
        _dated(subject, ca.certificate.subject, key.public_key(), moment, moment + timedelta(days=LEAF_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(authority, critical=False)
    )
    if names := [_general_name(host) for host in hosts]:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _Pair(builder.sign(ca.key, hashes.SHA256()), key)


def _dated(subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, moment: datetime,
           ends: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature=True, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
                         key_encipherment=False, data_encipherment=False, key_agreement=False,
                         encipher_only=False, decipher_only=False)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _served(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _load(stem: Path, moment: datetime, ca: _Pair | None = None) -> _Pair | None:
    """The pair kept there; None where it is missing, broken, worn out or signed by another CA."""
    try:
        certificate = x509.load_pem_x509_certificate(stem.with_suffix(".crt").read_bytes())
        key = load_pem_private_key(stem.with_suffix(".key").read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc - RENEW_BEFORE:
        return None
    if ca is not None:
        try:
            certificate.verify_directly_issued_by(ca.certificate)
        except (InvalidSignature, ValueError, TypeError):
            return None
    return _Pair(certificate, key)


def _save(stem: Path, pair: _Pair) -> None:
    write_private(stem.with_suffix(".key"), _key_pem(pair.key))
    write_private(stem.with_suffix(".crt"), _pem(pair.certificate), mode=0o644)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
