"""What each node (of a DaemonSet) or pod (of any other workload) was doing, and from when to when.

    pod_state(pod, node)       one pod, in the words of the picture
    daemon_state(node, pods)   a node: the best that a pod there does for its workload
    Timeline                   rows of spans; a row's state is noted only where it changes
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..api.objects import Obj, condition, is_deleting, is_true
from ..why.containers import trouble_of

NOT_WANTED, NO_DAEMON, UNSCHEDULED, PULLING, STARTING = "not-wanted", "no-daemon", "unscheduled", "pulling", "starting"
NOT_READY, READY_OLD, READY_NEW, STOPPING = "not-ready", "ready-old", "ready-new", "stopping"
FAILING, ENDED, NODE_DOWN = "failing", "ended", "node-down"

# In the order of a legend: what is well first.
STATES = {
    READY_NEW: "ready, new", READY_OLD: "ready, old", NOT_READY: "not ready yet", STARTING: "starting",
    PULLING: "pulling", UNSCHEDULED: "not scheduled", STOPPING: "stopping", NO_DAEMON: "no daemon",
    FAILING: "failing", NODE_DOWN: "node down", ENDED: "ended", NOT_WANTED: "none wanted",
}


class Seen(NamedTuple):
    """A pod, as far as its state depends on it."""

    pod: Obj
    is_current: bool  # of today's template
    step: str  # PULLING or STARTING: what its node is doing; "" before that


def pod_state(seen: Seen, node: Obj | None = None) -> str:
    """Of a node that is down nobody knows what its pod does."""
    pod, status = seen.pod, seen.pod.get("status") or {}
    if is_deleting(pod):
        return STOPPING
    phase = status.get("phase")
    if phase == "Failed":
        return FAILING
    if phase == "Succeeded":
        return ENDED
    if _is_down(node):
        return NODE_DOWN
    if is_true(pod, "Ready"):
        return READY_NEW if seen.is_current else READY_OLD
    if not pod["spec"].get("nodeName"):
        return UNSCHEDULED
    if trouble_of(pod):
        return FAILING
    if phase == "Running":
        return NOT_READY
    return seen.step or STARTING


_BEST = {state: place for place, state in enumerate(
    (READY_NEW, READY_OLD, NOT_READY, FAILING, STARTING, PULLING, UNSCHEDULED, ENDED, STOPPING))}


def daemon_state(node: Obj | None, wanted: bool, pods: Iterable[Seen]) -> str:
    if _is_down(node):
        return NODE_DOWN
    best = min((pod_state(one) for one in pods), key=_BEST.__getitem__, default="")
    return best or (NO_DAEMON if wanted else NOT_WANTED)


def _is_down(node: Obj | None) -> bool:
    return node is not None and condition(node, "Ready") is not None and not is_true(node, "Ready")


class Span(NamedTuple):
    start: float  # seconds since the rehearsal began
    state: str


class Timeline:
    """Rows by name, in the order in which they came; each is a list of spans, the last one open."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Span]] = {}

    def note(self, row: str, at: float, state: str) -> None:
        spans = self.rows.get(row)
        if spans is None:
            self.rows[row] = [Span(at, state)]
        elif spans[-1].state != state:
            if spans[-1].start == at:
                spans.pop()  # nobody could have seen it
                if spans and spans[-1].state == state:
                    return
            spans.append(Span(at, state))

    def end(self, row: str, at: float) -> None:
        """The row is no more from here on."""
        if row in self.rows:
            self.note(row, at, "")
