"""What runs behind a pod, as `kubectl exec`, `attach` and `port-forward` reach it; simulated pods have none of it."""
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..api.objects import Obj
from .pipe import Duplex

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be connected."""

    container: str
    command: Sequence[str]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class Session(Protocol):
    """A process that somebody is connected to."""

    async def start(self) -> None:
        """Raises an ApiError where it can not be."""
        ...

    async def write(self, data: bytes) -> None: ...

    async def end_input(self) -> None: ...

    async def resize(self, width: int, height: int) -> None: ...

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """(STDOUT or STDERR, bytes), until it has ended."""
        ...

    async def result(self) -> Obj:
        """A Status: how it ended."""
        ...

    async def close(self) -> None:
        """Whoever was connected is gone."""
        ...


class Processes(Protocol):
    def reaches(self, pod: Obj) -> bool:
        """Does anything run behind it?"""
        ...

    async def run(self, pod: Obj, wanted: Wanted) -> Session:
        """A new process in a container, to be started.  Raises an ApiError where the container does not run."""
        ...

    async def attach(self, pod: Obj, wanted: Wanted) -> Session: ...

    async def connect(self, pod: Obj, port: int) -> tuple[Duplex, Closing]:
        """To a port of the pod.  Raises OSError with why."""
        ...


class Closing(Protocol):
    def end_input(self) -> None: ...

    def close(self) -> None: ...
