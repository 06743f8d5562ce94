"""The answer as one page that opens from disk: the table, a picture for each alternative, and what there is to say.

Nothing comes from elsewhere: no script, font or style sheet.  Hovering over the picture says who did what when.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from .answer import Answer, Answered
from .outcome import FINISHED
from .picture import svg
from .report import HEAD, broken_rules, ended, laws, nodes_without, row, sentence, verdict
from .spoken import spoken

STYLE = """
:root{color-scheme:light dark;--ink:#1f2a3a;--quiet:#66738a;--line:#dde3ea;--page:#f5f7f9;--card:#fff;--good:#2a9d78;
--bad:#d43d51}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf2;--quiet:#9aa7ba;--line:#2c3646;--page:#131922;--card:#1b2330}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif}
main{max-width:1240px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:0 0 6px}h3{font-size:14px;margin:18px 0 4px}
p{margin:4px 0}.q{color:var(--quiet)}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px 22px;margin:20px 0;
overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-size:11px;letter-spacing:.05em;color:var(--quiet);font-weight:600;text-transform:uppercase}
th,td{padding:7px 12px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0;font-weight:600}
tbody tr:last-child td{border-bottom:0}
.verdict{display:inline-block;border-radius:99px;padding:2px 11px;font-size:13px;color:#fff;background:var(--good);
vertical-align:3px;margin-left:8px;font-weight:500}.bad{background:var(--bad)}
svg{display:block;max-width:100%;height:auto;margin:12px 0 4px}
ul{margin:4px 0;padding-left:20px}li{margin:2px 0}code{font-size:12.5px;overflow-wrap:anywhere}
details{margin-top:10px}summary{cursor:pointer;color:var(--quiet)}
"""
MOST = 200


def html(answer: Answer) -> str:
    return "\n".join(_page(answer)) + "\n"


def _page(answer: Answer) -> Iterator[str]:
    options = answer.stage.options
    known = answer.known()
    what = ", ".join(dict.fromkeys(work.name for one in known for work in one.first.workloads if work.touched))
    title = f"Rehearsal of {what}" if what else "Rehearsal"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<style>{STYLE}</style></head><body><main>"
    yield f"<h1>{escape(title)}</h1>"
    runs = "1 run" if options.runs == 1 else f"{options.runs} runs"
    yield f'<p class="q">{runs} of each alternative in virtual time, seed {escape(options.seed)}.</p>'
    if not answer.complete:
        yield f'<p><span class="verdict bad">interrupted</span> this is what is known after {answer.runs} runs.</p>'
    if known:
        yield from _table(known)
    for number, one in enumerate(known):
        yield from _section(answer, one, number)
    if answer.stage.notes:
        yield '<section class="card"><h2>Assumed</h2>'
        yield from _list(answer.stage.notes)
        yield "</section>"
    yield "</main></body></html>"


def _table(known: Sequence[Answered]) -> Iterator[str]:
    head = "".join(f"<th>{escape(cell.lower())}</th>" for cell in HEAD)
    yield f'<section class="card"><table><thead><tr>{head}</tr></thead><tbody>'
    for number, one in enumerate(known):
        first, *rest = row(one)
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        yield f'<tr><td><a href="#a{number}" style="color:inherit">{escape(first)}</a></td>{cells}</tr>'
    yield "</tbody></table></section>"


def _section(answer: Answer, one: Answered, number: int) -> Iterator[str]:
    first = one.first
    good = first.verdict == FINISHED and first.finished_s is not None
    yield f'<section class="card" id="a{number}"><h2>{escape(one.name)}'
    yield f'<span class="verdict{"" if good else " bad"}">{escape(verdict(first))}</span></h2>'
    yield from _list(f"{work.name}: {sentence(work)}" for work in first.workloads if work.touched or work.stuck)
    yield svg(answer, only=one, number=number)
    yield from _headed("Faults", (f"after {spoken(at_s)}: {what}" for at_s, what in first.strikes))
    yield from _headed("Nodes without a daemon", nodes_without(first.without_daemon))
    yield from _headed("Pods that were ended by others", (f"{each.how}: {ended(each)}" for each in first.endings))
    if first.endings_left_out:
        yield f'<p class="q">and {first.endings_left_out} more</p>'
    yield from _headed("Pods that did not come up", (f"{name}: {why}" for name, why in first.pending))
    yield from _headed("Broken rules", broken_rules(one))
    cost = first.cost
    yield (f'<details><summary>Cost and history</summary><p>{cost.api_writes + cost.events:,} API writes, '
           f'{cost.events:,} of them events; {cost.plans:,} decisions, {cost.cpu_s:.2f} s of CPU for '
           f'{spoken(cost.virtual_s)}. Laws: {laws(one)}.</p>')
    yield from _list(f"{who}: {count:,} writes" for who, count in cost.writes_by.items())
    yield f'<p class="q">seed {escape(first.seed)}, history sha256 <code>{first.history}</code></p></details></section>'


def _headed(head: str, items: Iterable[str]) -> Iterator[str]:
    told = list(items)
    if told:
        yield f"<h3>{escape(head)}</h3>"
        yield from _list(told[:MOST])
        if len(told) > MOST:
            yield f'<p class="q">and {len(told) - MOST} more</p>'


def _list(items: Iterable[str]) -> Iterator[str]:
    yield "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in items) + "</ul>"
