"""Machines that real nodes can not live on: one sentence each, with what to install or change."""
import asyncio
import os

import pytest

pytest.importorskip("grpc", reason="the extra muster[containers] is not installed")
from muster.node import containerd  # noqa: E402
from muster.node.network_namespace import Fabric, Unusable  # noqa: E402

lacking_in = containerd._lacking


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """All that is needed, in one folder; a test takes something away."""
    for name in (*containerd.NEEDED_PROGRAMS, *containerd.NEEDED_PLUGINS):
        (tmp_path / name).write_text("#!/bin/sh\necho 'containerd github.com/containerd/containerd 1.7.2~ds1 1.7.2'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(containerd, "_lacking", lambda status: [])  # whoever runs the tests
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(containerd, "search_path", lambda: str(tmp_path))
    monkeypatch.setattr(containerd, "PLUGINS", (str(tmp_path),))
    return tmp_path


def refusal():
    with pytest.raises(Unusable) as raised:
        asyncio.run(containerd.check_host())
    return str(raised.value)


def test_a_machine_that_has_all(machine):
    if os.uname().machine == "x86_64":
        asyncio.run(containerd.check_host())


def test_no_root(machine, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert refusal() == "--runtime containers needs root: try `sudo $(command -v muster) up --runtime containers`"


@pytest.mark.parametrize("rights, lacking", [
    pytest.param("000001ffffffffff", [], id="all"),
    pytest.param("00000000a80425fb", ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"], id="as a container has them"),
    pytest.param("00000000a80435fb", ["CAP_SYS_ADMIN"], id="and a little more"),
])
def test_root_in_name_alone(machine, monkeypatch, rights, lacking):
    assert lacking_in(f"Name:\tmuster\nCapEff:\t{rights}\nCapBnd:\t000001ffffffffff\n") == lacking
    if lacking:
        monkeypatch.setattr(containerd, "_lacking", lambda status: lacking)
        assert refusal() == (f"--runtime containers needs {' and '.join(lacking)}, which root does not have in here: run "
                             "it on the machine itself, or in a privileged container")


def test_a_containerd_that_does_not_run(machine):
    (machine / "containerd").write_text("#!/bin/sh\necho no such library >&2; exit 127\n")
    assert refusal() == ("the containerd of this machine can not be run; install it anew "
                         "(containerd --version: no such library)")


def test_what_is_not_installed(machine):
    for name in ("containerd", "ctr", "nft", "bridge"):
        (machine / name).unlink()
    assert refusal() == ("--runtime containers needs containerd, nftables, containernetworking-plugins: on Debian or "
                         "Ubuntu, `apt-get install -y containerd nftables containernetworking-plugins`")


def test_a_containerd_that_is_too_old(machine):
    (machine / "containerd").write_text("#!/bin/sh\necho containerd containerd.io v1.4.13 9cc61520\n")
    assert refusal() == "containerd v1.4.13 is too old: 1.6 or newer is needed"


def test_the_addresses_of_nodes_and_pods():
    fabric = Fabric("a1b2c3", "10.90.0.0/16")
    assert (fabric.gateway, fabric.node_address(1), fabric.pod_cidr(1)) == ("10.90.0.1", "10.90.0.2", "10.90.1.0/24")
    assert all(len(name) <= 15 for name in (fabric.bridge, fabric.veth(50))), "Linux has room for no more"
