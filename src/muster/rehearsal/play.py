"""All runs of all alternatives, over as many processes as there are to be: one run of one alternative at a time each.

Every run is deterministic by itself, so it makes no difference to its answer which process plays it, when, or how that
came to be: forked for it from the world at work where forking is safe (Linux), or spawned, handed the stage, and
playing one run after the other elsewhere.  What each of these ways needs is imported where it is taken: one run alone
needs none of it.
"""
from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterable, Iterator

from .answer import Answer, Answered
from .jobs import Job, Show, Told, jobs_of
from .outcome import INTERRUPTED, Outcome
from .runs import rehearse
from .stage import Stage

FORKS = sys.platform == "linux"

_stage: Stage | None = None  # of a spawned process


def play(stage: Stage, show: Show = lambda what, share: None, *, forks: bool = FORKS) -> Answer:
    """Ctrl-C ends it: then the answer tells what is known by then, and is not complete."""
    answer = Answer(stage, [Answered(one) for one in stage.alternatives])
    jobs = jobs_of(stage)
    processes = min(stage.options.jobs, len(jobs))
    if len(jobs) == 1 or processes == 1 and not forks:
        told = _played_here(stage, jobs, show)
    elif forks:
        from .forked import played_forked
        told = played_forked(stage, jobs, processes, show)
    else:
        told = _played_spawned(stage, jobs, processes, show)
    found: dict[Job, Outcome] = {}
    try:
        for job, outcome in told:
            found[job] = outcome
    except KeyboardInterrupt:
        answer.complete = False
    whole = {place for (place, _), outcome in found.items() if outcome.verdict != INTERRUPTED}
    for (place, _), outcome in sorted(found.items(), key=lambda one: one[0]):
        if outcome.verdict != INTERRUPTED or place not in whole:  # half a run is better than none
            answer.alternatives[place].outcomes.append(outcome)
    return answer


def _played_here(stage: Stage, jobs: Iterable[Job], show: Show) -> Iterator[Told]:
    for number, (place, run) in enumerate(all_jobs := list(jobs)):
        name = stage.alternatives[place].name

        def shown(share: float, number: int = number, name: str = name) -> None:
            show(name, (number + share) / len(all_jobs))

        if number:
            gc.collect()
        outcome = rehearse(stage, stage.alternatives[place], run, shown)
        yield (place, run), outcome
        if outcome.verdict == INTERRUPTED:
            raise KeyboardInterrupt


def _played_spawned(stage: Stage, jobs: list[Job], processes: int, show: Show) -> Iterator[Told]:
    import multiprocessing
    from concurrent.futures import as_completed
    from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (stage,)) as pool:
        futures = {pool.submit(_one, *job): job for job in jobs}
        try:
            for number, future in enumerate(as_completed(futures), 1):
                yield futures[future], future.result()
                show(f"{number} of {len(jobs)} runs", number / len(jobs))
        except BrokenProcessPool:
            raise ChildProcessError("a process was ended before it could answer for its run; if memory ran out, use "
                                    "fewer processes (--jobs)") from None
        except BaseException:
            for one in multiprocessing.active_children():
                if one not in others:
                    one.kill()
            pool.shutdown(cancel_futures=True)
            raise


def _begin(stage: Stage) -> None:
    global _stage
    _stage = stage
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asked hears it, and tells what is known


def _one(place: int, run: int) -> Outcome:
    assert _stage is not None, "begun"
    gc.collect()  # the world of the run before
    return rehearse(_stage, _stage.alternatives[place], run)
