"""What each node (of a DaemonSet) or pod (of any other workload) was doing, and from when to when: in the words of
the picture, as rows of spans."""
from __future__ import annotations

from typing import NamedTuple

NOT_WANTED, NO_DAEMON, UNSCHEDULED, PULLING, STARTING = "not-wanted", "no-daemon", "unscheduled", "pulling", "starting"
NOT_READY, READY_OLD, READY_NEW, STOPPING = "not-ready", "ready-old", "ready-new", "stopping"
FAILING, ENDED, NODE_DOWN = "failing", "ended", "node-down"

# In the order of a legend: what is well first.
STATES = {
    READY_NEW: "ready, new", READY_OLD: "ready, old", NOT_READY: "not ready yet", STARTING: "starting",
    PULLING: "pulling", UNSCHEDULED: "not scheduled", STOPPING: "stopping", NO_DAEMON: "no daemon",
    FAILING: "failing", NODE_DOWN: "node down", ENDED: "ended", NOT_WANTED: "none wanted",
}


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
