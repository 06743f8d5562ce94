"""How little may be left of what a node has before it ends pods: signals, thresholds, and how they are written.

    evictionHard: {memory.available: 100Mi, nodefs.available: "10%", nodefs.inodesFree: "5%"}

A signal is something that can run out; each has a resource (how messages name it) and a condition of the node.
https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#eviction-signals
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..api import quantities
from ..api.samples import Used

MEMORY, DISK, PIDS = "MemoryPressure", "DiskPressure", "PIDPressure"
CONDITIONS = (MEMORY, DISK, PIDS)


class Signal(NamedTuple):
    name: str
    resource: str
    condition: str
    amount: Callable[[Used], int]  # of it, that somebody uses
    family: str = quantities.BINARY  # how amounts of it are written


SIGNALS = {signal.name: signal for signal in (
    Signal("memory.available", "memory", MEMORY, lambda used: used.memory),
    Signal("allocatableMemory.available", "memory", MEMORY, lambda used: used.memory),
    Signal("nodefs.available", "ephemeral-storage", DISK, lambda used: used.storage),
    Signal("nodefs.inodesFree", "inodes", DISK, lambda used: used.inodes, quantities.DECIMAL),
    Signal("imagefs.available", "ephemeral-storage", DISK, lambda used: used.storage),
    Signal("imagefs.inodesFree", "inodes", DISK, lambda used: used.inodes, quantities.DECIMAL),
    Signal("pid.available", "pids", PIDS, lambda used: used.processes, quantities.DECIMAL),
)}
ORDER = tuple(SIGNALS)  # memory is got back first
# What holds for the node holds for what its pods may take together.
ALLOCATABLE = {"memory.available": "allocatableMemory.available"}


class Observed(NamedTuple):
    """What is left of something, and how much there is in all."""

    available: int
    capacity: int


class Threshold(NamedTuple):
    signal: Signal
    amount: str  # "100Mi"; "": a share
    share: float

    def kept_back(self, capacity: int) -> int:
        return quantities.whole(self.amount) if self.amount else int(capacity * self.share)

    def shown(self, capacity: int) -> str:
        return quantities.canonical(self.amount) if self.amount else \
            quantities.written(int(capacity * self.share), quantities.BINARY)

    def is_met(self, observed: Observed) -> bool:
        return observed.available < self.kept_back(observed.capacity)


def read_thresholds(statements: Mapping[str, str]) -> tuple[Threshold, ...]:
    """Raises ValueError.  "0%" and "100%" switch a threshold off, as the kubelet has it."""
    found: dict[str, Threshold] = {}
    for name, text in statements.items():
        if name not in SIGNALS or name in ALLOCATABLE.values():
            known = ", ".join(one for one in SIGNALS if one not in ALLOCATABLE.values())
            raise ValueError(f"{name} is no signal; there are {known}")
        if text in ("0%", "100%"):
            continue
        for signal in (name, ALLOCATABLE.get(name)):
            if signal is not None:
                found[signal] = _threshold(SIGNALS[signal], str(text))
    return tuple(found[name] for name in ORDER if name in found)


def _threshold(signal: Signal, text: str) -> Threshold:
    if text.endswith("%"):
        share = float(text.removesuffix("%"))
        if not 0 < share < 100:
            raise ValueError(f"{signal.name}: {text} is not between 0% and 100%")
        return Threshold(signal, "", _single(_single(share) / 100))
    if quantities.parse(text) <= 0:
        raise ValueError(f"{signal.name}: {text} is not more than nothing")
    return Threshold(signal, text, 0.0)


def _single(value: float) -> float:
    """Shares are single precision numbers upstream, which shows in the messages."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


USUAL = read_thresholds({"memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%",
                         "imagefs.available": "15%", "imagefs.inodesFree": "5%"})
