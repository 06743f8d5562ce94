"""What may be done to a cluster in a story: steps as values, each with its moment, that say what they are.

Steps do not depend on each other: one that finds nothing to do is in vain.
"""
from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ..api.objects import Key, Obj
from .faults import Fault
from .faults_line import Trouble


@dataclass(frozen=True)
class Make:
    """Applies a manifest."""

    manifest: Obj = field(hash=False)

    def __str__(self) -> str:
        metadata = self.manifest["metadata"]
        spec = json.dumps(self.manifest.get("spec", {}), separators=(",", ":"))
        return f"apply {self.manifest['kind']} {metadata.get('namespace', '')}/{metadata['name']} {spec}"


@dataclass(frozen=True)
class Edit:
    key: Key
    patch: Any = field(hash=False)
    how: str = "merge"

    def __str__(self) -> str:
        return f"patch {self.key}: {json.dumps(self.patch, separators=(',', ':'))}"


@dataclass(frozen=True)
class Remove:
    key: Key
    propagation: str | None = None

    def __str__(self) -> str:
        return f"delete {self.key}" + (f", {self.propagation}" if self.propagation else "")


@dataclass(frozen=True)
class Undo:
    """Goes back to an earlier revision of a DaemonSet's or a StatefulSet's template."""

    key: Key
    place: float  # among its revisions, in [0, 1)

    def __str__(self) -> str:
        return f"undo {self.key}"


@dataclass(frozen=True)
class Hit:
    """Something done to one of the pods that are there."""

    what: str  # "delete", "kill" (without grace), "evict", "relabel"
    place: float  # among the pods in their order, in [0, 1)

    def __str__(self) -> str:
        return f"{self.what} a pod"


@dataclass(frozen=True)
class Fail:
    fault: Fault

    def __str__(self) -> str:
        return str(self.fault)


@dataclass(frozen=True)
class BadLine:
    trouble: Trouble
    for_s: float

    def __str__(self) -> str:
        return f"{self.trouble.share * 100:g}% of the components' writes: {self.trouble.how}, for {self.for_s:g} s"


@dataclass(frozen=True)
class StopWatches:
    for_s: float
    compact: bool  # so that what was missed is gone

    def __str__(self) -> str:
        return f"watches stand still for {self.for_s:g} s" + (", and the history is compacted" if self.compact else "")


@dataclass(frozen=True)
class RepeatWatches:
    for_s: float

    def __str__(self) -> str:
        return f"every change arrives twice for {self.for_s:g} s"


@dataclass(frozen=True)
class Restart:
    controller: str

    def __str__(self) -> str:
        return f"{self.controller} is restarted"


@dataclass(frozen=True)
class RestartProcess:
    away_s: float

    def __str__(self) -> str:
        return f"the process ends; another one begins after {self.away_s:g} s"


What = Make | Edit | Remove | Undo | Hit | Fail | BadLine | StopWatches | RepeatWatches | Restart | RestartProcess


@dataclass(frozen=True)
class Step:
    at_s: float
    what: What

    def __str__(self) -> str:
        return f"{self.at_s:8.2f} s  {self.what}"
