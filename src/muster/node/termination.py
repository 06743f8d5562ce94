"""What a container leaves as its last words: the file at terminationMessagePath, or the end of its log.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""
from __future__ import annotations

from pathlib import Path

from ..api.objects import Obj
from .cri.log_files import last_lines

LONGEST_MESSAGE, LONGEST_FROM_LOG, MOST_LINES = 4096, 2048, 80


def message_of(file: Path, container: Obj, exit_code: int, log: Path) -> str:
    try:
        with file.open("rb") as opened:
            said = opened.read(LONGEST_MESSAGE).decode(errors="replace")
    except OSError:
        said = ""
    if not said and exit_code != 0 and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        return last_lines(log, MOST_LINES, LONGEST_FROM_LOG)
    return said
