"""A simulated container's log, in pieces, for as long as somebody follows it."""
from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

from ..api.logs import LogOptions
from ..api.objects import Key, Obj, name_of, namespace_of, uid_of
from ..client.mirror import Mirror
from ..clock import Clock
from . import logs
from .machines import clock_skew_s

FOLLOW_S = 0.5  # how often those who follow a log are served


async def pieces(mirror: Mirror, clock: Clock, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
    """The log of `options.container`; with `follow`, until the container ends."""
    key, uid = Key("pods", namespace_of(pod), name_of(pod)), uid_of(pod)
    left = options.limit_bytes if options.limit_bytes is not None else math.inf
    def now() -> float:
        """By the clock of its node."""
        node = mirror.get(Key("nodes", "", pod["spec"].get("nodeName", "")))
        return clock.now() + (clock_skew_s(node) if node is not None else 0.0)

    after = now()
    lines = logs.written(pod, options, after)
    while True:
        piece = logs.encoded(lines, options)
        yield piece if len(piece) <= left else piece[:int(left)]
        left -= len(piece)
        if not options.follow or left <= 0 or not logs.goes_on(pod, options.container):
            return
        while not (lines := logs.written_after(pod, options, after, now())):
            await asyncio.sleep(FOLLOW_S)
            latest = mirror.get(key)
            if latest is None or uid_of(latest) != uid:
                return
            pod = latest
            if not logs.goes_on(pod, options.container):
                lines = logs.written_after(pod, options, after, now())
                break
        after = max((line.at for line in lines), default=after)
