"""A claim that grows, as kubectl asks for it and shows it."""


def test_a_claim_grows(space):
    name = f"growing-{space.name}"
    space.apply(
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
         "provisioner": "muster.dev/simulated"},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": name,
            "resources": {"requests": {"storage": "1Gi"}}}})

    def holds(amount):
        space.until("pvc", lambda there: there["data"].get("status", {}).get("capacity", {}).get("storage") == amount, "data")

    holds("1Gi")
    larger = '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'
    failed = space.kubectl("patch", "pvc", "data", "-p", larger, fails=True)
    assert failed.stderr.strip() == (
        'Error from server (Forbidden): persistentvolumeclaims "data" is forbidden: only dynamically provisioned pvc can '
        "be resized and the storageclass that provisions the pvc must support resize")
    space.kubectl("patch", "sc", name, "-p", '{"allowVolumeExpansion":true}')
    space.kubectl("patch", "pvc", "data", "-p", larger)
    space.kubectl("wait", "--for=condition=FileSystemResizePending", "pvc/data")
    described = space.kubectl("describe", "pvc", "data").stdout
    assert "Waiting for user to (re-)start a pod to finish file system resize of volume on node." in described
    status = space.get("pvc", "data")["status"]
    assert (status["capacity"], status["allocatedResources"], status["allocatedResourceStatuses"]) == (
        {"storage": "1Gi"}, {"storage": "2Gi"}, {"storage": "NodeResizePending"})
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {
        "containers": [{"name": "main", "image": "web:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}})
    holds("2Gi")
    (row,) = space.kubectl("get", "pvc").table
    assert row["CAPACITY"] == "2Gi"
    status = space.get("pvc", "data")["status"]
    assert "conditions" not in status and "allocatedResourceStatuses" not in status
    space.until("events", lambda there: {("ExternalExpanding", "volume_expand"), ("FileSystemResizeSuccessful", "kubelet"),
                                         ("Resizing", "external-resizer muster.dev/simulated"),
                                         ("FileSystemResizeRequired", "external-resizer muster.dev/simulated")}
                <= {(one["reason"], one["source"]["component"]) for one in there.values()})
    space.kubectl("delete", "sc", name)
