"""What the cluster adds to pods, nodes and services, and what it refuses."""
from __future__ import annotations

import asyncio

import pytest
from small_cluster import Cluster, in_cluster, namespace, pod

from muster import bootstrap
from muster.api.errors import Forbidden, Invalid
from muster.api.objects import Obj, with_
from muster.server.service_accounts import MOUNT_PATH, volume_name

NOT_READY = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
             "tolerationSeconds": 300}
UNREACHABLE = {**NOT_READY, "key": "node.kubernetes.io/unreachable"}


def priority(name: str, value: int, **more: object) -> Obj:
    return {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
            "value": value, **more}


def account(name: str = "robot", **more: object) -> Obj:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}, **more}


def test_a_pod_gets_what_every_pod_gets():
    async def check(cluster: Cluster) -> None:
        spec = (await cluster.create(pod()))["spec"]
        assert spec["priority"] == 0 and spec["preemptionPolicy"] == "PreemptLowerPriority"
        assert spec["tolerations"] == [NOT_READY, UNREACHABLE]
        assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
        volume = spec["volumes"][0]
        assert volume["name"] == volume_name("default", "default")
        assert volume["projected"]["sources"][0]["serviceAccountToken"] == {"expirationSeconds": 3607, "path": "token"}
        assert spec["containers"][0]["volumeMounts"] == [
            {"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}]
    in_cluster(check)


@pytest.mark.parametrize(("given", "expected"), [
    pytest.param([{"operator": "Exists"}], [], id="everything tolerated"),
    pytest.param([{"key": NOT_READY["key"], "operator": "Exists"}], [UNREACHABLE], id="one tolerated for ever"),
    pytest.param([{**NOT_READY, "tolerationSeconds": 5}], [UNREACHABLE], id="one tolerated for five seconds"),
    pytest.param([{"key": NOT_READY["key"], "operator": "Exists", "effect": "NoSchedule"}], [NOT_READY, UNREACHABLE],
                 id="another effect"),
])
def test_tolerations_of_lost_nodes(given: list[Obj], expected: list[Obj]):
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(pod(tolerations=given))
        assert made["spec"]["tolerations"] == given + expected
    in_cluster(check)


def test_pods_of_a_template_share_what_was_added():
    async def check(cluster: Cluster) -> None:
        template = (await cluster.create(pod("t", automountServiceAccountToken=False)))["spec"]
        template = {key: template[key] for key in ("containers", "restartPolicy", "dnsPolicy")}
        one = await cluster.create(pod("one", **template))
        two = await cluster.create(pod("two", **template))
        assert one["spec"]["containers"] is two["spec"]["containers"]
        assert one["spec"]["volumes"] is two["spec"]["volumes"]
        assert "volumeMounts" not in template["containers"][0]
    in_cluster(check)


@pytest.mark.parametrize(("of_account", "spec", "mounted"), [
    pytest.param({}, {}, True, id="unless told otherwise"),
    pytest.param({"automountServiceAccountToken": False}, {}, False, id="the account says no"),
    pytest.param({"automountServiceAccountToken": False}, {"automountServiceAccountToken": True}, True,
                 id="the pod overrules the account"),
    pytest.param({}, {"automountServiceAccountToken": False}, False, id="the pod says no"),
    pytest.param({}, {"volumes": [{"name": "own", "emptyDir": {}}], "containers": [
        {"name": "c", "image": "i", "volumeMounts": [{"name": "own", "mountPath": MOUNT_PATH}]}]}, False,
        id="something else is mounted there"),
])
def test_when_the_token_is_mounted(of_account: Obj, spec: Obj, mounted: bool):
    async def check(cluster: Cluster) -> None:
        await cluster.create(account(**of_account))
        made = (await cluster.create(pod(serviceAccountName="robot", **spec)))["spec"]
        names = [one["name"] for one in made.get("volumes", [])]
        assert (volume_name("default", "robot") in names) == mounted
    in_cluster(check)


def test_the_accounts_pull_secrets():
    async def check(cluster: Cluster) -> None:
        await cluster.create(account(imagePullSecrets=[{"name": "s"}]))
        made = await cluster.create(pod(serviceAccountName="robot"))
        assert made["spec"]["imagePullSecrets"] == [{"name": "s"}]
        made = await cluster.create(pod("own", serviceAccountName="robot", imagePullSecrets=[{"name": "t"}]))
        assert made["spec"]["imagePullSecrets"] == [{"name": "t"}]
    in_cluster(check)


@pytest.mark.parametrize(("given", "message"), [
    pytest.param(pod(serviceAccountName="x"), 'pods "web" is forbidden: error looking up service account default/x: '
                 'serviceaccount "x" not found', id="no such account"),
    pytest.param(with_(with_(pod(serviceAccountName="x"), "metadata.name", ""), "metadata.generateName", "web-"),
                 'pods "web-" is forbidden: error looking up service account default/x: serviceaccount "x" not found',
                 id="spoken of by its prefix"),
    pytest.param(pod(priorityClassName="x"), 'pods "web" is forbidden: no PriorityClass with name x was found',
                 id="no such class"),
    pytest.param(pod(priority=7), 'pods "web" is forbidden: the integer value of priority (7) must not be provided in '
                 "pod spec; priority admission controller computed 0 from the given PriorityClass name",
                 id="a number of its own"),
])
def test_pods_refused(given: Obj, message: str):
    async def check(cluster: Cluster) -> None:
        with pytest.raises(Forbidden) as caught:
            await cluster.create(given)
        assert caught.value.message == message
    in_cluster(check)


def test_priority_comes_from_the_class():
    async def check(cluster: Cluster) -> None:
        await cluster.create(priority("high", 1000, preemptionPolicy="Never"))
        spec = (await cluster.create(pod("a", priorityClassName="high")))["spec"]
        assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
        await cluster.create(priority("usual", 10, globalDefault=True))
        spec = (await cluster.create(pod("b")))["spec"]
        assert (spec["priority"], spec["priorityClassName"]) == (10, "usual")
        with pytest.raises(Forbidden, match="PriorityClass usual is already marked as default. Only one default can"):
            await cluster.create(priority("other", 20, globalDefault=True))
    in_cluster(check)


@pytest.mark.parametrize("name", ["system-node-critical", "system-cluster-critical"])
def test_system_classes_stay(name: str):
    async def check(cluster: Cluster) -> None:
        await cluster.create(next(one for one in bootstrap.first_objects("127.0.0.1", 6443) if one["metadata"]["name"] == name))
        with pytest.raises(Forbidden) as caught:
            await cluster.delete("priorityclasses.scheduling.k8s.io", name)
        assert caught.value.message == (f'priorityclasses.scheduling.k8s.io "{name}" is forbidden: '
                                        "this is a system priority class and cannot be deleted")
    in_cluster(check)


def test_an_update_that_leaves_the_priority_out_keeps_it():
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(pod())
        spec = {key: value for key, value in made["spec"].items() if key not in ("priority", "preemptionPolicy")}
        after = await cluster.update("pods", {**made, "spec": spec})
        assert after is made
    in_cluster(check)


def test_a_new_node_takes_no_pods_yet():
    async def check(cluster: Cluster) -> None:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}
        taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        made = await cluster.create(node)
        assert made["spec"]["taints"] == [taint]
        freed = await cluster.patch("nodes", "n1", {"spec": {"taints": None}})
        assert "taints" not in freed["spec"]
    in_cluster(check)


def test_a_pod_waits_for_the_account_of_a_new_namespace():
    async def check(cluster: Cluster) -> None:
        await cluster.create(namespace("new"))
        early = asyncio.create_task(cluster.create(with_(pod(), "metadata.namespace", "new")))
        await asyncio.sleep(0.5)
        assert not early.done()
        await cluster.create(with_(account("default"), "metadata.namespace", "new"))
        assert (await early)["metadata"]["namespace"] == "new"
        await cluster.create(namespace("never"))
        with pytest.raises(Forbidden, match='error looking up service account never/default: serviceaccount "default"'):
            await cluster.create(with_(pod(), "metadata.namespace", "never"))
    in_cluster(check)


# ------------------------------------------------------------------ addresses of services


def service(name: str = "s", type_: str = "ClusterIP", ports: tuple[int, ...] = (80,), **spec: object) -> Obj:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": type_, "selector": {"a": "b"}, **spec,
                     "ports": [{"name": f"p{port}", "port": port} for port in ports]}}


def with_node_port(obj: Obj, number: int) -> Obj:
    return with_(obj, "spec.ports", [{**obj["spec"]["ports"][0], "nodePort": number}])


def test_services_get_addresses_of_their_own():
    async def check(cluster: Cluster) -> None:
        made = await asyncio.gather(*(cluster.create(service(f"s{number}", "NodePort", (80, 81)))
                                      for number in range(50)))
        ips = {one["spec"]["clusterIP"] for one in made}
        ports = {port["nodePort"] for one in made for port in one["spec"]["ports"]}
        assert len(ips) == 50 and len(ports) == 100
        assert all(ip.startswith("10.96.") and not ip.startswith("10.96.0.") for ip in ips)
        assert all(30086 <= port <= 32767 for port in ports)
        assert made[0]["spec"]["clusterIPs"] == [made[0]["spec"]["clusterIP"]]
        assert made[0]["spec"]["ipFamilies"] == ["IPv4"] and made[0]["spec"]["ipFamilyPolicy"] == "SingleStack"
    in_cluster(check)


@pytest.mark.parametrize(("given", "message"), [
    pytest.param(service(clusterIP="10.96.0.10"), 'Service "s" is invalid: spec.clusterIPs: Invalid value: '
                 '[]string{"10.96.0.10"}: failed to allocate IP 10.96.0.10: provided IP is already allocated',
                 id="an address that is taken"),
    pytest.param(service(clusterIP="10.1.0.1"), 'Service "s" is invalid: spec.clusterIPs: Invalid value: '
                 '[]string{"10.1.0.1"}: failed to allocate IP 10.1.0.1: the provided IP (10.1.0.1) is not in the valid '
                 "range. The range of valid IPs is 10.96.0.0/16", id="an address out of range"),
    pytest.param(service(ipFamilyPolicy="RequireDualStack"), 'Service "s" is invalid: spec.ipFamilyPolicy: Invalid '
                 'value: "RequireDualStack": this cluster is not configured for dual-stack services', id="two families"),
    pytest.param(service(ipFamilies=["IPv6"]), 'Service "s" is invalid: spec.ipFamilies[0]: Invalid value: "IPv6": '
                 "not configured on this cluster", id="a family that is not there"),
    pytest.param(service(ipFamilies=["IPv4", "IPv6"]), 'Service "s" is invalid: spec.ipFamilyPolicy: Invalid value: '
                 '"SingleStack": must be \'RequireDualStack\' or \'PreferDualStack\' when multiple IP families are '
                 "specified", id="families without a policy for them"),
    pytest.param(with_node_port(service(type_="NodePort"), 30080), 'Service "s" is invalid: spec.ports[0].nodePort: '
                 "Invalid value: 30080: provided port is already allocated", id="a port that is taken"),
    pytest.param(with_node_port(service(type_="NodePort"), 80), 'Service "s" is invalid: spec.ports[0].nodePort: '
                 "Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
                 id="a port out of range"),
])
def test_addresses_refused(given: Obj, message: str):
    async def check(cluster: Cluster) -> None:
        await cluster.create(with_node_port(service("first", "NodePort", clusterIP="10.96.0.10"), 30080))
        with pytest.raises(Invalid) as caught:
            await cluster.create(given)
        assert caught.value.message == message
        await cluster.delete("services", "first")
        if "already" in message:
            await cluster.create(given)
    in_cluster(check)


def test_an_address_comes_free_when_the_request_fails():
    async def check(cluster: Cluster) -> None:
        bad = with_(service(clusterIP="10.96.0.10"), "metadata.labels", {"-": "no"})
        with pytest.raises(Invalid):
            await cluster.create(bad)
        await cluster.create(service(clusterIP="10.96.0.10"), dry_run=True)
        assert (await cluster.create(service(clusterIP="10.96.0.10")))["spec"]["clusterIP"] == "10.96.0.10"
    in_cluster(check)


def test_addresses_follow_the_type():
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(service())
        ip = made["spec"]["clusterIP"]
        opened = await cluster.patch("services", "s", {"spec": {"type": "NodePort"}})
        number = opened["spec"]["ports"][0]["nodePort"]
        assert opened["spec"]["clusterIP"] == ip and number
        kept = await cluster.update("services", service(type_="NodePort", sessionAffinity="ClientIP"))
        assert kept["spec"]["clusterIP"] == ip and kept["spec"]["ports"][0]["nodePort"] == number
        closed = await cluster.patch("services", "s", {"spec": {"type": "ClusterIP"}})
        assert "nodePort" not in closed["spec"]["ports"][0]
        await cluster.create(with_node_port(service("t", "NodePort"), number))
        headless = await cluster.create(service("h", clusterIP="None"))
        assert headless["spec"]["clusterIPs"] == ["None"]
        alias = await cluster.create({**service("a"), "spec": {"type": "ExternalName", "externalName": "x.y"}})
        assert "clusterIP" not in alias["spec"]
    in_cluster(check)


def test_one_number_serves_a_port_under_two_protocols():
    async def check(cluster: Cluster) -> None:
        ports = [{"name": "tcp", "port": 53, "protocol": "TCP"}, {"name": "udp", "port": 53, "protocol": "UDP"}]
        made = await cluster.create(with_(service(type_="NodePort"), "spec.ports", ports))
        assert len({port["nodePort"] for port in made["spec"]["ports"]}) == 1
    in_cluster(check)


