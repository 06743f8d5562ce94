"""Create, update, patch: what the server writes of its own, what it keeps, and what it refuses."""
from __future__ import annotations

import asyncio

import pytest
from small_cluster import OPTIONS, Cluster, config, daemonset, in_cluster, pod

from muster.api.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Invalid,
    NotFound,
    UnsupportedMediaType,
)
from muster.api.kinds.kind import Kind, Subresource
from muster.api.objects import Obj, with_


def test_creation_fills_in_what_is_the_servers():
    async def check(cluster: Cluster) -> None:
        sent = daemonset(uid="mine", generation=7, creationTimestamp="1999-01-01T00:00:00Z",
                         deletionTimestamp="1999-01-01T00:00:00Z", managedFields=[{"manager": "me"}])
        made = (await cluster.create(sent))["metadata"]
        assert made["uid"] != "mine" and len(made["uid"]) == 36
        assert made["generation"] == 1
        assert made["creationTimestamp"] == "2026-01-01T00:00:00Z"
        assert "deletionTimestamp" not in made and "managedFields" not in made
        assert made["resourceVersion"] == str(cluster.store.history.revision)
        assert "generation" not in (await cluster.create(config("c")))["metadata"]
    in_cluster(check)


@pytest.mark.parametrize(("obj", "namespace", "error", "message"), [
    pytest.param(config("c", "other"), "default", BadRequest,
                 "the namespace of the provided object does not match the namespace sent on the request",
                 id="another namespace"),
    pytest.param(config("c", resourceVersion="5"), "default", ApiError,
                 "resourceVersion should not be set on objects to be created", id="a revision"),
    pytest.param({**config("c"), "kind": "Secret"}, "default", BadRequest,
                 'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to '
                 "(core.ConfigMap): unknown conversion", id="another kind"),
    pytest.param({**config("c"), "apiVersion": "v2"}, "default", BadRequest,
                 "the API version in the data (v2) does not match the expected API version (v1)",
                 id="another version"),
    pytest.param(with_(config("c"), "metadata.namespace", "nowhere"), "nowhere", NotFound,
                 'namespaces "nowhere" not found', id="no such namespace"),
    pytest.param(with_(config("c"), "metadata.name", ""), "default", Invalid,
                 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
                 id="no name"),
])
def test_creation_refused(obj: Obj, namespace: str, error: type[ApiError], message: str):
    async def check(cluster: Cluster) -> None:
        with pytest.raises(error) as caught:
            await cluster.registry.create(cluster.kind("configmaps"), namespace, obj, OPTIONS)
        assert caught.value.message == message
    in_cluster(check)


def test_what_the_body_leaves_out_comes_from_the_route():
    async def check(cluster: Cluster) -> None:
        kind = cluster.kind("configmaps")
        made = (await cluster.registry.create(kind, "default", {"metadata": {"name": "x"}}, OPTIONS)).snapshot.value
        assert made["kind"] == "ConfigMap" and made["apiVersion"] == "v1"
        assert made["metadata"]["namespace"] == "default"
    in_cluster(check)


def test_a_name_is_taken_until_its_object_is_gone():
    async def check(cluster: Cluster) -> None:
        await cluster.create(config("c", finalizers=["a.b/c"]))
        with pytest.raises(AlreadyExists, match='^configmaps "c" already exists$'):
            await cluster.create(config("c"))
        await cluster.delete("configmaps", "c")
        with pytest.raises(AlreadyExists, match='^object is being deleted: configmaps "c" already exists$'):
            await cluster.create(config("c"))
    in_cluster(check)


def test_generated_names_are_drawn_again_where_taken():
    async def check(cluster: Cluster) -> None:
        drawn = iter(["aaaaa", "aaaaa", "bbbbb"])
        cluster.clock.suffix = lambda resource, length=5: next(drawn)  # chance, chosen
        first = await cluster.create(with_(config(""), "metadata.generateName", "c-"))
        second = await cluster.create(with_(config(""), "metadata.generateName", "c-"))
        assert (first["metadata"]["name"], second["metadata"]["name"]) == ("c-aaaaa", "c-bbbbb")
        cluster.clock.suffix = lambda resource, length=5: "aaaaa"
        with pytest.raises(AlreadyExists, match="not able to generate a unique name for the object"):
            await cluster.create(with_(config(""), "metadata.generateName", "c-"))
        long = await cluster.create(with_(config(""), "metadata.generateName", "x" * 70))
        assert long["metadata"]["name"] == "x" * 58 + "aaaaa"
    in_cluster(check)


def test_dry_run_answers_and_writes_nothing():
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(config("c"), dry_run=True)
        assert made["metadata"]["uid"] and cluster.get("configmaps", "c") is None
        kept = await cluster.create(config("c"))
        assert (await cluster.patch("configmaps", "c", {"data": {"a": "2"}}, dry_run=True))["data"] == {"a": "2"}
        assert (await cluster.delete("configmaps", "c", dry_run=True)).gone
        assert cluster.get("configmaps", "c") == kept
        with pytest.raises(AlreadyExists):
            await cluster.create(config("c"), dry_run=True)
    in_cluster(check)


def test_unknown_fields_are_told_or_refused_as_asked():
    async def check(cluster: Cluster) -> None:
        strange = {**config("c"), "strange": 1}
        with pytest.raises(BadRequest, match='unknown field "strange"'):
            await cluster.create(strange, field_validation="Strict")
        written = await cluster.written(strange)
        assert list(written.warnings) == ['unknown field "strange"'] and "strange" not in written.snapshot.value
    in_cluster(check)


def test_a_patch_that_leaves_the_shape_of_the_kind_is_invalid():
    async def check(cluster: Cluster) -> None:
        await cluster.create(config("c"))
        with pytest.raises(Invalid) as raised:
            await cluster.patch("configmaps", "c", {"strange": {"b": 1, "a": [True, None]}}, how="strategic",
                                field_validation="Strict")
        assert raised.value.message == (' "" is invalid: patch: Invalid value: "map[strange:map[a:[true <nil>] b:1]]": '
                                        'strict decoding error: unknown field "strange"')
        with pytest.raises(Invalid) as raised:
            await cluster.patch("configmaps", "c", {"data": {"a": 1}}, how="strategic")
        assert raised.value.message == (' "" is invalid: patch: Invalid value: "map[data:map[a:1]]": '
                                        'cannot convert int64 to string')
        with pytest.raises(Invalid) as raised:
            await cluster.patch("configmaps", "c", {"data": {"a": 1}})
        assert raised.value.message.startswith(' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"v1\\",')
        assert raised.value.message.endswith("json: cannot unmarshal number into Go struct field ConfigMap.data of type string")
    in_cluster(check)


# ------------------------------------------------------------------ update


def test_generation_counts_changes_of_the_specification():
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(daemonset())
        labelled = await cluster.update("daemonsets.apps", with_(made, "metadata.labels", {"a": "b"}))
        assert labelled["metadata"]["generation"] == 1
        changed = await cluster.update("daemonsets.apps", with_(labelled, "spec.minReadySeconds", 5))
        assert changed["metadata"]["generation"] == 2
        assert await cluster.update("daemonsets.apps", with_(changed, "status.numberReady", 3)) is changed
        seen = await cluster.update("daemonsets.apps", with_(
            changed, "status", {**changed["status"], "observedGeneration": 2, "numberReady": 3}), "status")
        assert seen["metadata"]["generation"] == 2 and seen["status"]["numberReady"] == 3
    in_cluster(check)


def test_an_update_keeps_what_is_the_servers():
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(config("c"))
        sent = {**made, "metadata": {"name": "c", "namespace": "default", "creationTimestamp": "1999-01-01T00:00:00Z",
                                     "generation": 9, "deletionTimestamp": "1999-01-01T00:00:00Z"}, "data": {"b": "2"}}
        after = (await cluster.update("configmaps", sent))["metadata"]
        for field in ("uid", "creationTimestamp"):
            assert after[field] == made["metadata"][field]
        assert "deletionTimestamp" not in after and "generation" not in after
    in_cluster(check)


def test_an_update_that_changes_nothing_writes_nothing():
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(daemonset())
        revision = cluster.store.history.revision
        assert await cluster.update("daemonsets.apps", daemonset()) is made
        assert await cluster.patch("daemonsets.apps", "agent", {"spec": {"minReadySeconds": None}}) is made
        assert await cluster.patch("daemonsets.apps", "agent", {}, "strategic") is made
        assert cluster.store.history.revision == revision
    in_cluster(check)


def test_updates_are_refused():
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(config("c"))
        await cluster.patch("configmaps", "c", {"data": {"a": "2"}})
        with pytest.raises(Conflict, match='^Operation cannot be fulfilled on configmaps "c": the object has been '
                                           "modified; please apply your changes to the latest version and try again$"):
            await cluster.update("configmaps", made)
        with pytest.raises(Conflict, match="Precondition failed: UID in precondition: other, UID in object meta: "
                           + made["metadata"]["uid"]):
            await cluster.update("configmaps", with_(config("c"), "metadata.uid", "other"))
        with pytest.raises(NotFound, match='^configmaps "d" not found$'):
            await cluster.update("configmaps", config("d"))
        with pytest.raises(BadRequest, match=r"the name of the object \(c\) does not match the name on the URL \(d\)"):
            await cluster.registry.update(cluster.kind("configmaps"), "default", "d", config("c"), OPTIONS)
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l",
                                                                                       "namespace": "default"}}
        await cluster.create(lease)
        with pytest.raises(Invalid, match="resourceVersion: Invalid value: 0: must be specified for an update"):
            await cluster.update("leases.coordination.k8s.io", lease)
    in_cluster(check)


# ------------------------------------------------------------------ patch


@pytest.mark.parametrize(("how", "body"), [
    pytest.param("merge", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}},
                 id="merge"),
    pytest.param("strategic", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}},
                 id="strategic"),
    pytest.param("json", [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "nginx:2"}],
                 id="json"),
])
def test_the_three_patches(how: str, body: object):
    async def check(cluster: Cluster) -> None:
        await cluster.create(daemonset())
        patched = await cluster.patch("daemonsets.apps", "agent", body, how)
        container = patched["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == "nginx:2" and patched["metadata"]["generation"] == 2
        assert container["terminationMessagePolicy"] == "File"  # lists that were replaced are defaulted again
    in_cluster(check)


def test_patches_refused():
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(config("c"))
        with pytest.raises(Conflict, match="the object has been modified"):
            await cluster.patch("configmaps", "c", {"metadata": {"resourceVersion": "1"}, "data": {"b": "1"}})
        with pytest.raises(Invalid, match="metadata.uid: Invalid value: \"other\": field is immutable"):
            await cluster.patch("configmaps", "c", {"metadata": {"uid": "other"}, "data": {"b": "1"}})
        with pytest.raises(BadRequest, match="does not match the name on the URL"):
            await cluster.patch("configmaps", "c", {"metadata": {"name": "d"}})
        with pytest.raises(UnsupportedMediaType):
            await cluster.patch("configmaps", "c", {}, "apply")
        with pytest.raises(NotFound):
            await cluster.patch("configmaps", "d", {"data": {}})
        assert cluster.get("configmaps", "c") == made
    in_cluster(check)


def test_patches_that_race_all_land():
    async def check(cluster: Cluster) -> None:
        await cluster.create(config("c"))
        first = cluster.store.commit
        raced = 0

        async def overtaken(key, value, *, expect):  # the store, slow enough for another writer to come first
            nonlocal raced
            if raced < 4 and expect:
                raced += 1
                current = cluster.store.get(key)
                await first(key, with_(current.value, ("data", f"other{raced}"), "1"), expect=current.revision)
            return await first(key, value, expect=expect)
        cluster.store.commit = overtaken
        await asyncio.gather(cluster.patch("configmaps", "c", {"data": {"mine": "1"}}))
        assert cluster.get("configmaps", "c")["data"] == {
            "a": "1", "mine": "1", "other1": "1", "other2": "1", "other3": "1", "other4": "1"}
        raced = -1  # five in a row: given up
        with pytest.raises(Conflict):
            await cluster.patch("configmaps", "c", {"data": {"mine": "2"}})
    in_cluster(check)


# ------------------------------------------------------------------ subresources


DEPLOYMENTS = Kind(group="apps", version="v1", name="Deployment", plural="deployments", singular="deployment",
                   namespaced=True, definition="io.k8s.api.apps.v1.Deployment",
                   subresources=(Subresource("scale", kind="Scale", group="autoscaling", version="v1"),))


def test_a_scale_is_another_face_of_the_object():
    async def check(cluster: Cluster) -> None:
        cluster.registry.kinds.add(DEPLOYMENTS)
        made = await cluster.create({**daemonset("web"), "kind": "Deployment"})
        scale = cluster.registry.get(DEPLOYMENTS, "default", "web", "scale").value
        assert scale["spec"] == {} and scale["status"] == {"replicas": 0, "selector": "app=web"}
        assert scale["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        up = await cluster.update("deployments.apps", {**scale, "spec": {"replicas": 3}}, "scale")
        assert up["spec"] == {"replicas": 3}
        after = cluster.get("deployments.apps", "web")
        assert after["spec"]["replicas"] == 3 and after["metadata"]["generation"] == 2
        with pytest.raises(Conflict):
            await cluster.update("deployments.apps", {**scale, "spec": {"replicas": 4}}, "scale")
        patched = await cluster.patch("deployments.apps", "web", {"spec": {"replicas": 5}}, subresource="scale")
        assert patched["spec"] == {"replicas": 5}
        with pytest.raises(Invalid, match=r'^Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: '
                                          "must be greater than or equal to 0$"):
            await cluster.patch("deployments.apps", "web", {"spec": {"replicas": -1}}, subresource="scale")
    in_cluster(check)


def test_a_status_write_changes_the_status_and_labels_alone():
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(daemonset())
        sent = with_(with_(made, "spec.minReadySeconds", 9), "metadata.labels", {"x": "y"})
        after = await cluster.update("daemonsets.apps", with_(sent, "status.numberReady", 2), "status")
        assert after["status"]["numberReady"] == 2 and after["metadata"]["labels"] == {"x": "y"}
        assert after["spec"] == made["spec"] and after["metadata"]["generation"] == 1
    in_cluster(check)


def test_a_pod_keeps_its_class_and_its_owners_through_status_writes():
    async def check(cluster: Cluster) -> None:
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}
        made = await cluster.create(with_(pod(), "metadata.ownerReferences", [owner]))
        body = {"metadata": {"ownerReferences": None}, "status": {"qosClass": None, "phase": "Running"}}
        after = await cluster.patch("pods", "web", body, subresource="status")
        assert after["status"] == {**made["status"], "phase": "Running"}
        assert after["metadata"]["ownerReferences"] == [owner]
    in_cluster(check)


def test_set_status_is_for_one_uid_and_writes_only_changes():
    async def check(cluster: Cluster) -> None:
        made = await cluster.create(daemonset())
        kind, uid = cluster.kind("daemonsets.apps"), made["metadata"]["uid"]
        status = {**made["status"], "numberReady": 1}
        written = await cluster.registry.set_status(kind, "default", "agent", uid, status)
        assert written.value["status"] == status
        assert await cluster.registry.set_status(kind, "default", "agent", uid, status) is written
        with pytest.raises(Conflict, match="UID in precondition: other"):
            await cluster.registry.set_status(kind, "default", "agent", "other", status)
    in_cluster(check)


def binding(name: str = "web", **metadata: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, **metadata},
            "target": {"kind": "Node", "name": "n1"}}


@pytest.mark.parametrize(("given", "body", "error", "message"), [
    pytest.param(pod(node="n0"), binding(), Conflict, 'pod web is already assigned to node "n0"', id="bound"),
    pytest.param(pod(schedulingGates=[{"name": "a.b/c"}]), binding(), Conflict,
                 "pod web has non-empty .spec.schedulingGates", id="gated"),
    pytest.param(pod(), binding(uid="other"), Conflict, "UID in precondition: other", id="a namesake"),
    pytest.param(pod(), binding("web2"), BadRequest, "name in URL does not match name in Binding object",
                 id="name"),
    pytest.param(pod(), {**binding(), "target": {"kind": "Node"}}, Invalid, "target.name: Required value",
                 id="no node"),
])
def test_bindings_refused(given: Obj, body: Obj, error: type[ApiError], message: str):
    async def check(cluster: Cluster) -> None:
        await cluster.create(given)
        with pytest.raises(error) as caught:
            await cluster.registry.create(cluster.kind("pods"), "default", body, OPTIONS, "binding", "web")
        assert message in caught.value.message
    in_cluster(check)


def test_a_pod_that_is_leaving_is_not_bound():
    async def check(cluster: Cluster) -> None:
        await cluster.create(with_(pod(), "metadata.finalizers", ["a.b/c"]))
        await cluster.delete("pods", "web")
        with pytest.raises(Conflict, match="pod web is being deleted, cannot be assigned to a host"):
            await cluster.registry.create(cluster.kind("pods"), "default", binding(), OPTIONS, "binding", "web")
    in_cluster(check)


def test_of_two_that_create_one_name_one_does():
    async def check(cluster: Cluster) -> None:
        first = cluster.store.commit

        async def slow(key, value, *, expect):  # as a store that waits for its disk
            await asyncio.sleep(0.01)
            return await first(key, value, expect=expect)
        cluster.store.commit = slow
        outcomes = await asyncio.gather(*(cluster.create(config("c")) for _ in range(2)), return_exceptions=True)
        assert [type(one) for one in outcomes] == [dict, AlreadyExists]
        assert outcomes[1].message == 'configmaps "c" already exists'
    in_cluster(check)


def test_a_binding_sets_the_node_and_the_condition():
    async def check(cluster: Cluster) -> None:
        await cluster.create(pod())
        body = {**binding(), "metadata": {"name": "web", "annotations": {"a": "b"}}}
        await cluster.registry.create(cluster.kind("pods"), "default", body, OPTIONS, "binding", "web")
        bound = cluster.get("pods", "web")
        assert bound["spec"]["nodeName"] == "n1" and bound["metadata"]["annotations"] == {"a": "b"}
        assert bound["status"]["conditions"] == [{"type": "PodScheduled", "status": "True", "lastProbeTime": None,
                                                  "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    in_cluster(check)


def test_an_eviction_deletes_with_its_own_options():
    async def check(cluster: Cluster) -> None:
        await cluster.create(pod(node="n1"))
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"},
                "deleteOptions": {"gracePeriodSeconds": 7}}
        await cluster.registry.create(cluster.kind("pods"), "default", body, OPTIONS, "eviction", "web")
        assert cluster.get("pods", "web")["metadata"]["deletionGracePeriodSeconds"] == 7
    in_cluster(check)
