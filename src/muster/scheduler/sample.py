"""How many nodes are compared for a pod, and which.

As upstream does by default, a large cluster is not searched to its end: once enough nodes fit, the best of them
is taken.  Enough is a share of all nodes, 50 % less 1 % for every 125 of them and 5 % at least, and never fewer
than 100.  Each pod starts at a place of its own (made of its uid, so that it can be repeated), and the order goes
round the zones, so that over many pods every node has its turn.
https://kubernetes.io/docs/concepts/scheduling-eviction/scheduler-perf-tuning/
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from zlib import crc32

FEWEST, LEAST_PERCENT = 100, 5


def enough_of(nodes: int) -> int:
    if nodes < FEWEST:
        return nodes
    percent = max(LEAST_PERCENT, 50 - nodes // 125)
    return max(FEWEST, nodes * percent // 100)


def sample(order: Sequence[str], seed: str) -> tuple[Iterator[str], int]:
    """All nodes, from the pod's own place on, and how many that fit are enough."""
    start = crc32(seed.encode()) % len(order) if order else 0
    return chain(islice(order, start, None), islice(order, start)), enough_of(len(order))


def drawn(names: Sequence[str], seed: str) -> str:
    """One of several equally good nodes: as good as chance, and always the same."""
    start = crc32(seed.encode())
    return names[0] if len(names) == 1 else max((crc32(name.encode(), start), name) for name in names)[1]
