"""A LIST of all pods of a namespace, whole, from the server's cache: one pod for each node.

One connection asks, unless told otherwise: then it is how long one LIST takes, not how many queue.
"""
from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Sequence

from .arena import NAMESPACE, Arena
from .daemonsets import land
from .figures import Figures
from .rates import rate
from .workload import prepare

TARGET = f"/api/v1/namespaces/{NAMESPACE}/pods?resourceVersion=0"


async def run(arena: Arena, benches: Sequence[str]) -> AsyncGenerator[Figures, None]:
    await prepare(arena)
    landed = await land(arena, "api-list")
    _, _, answer = await arena.client.request("GET", TARGET)
    listed = await rate(arena, "api-list", itertools.repeat(arena.place.request("GET", TARGET)))
    yield {**listed, "pods": landed["nodes"], "answer_kb": len(answer) / 1024}
