"""A cluster of a few objects, as `muster why` looks at it."""
from muster.api.kinds.built_in import BUILT_IN
from muster.client.client import Listing
from muster.client.mirror import Mirror
from muster.why.scene import Scene

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
STARTED = "2025-12-31T23:50:00Z"
RESOURCES = {row.name: row.resource for row in BUILT_IN if row.stored_as is None}
LISTED = ("nodes", "pods", "namespaces", "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io",
          "poddisruptionbudgets.policy", "replicasets.apps", "controllerrevisions.apps", "events", "daemonsets.apps")


class Nobody:
    """A client that is never asked."""


def scene(*objects, now=NOW):
    there = {resource: [] for resource in LISTED}
    for obj in objects:
        there[RESOURCES[obj["kind"]]].append(obj)
    return Scene(Mirror.of(Nobody(), {resource: Listing(items, 1) for resource, items in there.items()}), now)


def node(name="n1", ready="True", taints=(), labels=None, cpu="4", **spec):
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1",
                         "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
            "spec": {"taints": list(taints), **spec},
            "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"},
                       "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": STARTED}]}}


def pod(name="p", bound="", cpu="0", priority=0, status=None, metadata=None, containers=(), **spec):
    container = {"name": "app", "image": "web:1", "resources": {"requests": {"cpu": cpu}}}
    made = {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "x", "uid": f"uid-{name}", "resourceVersion": "1", "labels": {},
                         "creationTimestamp": STARTED, **(metadata or {})},
            "spec": {"containers": list(containers) or [container], "priority": priority, **spec},
            "status": {"phase": "Pending", **(status or {})}}
    if bound:
        made["spec"]["nodeName"] = bound
    return made


def claim(name="data", phase="Pending", storage_class="slow", volume="", **metadata):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": "x", "uid": f"uid-{name}", "resourceVersion": "1", **metadata},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeMode": "Filesystem",
                     "storageClassName": storage_class, **({"volumeName": volume} if volume else {})},
            "status": {"phase": phase}}


def storage_class(name="slow", mode="Immediate", provisioner="example.com/disks"):
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}, "provisioner": provisioner,
            "volumeBindingMode": mode}


def warning(about, reason, message, when=STARTED):
    return {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{about['metadata']['name']}.{reason}", "namespace": "x",
                                                              "uid": f"uid-{reason}", "resourceVersion": "1"},
            "involvedObject": {"uid": about["metadata"]["uid"]}, "type": "Warning", "reason": reason, "message": message,
            "lastTimestamp": when}
