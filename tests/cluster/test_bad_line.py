"""What components make of a bad line to the server: refused and lost writes, watches that stand still, restarts."""
from __future__ import annotations

import asyncio
from functools import partial

import pytest
from small_world import a_daemonset, a_node, a_pod, found, image_patch, key_of_set, pods_on, ready_pods

from muster.api.objects import Key, at, is_true, name_of, uid_of
from muster.app import Cluster, running
from muster.bootstrap import first_objects
from muster.clock import run_virtual
from muster.control.plan import Create, Plan
from muster.control.runtime import Controller, Runtime
from muster.node.fleet import Fleet
from muster.rehearsal.faults_line import AFTER, BEFORE, CONFLICT, ERROR, SLOW, Line, Trouble
from muster.store.memory import MemoryStore

LEASE = Key("leases.coordination.k8s.io", "kube-node-lease", "n1")
FAIL, RETURN = ({"metadata": {"annotations": {"muster.dev/fail": value}}} for value in ("true", None))


def told(story, heartbeats=True):
    async def main(clock):
        line = Line(clock)
        cluster = Cluster(MemoryStore(), clock, clients=line.client, make_fleet=partial(Fleet, heartbeats=heartbeats))
        async with running(cluster):
            await cluster.create_missing(first_objects("127.0.0.1", 6443))
            await story(cluster, line, cluster.client("kubernetes-admin"))
    run_virtual(main)


async def nodes(admin, *names):
    for name in names:
        await admin.create(a_node(name))
    await asyncio.sleep(5)


async def told_to_go(line, admin, how):
    """A pod, asked to end just when writes begin to fail."""
    await nodes(admin, "n1")
    await admin.create(a_pod("web"))
    await asyncio.sleep(10)
    line.troubles.append(trouble := Trouble(how))
    await admin.delete(Key("pods", "default", "web"))
    return trouble


async def stays_ready(cluster, seconds):
    for _ in range(seconds):
        await asyncio.sleep(1)
        assert is_true(found(cluster, "nodes")[0], "Ready")


@pytest.mark.parametrize("how", [CONFLICT, ERROR, BEFORE, AFTER])
def test_what_a_node_could_not_write_it_writes_again_by_itself(how):
    """The pod is told to go while every write fails; nothing else happens that could wake its node."""
    async def story(cluster, line, admin):
        trouble = await told_to_go(line, admin, how)
        await asyncio.sleep(2)
        assert found(cluster, "pods"), "still on its node"
        line.mend(trouble)
        await asyncio.sleep(8)
        assert not found(cluster, "pods"), "gone within the back-off of its last try, not with the next heartbeat"

    told(story, heartbeats=False)


def test_after_a_long_time_of_failing_a_node_writes_within_ten_seconds():
    async def story(cluster, line, admin):
        trouble = await told_to_go(line, admin, ERROR)
        await asyncio.sleep(100)
        line.mend(trouble)
        await asyncio.sleep(11)
        assert not found(cluster, "pods"), "two writes are needed; the second one comes at once"

    told(story)


def test_a_lease_that_could_not_be_made_is_made_later():
    async def story(cluster, line, admin):
        line.troubles.append(trouble := Trouble(ERROR))
        await nodes(admin, "n1")
        line.mend(trouble)
        await asyncio.sleep(10)
        await stays_ready(cluster, 200)

    told(story, heartbeats=False)


@pytest.mark.parametrize("heartbeats", [True, False])
def test_a_lease_that_is_taken_away_is_made_again(heartbeats):
    """As the collector takes one that was made for a namesake who is gone by then."""
    async def story(cluster, line, admin):
        await nodes(admin, "n1")
        await admin.delete(LEASE)
        await stays_ready(cluster, 200)
        assert cluster.store.get(LEASE)

    told(story, heartbeats)


def test_a_node_that_is_back_before_its_silence_was_written_stays_ready():
    async def story(cluster, line, admin):
        await nodes(admin, "n1")
        line.troubles.append(trouble := Trouble(SLOW, longest_s=30))
        await admin.patch(Key("nodes", "", "n1"), FAIL)
        await asyncio.sleep(.1)
        line.mend(trouble)
        await admin.patch(Key("nodes", "", "n1"), RETURN)
        await stays_ready(cluster, 200)

    told(story, heartbeats=False)


@pytest.mark.parametrize("how", [CONFLICT, ERROR, BEFORE, AFTER, SLOW])
def test_a_rollout_gets_through_a_bad_line(how):
    async def story(cluster, line, admin):
        await nodes(admin, "n1", "n2", "n3")
        await cluster.apply(a_daemonset(rolling={"maxUnavailable": 1}))
        await asyncio.sleep(10)
        line.troubles.append(Trouble(how, share=.4))
        await admin.patch(key_of_set(), image_patch("agent:2"), how="strategic")
        await asyncio.sleep(600)
        assert [pod["spec"]["containers"][0]["image"] for pod in ready_pods(cluster)] == ["agent:2"] * 3

    told(story)


@pytest.mark.parametrize("compact", [False, True])
def test_watches_that_stood_still_catch_up(compact):
    """What came and went meanwhile is never heard of when the history was compacted; the mirror is true all the same."""
    async def story(cluster, line, admin):
        await nodes(admin, "n1", "n2")
        await cluster.apply(a_daemonset())
        await asyncio.sleep(10)
        before = {uid_of(pod) for pod in found(cluster, "pods")}
        line.hold()
        await admin.create(a_pod("brief"))
        await admin.delete(Key("pods", "default", "brief"))
        for pod in found(cluster, "pods"):
            await admin.delete(Key("pods", "default", name_of(pod)), grace_period_s=0)
        await asyncio.sleep(30)
        assert not found(cluster, "pods"), "nobody heard of it"
        if compact:
            await cluster.store.compact(cluster.store.history.revision)
        line.let_go()
        await asyncio.sleep(20)
        now = {uid_of(pod) for pod in ready_pods(cluster)}
        assert len(now) == 2 and not now & before
        assert len(cluster.mirror.objects("pods")) == 2

    told(story)


def test_changes_that_arrive_twice_are_news_once():
    async def story(cluster, line, admin):
        line.repeats = True
        await nodes(admin, "n1", "n2")
        await cluster.apply(a_daemonset())
        await asyncio.sleep(10)
        await admin.patch(key_of_set(), image_patch("agent:2"), how="strategic")
        await asyncio.sleep(60)
        assert [len(pods_on(cluster, name)) for name in ("n1", "n2")] == [1, 1]
        assert dict(cluster.mirror.objects("pods")) == {
            place: one.value for place, one in cluster.store.history.lane("pods").objects.items()}

    told(story)


def test_a_controller_that_is_restarted_in_mid_plan_goes_on():
    """Forty daemons are being made, one slow write after the other, when their controller is restarted."""
    async def story(cluster, line, admin):
        await nodes(admin, *(f"n{number}" for number in range(40)))
        line.troubles.append(trouble := Trouble(SLOW, longest_s=2))
        await cluster.apply(a_daemonset())
        await asyncio.sleep(3)
        some = len(found(cluster, "pods"))
        assert 0 < some < 40
        cluster.restart("daemonset-controller")
        line.mend(trouble)
        await asyncio.sleep(30)
        assert len(found(cluster, "pods")) == 40
        assert at(found(cluster, "daemonsets.apps")[0], "status.numberAvailable") == 40

    told(story)


@pytest.mark.parametrize("controller", ["default-scheduler", "garbage-collector", "replicaset-controller"])
def test_a_restarted_controller_knows_what_is_there(controller):
    async def story(cluster, line, admin):
        await nodes(admin, "n1", "n2")
        await cluster.apply(a_daemonset())
        await admin.create(a_pod("web"))
        await asyncio.sleep(10)
        cluster.restart(controller)
        await admin.create(a_pod("late"))
        await admin.delete(key_of_set())
        await asyncio.sleep(40)
        assert [name_of(pod) for pod in ready_pods(cluster)] == ["late", "web"]

    told(story)


def test_a_controller_reads_its_own_writes_before_it_decides_again():
    """It wants one object and is woken every second; while its watch stands still it waits, and makes no second one."""
    maps = "configmaps"

    def plan(seen, now):
        one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "one-", "namespace": "default"}}
        return Plan([] if seen else [Create(one)], wake_at=now + 1)

    wants_one = Controller("wants-one", (maps,), lambda change, mirror: ["all"],
                           lambda mirror, key: dict(mirror.in_namespace(maps, "default")), plan)

    async def story(cluster, line, admin):
        runtime = Runtime(wants_one, cluster.mirror, cluster.client("system:serviceaccount:kube-system:wants-one"),
                          cluster.clock, cluster.kinds, lambda tell: None)
        work = asyncio.ensure_future(runtime.run())
        other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "kube-public"}}
        await asyncio.sleep(1)
        cluster.mirror.on_change(lambda change: line.hold(), [maps])  # it hears of this one, and of nothing after it
        await admin.create(other)
        await asyncio.sleep(30)
        assert len(found(cluster, maps, "default")) == 1
        line.let_go()
        await asyncio.sleep(5)
        assert len(found(cluster, maps, "default")) == 1
        work.cancel()

    told(story)
