"""The process that asks: `python -m muster.bench.load`, started by bench/run.py, one for each run of a family.

It reads one line of JSON (what to measure) and writes lines of JSON: what it is doing, figures, or the sentence
that says what went wrong.  It is apart from the command so that drawing a progress bar takes no time from asking,
and so that its CPU time is the client's alone.  Where the command goes away, its input ends, and so does this.
"""
from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import orjson
import uvloop

from ..api.errors import ApiError
from . import cold_starts, config_maps, daemonsets, deployments, pod_lists, rehearsals, watches
from .arena import other_arena, own_arena
from .figures import Figures

RUN = {"daemonsets": daemonsets.run, "deployments": deployments.run, "config_maps": config_maps.run,
       "pod_lists": pod_lists.run, "watches": watches.run}


def say(**line: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


def show(what: str, share: float) -> None:
    say(doing=what, share=share)


async def measure(job: dict[str, Any]) -> AsyncGenerator[Figures, None]:
    size = {name: job[name] for name in ("nodes", "connections", "seconds")}
    family = job["family"]
    if family == "cold_starts":
        yield await cold_starts.run(job["nodes"], show)
        return
    if family in ("rehearsals", "rehearsal_runs"):
        async with contextlib.aclosing(rehearsals.run(job["benches"], job["nodes"], show)) as rehearsed:
            async for figures in rehearsed:
                yield figures
        return
    if family == "watches":
        watches.room_for(job["connections"])
    place = job["kubeconfig"]
    async with (other_arena(Path(place), **size, show=show) if place else own_arena(**size, show=show) as arena,
                contextlib.aclosing(RUN[family](arena, job["benches"])) as found):
        async for figures in found:
            yield figures


async def work(job: dict[str, Any]) -> None:
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), this.cancel)  # nothing more comes but the end
    async with contextlib.aclosing(measure(job)) as measured:
        async for figures in measured:
            say(figures=figures)


def main() -> None:
    job = orjson.loads(sys.stdin.buffer.readline())
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work(job))
    except ApiError as error:
        say(failed=error.message)
    except TimeoutError:
        say(failed="the server did not come to an end with it in time")
    except (KeyboardInterrupt, asyncio.CancelledError, BrokenPipeError):
        sys.exit(130)


if __name__ == "__main__":
    main()
