"""What was measured of pods and nodes: handed from who measures to the metrics API and to who decides by it.

All samples are of a window of time that has ended: `at` is when it did (Unix seconds).
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from .objects import Obj


class Used(NamedTuple):
    """What a container or a node uses."""

    cpu_n: int  # billionths of a core
    memory: int  # bytes
    storage: int  # bytes of the node's disk
    inodes: int = 0
    processes: int = 0


class PodSample(NamedTuple):
    at: int
    window_s: float
    containers: Mapping[str, Used]


class NodeSample(NamedTuple):
    at: int
    window_s: float
    used: Used


class Meter(Protocol):
    """Who measures.  None: nothing was measured yet."""

    def pod(self, pod: Obj) -> PodSample | None: ...

    def node(self, node: Obj) -> NodeSample | None: ...
