"""The key that signs the tokens of service accounts: sa.key, among the cluster's certificates.

Tokens are JWTs signed with ES256 (RFC 7519, RFC 7518).  The key is made when the cluster first starts and is never made
again while it can be read: with it go all tokens.  Its id is a digest of the public half, as upstream's is, so that who
checks tokens by the published keys (openid.py) finds the right one.
"""
from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ..api.objects import Obj
from ..private_file import write_private

ALGORITHM = "ES256"
KEPT = 4096  # tokens whose signature was checked: 0.1 ms for each request otherwise

_SIGNATURES = jwt.PyJWS(algorithms=[ALGORITHM])


class NotSigned(Exception):
    """The token was not signed with this key."""


class SigningKey:
    def __init__(self, private: ec.EllipticCurvePrivateKey):
        self._private, self._public = private, private.public_key()
        encoded = self._public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.id = _text(hashlib.sha256(encoded).digest())
        self.claims = lru_cache(maxsize=KEPT)(self._checked)

    @classmethod
    def made(cls) -> SigningKey:
        """From the system's randomness and never from a seed: it opens doors."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    def sign(self, claims: Obj) -> str:
        return _SIGNATURES.encode(orjson.dumps(claims), self._private, ALGORITHM, {"kid": self.id, "typ": None})

    def _checked(self, token: str) -> Obj:
        """What the token says.  Raises NotSigned."""
        try:
            if _SIGNATURES.get_unverified_header(token).get("kid", self.id) != self.id:
                raise NotSigned("invalid signature, no keys found")
            found = orjson.loads(_SIGNATURES.decode(token, self._public, [ALGORITHM]))
        except (jwt.PyJWTError, orjson.JSONDecodeError) as error:
            raise NotSigned(str(error)) from None
        if not isinstance(found, dict):
            raise NotSigned("the claims are no object")
        return found

    def published(self) -> Obj:
        """The public half as a JSON Web Key (RFC 7517)."""
        numbers = self._public.public_numbers()
        return {"use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": ALGORITHM,
                "x": _text(numbers.x.to_bytes(32)), "y": _text(numbers.y.to_bytes(32))}

    def save(self, folder: Path) -> None:
        private = self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(folder / "sa.key", private)


def prepare(folder: Path) -> SigningKey:
    """The key of the cluster whose `pki` folder this is."""
    key = _load(folder / "sa.key")
    if key is None:
        key = SigningKey.made()
        key.save(folder)
    return key


def unchecked_claims(token: str) -> Obj | None:
    """What a JWT says of itself, true or not; None for what is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        found = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _load(path: Path) -> SigningKey | None:
    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        return None
    return SigningKey(private)


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
