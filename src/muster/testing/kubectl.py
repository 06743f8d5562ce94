"""The real kubectl, run against the cluster of a test.

It is found as the caller says, else by the environment variable KUBECTL, else on the PATH.  Its cache goes into the
cluster's own folder: servers come and go on the same ports, and nothing shall be left in the user's home.
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class KubectlNotFound(RuntimeError):
    """There is no kubectl to run."""


class KubectlFailed(AssertionError):
    """It ended with an error, or did not end; the message has what it said."""


class Said(subprocess.CompletedProcess[str]):
    """What one command said: `stdout`, `stderr`, `returncode`."""

    @property
    def json(self) -> Any:
        """The output of `-o json`."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.stdout.splitlines() if line.strip()]

    def __str__(self) -> str:
        return self.stdout


class Kubectl:
    def __init__(self, path: str | Path | None, kubeconfig: Path, cache: Path):
        asked = str(path or os.environ.get("KUBECTL") or "kubectl")
        found = shutil.which(asked)
        if found is None:
            raise KubectlNotFound(
                f"{asked} was not found: install it (https://kubernetes.io/docs/tasks/tools/), or name it with "
                "Cluster(kubectl=...), --muster-kubectl or the environment variable KUBECTL")
        self._path = found
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(cache)}

    def run(self, arguments: Sequence[object], given: Any, timeout_s: float, check: bool, *,
            stands_still: bool) -> Said:
        words = [self._path, *map(str, arguments)]
        if isinstance(given, dict | list):
            given = json.dumps(given)
        try:
            done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=timeout_s, check=False,
                                  env=self._environment)
        except subprocess.TimeoutExpired:
            hint = ("; time stands still in this cluster, so what waits for something to happen waits for ever: "
                    "use --wait=false, then cluster.advance(...)") if stands_still else ""
            raise KubectlFailed(f"kubectl {' '.join(words[1:])} did not end within {timeout_s:g} s{hint}") from None
        said = Said(done.args, done.returncode, done.stdout, done.stderr)
        if check and said.returncode != 0:
            raise KubectlFailed(f"kubectl {' '.join(words[1:])} ended with {said.returncode}: "
                                f"{(said.stderr or said.stdout).strip()}")
        return said
