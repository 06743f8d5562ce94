"""The same seed gives the same history, byte for byte: in one process, in others, whatever strings hash to."""
from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_world import Fingerprint, a_daemonset, a_node, a_pod, at_work, image_patch, key_of_set

from muster.api.objects import Key
from muster.clock import Clock, run_virtual
from muster.store.memory import MemoryStore
from muster.store.recorded import RecordingFile, check
from muster.store.recording import Recording

HERE = Path(__file__).resolve()
OTHER_MINORS = [minor for minor in (11, 12, 13, 14) if minor != sys.version_info.minor]
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


def fingerprint(seed: int, file: Path) -> tuple[str, int]:
    """The sha256 of the story's history and how many changes it has; the history itself goes to `file`."""
    async def main(clock: Clock) -> tuple[str, int]:
        store = MemoryStore()
        print_ = Fingerprint(store)
        recording = Recording.create(file, clock.now)
        recording.follow(store.history, seed=seed)
        async with at_work(clock, store) as world:
            await story(world)
        summary = recording.close()
        assert (summary.sha256, summary.changes) == (str(print_), print_.changes)
        return summary.sha256, summary.changes

    return run_virtual(main, seed=seed)


def elsewhere(file: Path, python: str = sys.executable, path: tuple[str, ...] = (), **environment: str) -> str:
    """What another process says of the story of seed 7."""
    path = (str(HERE.parent), *(path or sys.path))
    done = subprocess.run([python, str(HERE), "7", str(file)], capture_output=True, text=True, timeout=120, check=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **environment})
    return done.stdout.strip()


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    """(sha256, changes) of seed 7, and its recording."""
    file = tmp_path_factory.mktemp("seven") / "recording"
    return fingerprint(7, file), file


def test_two_runs_in_one_process_write_the_same_history(seven, tmp_path):
    first, file = seven
    assert first[1] > 500, "much has happened"
    assert fingerprint(7, tmp_path / "again") == first
    assert (tmp_path / "again").read_bytes() == file.read_bytes()
    assert str(check(RecordingFile(file))) == first[0]


def test_another_seed_writes_another_history(seven, tmp_path):
    assert fingerprint(8, tmp_path / "other") != seven[0]


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_other_processes_write_the_same_history(seven, tmp_path, hash_seed):
    expected, file = seven
    assert elsewhere(tmp_path / "there", PYTHONHASHSEED=hash_seed) == "{} {}".format(*expected)
    assert (tmp_path / "there").read_bytes() == file.read_bytes()


def test_other_versions_of_python_write_the_same_history(seven, tmp_path):
    """The recordings may be packed otherwise; what is in them is the same."""
    others = [python for minor in OTHER_MINORS if (python := shutil.which(f"python3.{minor}")) and has_dependencies(python)]
    if not others:
        pytest.skip("no other version of Python with Muster's dependencies on this machine")
    source = str(HERE.parents[2] / "src")
    for python in others:
        assert elsewhere(tmp_path / "there", python, (source,)) == "{} {}".format(*seven[0]), python


def has_dependencies(python: str) -> bool:
    needed = "import orjson, httptools, cryptography, sortedcontainers, yaml, prometheus_client"
    return subprocess.run([python, "-c", needed], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    print(*fingerprint(int(sys.argv[1]), Path(sys.argv[2])))
