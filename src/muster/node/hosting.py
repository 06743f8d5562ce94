"""What the loop over nodes and pods (fleet.py) asks of those who run them: simulation.py, or agent.py for real ones.

Everything here is called from the loop and returns at once; what takes time is done elsewhere, and reported to
`Fleet.report`.
"""
from __future__ import annotations

from typing import Protocol

from ..api.objects import Obj
from .life import Life
from .machines import Machine, Resident
from .means import Means


class Hosting(Protocol):
    def takes(self, node: Obj) -> bool:
        """Is this node one of ours?"""
        ...

    def machine(self, node: Obj, now: float) -> Machine: ...

    def skew_s(self, node: Obj) -> float:
        """How far the node's clock is known to be ahead of ours."""
        ...

    def means(self, machine: Machine) -> Means: ...

    def begin(self, resident: Resident, now: float) -> Life:
        """The life of a pod that is new on its node."""
        ...

    def resume(self, resident: Resident, now: float) -> Life:
        """The life of a pod that was on its node before this process."""
        ...

    def looked(self, resident: Resident, now: float) -> None:
        """The pod's life has just been looked at, and may ask for something to be done."""
        ...

    def left(self, resident: Resident) -> None:
        """The pod is no longer in the cluster, or its node is not."""
        ...

    def node_status(self, machine: Machine, now: float) -> Obj: ...
