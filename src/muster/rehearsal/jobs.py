"""What is to be played: one run of one alternative at a time, by whatever process."""
from __future__ import annotations

import signal
from collections.abc import Callable

from .outcome import Outcome
from .stage import Stage

Job = tuple[int, int]  # an alternative's place, and a run
Told = tuple[Job, Outcome]
Show = Callable[[str, float], None]  # what is being done, and how much of all is


def jobs_of(stage: Stage) -> list[Job]:
    """The first runs of all alternatives come first: soonest something is known of each."""
    return [(place, run) for run in range(stage.options.runs) for place in range(len(stage.alternatives))]


def lost(stage: Stage, job: Job, exit_code: int | None) -> ChildProcessError:
    """Somebody else ended the process that was playing it."""
    place, run = job
    how = f"was ended by {signal.Signals(-exit_code).name}" if exit_code and exit_code < 0 else "ended"
    return ChildProcessError(f"the process that played run {run} of {stage.alternatives[place].name!r} {how} before "
                             "it could answer; if memory ran out, use fewer processes (--jobs)")
