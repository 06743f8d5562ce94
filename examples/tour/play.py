r"""Plays a tour: the commands of a tutorial, in their order, on a fresh cluster, each with what it has to show.

    python examples/tour/play.py                     all of them
    python examples/tour/play.py 000-filebeat        one

A folder holds `tour.console` and the files that it uses.  In it, a line is

    $ command           run by bash in a copy of the folder, with KUBECONFIG set; `\` at its end goes on in the next
    # words             told to the reader
    anything else       what the command before it prints: compared word by word, however many blanks are between

and stands for more than itself where it says

    ...                 any number of lines, also none
    {id} {hash} {age} {ip} {number} {word} {any}     one of what it is called after; `any` may be several words
    {first=word}        the same, and `{first}` stands for what was found there from then on

A command that only reads (get, describe, list ...) is asked again until it shows what it should, for 30 s; so
is one that watches (-w), of which the lines have to come in this order, with others in between.
"""
from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE_S, AGAIN_S = 30.0, 0.2
READS = re.compile(r"(kubectl( -n \S+)? (get|describe|explain|top|logs|rollout history)|muster (nodes|pool) list)\b")
WATCHES = re.compile(r"kubectl .*\s(-w|--watch)\b")
PATTERNS = {"id": "[a-z0-9]{5}", "hash": "[a-z0-9]{6,10}", "age": r"(?:\d+[smhdy]){1,2}", "ip": r"[\d.]+|<none>",
            "number": r"\d+", "word": r"\S+", "any": ".*"}


class Differs(Exception):
    """A command showed something else than its tutorial."""


@dataclass
class Step:
    command: str
    shows: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # to the reader, before it


def read(folder: Path) -> list[Step]:
    steps: list[Step] = []
    told: list[str] = []
    goes_on = False
    for line in (folder / "tour.console").read_text().splitlines():
        if goes_on:
            steps[-1].command += "\n" + line
        elif line.startswith("$ "):
            steps.append(Step(line[2:], told=told))
            told = []
        elif line.startswith("#"):
            told.append(line.lstrip("# "))
        elif line.strip() and steps:
            steps[-1].shows.append(" ".join(line.split()))
        goes_on = bool(steps) and line.endswith("\\")
    return steps


# ------------------------------------------------------------------ comparing

def matched(wanted: list[str], lines: list[str], known: dict[str, str], gaps: bool = False) -> dict[str, str] | None:
    """What the names stand for, if the lines are as wanted; with `gaps` others may stand between them."""
    if not wanted:
        return known if gaps or not lines else None
    if wanted[0] == "...":
        return next((found for skipped in range(len(lines) + 1)
                     if (found := matched(wanted[1:], lines[skipped:], known, gaps)) is not None), None)
    for at in range(len(lines) if gaps else min(1, len(lines))):
        found = re.fullmatch(_pattern(wanted[0], known), lines[at])
        if found is not None:
            rest = matched(wanted[1:], lines[at + 1:], {**known, **found.groupdict()}, gaps)
            if rest is not None:
                return rest
    return None


def _pattern(line: str, known: dict[str, str]) -> str:
    pieces, here = [], dict(known)
    for piece in re.split(r"(\{[^{}\s]+\})", line):
        name, _, kind = piece[1:-1].partition("=")
        if not piece.startswith("{") or (name not in here and (kind or name) not in PATTERNS):
            pieces.append(re.escape(piece))
        elif name in here:
            pieces.append(re.escape(here[name]) if here[name] is not None else f"(?P={name})")
        elif kind:
            pieces.append(f"(?P<{name}>{PATTERNS[kind]})")
            here[name] = None  # type: ignore[assignment]  # found in this very line
        else:
            pieces.append(f"(?:{PATTERNS[name]})")
    return "".join(pieces)


def plain(output: str) -> list[str]:
    return [" ".join(line.split()) for line in output.splitlines() if line.strip()]


# ------------------------------------------------------------------ playing

class Tour:
    """A folder's steps, on a cluster of their own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.steps = read(folder)
        self.known: dict[str, str] = {}

    def play(self) -> Iterator[tuple[Step, str, str]]:
        """Each step, its command with names filled in, what it printed.  Raises Differs at the first that differs."""
        with tempfile.TemporaryDirectory(prefix="muster-tour-") as place:
            work, data = Path(place) / "work", Path(place) / "data"
            shutil.copytree(self.folder, work)
            binaries = Path(place) / "bin"
            binaries.mkdir()
            muster = binaries / "muster"  # the one that belongs to this Python
            muster.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m muster "$@"\n')
            muster.chmod(0o700)
            environment = {**os.environ, "MUSTER_DATA_DIR": str(data), "KUBECONFIG": str(data / "kubeconfig"),
                           "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}", "HOME": place}
            try:
                for step in self.steps:
                    command = re.sub(r"\{(\w+)\}", lambda found: self.known.get(found[1], found[0]), step.command)
                    yield step, command, self._run(step, command, work, environment)
            finally:
                subprocess.run([str(muster), "down"], env=environment, capture_output=True, check=False)

    def _run(self, step: Step, command: str, work: Path, environment: dict[str, str]) -> str:
        run = _watch if WATCHES.search(command) else _once
        until = time.monotonic() + PATIENCE_S
        while True:
            output, code = run(command, work, environment, lambda lines: matched(
                step.shows, lines, self.known, gaps=True) is not None)
            found = matched(step.shows or ["..."], plain(output), self.known, gaps=run is _watch)
            if found is not None and code == 0:
                self.known = found
                return output
            if run is _watch or not READS.match(command) or time.monotonic() > until:
                wanted = "\n".join(step.shows) or "(anything)"
                raise Differs(f"{self.folder.name}: $ {command}\n--- wanted\n{wanted}\n"
                              f"--- shown (exit code {code})\n{output}")
            time.sleep(AGAIN_S)


def _once(command, work, environment, enough) -> tuple[str, int]:
    done = subprocess.run(["bash", "-c", command], cwd=work, env=environment, text=True, timeout=2 * PATIENCE_S,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout, done.returncode


def _watch(command, work, environment, enough) -> tuple[str, int]:
    """Follows until enough was seen; then it is ended as Ctrl-C would."""
    process = subprocess.Popen(["bash", "-c", "exec " + command], cwd=work, env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    alarm = threading.Timer(PATIENCE_S, process.kill)
    alarm.start()
    seen: list[str] = []
    try:
        for line in process.stdout or ():
            seen.append(line)
            if enough(plain("".join(seen))):
                break
    finally:
        alarm.cancel()
        process.kill()
        process.communicate()
    return "".join(seen), 0


def main(names: list[str]) -> int:
    folders = sorted(one.parent for one in HERE.glob("*/tour.console"))
    chosen = [one for one in folders if not names or one.name in names]
    unknown = sorted(set(names) - {one.name for one in folders})
    if unknown:
        there = ", ".join(one.name for one in folders)
        print(f"there is no tour {', '.join(unknown)}; there are: {there}", file=sys.stderr)
        return 2
    for folder in chosen:
        print(f"\n=== {folder.name} ===")
        with contextlib.closing(Tour(folder).play()) as steps:
            try:
                for step, command, output in steps:
                    print("".join(f"\n# {line}" for line in step.told))
                    print(f"$ {command}\n{output.rstrip()}")
            except Differs as difference:
                print(difference, file=sys.stderr)
                return 1
    print(f"\n{len(chosen)} tour{'s' * (len(chosen) != 1)} played; everything was shown as it should be.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
