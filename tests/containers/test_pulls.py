"""Pulling for real, from a registry on this machine: what is there, what is not, and what comes later."""
import json
import subprocess

import pytest
from local_registry import registry
from real_nodes import WAITS, pod, shell


@pytest.fixture
def pulled_from(nodes, busybox):
    """The registry, reached by the nodes as whichever registry a manifest names."""
    gateway = subprocess.run(["ip", "-4", "-o", "addr", "show", f"muster{nodes.tag}"], capture_output=True, text=True,
                             check=True).stdout.split()[3].partition("/")[0]
    archives = {"team/app:1": busybox.read_bytes(), "private/app:1": busybox.read_bytes()}
    with registry(gateway, archives) as (port, asked):
        hosts = nodes.data_dir / "registries" / "_default" / "hosts.toml"
        hosts.parent.mkdir(exist_ok=True)
        hosts.write_text(f'server = "http://{gateway}:{port}"\n'
                         f'[host."http://{gateway}:{port}"]\n  capabilities = ["pull", "resolve"]\n')
        yield asked
        hosts.unlink()


def waiting(seen):
    told = seen["status"].get("containerStatuses") or [{}]
    return (told[0].get("state") or {}).get("waiting") or {}


def test_what_is_pulled_and_when(nodes, space, pulled_from):
    one = {**shell(WAITS), "image": "registry.example/team/app:1", "imagePullPolicy": "IfNotPresent"}
    space.apply(pod("first", one, nodeName="node-1"))
    space.ready("first")
    events = space.events("first")
    assert 'Normal Pulling Pulling image "registry.example/team/app:1"' in events
    assert any(line.startswith('Normal Pulled Successfully pulled image "registry.example/team/app:1" in ') and
               "Image size: " in line for line in events)
    told = space.get("pod", "first")["status"]["containerStatuses"][0]
    assert told["imageID"].startswith("registry.example/team/app@sha256:")
    before = len(pulled_from)
    space.apply(pod("second", one, nodeName="node-1"))
    space.ready("second")
    assert len(pulled_from) == before, "it is there: nobody is asked"
    space.apply(pod("third", {**one, "imagePullPolicy": "Always"}, nodeName="node-1"))
    space.ready("third")
    assert len(pulled_from) > before, "always: the registry is asked whether it is still the newest"
    images = json.loads(nodes.kubectl("get", "node", "node-1", "-o", "json"))["status"].get("images") or []
    assert isinstance(images, list)


def test_what_the_registry_does_not_have(space, pulled_from):
    space.apply(pod("web", {**shell(WAITS), "image": "registry.example/team/app:404"}))
    seen = space.until("web", lambda pod: waiting(pod).get("reason") == "ErrImagePull")
    assert "rpc error: code = NotFound" in waiting(seen)["message"]
    seen = space.until("web", lambda pod: waiting(pod).get("reason") == "ImagePullBackOff")
    assert waiting(seen)["message"].startswith('Back-off pulling image "registry.example/team/app:404"')
    assert 'Normal BackOff Back-off pulling image "registry.example/team/app:404"' in space.events("web")
    space.kubectl("set", "image", "pod/web", "app=registry.example/team/app:1")
    space.ready("web")


def test_a_private_image(space, pulled_from):
    """Refused without a secret and with a wrong one; pulled as soon as there is a right one."""
    one = {**shell(WAITS), "image": "registry.example/private/app:1"}
    space.apply(pod("web", one, imagePullSecrets=[{"name": "wrong"}, {"name": "right"}]))
    seen = space.until("web", lambda pod: waiting(pod).get("reason") == "ErrImagePull")
    assert "401 Unauthorized" in waiting(seen)["message"]
    assert ("Warning FailedToRetrieveImagePullSecret Unable to retrieve some image pull secrets (wrong, right); attempting "
            "to pull the image may not succeed.") in space.events("web")
    for name, password in (("wrong", "guess"), ("right", "secret")):
        space.kubectl("create", "secret", "docker-registry", name, "--docker-server=registry.example",
                      "--docker-username=ann", f"--docker-password={password}")
    space.ready("web", within_s=60)
