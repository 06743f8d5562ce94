"""How long `muster up` takes from process start to its ready line, on a new folder and on one it resumes.

    python benchmarks/cold_start.py [--runs 3] [--nodes 3] [--resumed-nodes 1000]

Medians of the runs, one JSON line each.  `first_answer_s` is when a client with a TLS connection of its own has
an answer.  The resumed folder holds nodes with a daemon each.  `import_s` is what importing all that the server
uses takes in a fresh interpreter, `interpreter_s` what an interpreter that does nothing takes: the rest of
`ready_s` is Muster's own work (certificates, schema, store, pools).
"""
from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from daemonset import AGENT, MANIFEST, has_landed
from measured.server import NO_DELAYS, as_installed, data_folder, objects, say, start, stop

from muster.api.objects import Key

WHOLE_SERVER = "import uvloop, muster.__main__, muster.cli.up, muster.app, muster.server.serving, muster.store.sqlite"


async def begin(data: Path, *arguments: str) -> dict[str, float]:
    began = time.perf_counter()
    server = start(data, arguments)
    ready = time.perf_counter()
    try:
        cpu_s = server.cpu_s()
        await server.client.get(Key("namespaces", "", "default"))
        answered = time.perf_counter()
        await server.client.close()
    finally:
        stop(server)
    return {"ready_s": ready - began, "ready_cpu_s": cpu_s, "first_answer_s": answered - began}


async def fill(data: Path, nodes: int) -> None:
    """A cluster with a daemon on each node, stopped again."""
    server = start(data, ["--nodes", str(nodes), *NO_DELAYS])
    try:
        await server.nodes_ready(nodes)
        await server.client.create(yaml.safe_load(MANIFEST.read_text()))
        async for daemonset in objects(server.client, AGENT):
            if has_landed(daemonset, nodes):
                break
        await server.settled()
        await server.client.close()
    finally:
        stop(server)


def python_takes(program: str, runs: int) -> float:
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True, env=as_installed())
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def repeat(runs: int, once: Callable[[], dict[str, float]]) -> dict[str, float]:
    found = [once() for _ in range(runs)]
    figures = {name: statistics.median(one[name] for one in found) for name in found[0]}
    return {**figures, "slowest_ready_s": max(one["ready_s"] for one in found)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=3, help="of a new cluster")
    parser.add_argument("--resumed-nodes", type=int, default=1000, help="of the resumed one; 0: none is resumed")
    chosen = parser.parse_args()
    python_takes(WHOLE_SERVER, 1)  # whatever was not compiled yet
    nothing = python_takes("pass", chosen.runs)
    imports = python_takes(WHOLE_SERVER, chosen.runs)

    def new() -> dict[str, float]:
        with data_folder() as data:
            return asyncio.run(begin(data, "--nodes", str(chosen.nodes)))

    say(bench="cold start, new", nodes=chosen.nodes, median_of=chosen.runs, **repeat(chosen.runs, new),
        interpreter_s=nothing, import_s=imports - nothing)
    if chosen.resumed_nodes:
        with data_folder() as data:
            asyncio.run(fill(data, chosen.resumed_nodes))
            say(bench="cold start, resumed", nodes=chosen.resumed_nodes, median_of=chosen.runs,
                **repeat(chosen.runs, lambda: asyncio.run(begin(data))),
                database_mb=(data / "muster.db").stat().st_size >> 20)


if __name__ == "__main__":
    main()
