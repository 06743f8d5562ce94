"""Stories about a StatefulSet, played on a whole cluster in virtual time: which pod does what, in which order."""
import asyncio
import json

import pytest

from muster.api.objects import Key, is_deleting, is_true, name_of
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import run_virtual
from muster.store.memory import MemoryStore

KEY = Key("statefulsets.apps", "default", "web")
SLOW = json.dumps({"pull": "1s..1s", "start": "1s..1s", "stop": "1s..1s", "missingImages": ["*:404"]})
CLAIM = {"metadata": {"name": "www"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}


def a_set(**spec):
    labels = {"app": "web"}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": 3, "serviceName": "nginx", "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [{"name": "main", "image": "web:1"}]}}, **spec}}


def image(text):
    return {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": text}]}}}}


def play(given, *patches):
    """What the pods did after each step: "web-0 web:1 ready"."""
    async def told(clock):
        heard, said = [], {}

        def hear(change):
            pod = change.value or change.previous
            state = ("gone" if change.value is None else "ending" if is_deleting(pod)
                     else "ready" if is_true(pod, "Ready") else "starts")
            line = f"{name_of(pod)} {pod['spec']['containers'][0]['image'][4:]} {state}"
            if said.get(name_of(pod)) != line:
                said[name_of(pod)] = line
                heard.append(line)

        async with running(Cluster(MemoryStore(), clock)) as cluster:
            client = cluster.client("kubernetes-admin")
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            for name in ("n1", "n2"):
                await client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": {
                    "muster.dev/simulated": "true", "muster.dev/behaviour": SLOW}}})
            await asyncio.sleep(5)
            cluster.mirror.on_change(hear, ["pods"])
            await cluster.apply(given)
            steps = []
            for patch in (None, *patches):
                if patch is not None:
                    await client.patch(KEY, patch, how="strategic")
                await asyncio.sleep(120)
                steps.append(list(heard))
                heard.clear()
            claims = {key[1]: claim["status"]["phase"] for key, claim in
                      cluster.mirror.objects("persistentvolumeclaims").items()}
            return steps, claims

    return run_virtual(told, seed="stateful sets")


def lives(image, *ordinals):
    return [f"web-{n} {image} {state}" for n in ordinals for state in ("starts", "ready")]


def ends(image, *ordinals):
    return [f"web-{n} {image} {state}" for n in ordinals for state in ("ending", "gone")]


UPDATED = [line for n in (2, 1, 0) for line in (*ends("1", n), *lives("2", n))]


@pytest.mark.parametrize("given, patches, steps", [
    pytest.param(a_set(), [{"spec": {"replicas": 5}}, {"spec": {"replicas": 1}}],
                 [lives("1", 0, 1, 2), lives("1", 3, 4), ends("1", 4, 3, 2, 1)], id="up and down"),
    pytest.param(a_set(), [image("web:2")], [lives("1", 0, 1, 2), UPDATED], id="rolled from the highest"),
    pytest.param(a_set(), [image("web:404"), image("web:1")],
                 [lives("1", 0, 1, 2), [*ends("1", 2), "web-2 404 starts"], [*ends("404", 2), *lives("1", 2)]],
                 id="a stuck pod gives way"),
    pytest.param(a_set(updateStrategy={"type": "OnDelete"}), [image("web:2")], [lives("1", 0, 1, 2), []], id="on delete"),
    pytest.param(a_set(volumeClaimTemplates=[CLAIM]), [image("web:2")], [lives("1", 0, 1, 2), UPDATED], id="with storage"),
])
def test_story(given, patches, steps):
    played, claims = play(given, *patches)
    assert played == steps
    expected = {f"www-web-{n}": "Bound" for n in range(3)} if "volumeClaimTemplates" in given["spec"] else {}
    assert claims == expected
