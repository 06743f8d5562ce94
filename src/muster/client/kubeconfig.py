"""The file that tells a client where the cluster is and who the client is.

`write_kubeconfig` makes the one that `muster up` hands to kubectl: certificates inside, mode 0600, replaced in
one step.  `read_kubeconfig` reads any whose user has a client certificate or a token, inside or in files beside
it.  https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""
from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from ..api.errors import BadRequest
from ..private_file import write_private

NAME = "muster"


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """One cluster and one user: what a connection needs."""

    server: str  # "https://127.0.0.1:6443"
    ca: bytes = b""  # PEM; none: what the machine trusts
    certificate: bytes = b""  # PEM
    key: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    namespace: str = "default"
    server_name: str = ""  # the name the server's certificate must have, where it is not the host
    insecure: bool = False


def kubeconfig_text(server: str, ca: bytes, certificate: bytes, key: bytes) -> str:
    """The kubeconfig of a cluster of ours; its one context is called "muster"."""
    return yaml.safe_dump({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": {"server": server, "certificate-authority-data": _encoded(ca)}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "users": [{"name": NAME, "user": {"client-certificate-data": _encoded(certificate),
                                          "client-key-data": _encoded(key)}}],
        "preferences": {},
    }, sort_keys=False)


def kubeconfig_of_cluster(server: str, ca: bytes) -> str:
    """Says where a cluster is and by which authority it is known; nobody's secret is in it."""
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "", "contexts": [], "users": [], "preferences": {},
        "clusters": [{"name": "", "cluster": {"server": server, "certificate-authority-data": _encoded(ca)}}],
    }, sort_keys=False)


def ca_of_cluster(kubeconfig: str) -> bytes:
    """The authority (PEM) in such a text.  Raises BadRequest for anything else."""
    try:
        return base64.b64decode(yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]["certificate-authority-data"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError):
        raise BadRequest("what the server says of its cluster can not be read") from None


def write_kubeconfig(path: Path, server: str, ca: bytes, certificate: bytes, key: bytes) -> None:
    """Writes the whole file or none of it, readable by its owner alone."""
    write_private(path, kubeconfig_text(server, ca, certificate, key).encode())


def read_kubeconfig(path: str | Path, context: str = "") -> Kubeconfig:
    """What a kubeconfig's current context (or the one named) says.  Raises BadRequest with the reason."""
    path = Path(path).expanduser()
    try:
        config = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise BadRequest(f"{path}: no such file; `muster up` writes one") from None
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path}: not YAML: {error}") from error
    if not isinstance(config, dict):
        raise BadRequest(f"{path}: not a kubeconfig: a mapping is expected")
    reading = _Reading(path, config)
    chosen = reading.named("contexts", "context", context or config.get("current-context") or "", "current-context")
    cluster = reading.named("clusters", "cluster", chosen.get("cluster") or "", "the context's cluster")
    user = reading.named("users", "user", chosen["user"], "the context's user") if chosen.get("user") else {}
    server = str(cluster.get("server") or "")
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest(f"{path}: the cluster's server is {server!r}: "
                         "an address like https://127.0.0.1:6443 is expected")
    return Kubeconfig(
        server=server.rstrip("/"),
        ca=reading.bytes_of(cluster, "certificate-authority"),
        certificate=reading.bytes_of(user, "client-certificate"),
        key=reading.bytes_of(user, "client-key"),
        token=_token(reading, user),
        namespace=str(chosen.get("namespace") or "default"),
        server_name=str(cluster.get("tls-server-name") or ""),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
    )


class _Reading:
    def __init__(self, path: Path, config: dict[str, Any]):
        self.path = path
        self.config = config

    def named(self, list_name: str, inner: str, name: str, what: str) -> dict[str, Any]:
        if not name:
            raise BadRequest(f"{self.path}: {what} is not set")
        for entry in self.config.get(list_name) or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                found = entry.get(inner) or {}
                if not isinstance(found, dict):
                    break
                return found
        raise BadRequest(f"{self.path}: {what} is {name!r}, but no such entry is in {list_name}")

    def bytes_of(self, entry: dict[str, Any], name: str) -> bytes:
        """What is inside (`name-data`), or in the file that `name` points to."""
        if inside := entry.get(f"{name}-data"):
            try:
                return base64.b64decode(inside, validate=True)
            except (binascii.Error, TypeError, ValueError):
                raise BadRequest(f"{self.path}: {name}-data is not base64") from None
        if not (place := entry.get(name)):
            return b""
        return self.file(str(place), name)

    def file(self, place: str, what: str) -> bytes:
        file = self.path.parent / Path(place).expanduser()
        try:
            return file.read_bytes()
        except OSError as error:
            raise BadRequest(f"{self.path}: {what} {file}: {error.strerror}") from error


def _token(reading: _Reading, user: dict[str, Any]) -> str:
    for name in ("exec", "auth-provider", "username"):
        if user.get(name):
            raise BadRequest(f"{reading.path}: users that log in by {name} are not supported; "
                             "use a client certificate or a token")
    if user.get("token"):
        return str(user["token"])
    if user.get("tokenFile"):
        return reading.file(str(user["tokenFile"]), "tokenFile").decode().strip()
    return ""


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
