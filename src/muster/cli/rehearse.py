"""`muster rehearse`: what applying these files would do, played through on a cluster in virtual time.

Ctrl-C ends it with what is known so far (exit code 130).
"""
from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator

from ..rehearsal.answer import Answer
from ..rehearsal.jobs import Show
from ..rehearsal.options import Options
from ..rehearsal.picture import svg
from ..rehearsal.play import play
from ..rehearsal.report import text
from ..rehearsal.report_html import html
from ..rehearsal.report_json import json_text
from ..rehearsal.report_png import check_available, png
from ..rehearsal.stage import prepare

WRITTEN: dict[str, Callable[[Answer], str]] = {
    "text": lambda answer: text(answer) + "\n", "json": lambda answer: json_text(answer) + "\n", "svg": svg,
    "html": html}


def run(options: Options) -> None:
    if options.output == "png":
        check_available()
    gc.disable()  # runs look for garbage between them
    with _progress() as show:
        show("settling what is there", 0.0)
        stage = prepare(options)
        answer = play(stage, show)
    _write(answer, options)
    if not answer.complete:
        sys.exit(130)


def _write(answer: Answer, options: Options) -> None:
    if options.output == "png":
        assert options.out is not None, "asked for when the options were read"
        options.out.write_bytes(png(svg(answer)))
        return
    written = WRITTEN[options.output](answer)
    if options.out is not None:
        options.out.write_text(written, encoding="utf-8")
    else:
        sys.stdout.write(written)


@contextlib.contextmanager
def _progress() -> Iterator[Show]:
    """A bar on stderr where that is a terminal, else nothing.  It draws itself when it is told something: a thread
    that did would not survive the processes that runs are forked into."""
    if not sys.stderr.isatty():
        yield lambda what, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    console = Console(stderr=True)
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True,
                  auto_refresh=False, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0)

        def show(what: str, share: float) -> None:
            progress.update(task, description=what, completed=share)
            progress.refresh()

        yield show
