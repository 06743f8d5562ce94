"""One server a data directory.

Two servers that write one file would each believe in their own revisions.  So a server holds an
advisory lock (flock) on a file beside the data for as long as it lives; the operating system lets go
of it when the process ends in whatever way, so no stale lock is ever left behind.  The file holds the
owner's process id, for the message that the second server prints.
"""
from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .store import StoreUnusable


class Lock:
    """Held from the moment it is made until `release`."""

    def __init__(self, path: Path, guards: Path):
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnusable(
                f"{path} cannot be opened ({error.strerror}): make its directory writable, "
                "or choose another one with --data-dir") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreUnusable(
                f"{guards} is in use by another server (process {owner}): stop that one first, "
                "or choose another directory with --data-dir") from None
        except OSError as error:
            os.close(self._descriptor)
            raise StoreUnusable(
                f"{path} cannot be locked ({error.strerror}): "
                "choose a directory on a local disk with --data-dir") from error
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # a full disk: the lock itself holds all the same

    def release(self) -> None:
        """Lets the next server in.  The file stays: removing it would let two in, each with its own."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
