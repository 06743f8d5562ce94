"""How a machine that has nothing but a token becomes known to a cluster, and stays so.

    1  ask the server, whoever it may be, for its CA, and compare that with the hash that came with the token
    2  over connections that this CA vouches for, ask for a certificate (CertificateSigningRequest), with the token
    3  wait until it is approved and signed; later, ask for the next one with the certificate itself

The key is made here and never leaves the machine.
https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/
"""
from __future__ import annotations

import asyncio
import base64
import hmac
from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ..api.certificate_requests import (
    DENIED,
    FAILED,
    KUBELET_CLIENT,
    NODE_PREFIX,
    NODES,
    RESOURCE,
)
from ..api.errors import BadRequest, Forbidden, Timeout, Unauthorized, Unavailable
from ..api.objects import Key, Obj, at, condition, name_of
from ..server.certificates import authority_hash
from .kubeconfig import Kubeconfig, ca_of_cluster
from .remote import RemoteClient

CLUSTER_INFO = Key("configmaps", "kube-public", "cluster-info")
SIGNED_WITHIN_S, ASK_AGAIN_S = 60.0, 0.2


async def trusted_ca(server: str, ca_hash: str) -> bytes:
    """The CA (PEM) of the cluster at `server`, if it is the one that the hash tells of.  Raises an ApiError."""
    client = RemoteClient(Kubeconfig(server, insecure=True))
    try:
        info = await client.get(CLUSTER_INFO)
    except Unavailable as error:
        raise Unavailable(f"{error.message.partition('; start it')[0]}; is the address right, and does a firewall let "
                          "this machine through?") from None
    finally:
        await client.close()
    ca = ca_of_cluster(at(info, "data.kubeconfig", ""))
    try:
        found = authority_hash(ca)
    except ValueError:
        raise BadRequest(f"what the server at {server} shows as its CA can not be read") from None
    if not hmac.compare_digest(found, ca_hash):
        raise Unauthorized(f"the server at {server} is not the one that the token is for: its CA has the hash {found}; "
                           "copy the whole command again from `muster node token`")
    return ca


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def request_of(node: str, key: ec.EllipticCurvePrivateKey, lasts_s: int | None = None) -> Obj:
    """The request for a node's certificate."""
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, NODES),
                         x509.NameAttribute(NameOID.COMMON_NAME, NODE_PREFIX + node)])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    spec: Obj = {"request": base64.b64encode(signed.public_bytes(Encoding.PEM)).decode(),
                 "signerName": KUBELET_CLIENT, "usages": ["digital signature", "client auth"]}
    if lasts_s is not None:
        spec["expirationSeconds"] = lasts_s
    return {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "node-csr-"}, "spec": spec}


async def certified(client: RemoteClient, node: str, lasts_s: int | None = None) -> tuple[bytes, bytes]:
    """A new key and its certificate (PEM).  Raises an ApiError with what to do."""
    key = new_key()
    try:
        made = await client.create(request_of(node, key, lasts_s))
    except Unauthorized:
        raise Unauthorized("the token is unknown, or has expired; make another one with `muster node token` on the "
                           "server's machine") from None
    return key_pem(key), await _signed(client, name_of(made), node)


async def _signed(client: RemoteClient, name: str, node: str) -> bytes:
    try:
        async with asyncio.timeout(SIGNED_WITHIN_S):
            while True:
                csr = await client.get(Key(RESOURCE, "", name))
                for type_ in (DENIED, FAILED):
                    if (found := condition(csr, type_)) is not None:
                        raise Forbidden(f"the server gives no certificate for node {node}: {found.get('message')}")
                if signed := at(csr, "status.certificate"):
                    return base64.b64decode(signed)
                await asyncio.sleep(ASK_AGAIN_S)
    except TimeoutError:
        raise Timeout(f"nobody has approved the request {name} for node {node}; look at it with `kubectl get csr`, "
                      f"approve it with `kubectl certificate approve {name}`, and join again") from None


async def joined(server: str, ca: bytes, token: str, node: str) -> Kubeconfig:
    """What the node shows from now on.  Raises an ApiError with what to do."""
    return await renewed(Kubeconfig(server, ca, token=token), node)


async def renewed(config: Kubeconfig, node: str) -> Kubeconfig:
    """With a new key and its certificate in the place of what it has."""
    client = RemoteClient(config)
    try:
        key, certificate = await certified(client, node)
    finally:
        await client.close()
    return replace(config, token="", key=key, certificate=certificate)
