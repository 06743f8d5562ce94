"""The fleet in virtual time, over the real registry: what one sees of pods and pools."""
from __future__ import annotations

import asyncio

import pytest
from fleet_story import INSTANT, POOLS, World, story

from muster.api.objects import Key, at, is_true
from muster.controllers import node_pool
from muster.node.images import size_bytes


def test_a_pod_becomes_ready_and_goes_away() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1, {**INSTANT, "pull": "2s", "start": "500ms", "stop": "1s"})
        assert is_true(node, "Ready") and at(node, "status.allocatable.cpu") == "4"
        key = await world.pod("web", node["metadata"]["name"])
        await asyncio.sleep(10)
        pod = world.get(key)
        assert is_true(pod, "Ready") and pod["status"]["phase"] == "Running"
        assert pod["status"]["hostIP"] == node["status"]["addresses"][0]["address"]
        assert pod["status"]["podIP"].startswith(node["spec"]["podCIDR"].rpartition(".")[0])
        await world.client.delete(key)
        await asyncio.sleep(5)
        assert world.mirror.get(key) is None
        assert world.lines == [
            "0/1 Pending", "0/1 ContainerCreating", "1/1 Running", "1/1 Terminating",
            "0/1 Completed",  # its containers have ended
            "0/1 Completed",  # its network is gone
            "0/1 Completed",  # the agent asked for its removal: the grace period is 0 now
            "gone"]
        assert [event for event in world.events() if "Node" not in event and "Pool" not in event] == [
            'Pulling: Pulling image "nginx:1.27"',
            'Pulled: Successfully pulled image "nginx:1.27" in 2s (2s including waiting). '
            f"Image size: {size_bytes('nginx:1.27')} bytes.",
            "Created: Created container: app", "Started: Started container app", "Killing: Stopping container app"]
    story(tell)


def test_a_pod_that_takes_no_time_costs_one_status() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        key = await world.pod("web", node["metadata"]["name"])
        await asyncio.sleep(1)
        assert is_true(world.get(key), "Ready")
        assert world.lines == ["0/1 Pending", "1/1 Running"]
    story(tell)


def test_an_image_that_nobody_has() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1, {**INSTANT, "missingImages": ["nginx:bro*"]})
        key = await world.pod("web", node["metadata"]["name"], container={"image": "nginx:broken"})
        await asyncio.sleep(45)
        assert world.lines == ["0/1 Pending", "0/1 ErrImagePull", "0/1 ImagePullBackOff", "0/1 ErrImagePull",
                               "0/1 ImagePullBackOff", "0/1 ErrImagePull", "0/1 ImagePullBackOff"]
        await world.client.patch(Key(POOLS, "", "default-pool"), {"spec": {"behaviour": {"missingImages": []}}})
        await asyncio.sleep(60)
        assert is_true(world.get(key), "Ready"), "once the registry has it, the next try finds it"
    story(tell)


def test_a_container_that_crashes() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        key = await world.pod("web", node["metadata"]["name"], annotations={"muster.dev/crash": "app=3,after=1s"})
        await asyncio.sleep(60)
        assert world.lines == ["0/1 Pending", "1/1 Running", "1/1 Running", "0/1 CrashLoopBackOff", "1/1 Running",
                               "0/1 CrashLoopBackOff", "1/1 Running", "0/1 CrashLoopBackOff"]
        (told,) = world.get(key)["status"]["containerStatuses"]
        assert told["restartCount"] == 3
        assert told["lastState"]["terminated"]["exitCode"] == 3
        assert told["state"]["waiting"]["message"].startswith("back-off 40s restarting failed container=app pod=web_")
    story(tell)


def test_a_new_process_restarts_nothing() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        name = node["metadata"]["name"]
        runs = await world.pod("runs", name)
        crashes = await world.pod("crashes", name, annotations={"muster.dev/crash": "app=3"})
        done = await world.pod("done", name, container={"command": ["true"]}, spec={"restartPolicy": "Never"})
        await asyncio.sleep(30)
        before = [world.get(key) for key in (runs, done)]
        restarts = world.get(crashes)["status"]["containerStatuses"][0]["restartCount"]
        await world.end()
        world.begin()
        await asyncio.sleep(60)
        assert [world.get(key) for key in (runs, done)] == before
        again = world.get(crashes)["status"]["containerStatuses"][0]["restartCount"]
        assert again == restarts + 2, "the waits go on growing"
        new = await world.pod("new", name)
        await asyncio.sleep(1)
        assert len({world.get(key)["status"]["podIP"] for key in (runs, crashes, done, new)}) == 4
        await world.client.delete(runs)
        await asyncio.sleep(1)
        assert world.mirror.get(runs) is None
    story(tell)


def test_a_host_port_is_taken_once() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        ports = {"ports": [{"containerPort": 80, "hostPort": 8080}]}
        first = await world.pod("first", node["metadata"]["name"], container=ports)
        second = await world.pod("second", node["metadata"]["name"], container=ports)
        await asyncio.sleep(1)
        assert is_true(world.get(first), "Ready")
        assert {field: world.get(second)["status"][field] for field in ("phase", "reason", "message")} == {
            "phase": "Failed", "reason": "NodePorts",
            "message": "Pod was rejected: Predicate NodePorts failed: "
                       "node(s) didn't have free ports for the requested pod ports"}
        await world.client.delete(first)
        await asyncio.sleep(1)
        third = await world.pod("third", node["metadata"]["name"], container=ports)
        await asyncio.sleep(1)
        assert is_true(world.get(third), "Ready")
    story(tell)


def test_a_pod_held_by_a_finalizer_is_asked_for_once() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        key = await world.pod("web", node["metadata"]["name"])
        await world.client.patch(key, {"metadata": {"finalizers": ["example.com/hold"]}})
        await asyncio.sleep(1)
        await world.client.delete(key)
        await asyncio.sleep(5)
        writes = world.fleet.writes
        assert world.get(key)["metadata"]["deletionGracePeriodSeconds"] == 0
        await world.client.patch(key, {"metadata": {"labels": {"touched": "yes"}}})
        await asyncio.sleep(4)
        assert world.fleet.writes - writes <= 1, "a lease at most"
        await world.end()
        world.begin()
        await asyncio.sleep(4)
        assert world.fleet.writes <= 2, "nor by a new process: its lease is taken up, and renewed"
        await world.client.patch(key, {"metadata": {"finalizers": None}})
        await asyncio.sleep(1)
        assert world.mirror.get(key) is None
    story(tell)


def test_a_pod_that_is_removed_while_its_node_writes_to_it() -> None:
    """At whichever moment: what is gone is not written to over and over until its removal is known."""
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        for turns in range(12):
            key = await world.pod("web", node["metadata"]["name"])
            await asyncio.sleep(1)
            writes = world.fleet.writes
            await world.client.delete(key)
            for _ in range(turns):
                await asyncio.sleep(0)
            stored = world.store.get(key)
            if stored is not None:
                await world.store.commit(key, None, expect=stored.revision)
            await asyncio.sleep(1)
            assert world.mirror.get(key) is None
            assert world.fleet.writes - writes <= 4
    story(tell)


def test_a_removal_that_a_lost_server_left_half_done_is_finished() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        key = await world.pod("web", node["metadata"]["name"])
        await asyncio.sleep(1)
        await world.end()
        stored = world.store.get(key)
        assert stored is not None
        marked = {**stored.value, "metadata": {**stored.value["metadata"], "deletionGracePeriodSeconds": 0,
                                               "deletionTimestamp": stored.value["metadata"]["creationTimestamp"]}}
        await world.store.commit(key, marked, expect=stored.revision)
        world.begin()
        await asyncio.sleep(1)
        assert world.mirror.get(key) is None
    story(tell)


def test_a_pod_that_others_call_failed_stays_failed() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        key = await world.pod("web", node["metadata"]["name"])
        await asyncio.sleep(1)
        pod = world.get(key)
        await world.client.set_status(key, pod["metadata"]["uid"],
                                      {**pod["status"], "phase": "Failed", "reason": "Evicted", "message": "why"})
        await asyncio.sleep(60)
        status = world.get(key)["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
        assert "terminated" in status["containerStatuses"][0]["state"]
        await world.client.delete(key)
        await asyncio.sleep(5)
        assert world.mirror.get(key) is None
        assert world.lines[-1] == "gone" and "Succeeded" not in world.phases
    story(tell)


def test_a_debug_container_joins_a_running_pod() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        key = await world.pod("web", node["metadata"]["name"])
        await asyncio.sleep(1)
        debugger = {"name": "debugger", "image": "busybox", "command": ["sleep", "5"]}
        await world.client.patch(key, {"spec": {"ephemeralContainers": [debugger]}}, subresource="ephemeralcontainers")
        await asyncio.sleep(1)
        (told,) = world.get(key)["status"]["ephemeralContainerStatuses"]
        assert "running" in told["state"] and is_true(world.get(key), "Ready")
        await asyncio.sleep(10)
        (told,) = world.get(key)["status"]["ephemeralContainerStatuses"]
        assert told["state"]["terminated"]["reason"] == "Completed" and is_true(world.get(key), "Ready")
    story(tell)


def test_a_pool_follows_its_number() -> None:
    async def tell(world: World) -> None:
        before = [node["metadata"]["name"] for node in await world.pool(4)]
        for replicas in (2, 4):
            await world.client.patch(Key(POOLS, "", "default-pool"), {"spec": {"replicas": replicas}})
            await asyncio.sleep(5)
            pool = world.get(Key(POOLS, "", "default-pool"))
            assert pool["status"]["readyReplicas"] == pool["status"]["replicas"] == replicas
        names = {name for _, name in world.mirror.objects("nodes")}
        assert len(names & set(before)) == 2, "two stayed, and no new one has the name of one that went"
        newest = max(world.mirror.objects("nodes").values(), key=node_pool.number_of)
        await world.client.delete(Key("nodes", "", newest["metadata"]["name"]))
        await asyncio.sleep(5)
        names = {name for _, name in world.mirror.objects("nodes")}
        assert len(names) == 4 and newest["metadata"]["name"] not in names
        assert len({node["spec"]["podCIDR"] for node in world.mirror.objects("nodes").values()}) == 4
    story(tell)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_tells_the_same_story(seed: int) -> None:
    def once() -> list[str]:
        lines: list[str] = []

        async def tell(world: World) -> None:
            nodes = await world.pool(3, {})
            for number in range(9):
                await world.pod(f"web-{number}", nodes[number % 3]["metadata"]["name"])
            await asyncio.sleep(30)
            lines.extend(world.lines + world.events())
        story(tell, seed)
        return lines

    first = once()
    assert first == once()
    assert first.count("1/1 Running") == 9
