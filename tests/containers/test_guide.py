"""docs/guides/real-nodes.md, followed to the letter: its commands in a folder and a home of their own."""
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from real_nodes import KUBECTL, PATIENCE_S, Nodes

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "real-nodes.md"


def block(first):
    """The commands of the guide from the line that begins so to the end of their paragraph."""
    lines = iter(GUIDE.read_text().splitlines())
    found = [next(line for line in lines if line.strip().startswith(first))]
    found += iter(lambda: next(lines), "")
    return [line.removeprefix("    ") for line in found]


@pytest.fixture
def words(tmp_path):
    """`muster`, `python` and `kubectl` as a shell finds them; the checkout as links."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in {"muster": f"{sys.executable} -m muster", "python": sys.executable, "kubectl": KUBECTL}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (programs / name).chmod(0o755)
    for name in ("tools", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    cluster = Nodes(tmp_path / "home" / ".muster" / "default")
    yield {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path / "home")}
    cluster.down()
    assert cluster.leftovers() == []


def follow(commands, folder, words):
    *before, last = commands
    done = subprocess.run(["bash", "-e", "-c", "\n".join(before)], cwd=folder, env=words, capture_output=True, text=True,
                          timeout=3 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return subprocess.Popen(["bash", "-c", f"export KUBECONFIG=$(muster kubeconfig); exec {last}"], cwd=folder, env=words,
                            stdout=subprocess.PIPE, text=True)


@pytest.mark.long
def test_first_nodes(tmp_path, words):
    commands = block("muster up --runtime containers --nodes 2 --detach")
    shown = follow(commands, tmp_path, words).communicate(timeout=PATIENCE_S)[0]
    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [["node-1", "Ready"], ["node-2", "Ready"]]


@pytest.mark.long
def test_a_collector_reads_what_others_say(tmp_path, words):
    follower = follow(block("python tools/busybox_image.py busybox.tar"), tmp_path, words)
    enough = threading.Timer(PATIENCE_S, follower.kill)
    enough.start()
    seen = next((line for line in follower.stdout if line.rstrip().endswith("stdout F said")), None)
    enough.cancel()
    follower.kill()
    follower.communicate()
    assert seen is not None
