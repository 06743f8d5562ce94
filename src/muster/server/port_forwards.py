"""`kubectl port-forward`: pairs of SPDY streams, each pair one connection to a port of the pod.

A pair is a data stream and an error stream of the same requestID; on the second a sentence says what went wrong.
"""
from __future__ import annotations

import asyncio
import contextlib

from ..api.objects import Obj, name_of, uid_of
from .pipe import Duplex
from .processes import Closing, Processes
from .spdy import Spdy, Stream

PROTOCOL, TUNNELED = "portforward.k8s.io", "SPDY/3.1+portforward.k8s.io"
MOST_PAIRS = 500


async def forward(processes: Processes, pod: Obj, connection: Spdy) -> None:
    """Until the client is gone."""
    halves: dict[str, dict[str, Stream]] = {}
    tasks: set[asyncio.Task[None]] = set()
    try:
        async for stream in connection.streams():
            request = stream.headers.get("requestid", "")
            pair = halves.setdefault(request, {})
            pair[stream.headers.get("streamtype", "")] = stream
            if {"data", "error"} <= set(pair) and len(tasks) < MOST_PAIRS:
                del halves[request]
                task = asyncio.ensure_future(_connect(processes, pod, connection, pair["data"], pair["error"]))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
    finally:
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _connect(processes: Processes, pod: Obj, connection: Spdy, data: Stream, error: Stream) -> None:
    port = int(data.headers.get("port") or 0)
    with contextlib.suppress(ConnectionError):
        try:
            there, closing = await processes.connect(pod, port)
        except OSError as why:
            await error.write(f"error forwarding port {port} to pod {uid_of(pod) or name_of(pod)}: {why}".encode())
        else:
            await _carry(data, there, closing)
        await error.close()
        await data.close()
    connection.forget(data, error)


async def _carry(data: Stream, there: Duplex, closing: Closing) -> None:
    """Both ways, until both have ended; what the pod says last is still carried over."""
    async def out() -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await data.read():
                await there.write(piece)
            closing.end_input()

    sending = asyncio.ensure_future(out())
    try:
        while piece := await there.read():
            await data.write(piece)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        closing.close()
