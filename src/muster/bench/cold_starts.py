"""How long `muster up` takes from the process's start to its ready line: on a new folder, and on one it resumes.

`first_answer_s` is when a client with a TLS connection of its own has an answer.  What is resumed holds that many
nodes with a daemon each.  `interpreter_s` is what a Python that does nothing takes and `import_s` what importing
all that the server uses adds to that: the rest is Muster's own work (certificates, schema, store, pools).
"""
from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ..client.kubeconfig import read_kubeconfig
from ..client.remote import RemoteClient
from .arena import Show, arena_of, open_namespace
from .daemonsets import land
from .figures import Figures
from .server import NO_DELAYS, Process, as_installed, data_folder, serving
from .workload import prepare

WHOLE_SERVER = ("import uvloop, muster.__main__, muster.cli.up, muster.process, muster.server.serving, "
                "muster.store.sqlite")


async def run(nodes: int, show: Show) -> Figures:
    client_cpu_s = time.process_time()
    show("cold-start", 0.0)
    _python("-c", WHOLE_SERVER)  # whatever was not compiled yet
    interpreter_s = _python("-c", "pass")
    import_s = _python("-c", WHOLE_SERVER) - interpreter_s
    with data_folder() as data:
        new = await begin(data, "--nodes", str(nodes), *NO_DELAYS)
        show("cold-start", 0.3)
        await _fill(data, nodes, show)
        show("cold-start", 0.8)
        resumed = await begin(data)
    client_cpu_s = time.process_time() - client_cpu_s
    return {"bench": "cold-start", "nodes": nodes, **new, **{f"resumed_{name}": figure
                                                             for name, figure in resumed.items()},
            "interpreter_s": interpreter_s, "import_s": import_s, "client_cpu_s": client_cpu_s}


async def begin(data: Path, *arguments: str) -> Mapping[str, float]:
    began = time.perf_counter()
    with serving(data, arguments) as process:
        ready_s, server = time.perf_counter() - began, Process(process.pid)
        cost = {"server_cpu_s": server.cpu_s(), "peak_rss_mb": server.memory_mb()}
        client = RemoteClient(read_kubeconfig(data / "kubeconfig"))
        writes = (await client.list("namespaces")).revision
        answered_s = time.perf_counter() - began
        await client.close()
    return {"wall_s": ready_s, "first_answer_s": answered_s, "writes": writes,
            **{name: figure for name, figure in cost.items() if figure is not None}}


async def _fill(data: Path, nodes: int, show: Show) -> None:
    """A daemon on each node."""
    with serving(data, ()) as process:
        arena = arena_of(data, process.pid, nodes=nodes, connections=1, seconds=0, show=show)
        await arena.nodes_ready()
        await open_namespace(arena.client)
        await prepare(arena)
        await land(arena, "cold-start")
        await arena.client.close()


def _python(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, env=as_installed(), stdin=subprocess.DEVNULL)
    return time.perf_counter() - began
