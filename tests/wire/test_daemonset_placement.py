"""Which nodes run a daemon: all of them, those with a label, those an affinity names; as nodes come and go."""
import re

import yaml
from conftest import EXAMPLES, daemonset, needs_kubectl, nodes_of

from rows import rows

HASH, GENERATION = "controller-revision-hash", "pod-template-generation"


def node_names(cluster):
    return cluster.kubectl("get", "nodes", "-o", "name").stdout.replace("node/", "").split()


def example(name, namespace):
    """One of our examples, as it would be in another namespace."""
    text = (EXAMPLES / name).read_text()
    return {**(found := yaml.safe_load(text)), "metadata": {**found["metadata"], "namespace": namespace}}


@rows(1, 4, 12, 16, 94, 97)
def test_filebeat_runs_on_every_node(cluster):
    applied = cluster.kubectl("apply", "-f", EXAMPLES / "filebeat-ds.yaml")
    try:
        assert applied.lines == ["daemonset.apps/filebeat-ds created"]
        cluster.kubectl("-n", "kube-system", "rollout", "status", "ds", "filebeat-ds", "--timeout=50s")
        found = cluster.kubectl("-n", "kube-system", "get", "ds", "filebeat-ds", "-o", "json").json
        assert (found["apiVersion"], found["kind"]) == ("apps/v1", "DaemonSet")
        assert found["metadata"]["name"] == "filebeat-ds" and found["metadata"]["namespace"] == "kube-system"
        assert found["metadata"]["labels"] == {"app": "filebeat-logging"}
        shown = cluster.kubectl("-n", "kube-system", "get", "pods", "-l", "name=filebeat", "--no-headers",
                                "-o", "custom-columns=NAME:metadata.name,NODE:spec.nodeName").lines
        pods = dict(line.split() for line in shown)
        assert sorted(pods.values()) == sorted(node_names(cluster))
        assert all(re.fullmatch(r"filebeat-ds-[a-z0-9]{5}", name) for name in pods)
    finally:
        deleted = cluster.kubectl("delete", "-f", EXAMPLES / "filebeat-ds.yaml")
    assert deleted.lines == ['daemonset.apps "filebeat-ds" deleted']


@rows(1)
def test_a_daemonset_is_a_namespaced_object(cluster, space):
    listed = cluster.kubectl("api-resources", "--api-group=apps", "--namespaced=true", "--no-headers").lines
    assert ["daemonsets", "ds", "apps/v1", "true", "DaemonSet"] in [line.split() for line in listed]
    space.apply(daemonset("agent"))
    missing = cluster.kubectl("-n", "default", "get", "ds", "agent", fails=True)
    assert missing.stderr.strip() == 'Error from server (NotFound): daemonsets.apps "agent" not found'


@rows(2, 84, 85)
def test_every_spelling_of_daemonset_is_understood(space):
    space.apply(daemonset("agent"))
    space.settled("agent", len(node_names(space.cluster)))
    for spelling in ("ds", "daemonset", "daemonsets", "daemonSet", "DaemonSet", "daemonsets.apps", "daemonsets.v1.apps"):
        assert space.kubectl("get", spelling, "agent", "-o", "name").lines == ["daemonset.apps/agent"], spelling
    assert re.match(r"Name: +agent\n", space.kubectl("describe", "daemonsets").stdout)
    assert space.kubectl("rollout", "history", "daemonset", "agent").lines[0] == "daemonset.apps/agent"
    space.kubectl("set", "image", "ds/agent", "main=agent:2")
    assert space.kubectl("rollout", "undo", "daemonset", "agent").lines == ["daemonset.apps/agent rolled back"]


@rows(2, 28, 191)
def test_explain_says_what_a_daemonset_is_made_of(cluster):
    needs_kubectl(1, 27)  # older ones ask for the descriptions in another format
    said = cluster.kubectl("explain", "daemonSet.spec").stdout
    assert re.search(r"^GROUP: +apps\nKIND: +DaemonSet\nVERSION: +v1\n\nFIELD: spec <DaemonSetSpec>", said)
    fields = dict(re.findall(r"^  (\w+)\t<(\w+)>", said, flags=re.MULTILINE))
    assert fields == {"minReadySeconds": "integer", "revisionHistoryLimit": "integer", "selector": "LabelSelector",
                      "template": "PodTemplateSpec", "updateStrategy": "DaemonSetUpdateStrategy"}
    assert re.findall(r"^  (\w+)\t<\w+> -required-", said, flags=re.MULTILINE) == ["selector", "template"]


# ------------------------------------------------------------------ nodes come and go

@rows(5, 6, 9, 201)
def test_a_pool_grows_and_shrinks_and_the_daemons_follow(cluster, space, pool):
    first = pool(1)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}))
    space.on_nodes("app=agent", *first)
    name = f"{space.name}-p0"
    assert cluster.muster("pool", "resize", name, "--nodes", 3).lines == [f"Pool [{name}] for [muster] will be resized to 3."]
    three = nodes_of(cluster, name, 3)
    space.on_nodes("app=agent", *three)
    space.settled("agent", 3)
    cluster.kubectl("scale", "nodepool", name, "--replicas=1")
    space.on_nodes("app=agent", *first)
    space.settled("agent", 1)


@rows(6)
def test_a_node_is_deleted_and_its_pod_is_collected(cluster, space, pool):
    keeps, goes = pool(2)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}))
    space.on_nodes("app=agent", keeps, goes)
    cluster.kubectl("patch", "nodepool", f"{space.name}-p0", "--type=merge", "-p", '{"metadata":{"labels":{"seen":"yes"}}}')
    deleted = cluster.kubectl("delete", "node", goes)
    assert deleted.lines == [f'node "{goes}" deleted']
    # the pool replaces the node, as a cloud would: the pod of the one that went is gone all the same
    def replaced(there):
        on = {pod["spec"].get("nodeName") for pod in there.values()}
        return goes not in on and keeps in on and len(on) == 2 and None not in on
    space.until("pods", replaced, "-l", "app=agent")


@rows(7, 89)
def test_its_pods_go_with_a_deleted_daemonset(space):
    space.apply(daemonset("agent"))
    space.settled("agent", len(node_names(space.cluster)))
    assert space.kubectl("delete", "daemonset", "agent").lines == ['daemonset.apps "agent" deleted']
    if space.kubectl("get", "pods", "-o", "name").lines:
        space.kubectl("wait", "--for=delete", "pods", "-l", "app=agent", "--timeout=50s")
    assert space.kubectl("get", "pods").stderr.strip() == f"No resources found in {space.name} namespace."


@rows(8)
def test_a_pod_deleted_by_hand_comes_back_on_its_node(space):
    space.apply(daemonset("agent"))
    nodes = node_names(space.cluster)
    space.on_nodes("app=agent", *nodes)
    lost = space.pods("app=agent")[nodes[0]]["metadata"]["name"]
    assert space.kubectl("delete", "pod", lost).lines[0].startswith(f'pod "{lost}" deleted')
    space.on_nodes("app=agent", *nodes)
    assert space.pods("app=agent")[nodes[0]]["metadata"]["name"] != lost
    assert f"Deleted pod: {lost}" not in space.events("SuccessfulDelete")


@rows(9)
def test_a_daemonset_has_no_replicas(space):
    needs_kubectl(1, 25)  # older ones do not ask the server to refuse unknown fields
    wrong = daemonset("agent")
    wrong["spec"]["replicas"] = 3
    said = space.kubectl("create", "-f", "-", given=wrong, fails=True).stderr
    assert 'unknown field "spec.replicas"' in said or 'unknown field "replicas"' in said
    space.apply(daemonset("agent"))
    said = space.kubectl("scale", "ds", "agent", "--replicas=2", fails=True).stderr
    assert said.strip() == "Error from server (NotFound): the server could not find the requested resource"
    assert "replicas" not in space.get("ds", "agent")["spec"]


@rows(4, 10, 44)
def test_five_hundred_workers_and_twenty_with_a_gpu(cluster, space, pool):
    gpus = pool(20, labels={"accelerator": "gpu"})
    pool(80)
    space.apply(daemonset("gpu-driver", nodeSelector={"test": space.name, "accelerator": "gpu"}))
    space.settled("gpu-driver", 20)
    assert sorted(space.pods("app=gpu-driver")) == gpus
    cluster.muster("pool", "resize", f"{space.name}-p1", "--nodes", 480)
    everywhere = daemonset("agent", nodeSelector={"test": space.name})
    space.apply(everywhere)
    space.settled("agent", 500)
    assert space.kubectl("get", "ds", "agent", "--no-headers").lines[0].split()[1:6] == ["500"] * 5
    assert len(space.kubectl("get", "pods", "-l", "app=agent", "-o", "name").lines) == 500


@rows(44)
def test_a_template_that_is_refused_is_tried_once_a_look_and_not_once_a_node(space, pool):
    """Slow start: the first batch is one pod; it fails, and the 59 others are not tried."""
    pool(60)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}, priorityClassName="there-is-none"))
    past = space.until("events", lambda there: any(one["reason"] == "FailedCreate" for one in there.values()))
    event, = past[-1].values()
    assert event["count"] < 15
    assert event["message"] == ('Error creating: pods "agent-" is forbidden: '
                                "no PriorityClass with name there-is-none was found")


@rows(11)
def test_one_kind_of_daemon_with_other_flags_and_requests_for_other_hardware(space, pool):
    large = pool(1, labels={"hardware": "large"})
    small = pool(2, labels={"hardware": "small"})
    for size, cpu, memory in (("large", "1", "1Gi"), ("small", "100m", "64Mi")):
        space.apply(daemonset(f"collector-{size}", nodeSelector={"hardware": size, "test": space.name}, container={
            "args": [f"--buffers={size}"], "resources": {"requests": {"cpu": cpu, "memory": memory}}}))
    space.on_nodes("app=collector-large", *large)
    space.on_nodes("app=collector-small", *small)
    shown = space.kubectl("get", "pods", "--no-headers", "-o", "custom-columns=NODE:.spec.nodeName,"
                          "ARGS:.spec.containers[0].args[0],CPU:.spec.containers[0].resources.requests.cpu").lines
    assert sorted(line.split() for line in shown) == sorted(
        [[large[0], "--buffers=large", "1"], *([name, "--buffers=small", "100m"] for name in small)])


# ------------------------------------------------------------------ selectors and affinities

@rows(31, 32, 173)
def test_a_node_selector_with_several_keys(cluster, space, pool):
    both, one = pool(1, labels={"disk": "ssd", "beta": "true"}), pool(1, labels={"disk": "ssd"})
    space.apply(daemonset("agent", nodeSelector={"test": space.name, "disk": "ssd"}),
                daemonset("picky", nodeSelector={"test": space.name, "disk": "ssd", "beta": "true"}))
    space.on_nodes("app=agent", *both, *one)
    space.on_nodes("app=picky", *both)
    space.settled("picky", 1)
    selectors = {row["NAME"]: row["NODE SELECTOR"] for row in space.kubectl("get", "ds").table}
    assert selectors == {"agent": f"disk=ssd,test={space.name}", "picky": f"beta=true,disk=ssd,test={space.name}"}


@rows(33, 29)
def test_a_daemonset_that_matches_no_node_is_well(space):
    space.apply(daemonset("metadata-proxy", nodeSelector={"beta.kubernetes.io/metadata-proxy-ready": "true",
                                                          "beta.kubernetes.io/os": "linux"}))
    space.settled("metadata-proxy", 0)
    row = space.kubectl("get", "ds").lines[1].split()
    assert row[:7] == ["metadata-proxy", "0", "0", "0", "0", "0",
                       "beta.kubernetes.io/metadata-proxy-ready=true,beta.kubernetes.io/os=linux"]
    assert space.rolled_out("metadata-proxy").lines[-1] == 'daemon set "metadata-proxy" successfully rolled out'
    assert "Pods Status:  0 Running / 0 Waiting / 0 Succeeded / 0 Failed" in space.kubectl(
        "describe", "ds", "metadata-proxy").lines


@rows(34, 35, 36, 37, 39)
def test_required_affinity_decides_and_preferred_does_not(space, pool):
    wanted = pool(1, labels={"type": "platform-tools"})
    preferred = pool(1, labels={"type": "platform-tools", "instance-type": "t2.large"})
    pool(1, labels={"instance-type": "t2.large"})
    manifest = example("fluentd-affinity.yaml", space.name)
    terms = manifest["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    assert terms["preferredDuringSchedulingIgnoredDuringExecution"][0]["weight"] == 1
    space.apply(manifest)
    space.on_nodes("name=fluentd", *wanted, *preferred)
    space.settled("fluentd", 2)


@rows(38)
def test_match_fields_knows_the_name_of_a_node_and_nothing_else(cluster, space, pool):
    names = pool(2)
    def by_field(key, value):
        return daemonset("agent", affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchFields": [{"key": key, "operator": "In", "values": [value]}]}]}}})
    said = space.kubectl("apply", "-f", "-", given=by_field("key-name", "value-name"), fails=True).stderr
    assert said.startswith('The DaemonSet "agent" is invalid: spec.template.spec.affinity.nodeAffinity.'
                           'requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: '
                           'Invalid value: "key-name": not a valid field selector key')
    space.apply(by_field("metadata.name", names[1]))
    space.on_nodes("app=agent", names[1])
    space.settled("agent", 1)


@rows(40, 45)
def test_each_pod_is_pinned_to_its_node_by_name(space, pool):
    """The name term of the template is replaced by the pod's own; its label terms stay."""
    names = pool(2)
    required = {"nodeSelectorTerms": [{
        "matchExpressions": [{"key": "test", "operator": "In", "values": [space.name]}],
        "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["elsewhere"]}]}]}
    space.apply(daemonset("agent", affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}))
    space.on_nodes("app=agent", *names)
    for node, pod in space.pods("app=agent").items():
        terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert terms == {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]}


@rows(41, 130)
def test_the_default_scheduler_binds_daemon_pods(space, pool):
    node, = pool(1)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}))
    space.on_nodes("app=agent", node)
    pod = space.pods("app=agent")[node]
    assert pod["spec"]["schedulerName"] == "default-scheduler"
    said = space.kubectl("describe", "pod", pod["metadata"]["name"]).stdout
    assert re.search(rf"Normal +Scheduled +\S+ +default-scheduler +Successfully assigned {space.name}/"
                     rf"{pod['metadata']['name']} to {node}\n", said)


@rows(42, 187)
def test_a_label_brings_a_daemon_to_a_node_and_takes_it_away(cluster, space, pool):
    first, second = pool(2)
    space.apply(daemonset("agent", nodeSelector={"test": space.name, "disk": "ssd"}))
    space.settled("agent", 0)
    assert cluster.kubectl("label", "node", first, "disk=ssd").lines == [f"node/{first} labeled"]
    space.on_nodes("app=agent", first)
    cluster.kubectl("label", "node", second, "disk=ssd")
    space.on_nodes("app=agent", first, second)
    cluster.kubectl("label", "node", first, "disk-")
    space.on_nodes("app=agent", second)
    space.settled("agent", 1)


# ------------------------------------------------------------------ the pods themselves

@rows(43)
def test_a_pod_may_be_changed_in_part_and_the_next_node_gets_the_template(cluster, space, pool):
    first, = pool(1)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}))
    space.on_nodes("app=agent", first)
    name = space.pods("app=agent")[first]["metadata"]["name"]
    space.kubectl("set", "image", "pod", name, "main=agent:changed")
    space.kubectl("annotate", "pod", name, "note=changed")
    said = space.kubectl("patch", "pod", name, "-p", '{"spec":{"terminationGracePeriodSeconds":5}}', fails=True).stderr
    assert said.startswith(f'The Pod "{name}" is invalid: spec: Forbidden: pod updates may not change fields other than '
                           "`spec.containers[*].image`")
    cluster.muster("pool", "resize", f"{space.name}-p0", "--nodes", 2)
    both = nodes_of(cluster, f"{space.name}-p0", 2)
    space.on_nodes("app=agent", *both)
    images = {node: pod["spec"]["containers"][0]["image"] for node, pod in space.pods("app=agent").items()}
    second, = set(both) - {first}
    assert images == {first: "agent:changed", second: "agent:1"}
    assert "note" not in space.pods("app=agent")[second]["metadata"].get("annotations", {})


@rows(45)
def test_what_a_new_pod_is_made_of(space, pool):
    node, = pool(1)
    space.apply(daemonset("agent", nodeSelector={"test": space.name}))
    space.on_nodes("app=agent", node)
    pod = space.pods("app=agent")[node]
    owner = space.get("ds", "agent")["metadata"]
    revision, = space.get("controllerrevisions")["items"]
    assert pod["metadata"]["generateName"] == "agent-"
    assert pod["metadata"]["ownerReferences"] == [{
        "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": owner["uid"], "controller": True,
        "blockOwnerDeletion": True}]
    assert pod["metadata"]["labels"] == {"app": "agent", HASH: revision["metadata"]["labels"][HASH], GENERATION: "1"}
    assert revision["metadata"]["name"] == f"agent-{revision['metadata']['labels'][HASH]}"
    assert {one["key"] for one in pod["spec"]["tolerations"]} >= {"node.kubernetes.io/not-ready"}


@rows(46)
def test_a_surplus_pod_and_a_misplaced_one_are_deleted(space, pool):
    node, = pool(1)
    elsewhere, = pool(1, labels={"test": "other"})
    space.apply(daemonset("agent", nodeSelector={"test": space.name}))
    space.on_nodes("app=agent", node)
    first = space.pods("app=agent")[node]["metadata"]["name"]
    for name, place in (("surplus", node), ("misplaced", elsewhere)):
        space.kubectl("create", "-f", "-", given={
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "agent"}},
            "spec": {"nodeName": place, "containers": [{"name": "main", "image": "agent:1"}]}})
    def told(there):
        messages = {one["message"] for one in there.values()}
        return {"Deleted pod: surplus", "Deleted pod: misplaced"} <= messages
    space.until("events", told)
    space.on_nodes("app=agent", node)
    assert space.pods("app=agent")[node]["metadata"]["name"] == first


@rows(47, 48, 117, 193)
def test_daemons_of_every_kind_in_kube_system(cluster):
    """Storage, logs, monitoring, security and the network: what the tutorials run on every node."""
    kinds = {"ceph": "quay.io/ceph/ceph:v19", "fluent-bit": "fluent/fluent-bit:3.2", "kube-bench": "aquasec/kube-bench:v0.10",
             "prometheus-node-exporter": "quay.io/prometheus/node-exporter:v1.8.2", "calico-node": "calico/node:v3.29.1",
             "kube-proxy": "registry.k8s.io/kube-proxy:v1.32.4"}
    critical = {"calico-node", "kube-proxy"}
    items = [daemonset(name, image, metadata={"labels": {"tutorial": "use-cases"}}, labels={"k8s-app": name},
                       **({"priorityClassName": "system-node-critical", "hostNetwork": True} if name in critical else {}))
             for name, image in kinds.items()]
    cluster.kubectl("-n", "kube-system", "apply", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": items})
    try:
        count = str(len(node_names(cluster)))
        for name in kinds:
            cluster.kubectl("-n", "kube-system", "rollout", "status", "ds", name, "--timeout=50s")
        shown = cluster.kubectl("get", "ds", "-n", "kube-system", "-l", "tutorial=use-cases", "--no-headers").lines
        assert {line.split()[0]: line.split()[1:6] for line in shown} == {name: [count] * 5 for name in kinds}
        pods = cluster.kubectl("-n", "kube-system", "get", "pods", "-l", "k8s-app in (calico-node,kube-proxy)",
                               "-o", "json").json["items"]
        assert {pod["spec"]["priority"] for pod in pods} == {2000001000}
    finally:
        cluster.kubectl("-n", "kube-system", "delete", "ds", "-l", "tutorial=use-cases", "--wait=false")
