"""What a simulated container does with its command: how long it runs, what it prints, how it ends.

Understood are `sleep`, `exit`, `true`, `false`, `echo`, `date`, `:` and `exec`, alone or in a script of
`sh -c` joined by `;`, `&&`, `||` and line ends.  A one-line `print` program of perl or python (the pi of the Job
tutorial) ends after two seconds.  Of whatever else there is no end is known: it runs for ever, as a server would, or
for as long as behaviour.py says where the pod's spec expects it to end.

    course(("sh", "-c", "echo hi; sleep 3; exit 2"))  ->  Course(lasts_s=3, exit_code=2, prints=((0, "hi"),))

A shell and what it runs do not handle SIGTERM as process 1: stopping them ends with 137, stopping a server with 0.
"""
from __future__ import annotations

import math
import re
import shlex
from functools import lru_cache
from typing import NamedTuple

from ..api.objects import to_time
from .durations import sleep_length

SHELLS = ("sh", "bash", "ash", "dash")
ONE_LINER_LASTS_S = 2.0
KILLED, COMPLETED = 137, 0


class Course(NamedTuple):
    lasts_s: float  # inf: until it is stopped
    exit_code: int
    prints: tuple[tuple[float, str], ...] = ()  # (seconds after the start, a line)
    stop_code: int = COMPLETED  # what it exits with when it is asked to stop
    reason: str = ""  # "OOMKilled", where the end has a name of its own
    is_known: bool = True  # False: nothing is known of its end


FOR_EVER = Course(math.inf, 0, is_known=False)
_DATE = "\0date"  # stands for the time at which the line is printed
_OPERATORS = (";", "&&", "||", "\n")


def line_at(line: str, now: float) -> str:
    """What a printed line says at a moment (`date` says another thing each time)."""
    return to_time(now) if line == _DATE else line


@lru_cache(maxsize=4096)
def course(argv: tuple[str, ...]) -> Course:
    """The course of a container with this command and these arguments."""
    if not argv:
        return FOR_EVER
    program = argv[0].rpartition("/")[2]
    if program in SHELLS:
        script = _script_of(argv[1:])
        return _follow(script)._replace(stop_code=KILLED) if script is not None else FOR_EVER
    if program in ("perl", "python", "python3") and any(re.search(r"\bprint\b", arg) for arg in argv[1:]):
        return Course(ONE_LINER_LASTS_S, 0)
    step = _step([program, *argv[1:]])
    if step is None:
        return FOR_EVER
    return Course(step.lasts_s, step.exit_code, tuple((0.0, line) for line in step.prints), KILLED)


class _Step(NamedTuple):
    lasts_s: float
    exit_code: int
    prints: tuple[str, ...] = ()
    ends_script: bool = False


def _script_of(args: tuple[str, ...]) -> str | None:
    """What follows `-c`, `-ec` and the like."""
    for place, arg in enumerate(args):
        if arg.startswith("-") and arg.endswith("c"):
            return args[place + 1] if place + 1 < len(args) else ""
    return None


def _step(words: list[str]) -> _Step | None:
    """One command by itself; None for one that is not understood."""
    match words:
        case ["true" | ":" | "set" | "export" | "cd" | "touch" | "rm" | "mkdir", *_]:
            return _Step(0.0, 0)
        case ["false", *_]:
            return _Step(0.0, 1)
        case ["exit", *rest]:
            return _Step(0.0, int(rest[0]) % 256 if rest and rest[0].isdigit() else 0, ends_script=True)
        case ["sleep", *lengths] if lengths:
            try:
                return _Step(sum(sleep_length(length) for length in lengths), 0)
            except ValueError as refused:
                return _Step(0.0, 1, (str(refused),))
        case ["echo", *rest]:
            flags = [word for word in rest[:1] if word in ("-n", "-e", "-ne", "-en")]
            return _Step(0.0, 0, (" ".join(rest[len(flags):]),))
        case ["date", *_]:
            return _Step(0.0, 0, (_DATE,))
        case ["exec", *rest] if rest:
            inner = _step(rest)
            return inner._replace(ends_script=True) if inner is not None else None
    return None


def _follow(script: str) -> Course:
    """Step by step to the end, or to the first step that is not understood, which runs for ever."""
    moment, code, prints = 0.0, 0, list[tuple[float, str]]()
    for joined_by, words in _commands_in(script):
        if (joined_by == "&&" and code != 0) or (joined_by == "||" and code == 0):
            continue
        step = _step(words)
        if step is None:
            return FOR_EVER._replace(prints=tuple(prints))
        prints.extend((moment, line) for line in step.prints)
        moment, code = moment + step.lasts_s, step.exit_code
        if step.ends_script or moment == math.inf:
            break
    return Course(moment, code, tuple(prints))


def _commands_in(script: str) -> list[tuple[str, list[str]]]:
    """Each command's words, and the operator before it."""
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";&|\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    commands: list[tuple[str, list[str]]] = [(";", [])]
    try:
        for word in lexer:
            operator = word if word in _OPERATORS else ";" if set(word) <= {";", "\n"} else ""
            if operator:
                commands.append((operator, []))
            else:
                commands[-1][1].append(word)
    except ValueError:  # an open quote
        return [(";", ["(unreadable)"])]
    return [(operator, words) for operator, words in commands if words]
