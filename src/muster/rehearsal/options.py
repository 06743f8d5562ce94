"""What is to be rehearsed, as the command line says it.  Whatever can not be is refused here, before anything runs."""
from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..api.durations import check_length, parse_duration
from ..api.errors import BadRequest
from ..api.objects import Obj
from .alternatives import Setting, parse_setting
from .faults import Fault, parse_fail, parse_kill_node, parse_skew

STABLE = "stable"
MEASURED = "measured"
ALL, FIRST, NONE, USUAL = "all", "first", "none", ""  # which runs of each alternative are held to the laws
OUTPUTS = ("text", "json", "svg", "png", "html")
MOST_ALTERNATIVES = 64


@dataclass(frozen=True)
class Options:
    files: tuple[Path, ...] = ()  # what is applied
    on: tuple[Path, ...] = ()  # what is there before: snapshots, manifests, or one kubeconfig
    pools: tuple[Obj, ...] = ()  # NodePool objects: nodes that are there before
    settings: tuple[Setting, ...] = ()
    restart: tuple[str, ...] = ()  # "ds/agent": as `kubectl rollout restart`
    lengths: tuple[tuple[str, str], ...] = ()  # ("pull", "20s..90s")
    faults: tuple[Fault, ...] = ()
    until_s: float | None = None  # None: until it is stable
    runs: int = 1
    seed: str = "0"
    jobs: int = 1
    output: str = "text"
    out: Path | None = None
    laws: str = USUAL  # the first of each, if it is not too large
    record: Path | None = None  # where the history of the first run is kept


def options(*, files: Sequence[Path], on: Sequence[Path], pools: Sequence[Obj], settings: Sequence[str],
            restart: Sequence[str], lengths: dict[str, str | None], fail: Sequence[str], kill_node: Sequence[str],
            until: str, runs: int, seed: str, jobs: int | None, output: str, out: Path | None,
            skew: Sequence[str] = (), laws: str = USUAL, record: Path | None = None) -> Options:
    """Raises BadRequest with the one sentence that says which option is wrong, and why."""
    for option, paths in (("-f", files), ("--on", on)):
        for path in paths:
            if not path.is_file():
                raise BadRequest(f"{option} {path}: no such file")
    if not on and not pools:
        raise BadRequest("say on what: --nodes N, --pool NAME=N, or --on with a snapshot or a kubeconfig")
    if not files and not settings and not restart and not on:
        raise BadRequest("say what happens: -f FILE, --set, or --restart")
    if output not in OUTPUTS:
        raise BadRequest(f"-o {output}: use {', '.join(OUTPUTS[:-1])} or {OUTPUTS[-1]}")
    if laws not in (ALL, FIRST, NONE, USUAL):
        raise BadRequest(f"--laws {laws}: use {ALL}, {FIRST} or {NONE}")
    if output == "png" and out is None:
        raise BadRequest("-o png: name the file that it goes into with --out FILE")
    for option, file in (("--out", out), ("--record", record)):
        if file is not None and not file.absolute().parent.is_dir():
            raise BadRequest(f"{option} {file}: there is no folder {file.absolute().parent}")
        if file is not None and file.is_dir():
            raise BadRequest(f"{option} {file}: that is a folder; name a file")
    said = tuple((name, text) for name, text in lengths.items() if text is not None)
    for name, text in said:
        _check_length(name, text, has_snapshot=bool(on))
    faults = _faults(fail, kill_node, skew)
    parsed = tuple(parse_setting(text) for text in settings)
    if (count := math.prod(len(one.values) for one in parsed)) > MOST_ALTERNATIVES:
        raise BadRequest(f"--set: that is {count} alternatives; at most {MOST_ALTERNATIVES} are compared")
    if record is not None and count > 1:
        raise BadRequest(f"--record {record}: that is one history, and --set names {count} alternatives; "
                         "record one of them")
    return Options(tuple(files), tuple(on), tuple(pools), parsed, tuple(restart), said, faults, _until(until), runs,
                   seed, jobs or os.cpu_count() or 1, output, out, laws, record)


def _faults(fail: Sequence[str], kill_node: Sequence[str], skew: Sequence[str]) -> tuple[Fault, ...]:
    found: list[Fault] = []
    read: Sequence[tuple[str, Sequence[str], Callable[[str], Fault]]] = (
        ("--fail", fail, parse_fail), ("--kill-node", kill_node, parse_kill_node),
        ("--skew", skew, parse_skew))
    for option, texts, parse in read:
        for text in texts:
            try:
                found.append(parse(text))
            except ValueError as error:
                raise BadRequest(f"{option} {error}") from None
    return tuple(found)


def _check_length(name: str, text: str, *, has_snapshot: bool) -> None:
    if text == MEASURED:
        if not has_snapshot:
            raise BadRequest(f"--{name} measured: there is no snapshot to measure it in; give one with --on")
        return
    try:
        check_length(text)
    except ValueError as error:
        raise BadRequest(f"--{name} {text}: {error}") from None


def _until(text: str) -> float | None:
    if text == STABLE:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise BadRequest(f'--until {text}: must be "stable" or a duration such as "2h"') from None
    if not 0 < seconds < math.inf:
        raise BadRequest(f"--until {text}: must be longer than nothing, and end")
    return seconds
