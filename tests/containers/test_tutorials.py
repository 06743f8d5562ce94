"""What five tutorials apply, on real nodes and as it is written: only what runs in the place of its images is ours.

Of two nodes the first is the one that the tutorials label: ssd disks, a platform node, one that a cloud has prepared.
"""
import json
from pathlib import Path

import pytest
from conftest import image
from real_nodes import WAITS, Nodes, Space, pod, shell

TOUR = Path(__file__).parents[2] / "examples" / "tour"
LABELS = ("disk=ssd", "disktype=ssd", "type=platform-tools", "beta.kubernetes.io/fluentd-ds-ready=true",
          "beta.kubernetes.io/metadata-proxy-ready=true")
BOTH, FIRST = ["node-1", "node-2"], ["node-1"]
SAYS = "echo $HOSTNAME is at work; " + WAITS
SERVES = "mkdir /www; echo $HOSTNAME > /www/index.html; echo $HOSTNAME is at work; exec httpd -f -p 80 -h /www"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, busybox):
    folder = tmp_path_factory.mktemp("tutorials")
    says, serves = image(folder, "localhost/says:1", SAYS), image(folder, "localhost/serves:1", SERVES)
    made = Nodes(tmp_path_factory.mktemp("cluster"), "--nodes", 2, "--load-image", busybox, "--load-image", says,
                 "--load-image", serves, "--image-map", "nginx:*=localhost/serves:1", "--image-map", "busybox=busybox",
                 "--image-map", "*=localhost/says:1")
    made.up()
    made.kubectl("label", "node", "node-1", *LABELS)
    made.kubectl("create", "namespace", "logging")
    made.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "logging", "--timeout=10s")
    yield made
    made.down()
    assert made.leftovers() == []


@pytest.fixture
def applied(cluster, request):
    manifest, namespace = request.param
    space = Space(cluster, namespace)
    cluster.kubectl("apply", "-n", namespace, "-f", TOUR / manifest)
    yield space
    cluster.kubectl("delete", "-n", namespace, "-f", TOUR / manifest, "--wait=true")
    cluster.kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0")


def pods_of(space, selector):
    listed = json.loads(space.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
    return sorted(listed, key=lambda one: one["spec"]["nodeName"])


@pytest.mark.long
@pytest.mark.parametrize("applied, daemonset, selector, nodes", [
    pytest.param(("000-filebeat/ds-filebeat-demo.yaml", "kube-system"), "filebeat-ds", "name=filebeat", BOTH, id="filebeat"),
    pytest.param(("000-filebeat/ds-filebeat-ssd.yaml", "kube-system"), "filebeat-ds", "name=filebeat", FIRST,
                 id="filebeat on ssd"),
    pytest.param(("000-filebeat/gke-daemons.yaml", "kube-system"), "fluentd-gcp-v3.1.1", "k8s-app=fluentd-gcp", FIRST,
                 id="what a cloud runs"),
    pytest.param(("000-filebeat/gke-daemons.yaml", "kube-system"), "metadata-proxy-v0.1", "k8s-app=metadata-proxy", FIRST,
                 id="what a cloud runs, too"),
    pytest.param(("000-filebeat/gke-daemons.yaml", "kube-system"), "nvidia-gpu-device-plugin",
                 "k8s-app=nvidia-gpu-device-plugin", [], id="where there are accelerators"),
    pytest.param(("001-source/agent.yaml", "default"), "agent", "app=agent", BOTH, id="every field of a DaemonSet"),
    pytest.param(("002-family/nginx-ds.yaml", "default"), "nginx", "app=nginx", BOTH, id="nginx"),
    pytest.param(("002-family/nginx-ds-ssd.yaml", "default"), "nginx", "app=nginx", FIRST, id="nginx on ssd"),
    pytest.param(("003-digest/fluentd-elasticsearch.yaml", "kube-system"), "fluentd-elasticsearch",
                 "name=fluentd-elasticsearch", BOTH, id="fluentd-elasticsearch"),
    pytest.param(("004-beginners/daemonset.yaml", "logging"), "fluentd", "name=fluentd", BOTH, id="fluentd"),
], indirect=["applied"])
def test_daemons(applied, daemonset, selector, nodes):
    applied.kubectl("rollout", "status", f"daemonset/{daemonset}", "--timeout=60s")
    daemons = pods_of(applied, selector)
    assert [one["spec"]["nodeName"] for one in daemons] == nodes
    for one in daemons:
        name = one["metadata"]["name"]
        assert one["status"]["containerStatuses"][0]["ready"]
        assert applied.logs(name) == f"{name} is at work\n"
        assert applied.kubectl("exec", name, "--", "hostname") == f"{name}\n"


@pytest.mark.long
@pytest.mark.parametrize("applied", [("004-beginners/affinity.yaml", "logging")], indirect=True)
def test_a_daemon_that_must_not_be_root_and_whose_image_is(applied):
    """As it is written it can not run, with that image, on any Kubernetes: what stands there says why."""
    applied.kubectl("wait", "--for=jsonpath={.status.currentNumberScheduled}=1", "daemonset/fluentd", "--timeout=30s")
    (one,) = pods_of(applied, "name=fluentd")
    seen = applied.until(one["metadata"]["name"], lambda pod: pod["status"].get("containerStatuses", [{}])[0].get(
        "state", {}).get("waiting", {}).get("reason") == "CreateContainerConfigError")
    assert "container has runAsNonRoot and image will run as root" in json.dumps(seen["status"])
    assert seen["spec"]["nodeName"] == "node-1"
    applied.kubectl("patch", "daemonset", "fluentd", "-p", json.dumps(
        {"spec": {"template": {"spec": {"securityContext": {"runAsUser": 65534}}}}}))
    applied.kubectl("rollout", "status", "daemonset/fluentd", "--timeout=60s")
    (one,) = pods_of(applied, "name=fluentd")
    assert applied.kubectl("exec", one["metadata"]["name"], "--", "id", "-u") == "65534\n"


@pytest.mark.long
@pytest.mark.parametrize("applied", [("002-family/nginx-sts.yaml", "default")], indirect=True)
def test_a_stateful_set_of_servers(applied):
    applied.kubectl("rollout", "status", "statefulset/web", "--timeout=60s")
    applied.apply(pod("asks", shell(WAITS)))
    applied.ready("asks")
    for name in ("web-0", "web-1"):
        assert applied.kubectl("exec", "asks", "--", "wget", "-qO-", f"http://{name}.nginx/") == f"{name}\n"


@pytest.mark.long
@pytest.mark.parametrize("applied, kind", [
    pytest.param(("002-family/nginx-deployment.yaml", "default"), "deployments", id="Deployment"),
    pytest.param(("002-family/rs-nginx.yaml", "default"), "replicasets", id="ReplicaSet"),
    pytest.param(("002-family/rolling.yaml", "default"), "deployments", id="a rolling Deployment"),
], indirect=["applied"])
def test_replicas(applied, kind):
    (told,) = json.loads(applied.kubectl("get", kind, "-o", "json"))["items"]
    wanted = told["spec"]["replicas"]
    applied.kubectl("wait", f"{kind}/{told['metadata']['name']}", f"--for=jsonpath={{.status.readyReplicas}}={wanted}",
                    "--timeout=60s")
    servers = pods_of(applied, "app=nginx")
    assert len(servers) == wanted
    for one in servers:
        name = one["metadata"]["name"]
        assert applied.kubectl("exec", name, "--", "wget", "-qO-", "http://127.0.0.1/") == f"{name}\n"


EXPORTER = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node-exporter, namespace: kube-system, labels: {app.kubernetes.io/name: node-exporter}}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: node-exporter}}
  template:
    metadata: {labels: {app.kubernetes.io/name: node-exporter}}
    spec:
      hostNetwork: true
      hostPID: true
      automountServiceAccountToken: false
      nodeSelector: {kubernetes.io/os: linux}
      securityContext: {runAsNonRoot: true, runAsUser: 65534, runAsGroup: 65534}
      tolerations: [{operator: Exists}]
      containers:
      - name: node-exporter
        image: busybox
        command: [sh, -c]
        args:
        - mkdir -p /tmp/www; cat /host/root/proc/loadavg /host/root/etc/hostname > /tmp/www/metrics && exec httpd -f -p 9100 -h /tmp/www
        ports: [{name: metrics, containerPort: 9100, hostPort: 9100}]
        readinessProbe: {httpGet: {path: /metrics, port: metrics}, periodSeconds: 1}
        resources: {limits: {cpu: 250m, memory: 180Mi}, requests: {cpu: 100m, memory: 180Mi}}
        securityContext:
          {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {add: [SYS_TIME], drop: [ALL]}}
        volumeMounts:
        - {name: root, mountPath: /host/root, readOnly: true}
        - {name: tmp, mountPath: /tmp}
      volumes:
      - {name: root, hostPath: {path: /}}
      - {name: tmp, emptyDir: {medium: Memory}}
"""


@pytest.mark.long
def test_a_node_exporter(cluster):
    """What most clusters run on every node: the node's network and processes, its whole file system to read, no rights."""
    system = Space(cluster, "kube-system")
    system.kubectl("apply", "-f", "-", given=EXPORTER)
    system.kubectl("rollout", "status", "daemonset/node-exporter", "--timeout=60s")
    exporters = pods_of(system, "app.kubernetes.io/name=node-exporter")
    assert [one["status"]["podIP"] for one in exporters] == [one["status"]["hostIP"] for one in exporters]
    first, second = exporters
    shown = system.kubectl("exec", first["metadata"]["name"], "--", "wget", "-qO-",
                           f"http://{second['status']['hostIP']}:9100/metrics")
    assert Path("/etc/hostname").read_text() in shown
    system.kubectl("delete", "daemonset", "node-exporter")
