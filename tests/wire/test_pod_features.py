"""What the tutorials' manifests say of pods, and the states and columns in which kubectl shows them."""
import re
from ipaddress import ip_address, ip_network

import pytest
import yaml
from conftest import EXAMPLES, daemonset

from rows import rows


def example(name, space):
    manifest = yaml.safe_load((EXAMPLES / name).read_text())
    manifest["metadata"]["namespace"] = space.name
    manifest["spec"]["template"]["spec"]["nodeSelector"] = {"test": space.name}
    return manifest


def on_own_nodes(space, **more):
    return daemonset("agent", nodeSelector={"test": space.name}, **more)


def pod(name, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "containers": [{"name": "main", "image": "web:1"}], **spec}}


def shown(space, *arguments):
    """The cells of `kubectl get pods`, a row a pod."""
    return [line.split() for line in space.kubectl("get", "pods", "--no-headers", *arguments).lines]


@rows(94, 95, 96, 97)
def test_fluentd_elasticsearch_as_it_is_described(space, pool):
    node, = pool(1)
    space.apply(example("fluentd-elasticsearch.yaml", space))
    space.on_nodes("name=fluentd-elasticsearch", node)
    one = space.pods("name=fluentd-elasticsearch")[node]
    container, = one["spec"]["containers"]
    assert container["resources"] == {"limits": {"memory": "200Mi"}, "requests": {"cpu": "100m", "memory": "200Mi"}}
    assert [mount for mount in container["volumeMounts"] if mount["name"].startswith("var")] == [
        {"mountPath": "/var/log", "name": "varlog"},
        {"mountPath": "/var/lib/docker/containers", "name": "varlibdockercontainers", "readOnly": True}]
    assert one["spec"]["terminationGracePeriodSeconds"] == 30
    for said in (space.kubectl("describe", "pod", one["metadata"]["name"]).stdout,
                 space.kubectl("describe", "ds", "fluentd-elasticsearch").stdout):
        text = re.sub(r"[ \t]+", " ", said)
        for part in (" Limits:\n memory: 200Mi\n Requests:\n cpu: 100m\n memory: 200Mi\n",
                     " /var/lib/docker/containers from varlibdockercontainers (ro)\n /var/log from varlog (rw)\n",
                     " varlog:\n Type: HostPath (bare host directory volume)\n Path: /var/log\n HostPathType: \n",
                     " varlibdockercontainers:\n Type: HostPath (bare host directory volume)\n"):
            assert part in text


@rows(97)
def test_a_deleted_pod_has_thirty_seconds(space, pool):
    node, = pool(1, behaviour={"stop": "25s"})
    space.apply(example("fluentd-elasticsearch.yaml", space))
    space.on_nodes("name=fluentd-elasticsearch", node)
    name = space.pods("name=fluentd-elasticsearch")[node]["metadata"]["name"]
    space.kubectl("delete", "pod", name, "--wait=false")
    assert space.get("pod", name)["metadata"]["deletionGracePeriodSeconds"] == 30
    assert shown(space)[0][1:3] == ["1/1", "Terminating"]
    space.kubectl("delete", "pod", name, "--force", "--grace-period=0")
    space.on_nodes("name=fluentd-elasticsearch", node)


@rows(94, 112, 113)
def test_a_starved_daemon_waits_until_there_is_room(cluster, space, pool):
    """What counts are requests.  Each of the tutorial's fixes: smaller requests, other pods moved away, more nodes."""
    node, = pool(1, capacity={"cpu": "1"})
    space.apply(on_own_nodes(space, container={"resources": {"requests": {"cpu": "900m"}, "limits": {"cpu": "900m"}}}))
    space.on_nodes("app=agent", node)
    starved = daemonset("starved", nodeSelector={"test": space.name}, container={"resources": {"requests": {"cpu": "500m"}}})
    space.apply(starved)
    def told(there):
        return any(one["reason"] == "FailedScheduling" for one in there.values())
    space.until("events", told)
    assert [row[1:4] for row in shown(space, "-l", "app=starved")] == [["0/1", "Pending", "0"]]
    total = len(cluster.kubectl("get", "nodes", "-o", "name").lines)
    message = (f"0/{total} nodes are available: 1 Insufficient cpu, {total - 1} node(s) didn't satisfy plugin(s) [NodeAffinity]. "
               f"preemption: 0/{total} nodes are available: 1 No preemption victims found for incoming pod, "
               f"{total - 1} Preemption is not helpful for scheduling.")
    assert space.events("FailedScheduling", "starved") == [message]
    assert re.search(rf"Warning +FailedScheduling +\S+ +default-scheduler +{re.escape(message)}",
                     space.kubectl("describe", "pods", "-l", "app=starved").stdout)
    space.kubectl("set", "resources", "ds", "starved", "--requests=cpu=50m")
    space.on_nodes("app=starved", node)
    space.kubectl("set", "resources", "ds", "starved", "--requests=cpu=500m")
    space.until("pods", lambda there: any("nodeName" not in one["spec"] for one in there.values()), "-l", "app=starved")
    other, = pool(1)
    space.until("pods", lambda there: any(one["spec"].get("nodeName") == other for one in there.values()), "-l", "app=starved")
    space.kubectl("delete", "ds", "agent")
    space.on_nodes("app=starved", node, other)


@rows(98, 99)
def test_ports_of_a_daemon(cluster, space, pool):
    """A host port makes the daemon known at its node's address; there it can be only once."""
    node, = pool(1)
    ports = [{"containerPort": 9100, "hostPort": 9100, "name": "metrics", "protocol": "TCP"}, {"containerPort": 80}]
    space.apply(on_own_nodes(space, container={"ports": ports}))
    space.on_nodes("app=agent", node)
    one = space.pods("app=agent")[node]
    assert one["spec"]["containers"][0]["ports"] == [ports[0], {"containerPort": 80, "protocol": "TCP"}]
    address = cluster.kubectl("get", "node", node, "-o", "wide").table[0]["INTERNAL-IP"]
    assert one["status"]["hostIP"] == address
    said = [" ".join(line.split()) for line in space.kubectl("describe", "pod", one["metadata"]["name"]).lines]
    assert "Ports: 9100/TCP, 80/TCP" in said and "Host Ports: 9100/TCP, 0/TCP" in said
    space.apply(daemonset("rival", nodeSelector={"test": space.name}, container={"ports": ports[:1]}))
    space.until("events", lambda there: any(
        "1 node(s) didn't have free ports for the requested pod ports" in one["message"] for one in there.values()))


@rows(100)
def test_a_daemon_in_the_network_of_its_node(space, pool):
    node, = pool(1)
    space.apply(on_own_nodes(space, hostNetwork=True, container={"ports": [{"containerPort": 9100}]}))
    space.on_nodes("app=agent", node)
    one = space.pods("app=agent")[node]
    assert one["status"]["podIP"] == one["status"]["hostIP"]
    assert one["spec"]["containers"][0]["ports"] == [{"containerPort": 9100, "hostPort": 9100, "protocol": "TCP"}]


@rows(101)
def test_an_image_that_is_present_is_not_pulled_again(space, pool):
    node, = pool(1)
    space.apply(on_own_nodes(space, container={"imagePullPolicy": "IfNotPresent"}))
    space.on_nodes("app=agent", node)
    first = space.pods("app=agent")[node]["metadata"]["name"]
    space.kubectl("delete", "pod", first)
    space.on_nodes("app=agent", node)
    second = space.pods("app=agent")[node]["metadata"]["name"]
    space.until("events", lambda there: sum(one["reason"] == "Pulled" for one in there.values()) == 2)
    pulled, = space.events("Pulled", first)
    assert pulled.startswith('Successfully pulled image "agent:1" in ')
    assert space.events("Pulled", second) == ['Container image "agent:1" already present on machine']
    assert space.events("Pulling", second) == []


@rows(103, 104)
def test_the_security_context_of_the_example(space, pool):
    node, = pool(1, labels={"type": "platform-tools"})
    manifest = example("fluentd-affinity.yaml", space)
    manifest["spec"]["template"]["spec"]["nodeSelector"] = {"muster.dev/pool": f"{space.name}-p0"}
    space.apply(manifest)
    space.on_nodes("name=fluentd", node)
    spec = space.pods("name=fluentd")[node]["spec"]
    assert spec["securityContext"] == {"runAsNonRoot": True}
    assert spec["containers"][0]["securityContext"] == {"allowPrivilegeEscalation": False}


@rows(105, 106)
def test_a_privileged_daemon_with_users_of_its_own(space, pool):
    node, = pool(1)
    space.apply(on_own_nodes(space, securityContext={"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000},
                             container={"securityContext": {"privileged": True}}))
    space.on_nodes("app=agent", node)
    spec = space.pods("app=agent")[node]["spec"]
    assert spec["securityContext"] == {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000}
    assert spec["containers"][0]["securityContext"] == {"privileged": True}
    wrong = on_own_nodes(space, container={"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}})
    said = space.kubectl("apply", "-f", "-", given=wrong, fails=True).stderr
    assert "cannot set `allowPrivilegeEscalation` to false and `privileged` to true" in said
    wrong = on_own_nodes(space, securityContext={"runAsUser": -1})
    said = space.kubectl("apply", "-f", "-", given=wrong, fails=True).stderr
    assert "spec.template.spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive" in said


ROOTS_MAY_NOT = "container's runAsUser breaks non-root policy"


@rows(103, 106, 107)
@pytest.mark.parametrize(("of_the_pod", "of_the_container", "runs"), [
    pytest.param({"runAsNonRoot": True, "runAsUser": 1000}, {}, True, id="the pod's user counts"),
    pytest.param({"runAsNonRoot": True, "runAsUser": 0}, {"runAsUser": 1000}, True, id="the container's wins over root"),
    pytest.param({"runAsNonRoot": True, "runAsUser": 1000}, {"runAsUser": 0}, False, id="root wins over the pod's user"),
    pytest.param({"runAsNonRoot": True, "runAsUser": 0}, {"runAsNonRoot": False}, True, id="the container may be root"),
])
def test_the_containers_security_context_wins_over_the_pods(space, pool, of_the_pod, of_the_container, runs):
    node, = pool(1)
    space.apply(pod("web", nodeName=node, securityContext=of_the_pod, containers=[
        {"name": "main", "image": "web:1", "securityContext": of_the_container}]))
    def settled(there):
        states = [one["state"] for one in there["web"].get("status", {}).get("containerStatuses", ())]
        return any("running" in state for state in states) or any(
            state.get("waiting", {}).get("reason") == "CreateContainerConfigError" for state in states)
    space.until("pods", settled, "--field-selector=metadata.name=web")
    assert shown(space)[0][1:3] == (["1/1", "Running"] if runs else ["0/1", "CreateContainerConfigError"])
    if not runs:
        assert ROOTS_MAY_NOT in space.kubectl("describe", "pod", "web").stdout


@rows(109, 110, 112, 182)
def test_the_states_of_pods(space, pool):
    """Pending, ContainerCreating, Running, Terminating; Error and CrashLoopBackOff; ErrImagePull and ImagePullBackOff."""
    node, = pool(1, behaviour={"pull": "100ms", "start": "100ms", "stop": "300ms"})
    seen = {}
    space.apply(pod("first", schedulerName="nobody", containers=[{"name": "main", "image": "web:1"}]))
    watch = space.start("get", "pods", "-w", "--no-headers")
    try:
        assert watch.stdout.readline().startswith("first"), "from here on nothing is missed"
        crash = {"metadata": {"annotations": {"muster.dev/crash": "main,after=100ms"}}}
        for name, image, more in (("web", "web:1", {}), ("crashes", "web:1", crash), ("broken", "web:404", {})):
            one = pod(name, nodeName="" if name == "web" else node, nodeSelector={"test": space.name},
                      containers=[{"name": "main", "image": image}])
            one["metadata"] |= more.get("metadata", {})
            space.kubectl("create", "-f", "-", given=one)
        wanted = {"web": {"Pending", "ContainerCreating", "Running", "Terminating"},
                  "crashes": {"Running", "Error", "CrashLoopBackOff"},
                  "broken": {"Pending", "ContainerCreating", "ErrImagePull", "ImagePullBackOff"}}
        ended = False
        for line in watch.stdout:
            name, ready, state, restarts = line.split()[:4]
            seen.setdefault(name, []).append((ready, state, restarts))
            if state == "Running" and name == "web" and not ended:
                space.kubectl("delete", "pod", "web", "--wait=false")
                ended = True
            states = {name: {state for _, state, _ in rows} for name, rows in seen.items()}
            if ended and all(states.get(name, set()) | {"Pending", "ContainerCreating"} >= wanted[name] for name in wanted):
                break
    finally:
        watch.kill()
        watch.communicate()
    assert ("0/1", "Pending", "0") in seen["web"] and ("1/1", "Running", "0") in seen["web"]
    assert ("0/1", "ContainerCreating", "0") in seen["web"]
    assert ("1/1", "Terminating", "0") in seen["web"]
    assert ("0/1", "Error", "0") in seen["crashes"] and ("0/1", "CrashLoopBackOff", "1") in seen["crashes"]
    assert ("0/1", "ErrImagePull", "0") in seen["broken"] and ("0/1", "ImagePullBackOff", "0") in seen["broken"]
    restarts, = (row[3:] for row in shown(space) if row[0] == "crashes")
    assert int(restarts[0]) >= 1 and re.fullmatch(r"\(\d+s", restarts[1]) and restarts[2] == "ago)"
    said = space.kubectl("describe", "pod", "crashes").stdout
    assert re.search(r"Last State: +Terminated\n +Reason: +Error\n +Exit Code: +1\n", said)
    assert re.search(r"Warning +BackOff .*Back-off restarting failed container main in pod crashes_", said)


@rows(111)
def test_the_addresses_of_pods_are_of_their_nodes_range(cluster, space, pool):
    nodes = pool(2)
    space.apply(on_own_nodes(space), daemonset("other", nodeSelector={"test": space.name}))
    for name in ("agent", "other"):
        space.on_nodes(f"app={name}", *nodes)
    ranges = {one["metadata"]["name"]: ip_network(one["spec"]["podCIDR"])
              for one in cluster.kubectl("get", "nodes", "-o", "json").json["items"]}
    found = [(row["IP"], row["NODE"]) for row in space.kubectl("get", "pods", "-o", "wide").table]
    assert len({address for address, _ in found}) == 4
    assert all(ip_address(address) in ranges[node] for address, node in found)
