"""How Python itself is set up under a server: whose turn it is, and when unused memory is looked for.

Python's collector looks for objects that only hold each other.  Nearly everything here is JSON, which holds nothing
in a circle: a look through a million of its objects takes a third of a second, finds next to nothing, and no request
is answered meanwhile.  So while there is work only the youngest few thousand objects are looked through (about 2 ms);
those that have stayed wait for a moment without work.
"""
from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable

YOUNG = 5_000  # objects made (and not freed) before the youngest are looked through
NEVER = 1_000_000_000
LOOK_EVERY_S, IDLE_SHARE = 1.0, 0.2  # of one core
STAYED = 100  # times that the youngest were looked through before those that stayed are: half a million objects
STAYED_AT_MOST = 5_000  # then there is no waiting for an idle moment any more
OLDER_ROUNDS = 8  # rounds of those that stayed, before everything is looked through
SWITCH_S = 0.0005  # the store's writer thread needs the interpreter twice a flush; by default it would wait 5 ms


def share_fairly() -> None:
    """To be called once, when the process begins."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(YOUNG, NEVER, NEVER)


def keep_what_is_loaded() -> None:
    """What is there now (modules, schemas, a resumed cluster) stays for good and is not looked through again."""
    gc.collect()
    gc.freeze()


def due(counts: tuple[int, int, int], is_idle: bool) -> int | None:
    """The generation to look through now, of what `gc.get_count()` says; None: nothing yet."""
    _, stayed, rounds = counts
    if stayed < (STAYED if is_idle else STAYED_AT_MOST):
        return None
    return 2 if rounds >= OLDER_ROUNDS else 1


async def collect_when_idle(cpu_s: Callable[[], float]) -> None:
    """Looks for unused memory whenever it is due, for ever.  `cpu_s`: the CPU seconds of this process so far."""
    while True:
        before = cpu_s()
        await asyncio.sleep(LOOK_EVERY_S)
        generation = due(gc.get_count(), cpu_s() - before < IDLE_SHARE * LOOK_EVERY_S)
        if generation is not None:
            gc.collect(generation)
