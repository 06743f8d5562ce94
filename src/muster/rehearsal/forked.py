"""Runs, each in a process forked for it from the world at work (`Beginning`).

What all runs share is made once, and found by each in its memory: of that only the pages that a run changes are
copied.  Nor does anybody have to look for the garbage that a run leaves: it ends with its process.

    parent    forks, waits, reads: how far a run is (a number), then its outcome, or what it failed with
    child     plays one run; SIGTERM asks it to end with what it knows

Ctrl-C reaches the parent alone, and only while it waits: between two of its steps nothing is half begun.
"""
from __future__ import annotations

import os
import signal
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from ..api.errors import ApiError
from .jobs import Job, Show, Told, lost
from .outcome import Outcome
from .runs import Beginning, beginning, rehearse
from .stage import Stage

FAREWELL_S = 10.0  # what a run that is to end has to say is waited for so long
SHOWN = 100  # so often is shown how far all is


@dataclass
class _Child:
    job: Job
    process: ForkProcess
    share: float = 0.0


def played_forked(stage: Stage, jobs: Iterable[Job], processes: int, show: Show) -> Iterator[Told]:
    left, under_way = deque(jobs), dict[Connection, _Child]()
    count, done = len(left), 0
    with beginning(stage) as begun, _no_interruptions():
        try:
            while left or under_way:
                while left and len(under_way) < processes:
                    _fork(begun, stage, left.popleft(), under_way, steps=max(1, SHOWN // count))
                for connection in _waited_for(under_way):
                    outcome = _heard(connection, under_way[connection], stage)
                    if outcome is not None:
                        done += 1
                        yield _reaped(connection, under_way).job, outcome
                shares = sum(child.share for child in under_way.values())
                show(f"{done} of {count} runs", (done + shares) / count)
        except KeyboardInterrupt:
            yield from _farewell(under_way, stage)
            raise
        finally:
            for connection, child in list(under_way.items()):
                child.process.kill()
                _reaped(connection, under_way)


# ---- in the parent


def _fork(begun: Beginning, stage: Stage, job: Job, under_way: dict[Connection, _Child], steps: int) -> None:
    here, there = get_context("fork").Pipe(duplex=False)
    process = get_context("fork").Process(target=_play, args=(
        begun, stage, job, there, steps, [*under_way, here]))
    process.start()
    there.close()
    under_way[here] = _Child(job, process)


def _heard(connection: Connection, child: _Child, stage: Stage) -> Outcome | None:
    """None where the run goes on."""
    try:
        said = connection.recv()
    except (EOFError, OSError):
        child.process.join()
        raise lost(stage, child.job, child.process.exitcode) from None
    if isinstance(said, BaseException):
        raise said
    if isinstance(said, float):
        child.share = said
        return None
    assert isinstance(said, Outcome), "a run ends with what it showed"
    return said


def _farewell(under_way: dict[Connection, _Child], stage: Stage) -> Iterator[Told]:
    """What those who are not done know so far."""
    for child in under_way.values():
        child.process.terminate()
    while ready := _waited_for(under_way, FAREWELL_S):
        for connection in ready:
            try:
                outcome = _heard(connection, under_way[connection], stage)
            except ChildProcessError:
                _reaped(connection, under_way)  # it knew nothing yet
                continue
            if outcome is not None:
                yield _reaped(connection, under_way).job, outcome


def _reaped(connection: Connection, under_way: dict[Connection, _Child]) -> _Child:
    child = under_way.pop(connection)
    connection.close()
    child.process.join()
    child.process.close()
    return child


@contextmanager
def _no_interruptions() -> Iterator[None]:
    """Ctrl-C is heard by `_waited_for` alone; children never hear of it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _waited_for(under_way: Mapping[Connection, _Child], timeout_s: float | None = None) -> list[Connection]:
    if not under_way:
        return []
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        return [one for one in wait(list(under_way), timeout_s) if isinstance(one, Connection)]
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


# ---- in a child


def _play(begun: Beginning, stage: Stage, job: Job, connection: Connection, steps: int,
          others: Iterable[Connection]) -> None:
    for one in others:  # so that a parent that is no more is noticed
        one.close()
    place, run = job
    alternative, shown = stage.alternatives[place], 0

    def show(share: float) -> None:
        nonlocal shown
        if int(share * steps) > shown:
            shown = int(share * steps)
            _say(connection, share)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    said: Outcome | BaseException
    try:
        said = (begun.play(alternative, run, show) if begun.is_of(run) else rehearse(stage, alternative, run, show))
    except KeyboardInterrupt:
        return
    except BaseException as failure:
        if not isinstance(failure, ApiError):
            failure.add_note(f"In the process of the run:\n{traceback.format_exc()}")
        said = failure
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _say(connection, said)


def _say(connection: Connection, what: float | Outcome | BaseException) -> None:
    try:
        connection.send(what)
    except BrokenPipeError:
        os._exit(1)  # nobody listens any more
