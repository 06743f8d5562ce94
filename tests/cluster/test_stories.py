"""What happens to a whole cluster, told in virtual time: nodes that go and come, deletions of every sort, big rollouts."""
from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest
from small_world import a_daemonset, a_node, a_pod, at_work, found, image_patch, key_of_set, pods_on, told

from muster.api.errors import NotFound
from muster.api.objects import Key, at, condition, controller_of, from_time, is_deleting, is_true, name_of, uid_of
from muster.clock import run_virtual
from muster.store.memory import MemoryStore

FAIL, RETURN = ({"metadata": {"annotations": {"muster.dev/fail": value}}} for value in ("true", None))


def node(name: str) -> Key:
    return Key("nodes", "", name)


def pod(name: str, namespace: str = "default") -> Key:
    return Key("pods", namespace, name)


def now_of(world, key):
    snapshot = world.store.get(key)
    return snapshot.value if snapshot is not None else None


def ready(world, key) -> str:
    return condition(now_of(world, key), "Ready")["status"]


def taints_of(world, name) -> set[tuple[str, str]]:
    return {(taint["key"].rpartition("/")[2], taint["effect"]) for taint in now_of(world, node(name))["spec"].get("taints", ())}


async def with_nodes(world, *names, **labels):
    for name in names:
        await world.admin.create(a_node(name, labels))
    await asyncio.sleep(5)


async def until(happened, within_s: float, every_s: float = .1) -> float:
    """Waits for it; returns how long that took.  AssertionError when it takes longer."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not happened():
        assert loop.time() - began < within_s, f"not within {within_s} s"
        await asyncio.sleep(every_s)
    return loop.time() - began


# ------------------------------------------------------------------ nodes

def test_a_node_is_lost_and_returns():
    async def story(world):
        await with_nodes(world, "n1", "n2")
        await world.apply(a_daemonset())
        await world.admin.create(a_pod("web", nodeName="n1"))
        await asyncio.sleep(10)
        (daemon,) = (name_of(one) for one in pods_on(world, "n1") if controller_of(one))
        assert ready(world, pod("web")) == ready(world, pod(daemon)) == "True"

        await world.admin.patch(node("n1"), FAIL)
        took_s = await until(lambda: ready(world, node("n1")) == "Unknown", 60)
        assert 40 <= took_s <= 51, "50 s after its last renewal, which was at most 10 s old"
        await asyncio.sleep(.1)
        assert condition(now_of(world, node("n1")), "MemoryPressure")["status"] == "Unknown"
        assert taints_of(world, "n1") == {("unreachable", "NoSchedule")}
        await asyncio.sleep(5.5)
        assert taints_of(world, "n1") == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}, "the only lost one"
        assert ready(world, pod("web")) == ready(world, pod(daemon)) == "False"
        assert now_of(world, pod("web"))["status"]["phase"] == "Running", "nobody knows better"
        assert at(now_of(world, key_of_set()), "status.desiredNumberScheduled") == 1

        took_s = await until(lambda: is_deleting(now_of(world, pod("web"))), 310)
        assert took_s == pytest.approx(300, abs=1.5), "tolerationSeconds of every pod that does not say otherwise"
        assert condition(now_of(world, pod("web")), "DisruptionTarget")["reason"] == "DeletionByTaintManager"
        await asyncio.sleep(600)
        assert not is_deleting(now_of(world, pod(daemon))), "daemons stay"
        assert is_deleting(now_of(world, pod("web"))), "its node has to say that it is gone"
        restarts = now_of(world, pod(daemon))["status"]["containerStatuses"][0]["restartCount"]

        await world.admin.patch(node("n1"), RETURN)
        await asyncio.sleep(15)
        assert ready(world, node("n1")) == "True" and taints_of(world, "n1") == set()
        assert now_of(world, pod("web")) is None
        assert ready(world, pod(daemon)) == "True"
        assert now_of(world, pod(daemon))["status"]["containerStatuses"][0]["restartCount"] == restarts
        assert at(now_of(world, key_of_set()), "status.numberAvailable") == 2

    told(story)


def test_a_node_that_returns_in_time_loses_nothing():
    async def story(world):
        await with_nodes(world, "n1", "n2")
        await world.admin.create(a_pod("web", nodeName="n1"))
        await asyncio.sleep(10)
        uid = uid_of(now_of(world, pod("web")))
        await world.admin.patch(node("n1"), FAIL)
        await asyncio.sleep(250)
        assert ("unreachable", "NoExecute") in taints_of(world, "n1")
        await world.admin.patch(node("n1"), RETURN)
        await asyncio.sleep(400)
        assert uid_of(now_of(world, pod("web"))) == uid and ready(world, pod("web")) == "True"
        assert not is_deleting(now_of(world, pod("web")))

    told(story)


def test_a_deleted_node_takes_its_pods_and_its_lease_along():
    async def story(world):
        await with_nodes(world, "n1", "n2")
        await world.apply(a_daemonset())
        await world.admin.create(a_pod("web", nodeName="n1"))
        await asyncio.sleep(10)
        lease = Key("leases.coordination.k8s.io", "kube-node-lease", "n1")
        assert now_of(world, lease)
        await world.admin.delete(node("n1"))
        await asyncio.sleep(5)
        assert not pods_on(world, "n1") and now_of(world, lease) is None
        assert at(now_of(world, key_of_set()), "status.desiredNumberScheduled") == 1
        await with_nodes(world, "n1")
        await asyncio.sleep(5)
        assert [ready(world, pod(name_of(one))) for one in pods_on(world, "n1")] == ["True"]
        assert now_of(world, lease)

    told(story)


def test_a_drained_node_keeps_its_daemons():
    async def story(world):
        await with_nodes(world, "n1", "n2")
        await world.apply(a_daemonset())
        for name in ("web-1", "web-2"):
            await world.admin.create(a_pod(name, nodeName="n1"))
        await asyncio.sleep(10)
        await world.admin.patch(node("n1"), {"spec": {"unschedulable": True}})
        await asyncio.sleep(1)
        assert taints_of(world, "n1") == {("unschedulable", "NoSchedule")}
        for name in ("web-1", "web-2"):
            await world.admin.create({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {
                "name": name, "namespace": "default"}}, subresource="eviction")
        await asyncio.sleep(40)
        (daemon,) = pods_on(world, "n1")
        assert controller_of(daemon) and is_true(daemon, "Ready")
        await world.admin.create(a_pod("web-3"))
        await world.admin.delete(pod(name_of(daemon)))
        await asyncio.sleep(40)
        assert at(now_of(world, pod("web-3")), "spec.nodeName") == "n2"
        (anew,) = pods_on(world, "n1")
        assert uid_of(anew) != uid_of(daemon) and is_true(anew, "Ready"), "a daemon starts on a cordoned node too"

    told(story)


@pytest.mark.parametrize("turns", range(12))
def test_a_pod_that_is_deleted_while_its_node_writes_its_status_ends(turns):
    """The mark of the deletion comes between the node's look and its write: the write carries it, none is lost."""
    async def story(world):
        await with_nodes(world, "n1")
        await world.admin.create(a_pod("web"))
        await asyncio.sleep(10)
        await world.admin.patch(node("n1"), FAIL)
        await asyncio.sleep(100)
        await world.admin.patch(node("n1"), RETURN)
        for _ in range(turns):
            await asyncio.sleep(0)
        await world.admin.delete(pod("web"))
        await asyncio.sleep(35)
        assert now_of(world, pod("web")) is None

    told(story)


# ------------------------------------------------------------------ processes

def _lived(world) -> dict[str, tuple]:
    return {name_of(one): (uid_of(one), one["metadata"]["resourceVersion"],
                           at(one, "status.containerStatuses")[0]["state"]["running"]["startedAt"])
            for one in found(world, "pods")}


def test_another_process_goes_on_without_restarting_anything():
    async def main(clock):
        store = MemoryStore()
        async with at_work(clock, store) as world:
            await world.admin.create({"apiVersion": "muster.dev/v1alpha1", "kind": "NodePool",
                                      "metadata": {"name": "pool"}, "spec": {"replicas": 5}})
            await asyncio.sleep(5)
            await world.apply(a_daemonset())
            await world.admin.create(a_pod("web"))
            await asyncio.sleep(30)
            before = _lived(world)
            assert len(before) == 6
        await asyncio.sleep(20)  # nobody is there
        async with at_work(clock, store) as world:
            await asyncio.sleep(200)
            assert _lived(world) == before, "not even written to"
            await world.admin.patch(key_of_set(), image_patch("agent:2"), how="strategic")
            await asyncio.sleep(200)
            assert at(now_of(world, key_of_set()), "status.updatedNumberScheduled") == 5
            assert set(_lived(world)) & set(before) == {"web"}

    run_virtual(main)


def test_a_cluster_can_be_ended_at_any_moment_and_goes_on():
    """The process ends ever so often while a rollout is under way; it is finished all the same."""
    async def main(clock):
        store = MemoryStore()
        moments = [0, .001, .01, .02, .05, .3, .7, 1.1, 1.9, 2.3, 4.4]
        async with at_work(clock, store) as world:
            await with_nodes(world, *(f"n{number}" for number in range(8)))
        async with at_work(clock, store) as world:
            await world.apply(a_daemonset(rolling={"maxUnavailable": 3}))
        for seconds in moments:
            async with at_work(clock, store):
                await asyncio.sleep(seconds)
        async with at_work(clock, store) as world:
            await asyncio.sleep(60)
            await world.admin.patch(key_of_set(), image_patch("agent:2"), how="strategic")
        for seconds in moments:
            async with at_work(clock, store):
                await asyncio.sleep(seconds)
        async with at_work(clock, store) as world:
            await asyncio.sleep(120)
            pods = found(world, "pods")
            assert len(pods) == 8 and all(is_true(one, "Ready") for one in pods)
            assert {one["spec"]["containers"][0]["image"] for one in pods} == {"agent:2"}

    run_virtual(main)


@pytest.mark.parametrize("turns", [*range(0, 40, 3), 60, 90])
def test_a_cluster_ends_in_the_middle_of_its_writes(turns):
    """Nobody waits for somebody who has ended: that would be a deadlock, which virtual time makes an error."""
    async def main(clock):
        async with at_work(clock) as world:
            await with_nodes(world, *(f"n{number}" for number in range(30)))
            await world.apply(a_daemonset())
            for _ in range(turns):
                await asyncio.sleep(0)

    run_virtual(main)


# ------------------------------------------------------------------ deletions

def test_a_namespace_takes_everything_in_it_along():
    async def story(world):
        await with_nodes(world, *(f"n{number}" for number in range(5)))
        admin = world.admin
        await admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        await asyncio.sleep(1)
        for number in range(300):
            await admin.create({"apiVersion": "v1", "kind": "ConfigMap",
                                "metadata": {"name": f"map-{number}", "namespace": "team"}, "data": {}})
        for number in range(40):
            await admin.create(a_pod(f"web-{number}", "team"))
        for name in ("red", "green"):
            await world.apply(a_daemonset(name, "team"))
        await world.apply(a_daemonset("agent", "default"))
        await asyncio.sleep(30)
        assert len(found(world, "pods", "team")) == 50
        await admin.delete(Key("namespaces", "", "team"))
        assert at(now_of(world, Key("namespaces", "", "team")), "status.phase") == "Terminating"
        took_s = await until(lambda: now_of(world, Key("namespaces", "", "team")) is None, 60)
        assert took_s < 20, "pods stop in about a second"
        await asyncio.sleep(10)
        for resource in world.mirror.resources:
            assert not found(world, resource, "team"), resource
        assert len(found(world, "pods", "default")) == 5
        await admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        await asyncio.sleep(1)
        assert now_of(world, Key("serviceaccounts", "team", "default")), "a namesake begins anew"

    told(story)


def test_a_namespace_waits_for_what_a_finalizer_holds():
    async def story(world):
        admin = world.admin
        await admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        await asyncio.sleep(1)
        held = Key("configmaps", "team", "held")
        await admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "held", "namespace": "team", "finalizers": ["example.com/hold"]}})
        await admin.delete(Key("namespaces", "", "team"))
        await asyncio.sleep(300)
        namespace = now_of(world, Key("namespaces", "", "team"))
        assert "configmaps has 1 resource instances" in condition(namespace, "NamespaceContentRemaining")["message"]
        assert is_deleting(now_of(world, held))
        await admin.patch(held, {"metadata": {"finalizers": None}})
        await asyncio.sleep(5)
        assert now_of(world, held) is None and now_of(world, Key("namespaces", "", "team")) is None

    told(story)


async def three_daemons(world):
    await with_nodes(world, "n1", "n2", "n3")
    await world.apply(a_daemonset())
    await asyncio.sleep(15)
    assert len(found(world, "pods")) == 3


def test_background_the_set_goes_at_once_and_its_pods_follow():
    async def story(world):
        await three_daemons(world)
        await world.admin.delete(key_of_set(), propagation="Background")
        assert now_of(world, key_of_set()) is None and len(found(world, "pods")) == 3
        await asyncio.sleep(5)
        assert not found(world, "pods") and not found(world, "controllerrevisions.apps")

    told(story)


def test_foreground_the_set_goes_after_its_pods():
    async def story(world):
        await three_daemons(world)
        await world.admin.delete(key_of_set(), propagation="Foreground")
        assert now_of(world, key_of_set())["metadata"]["finalizers"] == ["foregroundDeletion"]
        await asyncio.sleep(.1)
        assert all(is_deleting(one) for one in found(world, "pods")) and now_of(world, key_of_set())
        await asyncio.sleep(5)
        assert not found(world, "pods") and now_of(world, key_of_set()) is None
        revisions = [change.revision for resource in ("pods", "daemonsets.apps")
                     for change in world.store.history.lane(resource).since(0)
                     if change.after is None]
        assert revisions == sorted(revisions), "the set last of all"

    told(story)


def test_orphan_the_pods_stay_and_a_namesake_adopts_them():
    async def story(world):
        await three_daemons(world)
        before = {uid_of(one) for one in found(world, "pods")}
        await world.admin.delete(key_of_set(), propagation="Orphan")
        await asyncio.sleep(5)
        assert now_of(world, key_of_set()) is None
        assert {uid_of(one) for one in found(world, "pods")} == before
        assert not any(one["metadata"].get("ownerReferences") for one in found(world, "pods"))
        await world.apply(a_daemonset())
        await asyncio.sleep(5)
        assert {uid_of(one) for one in found(world, "pods")} == before
        assert {controller_of(one)["uid"] for one in found(world, "pods")} == {uid_of(now_of(world, key_of_set()))}

    told(story)


def test_a_pod_that_a_finalizer_holds_is_replaced_but_stays_until_it_is_let_go():
    async def story(world):
        await with_nodes(world, "n1")
        await world.apply(a_daemonset())
        await asyncio.sleep(10)
        (held,) = found(world, "pods")
        await world.admin.patch(pod(name_of(held)), {"metadata": {"finalizers": ["example.com/hold"]}})
        await world.admin.delete(pod(name_of(held)))
        await asyncio.sleep(30)
        assert is_deleting(now_of(world, pod(name_of(held)))), "it ended and stays"
        (other,) = (one for one in found(world, "pods") if not is_deleting(one))
        assert is_true(other, "Ready")
        await world.admin.patch(pod(name_of(held)), {"metadata": {"finalizers": None}})
        await asyncio.sleep(1)
        assert [name_of(one) for one in found(world, "pods")] == [name_of(other)]

    told(story)


# ------------------------------------------------------------------ room

def test_a_daemon_of_a_higher_class_takes_the_place_of_an_ordinary_pod():
    async def story(world):
        await with_nodes(world, "n1", "n2")
        await world.admin.create({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                                  "metadata": {"name": "vital"}, "value": 1_000_000})
        for name, where in (("small", "n1"), ("large", "n1"), ("other", "n2")):
            await world.admin.create(a_pod(name, cpu="3" if name == "large" else "500m", nodeName=where))
        await asyncio.sleep(10)
        await world.apply(a_daemonset(cpu="2", pod_spec={"priorityClassName": "vital"}))
        await asyncio.sleep(1)
        assert is_deleting(now_of(world, pod("large"))), "one victim is enough: the small one may stay"
        await asyncio.sleep(40)
        assert now_of(world, pod("large")) is None
        assert ready(world, pod("small")) == ready(world, pod("other")) == "True"
        assert at(now_of(world, key_of_set()), "status.numberAvailable") == 2
        told_of = [one for one in found(world, "events") if one["reason"] == "Preempted"]
        assert [one["involvedObject"]["name"] for one in told_of] == ["large"]

    told(story)


def test_a_daemon_waits_for_room_and_starts_when_a_pod_leaves():
    async def story(world):
        await with_nodes(world, "n1", "n2")
        await world.admin.create(a_pod("large", cpu="3", nodeName="n1"))
        await asyncio.sleep(10)
        await world.apply(a_daemonset(cpu="2"))
        await asyncio.sleep(30)
        (waiting,) = (one for one in found(world, "pods") if not at(one, "spec.nodeName"))
        assert condition(waiting, "PodScheduled")["reason"] == "Unschedulable"
        assert "Insufficient cpu" in condition(waiting, "PodScheduled")["message"]
        status = now_of(world, key_of_set())["status"]
        assert status["currentNumberScheduled"] == 2 and status["numberUnavailable"] == 1
        await asyncio.sleep(300)
        assert uid_of(now_of(world, pod(name_of(waiting)))) == uid_of(waiting), "the same pod waits on"
        await world.admin.delete(pod("large"))
        await asyncio.sleep(40)
        assert ready(world, pod(name_of(waiting))) == "True"
        assert at(now_of(world, pod(name_of(waiting))), "spec.nodeName") == "n1"

    told(story)


# ------------------------------------------------------------------ size

@pytest.fixture
def collector_as_served():
    """The garbage collector as a server has it: otherwise half of the time goes into walks over all objects."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_two_thousand_nodes_are_rolled_at_a_tenth(collector_as_served):
    """Usual ranges: 1-3 s to pull, up to 0.6 to start, up to 1 to stop.  So ten waves of about four seconds each,
    less what overlaps; and a bounded number of writes for each pod, whatever the number of nodes."""
    nodes = 2000

    async def story(world):
        await world.admin.create({"apiVersion": "muster.dev/v1alpha1", "kind": "NodePool",
                                  "metadata": {"name": "pool"}, "spec": {"replicas": nodes}})
        await until(lambda: len(found(world, "nodes")) == nodes and all(is_true(one, "Ready")
                                                                       for one in found(world, "nodes")), 30, 1)
        await world.apply(a_daemonset(rolling={"maxUnavailable": "10%"}))

        def available():
            return at(now_of(world, key_of_set()), "status.numberAvailable", 0)

        assert await until(lambda: available() == nodes, 20) < 10
        least = [nodes]
        writes: Counter[str] = Counter()

        def hear(changes):
            for change in changes:
                writes[change.key.resource] += 1
                if change.key == key_of_set():
                    least.append(change.value["status"]["numberAvailable"])

        world.store.history.on_append(hear)
        await world.admin.patch(key_of_set(), image_patch("agent:2"), how="strategic")
        await until(lambda: now_of(world, key_of_set())["status"]["observedGeneration"] == 2, 2)
        took_s = await until(lambda: at(now_of(world, key_of_set()), "status.updatedNumberScheduled") == nodes
                             and available() == nodes, 120)
        assert 25 < took_s < 60
        assert nodes - min(least) <= nodes // 10, "never more down than allowed"
        assert writes["pods"] <= 9 * nodes, "marked, ended, gone; made, bound, accepted, running (ready)"
        assert writes["events"] <= 9 * nodes
        assert writes["daemonsets.apps"] <= 13 * took_s, "paced"
        assert world.runtimes[0].tally.plans <= 15 * (took_s + 15)

    told(story)


def test_the_first_object_of_a_namesake_is_another_one():
    async def story(world):
        await three_daemons(world)
        first = now_of(world, key_of_set())
        await world.admin.delete(key_of_set())
        await world.apply(a_daemonset())
        second = now_of(world, key_of_set())
        assert uid_of(first) != uid_of(second) and second["metadata"]["generation"] == 1
        assert from_time(second["metadata"]["creationTimestamp"]) >= from_time(first["metadata"]["creationTimestamp"])
        await asyncio.sleep(30)
        assert {controller_of(one)["uid"] for one in found(world, "pods")} == {uid_of(second)}
        assert len(found(world, "pods")) == 3
        with pytest.raises(NotFound):
            await world.admin.get(key_of_set("first"))

    told(story)
