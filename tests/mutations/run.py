"""Breaks the controllers by hand, one breach at a time, and sees each caught: `make mutations`.

Every breach is made in a copy of the source; the command that goes with it must fail there.  Prints what caught it;
the exit code is 1 if one was not.  `run.py WORD...` tries only those whose description holds one of the words.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
LONGEST_S = 600


def main(words: list[str]) -> int:
    chosen = [one for one in MUTATIONS if not words or any(word in one.what for word in words)]
    missed = [one for one in chosen if not caught(one)]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} breaches were caught")
    return 1 if missed else 0


def caught(mutation: Mutation) -> bool:
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        broken = Path(place) / "src"
        shutil.copytree(ROOT / "src", broken, ignore=shutil.ignore_patterns("__pycache__"))
        path = broken / "muster" / mutation.file
        text = path.read_text()
        if text.count(mutation.old) != 1:
            print(f"STALE   {mutation.what}: its text stands {text.count(mutation.old)} times in {mutation.file}")
            return False
        path.write_text(text.replace(mutation.old, mutation.new))
        done = run(mutation, broken)
    print(f"{'caught' if done.returncode == 1 else 'MISSED':7} {mutation.what}: {said(done)}", flush=True)
    return done.returncode == 1


def run(mutation: Mutation, source: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(source), str(ROOT / "tests")])
    return subprocess.run([sys.executable, *mutation.caught_by], cwd=ROOT, text=True, capture_output=True, check=False,
                          timeout=LONGEST_S, env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1",
                                                  "COLUMNS": "200"})


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The line of the output that says what caught it."""
    lines = [line for line in done.stdout.splitlines() if line.startswith(("seed ", "FAILED", "ERROR", "E  "))]
    return (lines or [done.stdout.strip()[-160:] + done.stderr.strip()[-160:]])[0][:180]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
