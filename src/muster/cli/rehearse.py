"""`muster rehearse`: what applying these files would do, played through on a cluster in virtual time."""
from __future__ import annotations

import sys

from rich.console import Console

from ..api.errors import BadRequest
from ..rehearsal.answer import Answer
from ..rehearsal.options import Options
from ..rehearsal.play import play
from ..rehearsal.report import text
from ..rehearsal.stage import prepare


def run(options: Options) -> None:
    stage = prepare(options)
    answer = play(stage)
    _print(answer, options)
    if not answer.complete:
        sys.exit(130)


def _print(answer: Answer, options: Options) -> None:
    if options.output != "text":
        raise BadRequest(f"-o {options.output}: not yet")
    shown = text(answer)
    if options.out is not None:
        options.out.write_text(shown + "\n", encoding="utf-8")
    else:
        Console(highlight=False, soft_wrap=True).print(shown, markup=False)
