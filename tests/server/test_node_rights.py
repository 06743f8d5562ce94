"""What a node may do, asked through the front door: itself, its pods, what these name, and nothing else."""
from __future__ import annotations

from typing import Any

import pytest
from asking import ADMIN, Asking, asked
from small_cluster import config, pod

from muster.server.identity import User

NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))
CORE, KUBE_SYSTEM = "/api/v1", "/api/v1/namespaces/kube-system"
PODS, LEASES = f"{CORE}/namespaces/default/pods", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


def node(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, **more.pop("metadata", {})}, **more}


def secret(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}


def lease(name: str) -> dict[str, Any]:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
            "spec": {"holderIdentity": name}}


MINE = pod("mine", node="n1", volumes=[{"name": "s", "secret": {"secretName": "volume"}},
                                       {"name": "p", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
                                       {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}}],
           imagePullSecrets=[{"name": "pull"}],
           containers=[{"name": "c", "image": "nginx:1", "envFrom": [{"configMapRef": {"name": "all"}}], "env": [
               {"name": "A", "valueFrom": {"secretKeyRef": {"name": "one", "key": "k"}}}]}])


async def stage(ask: Asking) -> None:
    for name in ("kube-system", "kube-public", "kube-node-lease"):
        await ask("POST", f"{CORE}/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for name in ("n1", "n2"):
        await ask("POST", f"{CORE}/nodes", node(name))
        await ask("POST", LEASES, lease(name))
    for one in (MINE, pod("theirs", node="n2", volumes=[{"name": "s", "secret": {"secretName": "theirs"}}]),
                pod("waiting")):
        said = await ask("POST", PODS, one)
        assert said.status == 201, said.body
    for name in ("volume", "projected", "pull", "one", "theirs", "unused"):
        await ask("POST", f"{CORE}/namespaces/default/secrets", secret(name))
    await ask("POST", f"{KUBE_SYSTEM}/secrets", secret("volume"))
    await ask("POST", f"{CORE}/namespaces/default/configmaps", config("all"))
    await ask("POST", f"{CORE}/namespaces/kube-public/configmaps", config("cluster-info", "kube-public"))


def answered(method: str, path: str, body: Any = None, user: User = NODE, media: str = "") -> tuple[int, str]:
    async def check(ask: Asking) -> tuple[int, str]:
        await stage(ask)
        said = await ask(method, path, body, user=user, **({"content_type": media} if media else {}))
        return said.status, "" if said.status < 400 else said.json["message"]
    return asked(check)


@pytest.mark.parametrize("path", [
    pytest.param("/api/v1/nodes", id="all nodes, as kube-proxy does"),
    pytest.param("/api/v1/services", id="services"),
    pytest.param("/apis/discovery.k8s.io/v1/endpointslices", id="endpoints"),
    pytest.param(f"{CORE}/pods?fieldSelector=spec.nodeName%3Dn1", id="its pods"),
    pytest.param(f"{PODS}/mine", id="one of its pods"),
    *(pytest.param(f"{CORE}/namespaces/default/secrets/{name}", id=f"a secret that its pod names: {name}")
      for name in ("volume", "projected", "pull", "one")),
    pytest.param(f"{CORE}/namespaces/default/configmaps/all", id="a ConfigMap that its pod names"),
    pytest.param(f"{LEASES}/n1", id="its lease"),
    pytest.param("/apis/apps/v1", id="discovery"),
])
def test_a_node_may_read(path: str):
    assert answered("GET", path)[0] == 200


@pytest.mark.parametrize("path", [
    pytest.param(f"{CORE}/pods", id="all pods"),
    pytest.param(f"{CORE}/pods?fieldSelector=spec.nodeName%3Dn2", id="the pods of another"),
    pytest.param(f"{CORE}/pods?fieldSelector=spec.nodeName%21%3Dn1", id="all pods but its own"),
    pytest.param(f"{PODS}/theirs", id="a pod of another"),
    pytest.param(f"{PODS}/waiting", id="a pod that is nowhere yet"),
    pytest.param(f"{PODS}/mine/log", id="logs"),
    pytest.param(f"{CORE}/secrets", id="all secrets"),
    pytest.param(f"{CORE}/namespaces/default/secrets?fieldSelector=metadata.name%3Dvolume", id="a list of one secret"),
    pytest.param(f"{CORE}/namespaces/default/secrets/theirs", id="a secret that a pod of another names"),
    pytest.param(f"{CORE}/namespaces/default/secrets/unused", id="a secret that nobody names"),
    pytest.param(f"{KUBE_SYSTEM}/secrets/volume", id="a namesake elsewhere"),
    pytest.param("/apis/apps/v1/deployments", id="workloads"),
    pytest.param(f"{LEASES}/n2", id="the lease of another"),
    pytest.param("/metrics", id="metrics"),
])
def test_a_node_may_not_read(path: str):
    status, message = answered("GET", path)
    assert status == 403 and 'User "system:node:n1" cannot' in message


MERGE = "application/merge-patch+json"


@pytest.mark.parametrize(("method", "path", "body", "expected"), [
    pytest.param("POST", f"{CORE}/nodes", node("n3"), 'nodes "n3" is forbidden: node "n1" is not allowed to modify '
                 'node "n3"', id="another node"),
    pytest.param("PATCH", f"{CORE}/nodes/n2/status", {"status": {}}, 'User "system:node:n1" cannot patch resource '
                 '"nodes/status"', id="the status of another"),
    pytest.param("PATCH", f"{CORE}/nodes/n1/status", {"status": {"phase": "Running"}}, "", id="its own status"),
    pytest.param("PATCH", f"{CORE}/nodes/n1", {"metadata": {"labels": {"disk": "ssd"}}}, "", id="a label of no domain"),
    pytest.param("PATCH", f"{CORE}/nodes/n1", {"metadata": {"labels": {"topology.kubernetes.io/zone": "a"}}}, "",
                 id="its zone"),
    pytest.param("PATCH", f"{CORE}/nodes/n1", {"metadata": {"labels": {"node-restriction.kubernetes.io/a": "b"}}},
                 "is not allowed to modify labels: node-restriction.kubernetes.io/a", id="a label that is kept from it"),
    pytest.param("PATCH", f"{CORE}/nodes/n1", {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}},
                 "is not allowed to modify labels", id="a role"),
    pytest.param("PATCH", f"{CORE}/nodes/n1", {"spec": {"taints": []}}, "is not allowed to modify taints", id="taints"),
    pytest.param("PATCH", f"{CORE}/nodes/n1", {"spec": {"podCIDR": "10.0.0.0/24"}}, "is not allowed to modify podCIDR",
                 id="its network"),
    pytest.param("DELETE", f"{CORE}/nodes/n1", None, "", id="itself, to leave"),
    pytest.param("DELETE", f"{CORE}/nodes/n2", None, "cannot delete", id="not another"),
    pytest.param("PATCH", f"{PODS}/mine/status", {"status": {"message": "here"}}, "", id="the status of its pod"),
    pytest.param("PATCH", f"{PODS}/mine/status", {"metadata": {"labels": {"app": "other"}}},
                 "cannot update labels through pod status", id="not its labels"),
    pytest.param("PATCH", f"{PODS}/mine", {"metadata": {"labels": {"app": "other"}}}, "cannot patch", id="nor the pod"),
    pytest.param("PATCH", f"{PODS}/theirs/status", {"status": {"message": "x"}}, "cannot patch", id="nor another's"),
    pytest.param("DELETE", f"{PODS}/mine", None, "", id="its pod, once it has ended"),
    pytest.param("DELETE", f"{PODS}/theirs", None, "cannot delete", id="a pod of another"),
    pytest.param("POST", PODS, pod("new", node="n1"), "cannot create", id="a pod of its own making"),
    pytest.param("POST", f"{PODS}/waiting/binding", {"target": {"name": "n1"}}, "cannot create", id="a binding"),
    pytest.param("PATCH", f"{LEASES}/n1", {"spec": {"leaseTransitions": 1}}, "", id="its lease"),
    pytest.param("POST", LEASES, lease("n3"), "can only access node lease with the same name", id="a lease for another"),
    pytest.param("POST", f"{CORE}/namespaces/default/events",
                 {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {
                     "kind": "Pod", "name": "mine", "namespace": "default"}, "reason": "Started"}, "", id="an event"),
    pytest.param("POST", f"{CORE}/namespaces/default/configmaps", config("new"), "cannot create", id="a ConfigMap"),
])
def test_a_node_writes_about_itself(method: str, path: str, body: Any, expected: str):
    status, message = answered(method, path, body, media=MERGE if method == "PATCH" else "")
    assert (status < 300, message) == (True, "") if not expected else status == 403 and expected in message


@pytest.mark.parametrize(("path", "user", "status"), [
    pytest.param(f"{CORE}/namespaces/kube-public/configmaps/cluster-info", None, 200, id="who signs, for strangers"),
    pytest.param(f"{CORE}/namespaces/kube-public/configmaps", None, 401, id="and nothing beside it"),
    pytest.param(f"{CORE}/namespaces/default/configmaps/all", None, 401, id="nor elsewhere"),
])
def test_strangers(path: str, user: User | None, status: int):
    from asking import NOBODY
    assert answered("GET", path, user=NOBODY)[0] == status


def test_what_a_node_may_is_asked_of_the_pods_there_are():
    async def check(ask: Asking) -> None:
        await stage(ask)
        path = f"{CORE}/namespaces/default/secrets/volume"
        review = {"spec": {"user": NODE.name, "groups": list(NODE.groups), "resourceAttributes": {
            "verb": "get", "resource": "secrets", "namespace": "default", "name": "volume"}}}
        url = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        assert (await ask("POST", url, review)).json["status"]["allowed"]
        assert (await ask("GET", path, user=NODE)).status == 200
        await ask("DELETE", f"{PODS}/mine?gracePeriodSeconds=0", user=ADMIN)
        assert (await ask("GET", path, user=NODE)).status == 403
        assert not (await ask("POST", url, review)).json["status"]["allowed"]
    asked(check)


def token_for(name: str, uid: str, kind: str = "Pod") -> dict[str, Any]:
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {
        "boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid}}}


@pytest.mark.parametrize(("account", "bound", "said"), [
    pytest.param("default", "mine", "", id="for its pod"),
    pytest.param("default", "theirs", "requested token bound to a pod scheduled on a different node", id="for another's"),
    pytest.param("default", "gone", 'requested token bound to pod "gone", which is not there', id="for none that is there"),
    pytest.param("default", "", "requested token not bound to a pod", id="for nobody"),
    pytest.param("other", "mine", "cannot create", id="of an account that none of its pods has"),
])
def test_tokens_of_accounts(account: str, bound: str, said: str):
    async def check(ask: Asking) -> None:
        await stage(ask)
        await ask("POST", f"{CORE}/namespaces/default/serviceaccounts",
                  {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "other"}})
        uid = (await ask("GET", f"{PODS}/{bound}")).json["metadata"].get("uid", "unknown") if bound else ""
        body = token_for(bound, uid) if bound else {**token_for("", ""), "spec": {}}
        got = await ask("POST", f"{CORE}/namespaces/default/serviceaccounts/{account}/token", body, user=NODE)
        assert got.status == (403 if said else 201), got.body
        assert said in got.json.get("message", "")
    asked(check)
