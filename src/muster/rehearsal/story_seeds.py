"""Plays many stories, on all cores, and makes the broken ones small: `make seeds N=1000`.

    python -m muster.rehearsal.story_seeds --first 0 --count 1000
    python -m muster.rehearsal.story_seeds --seed 7 --only 0,3,4       one story, told step by step

Each process plays one seed at a time; results come back in the order of the seeds, whatever finishes first.  For a
broken law the seed, the version, the story cut down to the steps that are needed, and the command that plays those
again are printed.  The exit code is 1 if any law was broken.
"""
from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .story import story
from .story_play import Ending, play
from .story_shrink import shrink

COMMAND = "python -m muster.rehearsal.story_seeds"
AT_ONCE = 8  # seeds handed to a process together
SHOWN = 5  # broken stories that are made small; the others are named


@dataclass(frozen=True)
class Verdict:
    """What came of one story."""

    seed: int
    laws: tuple[str, ...]  # that were broken, in order
    first: str  # the first breach, in words
    changes: int
    virtual_s: float


def verdict(seed: int) -> Verdict:
    ending = attempt(seed)
    laws = tuple(dict.fromkeys(one.law for one in ending.broken))
    return Verdict(seed, laws, str(ending.broken[0]) if ending.broken else "", ending.changes, ending.virtual_s)


def attempt(seed: int, keep: Sequence[int] | None = None) -> Ending:
    """A story that can not be played to its end has broken a law too."""
    try:
        return play(seed, keep)
    except Exception as failure:
        while isinstance(failure, ExceptionGroup):
            failure = failure.exceptions[0]
        return Ending.failed(seed, failure)


def verdicts(seeds: Iterable[int], processes: int) -> Iterator[Verdict]:
    if processes == 1:
        yield from map(verdict, seeds)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(verdict, seeds, chunksize=AT_ONCE)
        finally:
            pool.shutdown(cancel_futures=True)


def made_small(broken: Verdict) -> tuple[list[int], Ending]:
    """The steps that are needed to break the same law, and how the story ends with only these."""
    def breaks(places: Sequence[int]) -> bool:
        return any(one.law == broken.laws[0] for one in attempt(broken.seed, places).broken)

    keep = shrink(len(story(broken.seed)), breaks)
    return keep, attempt(broken.seed, keep)


def report(broken: Verdict) -> Iterator[str]:
    keep, ending = made_small(broken)
    yield f"seed {broken.seed} at {version()}: {broken.first}"
    for law in broken.laws[1:]:
        yield f"  and: {law}"
    yield f"  {len(keep)} of its {len(story(broken.seed))} steps are needed:"
    yield from (f"    {line}" for line in ending.told)
    yield from (f"  broken at {one.at - ending.began:.2f} s: {one}" for one in ending.broken[:SHOWN])
    yield f"  again: {COMMAND} --seed {broken.seed} --only {','.join(map(str, keep))}"


def version() -> str:
    """The commit this was built from, else the version of the package."""
    here = str(Path(__file__).parent)
    try:
        done = subprocess.run(["git", "-C", here, "describe", "--always", "--dirty"], capture_output=True, text=True,
                              timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        done = None
    if done is not None and done.returncode == 0:
        return f"commit {done.stdout.strip()}"
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of
    try:
        return f"version {version_of('muster')}"
    except PackageNotFoundError:
        return "an unknown version"


# ------------------------------------------------------------------ the command

def main(arguments: Sequence[str] | None = None) -> int:
    asked = _asked(arguments)
    console = Console()
    if asked.seed is not None:
        return _tell(console, asked.seed, asked.only)
    return _play_all(console, asked)


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description="Plays random stories of a cluster; checks the laws.")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=500, help="how many seeds")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one a core")
    parser.add_argument("--until-broken", action="store_true", help="end with the first story that breaks a law")
    parser.add_argument("--seed", type=int, help="tell this one story step by step")
    parser.add_argument("--only", type=_places, help="with --seed: only these of its steps, such as 0,3,4")
    asked = parser.parse_args(arguments)
    if asked.count < 1 or asked.processes < 1:
        parser.error("--count and --processes must be at least 1")
    if asked.only is not None and asked.seed is None:
        parser.error("--only says which steps of a story are played: say which story with --seed")
    return asked


def _places(text: str) -> list[int]:
    try:
        return [int(one) for one in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" must be numbers of steps, such as 0,3,4') from None


def _tell(console: Console, seed: int, only: Sequence[int] | None) -> int:
    ending = attempt(seed, only)
    for line in ending.told:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for one in ending.broken:
        console.print(f"broken at {one.at - ending.began:.2f} s: {one}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"seed {seed} at {version()}: {ending.changes} changes in {ending.virtual_s / 60:.0f} virtual "
                  f"minutes, {len(ending.broken)} laws broken", highlight=False)
    return 1 if ending.broken else 0


def _play_all(console: Console, asked: argparse.Namespace) -> int:
    first, count = asked.first, asked.count
    broken: list[Verdict] = []
    played, changes, virtual_s = 0, 0, 0.0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("stories", total=count)
        for one in verdicts(range(first, first + count), min(asked.processes, count)):
            played, changes, virtual_s = played + 1, changes + one.changes, virtual_s + one.virtual_s
            progress.advance(bar)
            if one.laws:
                broken.append(one)
                progress.update(bar, description=f"stories, {len(broken)} broken")
                if asked.until_broken:
                    break
        took_s = progress.tasks[0].elapsed or 0.0
    console.print(f"{played} stories (seeds {first} to {first + played - 1}) at {version()}: {changes} changes in "
                  f"{virtual_s / 3600:.0f} virtual hours, in {took_s:.0f} s; "
                  f"{len(broken) or 'no'} stor{'y' if len(broken) == 1 else 'ies'} broke a law", highlight=False)
    for one in broken[:SHOWN]:
        for line in report(one):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    for one in broken[SHOWN:]:
        console.print(f"seed {one.seed}: {one.first}", markup=False, highlight=False, soft_wrap=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
