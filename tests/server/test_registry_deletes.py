"""Deletion: marks, grace, finalizers, preconditions, namespaces, collections."""
from __future__ import annotations

import pytest
from small_cluster import TESTER, Cluster, config, daemonset, in_cluster, namespace, pod

from muster.api.errors import Conflict, Forbidden, Invalid, NotFound
from muster.api.kinds.built_in import BUILT_IN
from muster.api.kinds.catalogue import Kinds
from muster.api.objects import Obj, from_time, with_
from muster.server.deletion import REMOVE, WAIT, Mark, Step, decide
from muster.server.requests import DeleteOptions, ListQuery

KINDS = Kinds(BUILT_IN)
NOW = from_time("2026-01-01T00:01:00Z")


def stored(obj: Obj, **metadata: object) -> Obj:
    return {**obj, "metadata": {**obj["metadata"], "uid": "u", "resourceVersion": "5", **metadata}}


def marked(time: str, grace: int | None = None, **more: object) -> dict[str, object]:
    return {"deletionTimestamp": f"2026-01-01T00:{time}Z",
            **({} if grace is None else {"deletionGracePeriodSeconds": grace}), **more}


MAP, POD, SET = stored(config("c")), stored(pod(node="n1", terminationGracePeriodSeconds=30)), stored(daemonset(),
                                                                                                    generation=3)


@pytest.mark.parametrize(("resource", "obj", "options", "does"), [
    pytest.param("configmaps", MAP, DeleteOptions(), REMOVE, id="a plain object goes"),
    pytest.param("configmaps", stored(MAP, finalizers=["a.b/c"]), DeleteOptions(),
                 marked("01:00", 0, finalizers=["a.b/c"]), id="a finalizer keeps it"),
    pytest.param("configmaps", stored(MAP, finalizers=["a.b/c"], **marked("00:30", 0)), DeleteOptions(), WAIT,
                 id="and keeps it still"),
    pytest.param("daemonsets.apps", SET, DeleteOptions(propagation="Foreground"),
                 marked("01:00", 0, finalizers=["foregroundDeletion"], generation=4), id="foreground"),
    pytest.param("daemonsets.apps", SET, DeleteOptions(propagation="Orphan"),
                 marked("01:00", 0, finalizers=["orphan"], generation=4), id="orphan"),
    pytest.param("daemonsets.apps", SET, DeleteOptions(orphan_dependents=True),
                 marked("01:00", 0, finalizers=["orphan"], generation=4), id="orphan, as it was said before"),
    pytest.param("daemonsets.apps", SET, DeleteOptions(orphan_dependents=False), REMOVE, id="not orphan"),
    pytest.param("daemonsets.apps", stored(SET, finalizers=["foregroundDeletion"], **marked("00:30", 0)),
                 DeleteOptions(propagation="Background"), REMOVE, id="background after foreground hurries"),
    pytest.param("daemonsets.apps", stored(SET, finalizers=["foregroundDeletion"], **marked("00:30", 0)),
                 DeleteOptions(), WAIT, id="foreground stays foreground unless told"),
    pytest.param("daemonsets.apps", stored(SET, finalizers=["orphan", "a.b/c"], **marked("00:30", 0)),
                 DeleteOptions(propagation="Foreground"),
                 marked("00:30", 0, finalizers=["a.b/c", "foregroundDeletion"]), id="another way, marked once"),
    pytest.param("events", stored({"kind": "Event", "metadata": {"name": "e"}}), DeleteOptions(propagation="Orphan"),
                 REMOVE, id="events have no dependents"),
    pytest.param("pods", POD, DeleteOptions(), marked("01:30", 30), id="a pod's own grace"),
    pytest.param("pods", POD, DeleteOptions(grace_period_s=5), marked("01:05", 5), id="the caller's grace"),
    pytest.param("pods", POD, DeleteOptions(grace_period_s=0), {**marked("01:00", 0), "ends": True}, id="no grace"),
    pytest.param("pods", stored(pod()), DeleteOptions(), {**marked("01:00", 0), "ends": True}, id="not on a node yet"),
    pytest.param("pods", with_(POD, "status.phase", "Succeeded"), DeleteOptions(),
                 {**marked("01:00", 0), "ends": True}, id="done"),
    pytest.param("pods", stored(POD, finalizers=["a.b/c"]), DeleteOptions(grace_period_s=0),
                 marked("01:00", 0, finalizers=["a.b/c"]), id="no grace, but a finalizer"),
    pytest.param("pods", stored(POD, **marked("01:30", 30)), DeleteOptions(), WAIT, id="leaving already"),
    pytest.param("pods", stored(POD, **marked("01:30", 30)), DeleteOptions(grace_period_s=30), WAIT, id="as before"),
    pytest.param("pods", stored(POD, **marked("01:30", 30)), DeleteOptions(grace_period_s=60), WAIT, id="no longer"),
    pytest.param("pods", stored(POD, **marked("01:30", 30)), DeleteOptions(grace_period_s=10), marked("01:10", 10),
                 id="shorter: counted from the start"),
    pytest.param("pods", stored(POD, **marked("01:30", 30)), DeleteOptions(grace_period_s=0),
                 {**marked("01:00", 0), "ends": True}, id="now"),
    pytest.param("pods", stored(POD, **marked("01:30", 0)), DeleteOptions(), REMOVE, id="a removal cut short"),
    pytest.param("namespaces", stored(namespace("x")), DeleteOptions(), marked("01:00"), id="an empty namespace first"),
    pytest.param("namespaces", stored(namespace("x"), **marked("00:30")), DeleteOptions(), REMOVE,
                 id="a namespace that holds nothing more"),
    pytest.param("namespaces", with_(stored(namespace("x"), **marked("00:30")), "spec.finalizers", ["kubernetes"]),
                 DeleteOptions(), WAIT, id="a namespace that is being emptied"),
])
def test_what_a_deletion_does(resource: str, obj: Obj, options: DeleteOptions, does: Step | dict[str, object]):
    step = decide(KINDS.resource(resource), obj, options, NOW)
    if not isinstance(does, dict):
        assert step == does
        return
    ends = does.pop("ends", False) if "ends" in does else False
    assert isinstance(step, Mark) and step.ends == ends
    base = {key: value for key, value in obj["metadata"].items() if key != "finalizers"}
    assert step.obj["metadata"] == {**base, **does}
    if resource == "namespaces":
        assert step.obj["status"]["phase"] == "Terminating"


@pytest.mark.parametrize(("options", "error", "message"), [
    pytest.param({"uid": "x"}, Conflict, r'on ConfigMap "c": the UID in the precondition \(x\) does not match the UID '
                                         "in record", id="uid"),
    pytest.param({"resource_version": "1"}, Conflict, r"the ResourceVersion in the precondition \(1\) does not match",
                 id="revision"),
    pytest.param({"propagation": "Slowly"}, Invalid, 'propagationPolicy: Unsupported value: "Slowly": supported '
                 'values: "Background", "Foreground", "Orphan", "nil"', id="policy"),
    pytest.param({"propagation": "Orphan", "orphan_dependents": True}, Invalid,
                 "orphanDependents and deletionPropagation cannot be both set", id="said twice"),
])
def test_deletions_refused(options: dict[str, object], error: type[Exception], message: str):
    async def check(cluster: Cluster) -> None:
        await cluster.create(config("c"))
        with pytest.raises(error, match=message):
            await cluster.delete("configmaps", "c", **options)
        assert cluster.get("configmaps", "c")
        with pytest.raises(NotFound, match='^configmaps "d" not found$'):
            await cluster.delete("configmaps", "d")
    in_cluster(check)


def test_the_last_finalizer_holds_the_object():
    async def check(cluster: Cluster) -> None:
        await cluster.create(config("c", finalizers=["a.b/c", "d.e/f"]))
        assert not (await cluster.delete("configmaps", "c")).gone
        with pytest.raises(Invalid, match="no new finalizers can be added if the object is being deleted"):
            await cluster.patch("configmaps", "c", {"metadata": {"finalizers": ["a.b/c", "d.e/f", "g.h/i"]}})
        await cluster.patch("configmaps", "c", {"metadata": {"finalizers": ["d.e/f"]}})
        assert cluster.get("configmaps", "c")
        last = await cluster.patch("configmaps", "c", {"metadata": {"finalizers": None}})
        assert cluster.get("configmaps", "c") is None
        assert "finalizers" not in last["metadata"]
    in_cluster(check)


def test_a_pod_whose_grace_has_not_passed_outlives_its_finalizers():
    async def check(cluster: Cluster) -> None:
        await cluster.create(with_(pod(node="n1"), "metadata.finalizers", ["a.b/c"]))
        await cluster.delete("pods", "web")
        await cluster.patch("pods", "web", {"metadata": {"finalizers": None}})
        assert cluster.get("pods", "web")
        assert (await cluster.delete("pods", "web", grace_period_s=0)).gone
        assert cluster.get("pods", "web") is None
    in_cluster(check)


def test_a_pod_that_ends_at_once_is_seen_ending():
    async def check(cluster: Cluster) -> None:
        await cluster.create(pod(node="n1"))
        before = cluster.store.history.revision
        assert (await cluster.delete("pods", "web", grace_period_s=0)).gone
        changes = cluster.store.history.lane("pods").since(before)
        assert [change.value is None for change in changes] == [False, True]
        assert changes[0].value["metadata"]["deletionGracePeriodSeconds"] == 0
    in_cluster(check)


def test_a_namespace_goes_when_it_is_finalized():
    async def check(cluster: Cluster) -> None:
        await cluster.create(namespace("x"))
        await cluster.create(config("early", "x"))
        assert not (await cluster.delete("namespaces", "x")).gone
        held = cluster.get("namespaces", "x", "")
        assert held["status"]["phase"] == "Terminating" and "deletionGracePeriodSeconds" not in held["metadata"]
        with pytest.raises(Forbidden) as caught:
            await cluster.create(config("c", "x"))
        assert caught.value.message == ('configmaps "c" is forbidden: unable to create new content in namespace x '
                                        "because it is being terminated")
        assert caught.value.details["causes"] == [{"reason": "NamespaceTerminating", "field": "metadata.namespace",
                                                   "message": "namespace x is being terminated"}]
        await cluster.update("configmaps", {**config("early", "x"), "data": {}})  # what is there may still change
        await cluster.update("namespaces", with_(held, "spec.finalizers", []), "finalize")
        assert cluster.get("namespaces", "x", "") is None
        with pytest.raises(Forbidden, match='^namespaces "default" is forbidden: this namespace may not be deleted$'):
            await cluster.delete("namespaces", "default")
    in_cluster(check)


def test_a_collection_goes_by_selector_and_namespace():
    async def check(cluster: Cluster) -> None:
        await cluster.create(namespace("other"))
        for name in ("a", "b", "c"):
            await cluster.create(config(name, labels={"keep": "yes"} if name == "b" else {}))
        await cluster.create(config("a", "other"))
        gone = await cluster.registry.delete_collection(cluster.kind("configmaps"), "default",
                                                        ListQuery(labels="keep!=yes"), DeleteOptions(), TESTER)
        assert [one.value["metadata"]["name"] for one in gone] == ["a", "c"]
        left = cluster.registry.list(cluster.kind("configmaps"), "", ListQuery())
        assert [one.value["metadata"]["name"] for one in left.items] == ["b", "a"]
    in_cluster(check)


def test_a_deletion_that_races_with_a_write_wins():
    async def check(cluster: Cluster) -> None:
        await cluster.create(config("c"))
        first, raced = cluster.store.commit, []

        async def overtaken(key, value, *, expect):
            if not raced:
                raced.append(True)
                await cluster.patch("configmaps", "c", {"data": {"b": "2"}})
            return await first(key, value, expect=expect)
        cluster.store.commit = overtaken
        assert (await cluster.delete("configmaps", "c")).gone
        assert cluster.get("configmaps", "c") is None
    in_cluster(check)
