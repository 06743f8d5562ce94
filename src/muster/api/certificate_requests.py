"""What a CertificateSigningRequest asks for, and what each signer signs: read and judged, not signed.

    kubernetes.io/kube-apiserver-client-kubelet    a node: CN=system:node:NAME, O=system:nodes, no other names
    kubernetes.io/kube-apiserver-client            any other client; somebody has to approve it

https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers
"""
from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from .objects import Obj, at

RESOURCE = "certificatesigningrequests.certificates.k8s.io"
CLIENT, KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet"
APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"
NODES, NODE_PREFIX = "system:nodes", "system:node:"
_CLIENT_USAGES = frozenset(("client auth", "digital signature", "key encipherment"))
PEM_TYPE = "CERTIFICATE REQUEST"


class Wanted(NamedTuple):
    """The subject of a request, and the other names it asks for."""

    user: str
    groups: tuple[str, ...]
    names: tuple[str, ...]


def pem_of(csr: Obj) -> bytes:
    """Raises ValueError."""
    try:
        return base64.b64decode(at(csr, "spec.request", ""), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def wanted(csr: Obj) -> Wanted:
    """Raises ValueError for what is no request, or not signed with its own key."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509.oid import NameOID
    pem = pem_of(csr)
    if not pem.lstrip().startswith(f"-----BEGIN {PEM_TYPE}-----".encode()):
        raise ValueError(f"PEM block type must be {PEM_TYPE}")
    try:
        request = x509.load_pem_x509_csr(pem)
        genuine = request.is_signature_valid
        named = [(one.oid, str(one.value)) for one in request.subject]
        asked = [str(one.value) for one in request.extensions.get_extension_for_class(
            x509.SubjectAlternativeName).value]
    except x509.ExtensionNotFound:
        asked = []
    except (UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise ValueError(str(error)) from None
    if not genuine:
        raise ValueError("the request is not signed with its own key")
    users = [value for oid, value in named if oid == NameOID.COMMON_NAME]
    return Wanted(users[0] if users else "",
                  tuple(value for oid, value in named if oid == NameOID.ORGANIZATION_NAME), tuple(asked))


def wrong_for_signer(csr: Obj) -> str:
    """Why its signer does not sign it, whoever approved it; "" where it does."""
    spec = csr["spec"]
    try:
        subject = wanted(csr)
    except ValueError as error:
        return str(error)
    usages = set(spec.get("usages") or ())
    if "client auth" not in usages or not usages <= _CLIENT_USAGES:
        return "usages did not match " + ", ".join(sorted(_CLIENT_USAGES))
    if spec["signerName"] == KUBELET_CLIENT:
        if subject.groups != (NODES,):
            return f"organization in subject was not {NODES}"
        if not subject.user.startswith(NODE_PREFIX) or subject.user == NODE_PREFIX:
            return f"subject common name did not begin with {NODE_PREFIX}"
        if subject.names:
            return "subject alternative names are not allowed"
    return ""


def node_of(csr: Obj) -> str:
    """The node that a request for a node's certificate is for; "" for any other request."""
    if csr["spec"].get("signerName") != KUBELET_CLIENT or wrong_for_signer(csr):
        return ""
    return wanted(csr).user.removeprefix(NODE_PREFIX)
