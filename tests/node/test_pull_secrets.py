"""Which credentials are tried for an image, as the kubelet's keyring chooses them."""
import base64
import json

import pytest

from muster.node.pull_secrets import credentials, missing


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def secret(name, auths, type_="kubernetes.io/dockerconfigjson"):
    """`auths`: place -> "user:password"."""
    told = {place: {"auth": encoded(words)} for place, words in auths.items()}
    file, whole = (".dockercfg", told) if type_.endswith("cfg") else (".dockerconfigjson", {"auths": told})
    return {"metadata": {"name": name, "namespace": "default"}, "type": type_, "data": {file: encoded(json.dumps(whole))}}


def tried(image, *secrets):
    there = {one["metadata"]["name"]: one for one in secrets}
    pod = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"imagePullSecrets": [{"name": one} for one in there]}}
    found = credentials(pod, image, lambda resource, namespace, name: there.get(name))
    return [f"{one.username}:{one.password}" for one in found]


@pytest.mark.parametrize("place, image, is_for", [
    ("registry.example", "registry.example/team/app:1", True),
    ("https://registry.example", "registry.example/app:1", True),
    ("https://registry.example/v1/", "registry.example/app:1", True),
    ("registry.example/team", "registry.example/team/app:1", True),
    ("registry.example/team", "registry.example/other/app:1", False),
    ("registry.example", "registry.example:5000/app:1", False),
    ("registry.example:5000", "registry.example:5000/app:1", True),
    ("*.example", "registry.example/app:1", True),
    ("*.example", "a.registry.example/app:1", False),
    ("*.registry.example:5000", "a.registry.example:5000/app:1", True),
    ("https://index.docker.io/v1/", "docker.io/library/nginx:latest", True),
    ("docker.io", "docker.io/library/nginx:latest", True),
    ("https://index.docker.io/v1/", "quay.io/team/app:1", False),
])
def test_where_they_hold(place, image, is_for):
    assert tried(image, secret("one", {place: "ann:secret"})) == (["ann:secret"] if is_for else [])


def test_the_most_particular_first_and_each_once():
    one = secret("one", {"registry.example": "ann:1", "registry.example/team": "team:2", "other.example": "none:3"})
    two = secret("two", {"registry.example": "bob:4", "registry.example/team": "team:2"}, "kubernetes.io/dockercfg")
    assert tried("registry.example/team/app:1", one, two) == ["team:2", "ann:1", "bob:4"]


def test_name_and_password_by_themselves():
    one = secret("one", {})
    one["data"][".dockerconfigjson"] = encoded(json.dumps({"auths": {"registry.example": {"username": "ann", "password": "a:b"}}}))
    assert tried("registry.example/app:1", one) == ["ann:a:b"]


@pytest.mark.parametrize("data", [{}, {".dockerconfigjson": "%%%"}, {".dockerconfigjson": encoded("[1]")},
                                  {".dockerconfigjson": encoded('{"auths": {"registry.example": 7}}')},
                                  {".dockerconfigjson": encoded('{"auths": {"registry.example": {"auth": "%"}}}')}])
def test_what_can_not_be_read_is_passed_over(data):
    broken = {**secret("broken", {}), "data": data}
    assert tried("registry.example/app:1", broken, secret("good", {"registry.example": "ann:1"})) == ["ann:1"]


def test_those_that_are_missing():
    pod = {"metadata": {"namespace": "default"}, "spec": {"imagePullSecrets": [{"name": "here"}, {"name": "gone"}, {}]}}
    assert missing(pod, lambda resource, namespace, name: {} if name == "here" else None) == ["gone"]
