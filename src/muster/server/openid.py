"""How others check the tokens of service accounts by themselves: who issues them, and the public keys.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
"""
from __future__ import annotations

import orjson

from .account_tokens import ISSUER
from .exchange import Answer, Request
from .negotiation import JSON
from .signing_key import ALGORITHM, SigningKey

CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
_KEPT = ((b"cache-control", b"public, max-age=3600"),)


def document(request: Request, key: SigningKey) -> Answer | None:
    """None for any other path."""
    match request.path:
        case path if path == CONFIGURATION:
            return Answer(200, orjson.dumps(_configuration(request.reached_at)), JSON, _KEPT)
        case path if path == KEYS:
            return Answer(200, orjson.dumps({"keys": [key.published()]}), b"application/jwk-set+json", _KEPT)
    return None


def _configuration(reached_at: str) -> dict[str, object]:
    return {"issuer": ISSUER, "jwks_uri": f"{reached_at or ISSUER}{KEYS}", "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": [ALGORITHM]}
