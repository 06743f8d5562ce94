"""The objects that every new cluster begins with.  Plain values; `app.py` creates the missing ones.

What and why: https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#initial-namespaces
and https://kubernetes.io/docs/tasks/administer-cluster/guaranteed-scheduling-critical-addon-pods/
"""
from __future__ import annotations

from .api.objects import Obj

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SYSTEM_PRIORITIES = (
    ("system-cluster-critical", 2_000_000_000,
     "For pods the cluster can not do without, but which may move to another node."),
    ("system-node-critical", 2_000_001_000, "For pods that a node can not do without. The highest priority."),
)
DEFAULT_CLASS = "standard"  # of storage: claims that name no class get it
SERVICE_IP = "10.96.0.1"  # the first address of the service range belongs to the API server


def first_objects(host: str, port: int) -> list[Obj]:
    """`host` and `port`: where the API server listens, for the `kubernetes` service's endpoints."""
    return [
        *({"apiVersion": "v1", "kind": "Namespace",
           "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}} for name in NAMESPACES),
        *({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
           "value": value, "description": description} for name, value, description in SYSTEM_PRIORITIES),
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
         "metadata": {"name": DEFAULT_CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
         "provisioner": "muster.dev/simulated", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
        {"apiVersion": "v1", "kind": "Service",
         "metadata": {"name": "kubernetes", "namespace": "default",
                      "labels": {"component": "apiserver", "provider": "kubernetes"}},
         "spec": {"type": "ClusterIP", "clusterIP": SERVICE_IP,
                  "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]}},
        # An endpoint may not be a loopback address, so nothing is said where the server only listens on one.
        *(_endpoints(host, port) if not host.startswith("127.") and host not in ("::1", "localhost") else []),
    ]


def _endpoints(host: str, port: int) -> list[Obj]:
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    return [{"apiVersion": "v1", "kind": "Endpoints",
             "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
             "subsets": [{"addresses": [{"ip": host}], "ports": ports}]},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
             "metadata": {"name": "kubernetes", "namespace": "default",
                          "labels": {"kubernetes.io/service-name": "kubernetes"}},
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
