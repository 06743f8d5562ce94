"""What a machine that has joined a cluster keeps: which one, as whom, and with which key.

    node.json      the server, and the node's name       pki/ca.crt     who vouches for the server
    pki/node.key   the node's own key, mode 0600         pki/node.crt   its certificate

With these it comes back after a restart, without a token.  The certificate is replaced, with its key, after four fifths
of its time.
"""
from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from ..client.kubeconfig import Kubeconfig
from ..private_file import write_private

RENEWED_AFTER = 0.8  # of the certificate's time


@dataclass(frozen=True)
class Membership:
    node: str
    config: Kubeconfig

    def is_over(self, now: float) -> bool:
        return now >= _times(self.config.certificate)[1]

    def renews_at(self) -> float:
        begins, ends = _times(self.config.certificate)
        return begins + RENEWED_AFTER * (ends - begins)


def _times(certificate: bytes) -> tuple[float, float]:
    read = x509.load_pem_x509_certificate(certificate)
    return read.not_valid_before_utc.timestamp(), read.not_valid_after_utc.timestamp()


def load(folder: Path) -> Membership | None:
    """None where this machine is of no cluster, or what it kept can not be read."""
    pki = folder / "pki"
    try:
        said = json.loads((folder / "node.json").read_text())
        config = Kubeconfig(str(said["server"]), (pki / "ca.crt").read_bytes(), (pki / "node.crt").read_bytes(),
                            (pki / "node.key").read_bytes())
        _times(config.certificate)
        return Membership(str(said["name"]), config)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(folder: Path, membership: Membership) -> None:
    """The key first: a certificate without its key would be worth nothing."""
    config, pki = membership.config, folder / "pki"
    pki.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(pki / "ca.crt", config.ca, mode=0o644)
    write_private(pki / "node.key", config.key)
    write_private(pki / "node.crt", config.certificate, mode=0o644)
    write_private(folder / "node.json", json.dumps({"server": config.server, "name": membership.node}).encode())


def forget(folder: Path) -> None:
    (folder / "node.json").unlink(missing_ok=True)
    shutil.rmtree(folder / "pki", ignore_errors=True)
