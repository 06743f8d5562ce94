"""Which class a claim gets when it is made, and whether it may grow."""
from __future__ import annotations

import pytest
from small_cluster import Cluster, in_cluster

from muster.api.errors import Forbidden, Invalid
from muster.api.objects import Obj


def storage_class(name: str, default: bool = False, **more: object) -> Obj:
    annotations = {"storageclass.kubernetes.io/is-default-class": str(default).lower()}
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "muster.dev/simulated",
            "metadata": {"name": name, "annotations": annotations}, **more}


def claim(storage: str = "1Gi", **spec: object) -> Obj:
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}, **spec}}


@pytest.mark.parametrize(("given", "gets"), [
    pytest.param({}, "usual", id="none said"),
    pytest.param({"storageClassName": "other"}, "other", id="another one"),
    pytest.param({"storageClassName": ""}, "", id="none wanted"),
])
def test_the_default_class(given: Obj, gets: str):
    async def check(cluster: Cluster) -> None:
        await cluster.create(storage_class("usual", default=True))
        await cluster.create(storage_class("other"))
        assert (await cluster.create(claim(**given)))["spec"].get("storageClassName") == gets
    in_cluster(check)


async def bound(cluster: Cluster, **class_fields: object) -> None:
    await cluster.create(storage_class("fast", **class_fields))
    made = await cluster.create(claim(storageClassName="fast"))
    await cluster.registry.set_status(cluster.kind("persistentvolumeclaims"), "default", "data", made["metadata"]["uid"],
                                      {"phase": "Bound", "capacity": {"storage": "1Gi"}})


def asking(storage: str) -> Obj:
    return {"spec": {"resources": {"requests": {"storage": storage}}}}


NOT_ALLOWED = ('persistentvolumeclaims "data" is forbidden: only dynamically provisioned pvc can be resized and the '
               "storageclass that provisions the pvc must support resize")


def test_a_claim_grows_where_its_class_allows_it():
    async def check(cluster: Cluster) -> None:
        await bound(cluster)
        with pytest.raises(Forbidden) as refused:
            await cluster.patch("persistentvolumeclaims", "data", asking("2Gi"))
        assert refused.value.message == NOT_ALLOWED
        await cluster.patch("storageclasses.storage.k8s.io", "fast", {"allowVolumeExpansion": True})
        await cluster.patch("persistentvolumeclaims", "data", asking("3Gi"))
        assert (await cluster.patch("persistentvolumeclaims", "data", asking("2Gi")))["spec"]["resources"][
            "requests"]["storage"] == "2Gi", "what was not given yet may be taken back"
        with pytest.raises(Invalid, match=r"spec.resources.requests.storage: Forbidden: field can not be less than "
                                          r"status.capacity"):
            await cluster.patch("persistentvolumeclaims", "data", asking("512Mi"))
        with pytest.raises(Invalid, match="spec: Forbidden: spec is immutable after creation except resources.requests "
                                          "and volumeAttributesClassName for bound claims"):
            await cluster.patch("persistentvolumeclaims", "data", {"spec": {"accessModes": ["ReadWriteMany"]}})
    in_cluster(check)


def test_a_claim_that_is_not_bound_does_not():
    async def check(cluster: Cluster) -> None:
        await cluster.create(storage_class("fast", allowVolumeExpansion=True))
        await cluster.create(claim(storageClassName="fast"))
        with pytest.raises(Invalid, match="spec is immutable after creation"):
            await cluster.patch("persistentvolumeclaims", "data", asking("2Gi"))
    in_cluster(check)
