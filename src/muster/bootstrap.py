"""The objects that every new cluster begins with.  Plain values; `app.py` creates the missing ones.

What and why: https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#initial-namespaces
and https://kubernetes.io/docs/tasks/administer-cluster/guaranteed-scheduling-critical-addon-pods/
"""
from __future__ import annotations

from .api.kinds.priority_class import system_classes
from .api.objects import Obj
from .api.storage import NODE_LOCAL, SIMULATED

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
DEFAULT_CLASS = "standard"  # of storage: claims that name no class get it
SERVICE_IP = "10.96.0.1"  # the first address of the service range belongs to the API server
DNS_IP = "10.96.0.10"  # where pods of real nodes ask for names


def first_objects(host: str, port: int, *, real_nodes: bool = False) -> list[Obj]:
    """`host` and `port`: where the API server listens, for the `kubernetes` service's endpoints.

    Where pods are real, a claim's volume is a folder on the node of its first pod; else it is nothing, and everywhere.
    """
    storage = (NODE_LOCAL, "WaitForFirstConsumer") if real_nodes else (SIMULATED, "Immediate")
    return [
        *({"apiVersion": "v1", "kind": "Namespace",
           "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}} for name in NAMESPACES),
        *system_classes(),
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
         "metadata": {"name": DEFAULT_CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
         "provisioner": storage[0], "reclaimPolicy": "Delete", "volumeBindingMode": storage[1]},
        {"apiVersion": "v1", "kind": "Service",
         "metadata": {"name": "kubernetes", "namespace": "default",
                      "labels": {"component": "apiserver", "provider": "kubernetes"}},
         "spec": {"type": "ClusterIP", "clusterIP": SERVICE_IP,
                  "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]}},
        *(api_endpoints(host, port) if _is_reachable(host) else []),
    ]


def _is_reachable(host: str) -> bool:
    """An endpoint may be no loopback address, nor "any": nothing is said where the server listens on one of these."""
    return not host.startswith("127.") and host not in ("::1", "localhost", "0.0.0.0", "::")


def api_endpoints(host: str, port: int) -> list[Obj]:
    """Where the `kubernetes` service leads."""
    return _by_hand("kubernetes", "default", host, [{"name": "https", "port": port, "protocol": "TCP"}])


def cluster_info(kubeconfig: str) -> Obj:
    """What a machine that is to become a node reads before it trusts anyone: where the cluster is, and its CA."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster-info", "namespace": "kube-public"},
            "data": {"kubeconfig": kubeconfig}}


def name_server(host: str, port: int) -> list[Obj]:
    """The service that pods ask for names, and where it leads.  Clients know it as kube-dns, whoever answers."""
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    return [{"apiVersion": "v1", "kind": "Service",
             "metadata": {"name": "kube-dns", "namespace": "kube-system",
                          "labels": {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true"}},
             "spec": {"type": "ClusterIP", "clusterIP": DNS_IP, "ports": ports}},
            *_by_hand("kube-dns", "kube-system", host, [{**one, "port": port} for one in ports])]


def _by_hand(name: str, namespace: str, host: str, ports: list[Obj]) -> list[Obj]:
    """The endpoints of a service without a selector, in both forms."""
    return [{"apiVersion": "v1", "kind": "Endpoints",
             "metadata": {"name": name, "namespace": namespace,
                          "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
             "subsets": [{"addresses": [{"ip": host}], "ports": ports}]},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
             "metadata": {"name": name, "namespace": namespace,
                          "labels": {"kubernetes.io/service-name": name}},
             "addressType": "IPv4", "ports": ports,
             "endpoints": [{"addresses": [host], "conditions": {"ready": True}}]}]


def node_pool(name: str, replicas: int, template: Obj | None = None, behaviour: Obj | None = None) -> Obj:
    """A NodePool object; what is left out is filled in by its kind's defaults."""
    spec: Obj = {"replicas": replicas}
    if template:
        spec["template"] = template
    if behaviour:
        spec["behaviour"] = behaviour
    return {"apiVersion": "muster.dev/v1alpha1", "kind": "NodePool", "metadata": {"name": name}, "spec": spec}
