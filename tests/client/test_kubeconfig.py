"""The kubeconfig we write is the one we read; what is missing in one is said with its file."""
from __future__ import annotations

import stat

import pytest
import yaml

from muster.api.errors import BadRequest
from muster.client.kubeconfig import kubeconfig_text, read_kubeconfig, write_kubeconfig


def test_written_and_read(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text("older")
    write_kubeconfig(path, "https://127.0.0.1:6443", b"CA", b"CERT", b"KEY")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = read_kubeconfig(path)
    assert (read.server, read.ca, read.certificate, read.key) == ("https://127.0.0.1:6443", b"CA", b"CERT", b"KEY")
    assert yaml.safe_load(path.read_text())["current-context"] == "muster"
    assert [one.name for one in tmp_path.iterdir()] == ["kubeconfig"]
    assert "KEY" not in repr(read)


def test_files_beside_it_and_another_context(tmp_path):
    config = yaml.safe_load(kubeconfig_text("https://a:1", b"", b"", b""))
    (tmp_path / "ca.crt").write_bytes(b"CA")
    (tmp_path / "token").write_text("secret\n")
    config["clusters"].append({"name": "b", "cluster": {"server": "https://b:2/base/", "certificate-authority": "ca.crt",
                                                        "tls-server-name": "kubernetes"}})
    config["users"].append({"name": "b", "user": {"tokenFile": "token"}})
    config["contexts"].append({"name": "b", "context": {"cluster": "b", "user": "b", "namespace": "ns"}})
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    read = read_kubeconfig(path, "b")
    assert (read.server, read.ca, read.token, read.namespace, read.server_name) == (
        "https://b:2/base", b"CA", "secret", "ns", "kubernetes")


def changed(**changes):
    config = yaml.safe_load(kubeconfig_text("https://a:1", b"CA", b"CERT", b"KEY"))
    for path, value in changes.items():
        *steps, last = path.split("__")
        place = config
        for step in steps:
            place = place[int(step) if step.isdigit() else step]
        place[last.replace("_", "-")] = value
    return yaml.safe_dump(config)


@pytest.mark.parametrize(("text", "message"), [
    pytest.param("{unfinished", "not YAML", id="no YAML"),
    pytest.param("- a list", "a mapping is expected", id="a list"),
    pytest.param(changed(current_context=""), "current-context is not set", id="no context"),
    pytest.param(changed(current_context="other"), "current-context is 'other', but no such entry is in contexts",
                 id="a context that is not there"),
    pytest.param(changed(contexts__0__context__cluster="other"), "no such entry is in clusters", id="no cluster"),
    pytest.param(changed(contexts__0__context__user="other"), "no such entry is in users", id="no user"),
    pytest.param(changed(clusters__0__cluster__server="nowhere"), "an address like https://127.0.0.1:6443", id="no address"),
    pytest.param(changed(users__0__user__client_key_data="*"), "client-key-data is not base64", id="no base64"),
    pytest.param(changed(users__0__user={"client-certificate": "missing.crt"}), "missing.crt: No such file",
                 id="a file that is missing"),
    pytest.param(changed(users__0__user={"exec": {"command": "x"}}), "log in by exec are not supported", id="a plugin"),
])
def test_what_is_wrong_is_said(tmp_path, text, message):
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(BadRequest) as error:
        read_kubeconfig(path)
    assert message in str(error.value) and str(path) in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(BadRequest, match="no such file; `muster up` writes one"):
        read_kubeconfig(tmp_path / "none")
