"""How fast the durable store writes and opens.  Prints one JSON line a measurement.

    python benchmarks/store_commit.py [--seconds 2] [--objects 150000] [--work-us 50] [--inline] [--directory DIR]

Every commit is acknowledged only once it is on the disk, so the figures are of the disk as well:
`--directory` says which one.  `--inline` flushes on the event loop instead of beside it; `--work-us` has
the loop compute that long before each commit, as a server does for a request.  `late_p99_ms` is how late
timers of that loop fire: what everything else in the process feels of the writing.
"""
from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from muster.api.objects import Key, Obj, with_
from muster.store.history import Lane
from muster.store.sqlite import OffLoop, SqliteStore


def pod(name: str) -> Obj:
    """A daemon's pod of about 2.6 KB of JSON, as a server stores it."""
    expressions = [{"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute"}
                   for what in ("not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure",
                                "unschedulable", "network-unavailable")]
    container = {
        "name": "agent", "image": "registry.example/agent:1.2.3", "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": {"memory": "200Mi"}, "requests": {"cpu": "100m", "memory": "200Mi"}},
        "volumeMounts": [{"name": "varlog", "mountPath": "/var/log"}, {"name": "run", "mountPath": "/run"}],
        "env": [{"name": f"SETTING_{n}", "value": f"value number {n}"} for n in range(8)],
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    }
    conditions = [{"type": type_, "status": "True", "lastProbeTime": None,
                   "lastTransitionTime": "2026-01-01T00:00:00Z"}
                  for type_ in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")]
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": "6b1f3c1e-5a57-4d0c-9d43-1c2b3a4d5e6f",
                     "creationTimestamp": "2026-01-01T00:00:00Z", "generateName": "agent-",
                     "labels": {"app": "agent", "controller-revision-hash": "7d9f6c5b8",
                                "pod-template-generation": "1"},
                     "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent",
                                          "uid": "0f3b2f8a-8f0e-4f5c-8f2f-5b9a6f1c7d3e", "controller": True,
                                          "blockOwnerDeletion": True}]},
        "spec": {"containers": [container], "nodeName": name, "restartPolicy": "Always", "tolerations": expressions,
                 "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
                 "volumes": [{"name": "varlog", "hostPath": {"path": "/var/log", "type": ""}},
                             {"name": "run", "emptyDir": {}}]},
        "status": {"phase": "Running", "conditions": conditions, "hostIP": "10.0.0.1", "podIP": "10.244.0.1",
                   "startTime": "2026-01-01T00:00:00Z"},
    }


def say(**figures: Any) -> None:
    print(json.dumps(figures), flush=True)


async def commits(path: Path, off_loop: OffLoop, concurrency: int, seconds: float, work_s: float) -> None:
    """Writers that each create an object and then change it again and again."""
    store = SqliteStore.open(path, off_loop=off_loop)
    template = pod("agent")
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    async def writer(number: int) -> None:
        name = f"agent-{concurrency}-{number}"
        key, revision, count = Key("pods", "default", name), 0, 0
        while time.perf_counter() < deadline:
            value = with_(with_(template, "metadata.name", name), "status.phase", f"Running {count}")
            began = time.perf_counter()
            while time.perf_counter() < began + work_s:
                pass
            began = time.perf_counter()
            written = await store.commit(key, value, expect=revision)
            latencies.append(time.perf_counter() - began)
            assert written is not None
            revision, count = written.revision, count + 1

    late: list[float] = []

    async def timer() -> None:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(0.002)
            late.append(time.perf_counter() - asked - 0.002)

    ticking = asyncio.create_task(timer())
    began, cpu = time.perf_counter(), time.process_time()
    loop_cpu = time.thread_time()
    await asyncio.gather(*(writer(number) for number in range(concurrency)))
    elapsed, count = time.perf_counter() - began, len(latencies)
    ticking.cancel()
    latencies.sort()
    late.sort()
    say(measure="commit", concurrency=concurrency, commits_per_s=round(count / elapsed),
        p50_ms=round(latencies[count // 2] * 1e3, 2), p99_ms=round(latencies[int(count * 0.99)] * 1e3, 2),
        max_ms=round(latencies[-1] * 1e3, 1), late_p50_ms=round(late[len(late) // 2] * 1e3, 2),
        late_p99_ms=round(late[int(len(late) * 0.99)] * 1e3, 2),
        loop_cpu_us=round((time.thread_time() - loop_cpu) / count * 1e6, 1),
        process_cpu_us=round((time.process_time() - cpu) / count * 1e6, 1))
    await store.close()


async def opening(path: Path, off_loop: OffLoop, objects: int) -> None:
    store = SqliteStore.open(path, off_loop=off_loop)
    template = pod("agent")
    began = time.perf_counter()
    for start in range(0, objects, 1000):
        await asyncio.gather(*(
            store.commit(Key("pods", "default", f"agent-{n}"), with_(template, "metadata.name", f"agent-{n}"), expect=0)
            for n in range(start, min(start + 1000, objects))))
    say(measure="fill", objects=objects, commits_per_s=round(objects / (time.perf_counter() - began)),
        encoded_bytes=len(store.get(Key("pods", "default", "agent-0")).encoded()))  # type: ignore[union-attr]
    await store.close()
    del store
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    store = SqliteStore.open(path, off_loop=off_loop)
    opened = time.perf_counter() - began
    lane: Lane = store.history.lane("pods")
    began = time.perf_counter()
    snapshots, _ = store.list("pods")
    listed = time.perf_counter() - began
    began = time.perf_counter()
    for snapshot in snapshots:
        assert snapshot.value
    say(measure="open", objects=len(lane.objects), open_s=round(opened, 2), list_ms=round(listed * 1e3, 1),
        decode_all_s=round(time.perf_counter() - began, 2), file_mb=path.stat().st_size >> 20,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, peak_before_mb=before >> 10)
    await store.close()


async def inline(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--objects", type=int, default=0)
    parser.add_argument("--work-us", type=float, default=0)
    parser.add_argument("--inline", action="store_true")
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--concurrency", type=int, nargs="*", default=[1, 8, 64, 256])
    chosen = parser.parse_args()
    sys.setswitchinterval(0.0005)  # as app.py does
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    off_loop: OffLoop = inline
    if not chosen.inline:
        off_loop = partial(asyncio.get_running_loop().run_in_executor, ThreadPoolExecutor(1))
    with tempfile.TemporaryDirectory(dir=chosen.directory) as directory:
        for concurrency in chosen.concurrency:
            path = Path(directory) / f"{concurrency}.db"
            await commits(path, off_loop, concurrency, chosen.seconds, chosen.work_us / 1e6)
        if chosen.objects:
            await opening(Path(directory) / "large.db", off_loop, chosen.objects)


if __name__ == "__main__":
    asyncio.run(main())
