"""Containers that crash because their pod says so, to try a bad rollout without building a bad image.

    metadata:
      annotations:
        muster.dev/crash: "app"                        the container `app` exits with 1 after a second, every time
        muster.dev/crash: "app=137,after=5s"           with that code, five seconds after each start
        muster.dev/crash: "app,times=3"                only its first three runs
        muster.dev/crash: "app=137,reason=OOMKilled"   with that reason in its status
        muster.dev/crash: "app=0,after=2s;log=3"       several containers; "*" stands for all of them

It wins over what the container's command says.  What can not be read is left out.
"""
from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ..api.durations import parse_duration
from .commands import Course

ANNOTATION = "muster.dev/crash"
EVERY_CONTAINER = "*"


class Crash(NamedTuple):
    container: str
    exit_code: int = 1
    after_s: float = 1.0
    times: int | None = None  # None: every run
    reason: str = ""


def crash_of(annotation: str | None, container: str, restarts: int) -> Course | None:
    """How this run of the container is declared to end, if it is."""
    if not annotation:
        return None
    for crash in parse(annotation):
        if crash.container in (container, EVERY_CONTAINER):
            if crash.times is not None and restarts >= crash.times:
                return None
            return Course(crash.after_s, crash.exit_code, reason=crash.reason)
    return None


@lru_cache(maxsize=1024)
def parse(annotation: str) -> tuple[Crash, ...]:
    return tuple(crash for one in annotation.split(";") if (crash := _one(one)) is not None)


def _one(text: str) -> Crash | None:
    head, *options = (part.strip() for part in text.split(","))
    container, _, code = head.partition("=")
    if not container:
        return None
    try:
        crash = Crash(container.strip(), int(code) % 256 if code else 1)
        for option in options:
            name, _, value = option.partition("=")
            match name.strip():
                case "after":
                    crash = crash._replace(after_s=parse_duration(value))
                case "times":
                    crash = crash._replace(times=int(value))
                case "reason":
                    crash = crash._replace(reason=value.strip())
    except ValueError:
        return None
    return crash
