"""`muster bench`: each run of each family in a process of its own, its progress on stderr, its figures on stdout.

A line comes as soon as all runs of its family are done; a table comes at the end.
"""
from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..api.errors import Internal, Unavailable
from .figures import Figures, json_line, summary, table
from .request import Request
from .server import STOP_WITHIN_S, as_installed

Show = Callable[[str, float], None]


def run(request: Request) -> None:
    lines: list[Figures] = []
    with _progress() as show:
        for family, benches in request.by_family().items():
            runs = []
            for number in range(request.runs):
                def shown(what: str, share: float, number: int = number) -> None:
                    turn = f" ({number + 1} of {request.runs})" if request.runs > 1 else ""
                    show(what + turn, share)
                runs.append(measured(_job(request, family, benches), shown))
            for bench in benches:
                lines.append(summary([figures for found in runs for figures in found if figures["bench"] == bench]))
                if request.output == "json":
                    print(json_line(lines[-1]), flush=True)
    if request.output == "table":
        print(table(lines))


def _job(request: Request, family: str, benches: Sequence[str]) -> dict[str, Any]:
    return {"family": family, "benches": list(benches), "nodes": request.nodes_of(family),
            "connections": request.connections_of(family), "seconds": request.seconds,
            "kubeconfig": str(request.kubeconfig) if request.kubeconfig is not None else None}


def measured(job: dict[str, Any], show: Show) -> list[Figures]:
    """The figures of one run of a family."""
    process = subprocess.Popen([sys.executable, "-m", "muster.bench.load"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=as_installed())
    assert process.stdin is not None and process.stdout is not None
    found: list[Figures] = []
    try:
        process.stdin.write(orjson.dumps(job) + b"\n")
        process.stdin.flush()
        for text in process.stdout:
            line = orjson.loads(text)
            if "failed" in line:
                raise Unavailable(line["failed"])
            if "figures" in line:
                found.append(line["figures"])
            else:
                show(line["doing"], line["share"])
    finally:
        process.stdin.close()  # it stops the server and ends
        process.stdout.close()
        try:
            process.wait(2 * STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if {figures["bench"] for figures in found} != set(job["benches"]):
        raise Internal(f"the process that measures ended with {process.returncode}; what it said is above")
    return found


@contextlib.contextmanager
def _progress() -> Iterator[Show]:
    """A bar on stderr where that is a terminal, else nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda what, share: None
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console,
                  transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda what, share: progress.update(task, description=what, completed=share)
