"""The folder that a cluster lives in: store, certificates, kubeconfig, and who is running it.

    muster.db        the store (SQLite)            pki/         certificates, and the key of tokens; keys are mode 0600
    kubeconfig       for kubectl, mode 0600        server.json  who runs here, and where (mode 0600)
    muster.log       what a detached server says
"""
from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .api.errors import ApiError

DEFAULT = "~/.muster/default"


class Unusable(ApiError):
    """The folder can not be used; the message says what to do."""

    reason = "DataDirectoryUnusable"


@dataclass(frozen=True)
class Running:
    pid: int
    url: str
    dns: str = ""  # host:port where it answers DNS, if it does


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
            running = Running(int(said["pid"]), str(said["url"]), str(said.get("dns", "")))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        same = said.get("started") in (None, started(running.pid))
        return running if same and alive(running.pid) else None

    def last_port(self) -> int:
        """The port that the last server here listened on; 0 for none."""
        try:
            return int(json.loads(self._server.read_text())["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def say_running(self, url: str, port: int, dns: str = "") -> None:
        pid = os.getpid()
        self._say({"pid": pid, "started": started(pid), "url": url, "port": port, "dns": dns})

    def say_stopped(self, port: int) -> None:
        """Keeps the port, so that the next start can listen there again."""
        self._say({"pid": 0, "url": "", "port": port})

    def _say(self, about: dict[str, Any]) -> None:
        fresh = self._server.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(about, file)
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


def started(pid: int) -> str | None:
    """When that process began, in ticks since the machine did: a later process of the same number is another one.

    None where the system does not say.
    """
    return _stat(pid, 19)


def _is_zombie(pid: int) -> bool:
    return _stat(pid, 0) == "Z"


def _stat(pid: int, index: int) -> str | None:
    """A word of /proc/PID/stat after the command's name (which may hold anything): proc_pid_stat(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[index]
    except (OSError, IndexError):
        return None
