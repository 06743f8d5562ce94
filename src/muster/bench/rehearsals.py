"""What a rehearsal costs: a rolling update at 10 % of a daemon on every node, played by `muster rehearse` itself.

    rehearse        one run, from the command's start to its answer; pulls take 20 to 90 s, so that no two nodes agree
    rehearse-runs   a hundred runs on all cores (ten above 250 nodes)

`played_cpu_s` of its CPU seconds are the runs themselves; the rest is importing, setting the stage and the answer.
"""
from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import orjson

from ..api.errors import Unavailable
from .arena import Show
from .figures import Figures
from .server import as_installed
from .workload import template

RUNS, RUNS_OF_MANY, MANY = 100, 10, 250
LENGTHS = ("--stop", "2s..6s", "--pull", "20s..90s", "--start", "1s..3s", "--ready", "2s..8s")


async def run(benches: Sequence[str], nodes: int, show: Show) -> AsyncGenerator[Figures, None]:
    for bench in benches:
        show(bench, 0.0)
        runs = 1 if bench == "rehearse" else RUNS if nodes <= MANY else RUNS_OF_MANY
        client_cpu_s = time.process_time()
        figures = _rehearsed(nodes, runs)
        yield {"bench": bench, "nodes": nodes, **figures, "rehearsals": runs,
               "client_cpu_s": time.process_time() - client_cpu_s}


def _rehearsed(nodes: int, runs: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        before, after, answer = (Path(folder) / name for name in ("before.json", "after.json", "answer.json"))
        before.write_bytes(orjson.dumps(_daemonset("agent:1")))
        after.write_bytes(orjson.dumps(_daemonset("agent:2")))
        command = [sys.executable, "-m", "muster", "rehearse", "--nodes", str(nodes), "--on", str(before), "-f",
                   str(after), *LENGTHS, "--runs", str(runs), "-o", "json", "--out", str(answer)]
        began = time.perf_counter()
        process = os.posix_spawn(sys.executable, command, as_installed())
        _, status, used = os.wait4(process, 0)
        wall_s = time.perf_counter() - began
        if os.waitstatus_to_exitcode(status) != 0:
            raise Unavailable("the rehearsal did not come to its end; what it said is above")
        told = orjson.loads(answer.read_bytes())
    (alternative,) = told["alternatives"]
    cost = [one["cost"] for one in alternative["outcomes"]]
    played_s = sum(one["cpuSeconds"] for one in cost)
    return {"wall_s": wall_s, "server_cpu_s": used.ru_utime + used.ru_stime, "peak_rss_mb": used.ru_maxrss / 1024,
            "played_cpu_s": played_s, "virtual_s": sum(one["virtualSeconds"] for one in cost),
            "writes": sum(one["apiWrites"] for one in cost), "plans": sum(one["plans"] for one in cost)}


def _daemonset(image: str) -> Figures:
    labels = {"app": "agent"}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "default"},
            "spec": {"selector": {"matchLabels": labels}, "template": template(labels, image),
                     "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}}}
