"""Secret: what must not be read by everyone, as base64.  Each well-known type must hold its keys.

`stringData` is for writing only: it is merged into `data` and never stored.
https://kubernetes.io/docs/concepts/configuration/secret/#secret-types
"""
from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import orjson

from .. import names
from ..causes import Cause, invalid, required, too_long
from ..objects import Obj, annotations_of, without_
from ..tables import AGE, NAME, path_cell
from ..validation.metadata import immutable, validate_metadata, validate_metadata_update
from .config_map import LARGEST, byte_size, frozen
from .kind import Column, Kind

ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"
ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
REDACTED = "<secret contents redacted>"


def defaults(secret: Obj) -> Obj:
    if "stringData" in secret:
        plain = secret.get("stringData") or {}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        secret = without_(secret, "stringData")
        if encoded:
            secret = {**secret, "data": {**(secret.get("data") or {}), **encoded}}
    return secret if secret.get("type") else {**secret, "type": "Opaque"}


def validate(secret: Obj) -> list[Cause]:
    wrong = validate_metadata(secret, namespaced=True)
    data = secret.get("data") or {}
    for key in data:
        wrong += [invalid(f"data[{key}]", key, complaint) for complaint in names.is_config_key(key)]
    if sum(map(byte_size, data.values())) > LARGEST:
        wrong.append(too_long("data", LARGEST))
    rule = _RULES.get(secret.get("type", ""))
    return wrong + rule(secret, data) if rule else wrong


def _account_token(secret: Obj, data: Obj) -> list[Cause]:
    return [] if annotations_of(secret).get(ACCOUNT_ANNOTATION) else [
        required(f"metadata.annotations[{ACCOUNT_ANNOTATION}]")]


def _json(key: str) -> Callable[[Obj, Obj], list[Cause]]:
    def rule(secret: Obj, data: Obj) -> list[Cause]:
        if key not in data:
            return [required(f"data[{key}]")]
        try:
            orjson.loads(base64.b64decode(data[key]))
        except (orjson.JSONDecodeError, binascii.Error) as error:
            return [invalid(f"data[{key}]", REDACTED, str(error))]
        return []
    return rule


def _login(secret: Obj, data: Obj) -> list[Cause]:
    return [] if "username" in data or "password" in data else [
        required("data[username]"), required("data[password]")]


def _key(secret: Obj, data: Obj) -> list[Cause]:
    return [] if data.get("ssh-privatekey") else [required("data[ssh-privatekey]")]


def _certificate(secret: Obj, data: Obj) -> list[Cause]:
    return [required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data]


_RULES: dict[str, Callable[[Obj, Obj], list[Cause]]] = {
    ACCOUNT_TOKEN: _account_token,
    "kubernetes.io/dockercfg": _json(".dockercfg"),
    "kubernetes.io/dockerconfigjson": _json(".dockerconfigjson"),
    "kubernetes.io/basic-auth": _login,
    "kubernetes.io/ssh-auth": _key,
    "kubernetes.io/tls": _certificate,
}


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    return (validate_metadata_update(new, old) + immutable(new.get("type"), old.get("type"), "type")
            + frozen(new, old, "data"))


SECRET = Kind(
    group="", version="v1", name="Secret", plural="secrets", singular="secret", namespaced=True,
    definition="io.k8s.api.core.v1.Secret",
    columns=(
        NAME,
        Column("Type", path_cell("type"), description="What programs may expect in it."),
        Column("Data", lambda secret, now: len(secret.get("data") or ()), description="How many keys it holds."),
        AGE,
    ),
    selectable={"type": lambda secret: secret.get("type", "")},
    generation_fields=(), defaults=defaults, validate=validate, validate_update=validate_update,
)
