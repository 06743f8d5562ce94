"""The same seed gives the same history, byte for byte: in one process, in others, whatever strings hash to."""
from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from small_world import Fingerprint, a_daemonset, a_node, a_pod, at_work, image_patch, key_of_set

from muster.api.objects import Key
from muster.clock import Clock, run_virtual
from muster.store.memory import MemoryStore

HERE = Path(__file__).resolve()
NODES = 30


async def story(world) -> None:
    """Thirty nodes, a rollout, a node lost and returned, a node deleted, a namespace deleted."""
    admin = world.admin
    await admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "logging"}})
    for number in range(NODES - 10):
        await admin.create(a_node(f"n{number:02}", {"zone": "abc"[number % 3]}))
    await admin.create({"apiVersion": "muster.dev/v1alpha1", "kind": "NodePool", "metadata": {"name": "pool"},
                        "spec": {"replicas": 10}})
    await asyncio.sleep(5)
    await world.apply(a_daemonset("agent", "logging", rolling={"maxUnavailable": "20%"}))
    await world.apply(a_daemonset("other", "logging", rolling={"maxUnavailable": 0, "maxSurge": 3}))
    for number in range(12):
        await admin.create(a_pod(f"web-{number}", "logging", cpu="500m"))
    await asyncio.sleep(30)
    for name in ("agent", "other"):
        await admin.patch(key_of_set(name, "logging"), image_patch("agent:2"), how="strategic")
    await asyncio.sleep(10)
    lost = Key("nodes", "", "n03")
    await admin.patch(lost, {"metadata": {"annotations": {"muster.dev/fail": "true"}}})
    await asyncio.sleep(420)
    await admin.patch(lost, {"metadata": {"annotations": {"muster.dev/fail": None}}})
    await admin.delete(Key("nodes", "", "n04"))
    await asyncio.sleep(60)
    await admin.patch(key_of_set("agent", "logging"), image_patch("agent:404"), how="strategic")
    await asyncio.sleep(60)
    await admin.delete(Key("namespaces", "", "logging"))
    await asyncio.sleep(60)
    assert world.store.get(Key("namespaces", "", "logging")) is None


def fingerprint(seed: int) -> tuple[str, int]:
    async def main(clock: Clock) -> tuple[str, int]:
        store = MemoryStore()
        print_ = Fingerprint(store)
        async with at_work(clock, store) as world:
            await story(world)
        return str(print_), print_.changes

    return run_virtual(main, seed=seed)


def test_two_runs_in_one_process_write_the_same_history():
    first = fingerprint(7)
    assert first[1] > 500, "much has happened"
    assert fingerprint(7) == first


def test_another_seed_writes_another_history():
    assert fingerprint(7) != fingerprint(8)


def test_other_processes_write_the_same_history():
    expected = "{} {}".format(*fingerprint(7))
    for hash_seed in ("1", "4242"):
        path = os.pathsep.join([str(HERE.parent), *sys.path])
        done = subprocess.run([sys.executable, str(HERE), "7"], capture_output=True, text=True, timeout=120, check=True,
                              env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path})
        assert done.stdout.strip() == expected, f"PYTHONHASHSEED={hash_seed}"


if __name__ == "__main__":
    print(*fingerprint(int(sys.argv[1])))
