"""What one rehearsal showed: plain values, which can go from process to process and into JSON.

Times are seconds since the rehearsal began, when the files were applied.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .timeline import Span

FINISHED, STUCK, TIME_IS_UP, INTERRUPTED = "finished", "stuck", "time is up", "interrupted"


@dataclass(frozen=True, slots=True)
class WorkloadOutcome:
    name: str  # "ds/kube-system/agent"
    kind: str  # "DaemonSet"
    wanted: int
    updated: int
    available: int
    touched: bool  # did anything about it change at all?
    finished_s: float | None  # None: it did not
    worst_unavailable: int
    worst_at_s: float
    unavailable_s: float  # pods (nodes, for a DaemonSet) times seconds
    mean_unavailable: float  # over the time until it was finished
    stuck: str = ""  # why it does not go on


@dataclass(frozen=True, slots=True)
class Ending:
    """A pod that somebody ended who was not its own workload's controller."""

    at_s: float
    pod: str  # "namespace/name"
    node: str
    how: str  # "preempted", "evicted", "deleted", "lost", "failed"
    by: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class WithoutDaemon:
    """Nodes that did not get a daemon by the end, alike in why."""

    workload: str
    why: str
    nodes: Sequence[str]  # all of them, in order
    wanted: bool  # should they have one? (One that its template keeps away from is no fault.)


@dataclass(frozen=True, slots=True)
class Cost:
    api_writes: int  # changes of the store
    events: int  # that would have been written besides
    writes_by: Mapping[str, int]  # account -> changes
    writes_of: Mapping[str, int]  # resource -> changes
    plans: int
    cpu_s: float
    virtual_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    seed: str
    verdict: str
    ended_s: float  # when the rehearsal ended: stable, stuck, or time was up
    finished_s: float | None  # when the last workload was finished
    workloads: Sequence[WorkloadOutcome]
    endings: Sequence[Ending]
    endings_left_out: int
    replaced: Mapping[str, int]  # workload -> pods that its own controller ended
    without_daemon: Sequence[WithoutDaemon]
    pending: Sequence[tuple[str, str]]  # pods that did not come up: name, why
    broken_budgets: Sequence[str]
    broken_laws: Sequence[str] | None  # None: it was not held to them
    strikes: Sequence[tuple[float, str]]  # what went wrong on purpose, and when
    cost: Cost
    history: str  # sha256 of every change
    timelines: Mapping[str, Mapping[str, Sequence[Span]]] = field(default_factory=dict)  # workload -> row -> spans
    # workload -> how many were down, from when on
    down: Mapping[str, Sequence[tuple[float, int]]] = field(default_factory=dict)
