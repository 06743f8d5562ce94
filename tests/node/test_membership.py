"""What a machine keeps of the cluster it joined."""
from __future__ import annotations

import stat

import pytest

from certificate_requests import client_certificate
from muster.client.kubeconfig import Kubeconfig
from muster.node.membership import RENEWED_AFTER, Membership, forget, keep, load
from muster.server.certificates import prepare

NOW = 1_767_225_600.0
DAY = 86_400.0


@pytest.fixture(scope="module")
def member(tmp_path_factory):
    pki = tmp_path_factory.mktemp("pki")
    ca = prepare(pki, NOW).ca
    certificate, key = client_certificate(pki, NOW, "system:node:far", ["system:nodes"])
    return Membership("far", Kubeconfig("https://192.0.2.1:6443", ca, certificate, key))


def test_kept_and_found(tmp_path, member):
    assert load(tmp_path) is None
    keep(tmp_path, member)
    assert load(tmp_path) == member
    assert stat.S_IMODE((tmp_path / "pki" / "node.key").stat().st_mode) == 0o600
    forget(tmp_path)
    assert load(tmp_path) is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize("spoil", [
    pytest.param(lambda folder: (folder / "pki" / "node.crt").write_text("nonsense"), id="no certificate"),
    pytest.param(lambda folder: (folder / "node.json").write_text("{}"), id="nothing said"),
    pytest.param(lambda folder: (folder / "pki" / "node.key").unlink(), id="no key"),
])
def test_what_can_not_be_read_is_not_there(tmp_path, member, spoil):
    keep(tmp_path, member)
    spoil(tmp_path)
    assert load(tmp_path) is None


def test_renewed_in_time(member):
    lasts = 365 * DAY
    assert abs(member.renews_at() - (NOW + RENEWED_AFTER * lasts)) < DAY
    assert not member.is_over(NOW + lasts - DAY) and member.is_over(NOW + lasts + DAY)
