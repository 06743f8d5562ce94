"""What `muster node join` refuses before it asks anybody, and what it needs no asking for."""
import asyncio

import pytest

from certificate_requests import client_certificate

pytest.importorskip("grpc", reason="the extra muster[containers] is not installed")
from muster.api.errors import ApiError  # noqa: E402
from muster.client.kubeconfig import Kubeconfig  # noqa: E402
from muster.clock import Clock  # noqa: E402
from muster.data_directory import DataDirectory  # noqa: E402
from muster.joined_machine import Request, become_member  # noqa: E402
from muster.node.membership import Membership, keep  # noqa: E402
from muster.server.certificates import LEAF_DAYS, authority_hash, prepare  # noqa: E402

SERVER, TOKEN, HASH = "https://192.0.2.1:6443", "abcdef.0123456789abcdef", "sha256:" + "0" * 64
DAY = 86_400.0


@pytest.fixture(scope="module")
def member(tmp_path_factory):
    pki = tmp_path_factory.mktemp("pki")
    now = Clock().now()
    ca = prepare(pki, now).ca
    return Membership("far", Kubeconfig(SERVER, ca, *client_certificate(pki, now, "system:node:far", ["system:nodes"])))


def asked(folder, clock=None, **options):
    return asyncio.run(become_member(Request(DataDirectory(folder), **options), clock or Clock()))


@pytest.mark.parametrize("options, said", [
    pytest.param({}, "--server, --token and --ca-hash are needed to join", id="nothing"),
    pytest.param({"server": SERVER, "token": TOKEN}, "--server, --token and --ca-hash are needed", id="no hash"),
    pytest.param({"server": "192.0.2.1", "token": TOKEN, "ca_hash": HASH}, "an address like https://192.0.2.7:6443",
                 id="no URL"),
    pytest.param({"server": "https://localhost:6443", "token": TOKEN, "ca_hash": HASH},
                 "pods can not reach a server there; start it with `muster up --host ADDRESS`", id="loopback"),
    pytest.param({"server": SERVER, "token": TOKEN, "ca_hash": HASH, "name": "No Node"}, "--name No Node: ", id="no name"),
])
def test_refused(tmp_path, options, said):
    with pytest.raises(ApiError) as refused:
        asked(tmp_path, **options)
    assert said in refused.value.message and not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [
    pytest.param({}, id="without a word"),
    pytest.param({"server": SERVER + "/", "token": TOKEN, "name": "far"}, id="by the command it joined with"),
])
def test_a_member_goes_on(tmp_path, member, options):
    keep(tmp_path, member)
    if options:
        options = {**options, "ca_hash": authority_hash(member.config.ca)}
    assert asked(tmp_path, **options) == member


@pytest.mark.parametrize("options, days, said", [
    pytest.param({}, LEAF_DAYS + 1, "the certificate of node far has ended; join again with a token", id="too late"),
    pytest.param({"server": "https://192.0.2.9:6443"}, 0, "leave that one first with `muster node leave`",
                 id="another cluster"),
    pytest.param({"name": "near"}, 0, "this machine is node far", id="another name"),
])
def test_a_member_that_can_not_go_on(tmp_path, member, options, days, said):
    keep(tmp_path, member)
    now = Clock().now() + days * DAY
    with pytest.raises(ApiError, match=said):
        asked(tmp_path, Clock(now=lambda: now), **options)
