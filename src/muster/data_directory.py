"""The folder that a cluster lives in: store, certificates, kubeconfig, and who is running it.

    muster.db        the store (SQLite)            pki/         certificates; private keys are mode 0600
    kubeconfig       for kubectl, mode 0600        server.json  pid and address of the running server
    muster.log       what a detached server says
"""
from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from .api.errors import ApiError

DEFAULT = "~/.muster/default"


class Unusable(ApiError):
    """The folder can not be used; the message says what to do."""

    reason = "DataDirectoryUnusable"


@dataclass(frozen=True)
class Running:
    pid: int
    url: str


class DataDirectory:
    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser().absolute()

    @property
    def database(self) -> Path:
        return self.path / "muster.db"

    @property
    def certificates(self) -> Path:
        return self.path / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.path / "kubeconfig"

    @property
    def log(self) -> Path:
        return self.path / "muster.log"

    @property
    def _server(self) -> Path:
        return self.path / "server.json"

    def prepare(self) -> None:
        """Makes the folder, mode 0700.  Raises Unusable when that can not be."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unusable(f"can not use {self.path} as the data directory: {error.strerror}; "
                           "name another one with --data-dir") from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise Unusable(f"can not write to {self.path}; name another one with --data-dir")

    def running(self) -> Running | None:
        """The server that runs on this folder, or None."""
        try:
            said = json.loads(self._server.read_text())
            running = Running(int(said["pid"]), str(said["url"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return running if alive(running.pid) else None

    def last_port(self) -> int:
        """The port that the last server here listened on; 0 for none."""
        try:
            return int(json.loads(self._server.read_text())["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def say_running(self, url: str, port: int) -> None:
        text = json.dumps({"pid": os.getpid(), "url": url, "port": port})
        fresh = self._server.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self._server)

    def say_stopped(self, port: int) -> None:
        """Keeps the port, so that the next start can listen there again."""
        fresh = self._server.with_suffix(".new")
        fresh.write_text(json.dumps({"pid": 0, "url": "", "port": port}))
        fresh.replace(self._server)


def alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
