"""The same seed gives the same history, byte for byte, in whatever process."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rehearsed import a_daemonset, written

HERE = Path(__file__).parent
SCRIPT = """
import sys
from pathlib import Path
from rehearsed import a_daemonset, seen
found = seen(Path(sys.argv[1]), [a_daemonset("agent:2")], [a_daemonset(), a_daemonset(name="other")], nodes=12,
             lengths={"pull": "lognormal(p50=10s,p95=60s)"}, fail=["10%"], kill_node=["1@20s,for=5m"], seed=sys.argv[2])
print(found.history, found.cost.api_writes)
"""


def history(folder: Path, hash_seed: str, seed: str = "7") -> str:
    path = os.pathsep.join([str(HERE), *sys.path])
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(folder), seed], capture_output=True, text=True, timeout=120,
                          check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path})
    return done.stdout


def test_hash_seeds_make_no_difference(tmp_path) -> None:
    written(tmp_path, "unused.yaml", a_daemonset())
    first = history(tmp_path, "1")
    assert int(first.split()[1]) > 50, "much has happened"
    assert history(tmp_path, "4242") == first
    assert history(tmp_path, "1", seed="8") != first
