"""How many requests of one kind are answered in a given time, over several connections at once."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from .arena import Arena
from .figures import Figures, percentiles
from .line import Line


async def rate(arena: Arena, bench: str, requests: Iterator[bytes]) -> Figures:
    """Each connection asks one request after another until the time is over, or there are no more of them."""
    taken_s: list[float] = []
    ends_at = 0.0

    def following() -> bytes | None:
        if (left := ends_at - time.perf_counter()) <= 0:
            return None
        arena.show(bench, 1 - left / arena.seconds)
        return next(requests, None)

    lines: list[Line] = await arena.place.connect(lambda: Line(following, taken_s), arena.connections)

    async def work() -> Figures:
        nonlocal ends_at
        began = time.perf_counter()
        ends_at = began + arena.seconds
        for line in lines:
            line.begin()
        await asyncio.gather(*(line.ended for line in lines))
        return {"connections": arena.connections, "requests": len(taken_s),
                "per_s": len(taken_s) / (time.perf_counter() - began), **percentiles(taken_s)}

    try:
        return await arena.measure(bench, work)
    finally:
        for line in lines:
            line.close()
