"""Tokens of service accounts, as kubectl asks for them, brings them, and finds them in Secrets."""
import base64
import json

import pytest
from conftest import PATIENCE_S

DAEMON = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
          "spec": {"containers": [{"name": "main", "image": "web:1"}]}}


def claims(token):
    payload = token.strip().split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.fixture
def bearer(space, tmp_path):
    """bearer(token, *arguments): a kubectl that has this token and no certificate."""
    config = space.cluster.kubectl("config", "view", "--raw", "-o", "json").json
    path = tmp_path / "kubeconfig"

    def kubectl(token, *arguments, **more):
        config["users"] = [{"name": one["name"], "user": {"token": token.strip()}} for one in config["users"]]
        path.write_text(json.dumps(config))
        return space.kubectl(*arguments, env={"KUBECONFIG": str(path)}, **more)

    return kubectl


def test_asked_for_and_brought(space, bearer):
    space.kubectl("create", "serviceaccount", "bot")
    token = space.kubectl("create", "token", "bot").stdout
    said = claims(token)
    assert said["sub"] == f"system:serviceaccount:{space.name}:bot" and said["exp"] - said["iat"] == 3600
    who = bearer(token, "auth", "whoami", "-o", "json").json["status"]["userInfo"]
    assert who["username"] == said["sub"]
    assert who["groups"] == ["system:serviceaccounts", f"system:serviceaccounts:{space.name}", "system:authenticated"]
    assert "cannot list resource" in bearer(token, "get", "pods", fails=True).stderr
    space.kubectl("create", "rolebinding", "bot", "--clusterrole", "view", f"--serviceaccount={space.name}:bot")
    assert bearer(token, "get", "pods").stderr == f"No resources found in {space.name} namespace.\n"
    refused = bearer(token, "get", "secrets", fails=True).stderr
    assert refused.startswith(f'Error from server (Forbidden): secrets is forbidden: User "{said["sub"]}" cannot list resource "secrets"')
    assert bearer(token, "auth", "can-i", "list", "pods").stdout == "yes\n"
    assert bearer(token, "auth", "can-i", "create", "pods", fails=True).stdout == "no\n"
    assert "pods/log" in bearer(token, "auth", "can-i", "--list").stdout
    space.kubectl("delete", "serviceaccount", "bot")
    assert "must be logged in" in bearer(token, "get", "pods", fails=True).stderr


def test_for_whom_how_long_and_bound_to_what(space, bearer):
    space.apply(DAEMON)
    given = ["create", "token", "default", "--duration", "20m", "--audience", "https://kubernetes.default.svc.cluster.local",
             "--audience", "vault", "--bound-object-kind", "Pod", "--bound-object-name", "web"]
    token = space.kubectl(*given).stdout
    said = claims(token)
    pod = space.get("pod", "web")
    assert said["exp"] - said["iat"] == 1200 and said["aud"][1] == "vault"
    assert said["kubernetes.io"]["pod"] == {"name": "web", "uid": pod["metadata"]["uid"]}
    space.kubectl("create", "rolebinding", "all", "--clusterrole", "view", f"--group=system:serviceaccounts:{space.name}")
    assert bearer(token, "get", "pod", "web", "-o", "name").lines == ["pod/web"]
    wrong = space.kubectl(*given, "--bound-object-uid", "other", fails=True).stderr
    assert 'Operation cannot be fulfilled on Pod "web": the UID in the bound object reference (other) does not match' in wrong
    space.kubectl("delete", "pod", "web", "--now")
    assert "must be logged in" in bearer(token, "get", "pods", fails=True).stderr
    short = space.kubectl("create", "token", "default", "--duration", "5m", fails=True).stderr
    assert "may not specify a duration less than 10 minutes" in short
    assert 'serviceaccounts "nope" not found' in space.kubectl("create", "token", "nope", fails=True).stderr


def test_kept_in_a_secret(space, bearer):
    space.kubectl("create", "serviceaccount", "bot")
    space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kept", "annotations": {
        "kubernetes.io/service-account.name": "bot"}}, "type": "kubernetes.io/service-account-token"})
    full = space.until("secrets", lambda there: len(there.get("kept", {}).get("data") or ()) == 3, "kept")[-1]["kept"]
    data = {key: base64.b64decode(value).decode() for key, value in full["data"].items()}
    assert data["namespace"] == space.name and data["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    assert "exp" not in claims(data["token"])
    assert bearer(data["token"], "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}").stdout.endswith(":bot")
    assert f"token:      {data['token']}" in space.kubectl("describe", "secret", "kept").stdout
    space.kubectl("delete", "serviceaccount", "bot")
    space.kubectl("wait", "--for=delete", "secret/kept", f"--timeout={PATIENCE_S}s")
    assert "must be logged in" in bearer(data["token"], "get", "pods", fails=True).stderr
