"""Nodes whose clocks are wrong: they tell of times by them, and what they do takes as long as ever."""
from __future__ import annotations

import asyncio

import pytest
from fleet_story import World, seen, story

from muster.api.kinds.lease import RENEWED_AGO
from muster.api.logs import LogOptions
from muster.api.objects import Key, Obj, condition, from_time
from muster.node import leases
from muster.node.machines import clock_skew_s

SKEW = "muster.dev/clock-skew"
QUICK = {"pull": "10s", "start": "0s", "ready": "0s", "stop": "20s", "missingImages": []}


async def skewed(world: World, text: str | None, *, behaviour: Obj = QUICK) -> str:
    node, = await world.pool(1, behaviour)
    if text is not None:
        await put_clock(world, node["metadata"]["name"], text)
    return node["metadata"]["name"]


async def put_clock(world: World, name: str, text: str | None) -> None:
    await world.client.patch(Key("nodes", "", name), {"metadata": {"annotations": {SKEW: text}}})
    await asyncio.sleep(0.1)


def lease_of(name: str) -> Key:
    return Key("leases.coordination.k8s.io", "kube-node-lease", name)


@pytest.mark.parametrize(("text", "skew_s"), [
    ("90s", 90), ("+1h", 3600), ("-2m30s", -150), ("soon", 0), ("never", 0), ("", 0), ("900d", 365 * 86400), ("-0s", 0)])
def test_how_far_a_clock_is_ahead(text, skew_s):
    assert clock_skew_s({"metadata": {"annotations": {SKEW: text}}}) == skew_s


@pytest.mark.parametrize("skew_s", [-3600, 3600])
def test_a_node_tells_of_times_by_its_own_clock(skew_s):
    async def tell(world: World) -> None:
        name = await skewed(world, f"{skew_s}s")
        began = world.clock.now()
        key = await world.pod("web", name)
        await asyncio.sleep(20)
        pod = world.get(key)
        assert from_time(pod["metadata"]["creationTimestamp"]) == pytest.approx(began, abs=1), "the server's"
        assert from_time(pod["status"]["startTime"]) == pytest.approx(began + skew_s, abs=1.01)
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        assert from_time(started) == pytest.approx(began + 10 + skew_s, abs=1.01), "its pull takes 10 s, as ever"
        assert condition(pod, "Ready")["lastTransitionTime"] == started
        lease = world.get(lease_of(name))
        assert from_time(lease["spec"]["renewTime"]) == pytest.approx(world.clock.now() + skew_s, abs=10.5)
        await asyncio.sleep(300)
        heartbeat = condition(world.get(Key("nodes", "", name)), "Ready")["lastHeartbeatTime"]
        assert from_time(heartbeat) == pytest.approx(world.clock.now() + skew_s, abs=300)
        assert from_time(heartbeat) != pytest.approx(world.clock.now(), abs=301)
    story(tell)


@pytest.mark.parametrize("skew_s", [-3600, -7, 7, 3600])
def test_a_clock_that_is_put_right_or_wrong_hurries_nothing_and_puts_nothing_off(skew_s):
    async def tell(world: World) -> None:
        name = await skewed(world, None)
        pulling, crashing = await world.pod("web", name), await world.pod(
            "job", name, container={"command": ["sh", "-c", "sleep 4; exit 1"]})
        await asyncio.sleep(5)
        await put_clock(world, name, f"{skew_s}s")
        await asyncio.sleep(4)
        assert seen(world.get(pulling)) == "0/1 ContainerCreating", "9 of its 10 s"
        await asyncio.sleep(2)
        assert seen(world.get(pulling)) == "1/1 Running"
        await asyncio.sleep(4)
        assert seen(world.get(crashing)) == "1/1 Running", "it crashed once and was started again at once"
        await put_clock(world, name, None)
        await asyncio.sleep(9)
        assert seen(world.get(crashing)) == "0/1 CrashLoopBackOff", "for 10 s from 18 s on"
        await asyncio.sleep(4)
        assert seen(world.get(crashing)) == "1/1 Running"
        assert seen(world.get(pulling)) == "1/1 Running"
    story(tell)


@pytest.mark.parametrize("skew_s", [-3600, 0, 3600])
@pytest.mark.parametrize(("grace_s", "ends_after_s"), [(30, 20), (10, 10)])
def test_a_deleted_pod_is_given_its_time(skew_s, grace_s, ends_after_s):
    async def tell(world: World) -> None:
        name = await skewed(world, f"{skew_s}s")
        key = await world.pod("web", name, spec={"terminationGracePeriodSeconds": grace_s})
        await asyncio.sleep(20)
        await world.client.delete(key)
        await asyncio.sleep(ends_after_s - 1)
        assert seen(world.get(key)) == "1/1 Terminating"
        await asyncio.sleep(6)
        assert world.mirror.get(key) is None
    story(tell)


@pytest.mark.parametrize("skew_s", [-3600, 3600])
def test_who_begins_anew_finds_what_was_told_by_another_clock(skew_s):
    """A pod that runs runs on, one that is backing off waits no longer than it would have, and a task ends."""
    async def tell(world: World) -> None:
        name = await skewed(world, f"{skew_s}s")
        running = await world.pod("web", name)
        crashing = await world.pod("bad", name, container={"command": ["false"]})
        task = await world.pod("task", name, spec={"restartPolicy": "Never"}, container={"command": ["sleep", "30"]})
        await asyncio.sleep(20)
        assert [seen(world.get(one)) for one in (running, crashing, task)] == [
            "1/1 Running", "0/1 CrashLoopBackOff", "1/1 Running"]
        restarts = world.get(crashing)["status"]["containerStatuses"][0]["restartCount"]
        await world.end()
        await world.client.patch(Key("nodes", "", name), {"metadata": {"annotations": {SKEW: None}}})
        world.begin()
        await asyncio.sleep(45)
        assert world.get(running)["status"]["containerStatuses"][0]["restartCount"] == 0
        assert world.get(crashing)["status"]["containerStatuses"][0]["restartCount"] > restarts
        assert seen(world.get(task)) == "0/1 Completed"
    story(tell)


def test_logs_are_stamped_by_the_clock_of_the_node():
    async def tell(world: World) -> None:
        name = await skewed(world, "1h")
        key = await world.pod("web", name, container={"command": ["sh", "-c", "echo hello; sleep 1000"]})
        await asyncio.sleep(20)
        began = world.get(key)["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        text = b"".join([piece async for piece in world.fleet.logs(world.get(key), LogOptions("app", timestamps=True))])
        assert text.startswith(began[:-1].encode()) and b"hello" in text
    story(tell)


@pytest.mark.parametrize("late_s", [0.0, 30.0])
def test_the_last_renewal_of_a_silent_node_says_how_long_ago_it_was(late_s):
    """In every ten seconds at a moment of the node's own; told by its own clock, and for how long by ours."""
    silent_since = 1_767_225_607.0
    renewed = leases.last_renewed("uid", silent_since)
    assert silent_since - 10 < renewed <= silent_since
    late = leases.late_renewal(renewed, silent_since + late_s, skew_s=-500.0)
    assert float(late["metadata"]["annotations"][RENEWED_AGO]) == pytest.approx(silent_since + late_s - renewed, abs=.001)
    assert from_time(late["spec"]["renewTime"]) == pytest.approx(renewed - 500, abs=.01)
