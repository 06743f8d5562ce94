"""kubectl get csr, kubectl certificate: a user who gets a certificate, and a machine that asks with a token."""
import base64
import json
import os
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certificate_requests import CLIENT, csr, key
from muster.client.kubeconfig import read_kubeconfig

TOKEN = "abcdef.0123456789abcdef"
CSR = "certificatesigningrequests"


@pytest.fixture(autouse=True)
def clean(cluster):
    yield
    cluster.kubectl("delete", "csr", "--all")


def columns(cluster):
    return [line.split() for line in cluster.kubectl("get", "csr", "--no-headers").lines]


def issued(cluster, name):
    """The request once it is signed, and its certificate."""
    there = cluster.until(CSR, lambda there: there[name].get("status", {}).get("certificate"), name)[-1][name]
    return there, x509.load_pem_x509_certificate(base64.b64decode(there["status"]["certificate"]))


def as_user(cluster, tmp_path, certificate):
    """kubectl with that certificate."""
    config = read_kubeconfig(cluster.kubeconfig)
    files = {"ca": config.ca, "crt": certificate.public_bytes(Encoding.PEM),
             "key": key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return (f"--server={config.server}", f"--certificate-authority={tmp_path / 'ca'}",
            f"--client-certificate={tmp_path / 'crt'}", f"--client-key={tmp_path / 'key'}")


def test_a_user_is_approved_by_hand(cluster, tmp_path):
    cluster.kubectl("create", "-f", "-", given=csr("bob", "bob", ("dev",), signer=CLIENT, expirationSeconds=86400))
    assert cluster.kubectl("get", "csr").lines[0].split() == [
        "NAME", "AGE", "SIGNERNAME", "REQUESTOR", "REQUESTEDDURATION", "CONDITION"]
    row, = columns(cluster)
    assert row[:1] + row[2:] == ["bob", CLIENT, "kubernetes-admin", "24h", "Pending"]
    said = cluster.kubectl("certificate", "approve", "bob").stdout
    assert said == "certificatesigningrequest.certificates.k8s.io/bob approved\n"
    _, certificate = issued(cluster, "bob")
    assert columns(cluster)[0][-1] == "Approved,Issued"
    assert round((certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() / 3600) == 25
    told = json.loads(cluster.kubectl("auth", "whoami", "-o", "json", *as_user(cluster, tmp_path, certificate),
                                      env={"KUBECONFIG": os.devnull}).stdout)
    assert told["status"]["userInfo"]["username"] == "bob"
    assert "dev" in told["status"]["userInfo"]["groups"]


def test_denied(cluster):
    cluster.kubectl("create", "-f", "-", given=csr("eve", "eve", (), signer=CLIENT))
    cluster.kubectl("certificate", "deny", "eve")
    assert columns(cluster)[0][-1] == "Denied"
    refused = cluster.kubectl("certificate", "approve", "eve", fails=True).stderr
    assert refused == 'error: certificate signing request "eve" is already Denied\n'
    assert "Denied" in cluster.kubectl("describe", "csr", "eve").stdout


@pytest.mark.parametrize("given, said", [
    pytest.param(csr("x", "bob", ("system:masters",), signer=CLIENT),
                 "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
                 id="an administrator"),
    pytest.param(csr("x", signer="nonsense"), 'spec.signerName: Invalid value: "nonsense": must be a fully qualified '
                 'domain and path of the form "example.com/signer-name"', id="no signer"),
    pytest.param(csr("x", usages=()), "spec.usages: Required value", id="no usage"),
    pytest.param(csr("x", expirationSeconds=60), "may not specify a duration less than 600 seconds", id="too short"),
    pytest.param({**csr("x"), "spec": {**csr("x")["spec"], "request": base64.b64encode(b"hello").decode()}},
                 "spec.request: Invalid value", id="no request"),
])
def test_what_can_not_be_asked(cluster, given, said):
    assert said in cluster.kubectl("create", "-f", "-", given=given, fails=True).stderr


def test_who_asks_is_not_for_the_asker_to_say(cluster):
    asked = csr("me", "bob", (), signer=CLIENT, username="system:node:n1")
    asked["spec"]["groups"] = ["system:nodes"]
    cluster.kubectl("create", "-f", "-", given=asked)
    spec = json.loads(cluster.kubectl("get", "csr", "me", "-o", "json").stdout)["spec"]
    assert (spec["username"], "system:masters" in spec["groups"]) == ("kubernetes-admin", True)


def test_a_machine_asks_with_a_token(cluster, tmp_path):
    from muster.server.bootstrap_tokens import secret_of
    cluster.kubectl("apply", "-f", "-", given=secret_of(TOKEN, None))
    config = read_kubeconfig(cluster.kubeconfig)
    (tmp_path / "authority").write_bytes(config.ca)
    by_token = (f"--server={config.server}", f"--certificate-authority={tmp_path / 'authority'}", f"--token={TOKEN}")
    alone = {"KUBECONFIG": os.devnull}
    cluster.kubectl("create", "--validate=false", "-f", "-", *by_token, given=csr("joins", "system:node:joins"), env=alone)
    there, certificate = issued(cluster, "joins")
    assert there["spec"]["username"] == "system:bootstrap:abcdef"
    assert there["status"]["conditions"][0]["message"] == (
        "Auto approving kubelet client certificate after SubjectAccessReview.")
    itself = as_user(cluster, tmp_path, certificate)
    cluster.kubectl("get", "nodes", *itself, env=alone)
    refused = cluster.kubectl("get", "secrets", "-A", *itself, env=alone, fails=True).stderr
    assert 'User "system:node:joins" cannot list resource "secrets"' in refused
    cluster.kubectl("create", "--validate=false", "-f", "-", *itself, given=csr("again", "system:node:joins"), env=alone)
    assert "self kubelet" in issued(cluster, "again")[0]["status"]["conditions"][0]["message"]
    cluster.kubectl("delete", "secret", "-n", "kube-system", "bootstrap-token-abcdef")
    assert "Unauthorized" in cluster.kubectl("get", "csr", *by_token, env=alone, fails=True).stderr


def test_a_node_that_is_alive_keeps_its_name(cluster):
    node = cluster.kubectl("get", "nodes", "-o", "name").lines[0].removeprefix("node/")
    from muster.server.bootstrap_tokens import secret_of
    cluster.kubectl("apply", "-f", "-", given=secret_of(TOKEN, None))
    asked = csr("taken", f"system:node:{node}")
    cluster.kubectl("create", "-f", "-", "--as", "system:bootstrap:abcdef", "--as-group", "system:bootstrappers",
                    "--validate=false", given=asked)
    cluster.kubectl("wait", "csr/taken", "--for=condition=Denied", "--timeout=30s")
    assert f"node {node} is there and ready" in cluster.kubectl("get", "csr", "taken", "-o", "yaml").stdout


def test_a_server_of_this_machine_alone_gives_no_token(cluster):
    done = subprocess.run([sys.executable, "-m", "muster", "node", "token", "--data-dir", str(cluster.data_dir)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("muster: the server listens on 127.0.0.1 alone") and "--host ADDRESS" in done.stderr
