"""The guide's commands, played as they stand there: figures and hashes are those of this commit.

With MUSTER_UPDATE_GOLDEN=1 what they print is written into the guide.  What a command takes of this machine may differ.
"""
from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "rehearse.md"
BLOCK = re.compile(r"(?<=^```console\n)\$ .*?(?=^```$)", re.MULTILINE | re.DOTALL)
TAKES = re.compile(r"\d+\.\d\d(?= s of CPU)|\d+\.\d\d$", re.MULTILINE)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Each with what it prints; a command goes on behind a backslash, and up to the END of what it is given."""
    lines = block.splitlines(keepends=True)
    while lines:
        command = lines.pop(0)
        while command.endswith("\\\n") or "<<END" in command and not command.endswith("\nEND\n"):
            command += lines.pop(0)
        printed = ""
        while lines and not lines[0].startswith("$ "):
            printed += lines.pop(0)
        yield command, printed


def without_costs(text: str) -> list[list[str]]:
    return [line.split() for line in TAKES.sub("?", text).splitlines()]


@pytest.fixture
def terminal(tmp_path, monkeypatch) -> Path:
    """A folder to work in, where `muster` is this one."""
    (muster := tmp_path / "muster").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m muster "$@"\n')
    muster.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    (folder := tmp_path / "here").mkdir()
    return folder


def test_what_the_guide_shows_is_what_its_commands_print(terminal) -> None:
    guide, played = GUIDE.read_text(), 0
    for block in BLOCK.findall(guide):
        now = ""
        for command, printed in commands(block):
            done = subprocess.run(["bash", "-c", command.removeprefix("$ ")], cwd=terminal, capture_output=True,
                                  text=True, timeout=600)
            assert done.returncode == 0, done.stderr
            if without_costs(done.stdout) == without_costs(printed):
                done.stdout = printed
            elif not os.environ.get("MUSTER_UPDATE_GOLDEN"):
                assert done.stdout == printed, command
            now += command + done.stdout
            played += "muster rehearse" in command
        guide = guide.replace(block, now)
    GUIDE.write_text(guide) if os.environ.get("MUSTER_UPDATE_GOLDEN") else None
    assert played >= 2
