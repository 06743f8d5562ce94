"""All runs of all alternatives, over as many processes as there are to be: one run of one alternative at a time each.

Every run is deterministic by itself, so it does not matter which process plays it, or when.  Processes are forked
where that is safe (Linux): they find the stage in their memory, as large as it may be.  Elsewhere they are spawned and
are handed it.
"""
from __future__ import annotations

import gc
import multiprocessing
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed

from .answer import Answer, Answered
from .outcome import INTERRUPTED, Outcome
from .runs import rehearse
from .stage import Stage

Show = Callable[[str, float], None]  # what is being done, and how much of all is

_stage: Stage | None = None  # of a worker process


def play(stage: Stage, show: Show = lambda what, share: None) -> Answer:
    """Everything that was asked for; after a KeyboardInterrupt, what is known by then."""
    answer = Answer(stage, [Answered(one) for one in stage.alternatives])
    jobs = [(place, run) for run in range(stage.options.runs) for place in range(len(stage.alternatives))]
    processes = min(stage.options.jobs, len(jobs))
    try:
        if processes == 1:
            _play_here(stage, jobs, answer, show)
        else:
            _play_in(processes, stage, jobs, answer, show)
    except KeyboardInterrupt:
        answer.complete = False
    return answer


def _play_here(stage: Stage, jobs: list[tuple[int, int]], answer: Answer, show: Show) -> None:
    for number, (place, run) in enumerate(jobs):
        name = stage.alternatives[place].name

        def shown(share: float, number: int = number, name: str = name) -> None:
            show(name, (number + share) / len(jobs))

        if number:
            gc.collect()  # the world of the run before
        outcome = rehearse(stage, stage.alternatives[place], run, shown, whole=run == 0)
        answer.alternatives[place].outcomes.append(outcome)
        if outcome.verdict == INTERRUPTED:
            raise KeyboardInterrupt


def _play_in(processes: int, stage: Stage, jobs: list[tuple[int, int]], answer: Answer, show: Show) -> None:
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    found: dict[tuple[int, int], Outcome] = {}
    with ProcessPoolExecutor(processes, context, _begin, (stage,)) as pool:
        futures = {pool.submit(_one, *job): job for job in jobs}
        try:
            for future in as_completed(futures):
                found[futures[future]] = future.result()
                show(f"{len(found)} of {len(jobs)} runs", len(found) / len(jobs))
        except BaseException:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            for place, run in sorted(found):
                answer.alternatives[place].outcomes.append(found[place, run])


def _begin(stage: Stage) -> None:
    global _stage
    _stage = stage
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asked hears it, and tells what is known


def _one(place: int, run: int) -> Outcome:
    assert _stage is not None, "begun"
    gc.collect()  # the world of the run before
    return rehearse(_stage, _stage.alternatives[place], run, whole=run == 0)
