"""Requests for certificates, and what a cluster's authority makes of them, as tests need them."""
import base64
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from muster.server.certificates import LEAF_DAYS, signer

KUBELET, CLIENT = "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kube-apiserver-client"


@lru_cache
def key():
    return ec.generate_private_key(ec.SECP256R1())


@lru_cache
def request(user, groups=(), names=()):
    """A PKCS#10 request, as `spec.request` holds it."""
    subject = [*(x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in groups),
               x509.NameAttribute(NameOID.COMMON_NAME, user)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), False)
    return base64.b64encode(builder.sign(key(), hashes.SHA256()).public_bytes(Encoding.PEM)).decode()


def csr(name="csr", user="system:node:n1", groups=("system:nodes",), *, names=(), signer=KUBELET,
        usages=("digital signature", "client auth"), **spec):
    return {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
            "spec": {"request": request(user, groups, names), "signerName": signer, "usages": list(usages), **spec}}


def client_certificate(folder, now, user, groups=()):
    """Signed by the authority that is kept there: the certificate and its key (PEM)."""
    asked = base64.b64decode(request(user, tuple(groups)))
    return (signer(folder)(asked, now, LEAF_DAYS * 86_400),
            key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
