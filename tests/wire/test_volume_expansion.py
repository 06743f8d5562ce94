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
    holds("2Gi")
    (row,) = space.kubectl("get", "pvc").table
    assert row["CAPACITY"] == "2Gi"
    assert "VolumeResizeSuccessful" in space.kubectl("describe", "pvc", "data").stdout
    space.kubectl("delete", "sc", name)
