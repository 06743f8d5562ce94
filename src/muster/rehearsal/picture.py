"""The picture of a rehearsal: nodes as lines, time from left to right, colour by what each was doing.

One SVG, complete in itself: no font, script or image from elsewhere.  Alternatives stand below one another on the same
scale of time, each with how many were down above its lines, so that the quick and the gentle ones can be told apart at
a glance.  Twenty nodes have their names beside them; of five thousand, neighbours share a line (bands.py).
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from . import timeline
from .answer import Answer, Answered
from .bands import Band, bands, last_change, states_in
from .report import verdict
from .spoken import spoken
from .timeline import STATES, Span

WIDTH, LEFT, RIGHT = 1180, 64, 28
LEFT_WITH_NAMES = 176
MOST_LINES, MOST_NAMED = 280, 60
TALLEST_LINES, STRIP, HEAD, AXIS, GAP = 420.0, 44.0, 62.0, 34.0, 26.0
FEWEST_S = 5.0  # on the axis
LONGEST_NAME = 22

COLOURS = {
    timeline.READY_NEW: "#2a9d78", timeline.READY_OLD: "#c3d3e3", timeline.NOT_READY: "#7cc4d8",
    timeline.STARTING: "#f2994a", timeline.PULLING: "#f6cf65", timeline.UNSCHEDULED: "#9b6bd3",
    timeline.STOPPING: "#8794a8", timeline.NO_DAEMON: "#f3b9c4", timeline.FAILING: "#d43d51",
    timeline.NODE_DOWN: "#1f2a3a", timeline.ENDED: "#dfe5dc", timeline.NOT_WANTED: "#f4f5f7",
}
DOWN_COLOUR = "#d43d51"
STYLE = ("text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans','Noto Sans',"
         "'Liberation Sans',sans-serif;fill:#1f2a3a}.q{fill:#66738a}"
         ".n{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace;"
         "fill:#66738a}"
         ".g{stroke:#1f2a3a;stroke-opacity:.10;stroke-width:1}")
_STEPS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800)

Rows = Mapping[str, Sequence[Span]]


@dataclass(frozen=True, slots=True)
class _Panel:
    """One workload of one alternative."""

    head: str
    more: str
    noun: str
    rows: Rows
    down: Sequence[tuple[float, int]]  # how many, and from when on
    lines: Sequence[Band]
    until_s: float
    most_down: int  # of all panels: their strips are on one scale

    @property
    def line_height(self) -> float:
        return min(13.0, TALLEST_LINES / len(self.rows))

    @property
    def height(self) -> float:
        return HEAD + STRIP + 8 + self.line_height * len(self.rows) + AXIS


def svg(answer: Answer, *, only: Answered | None = None, number: int = 0) -> str:
    """All alternatives, or one; `number` tells apart the pictures of one page."""
    shown = [only] if only is not None else answer.known()
    until_s = max([FEWEST_S, *(_until(rows, one.first.ended_s) for one in answer.known()
                               for rows in one.first.timelines.values())])
    most_down = max([0, *(down for one in answer.known() for steps in one.first.down.values() for _, down in steps)])
    panels = [panel for one in shown
              for panel in _panels(one, until_s, most_down, several=len(answer.known()) > 1)]
    return "\n".join(_document(answer, shown, panels, number)) + "\n"


def _until(rows: Rows, ended_s: float) -> float:
    """Where the axis ends: a little after the last thing that happened."""
    return min(ended_s, last_change(rows) * 1.04 + 1.0)


def _panels(one: Answered, until_s: float, most_down: int, *, several: bool) -> Iterator[_Panel]:
    first = one.first
    for work in first.workloads:
        rows = first.timelines.get(work.name)
        if not rows:
            continue
        noun = "nodes" if work.kind == "DaemonSet" else "pods"
        head = f"{one.name} \N{MIDDLE DOT} {work.name}" if several else work.name
        down = f"at worst {work.worst_unavailable} of {work.wanted} {noun} down" if work.worst_unavailable else \
            f"never fewer than {work.wanted} {noun}"
        when = f"complete after {spoken(work.finished_s)}" if work.finished_s is not None else verdict(first)
        yield _Panel(head, f"{when}, {down}", noun, rows, first.down.get(work.name) or [(0.0, 0)],
                     bands(rows, MOST_LINES, until_s), until_s, most_down)


def _document(answer: Answer, shown: Sequence[Answered], panels: Sequence[_Panel], number: int) -> Iterator[str]:
    states = [state for state in STATES if any(state in states_in(panel.rows) for panel in panels)]
    legend = _legend(states)
    top = 78.0 + 22.0 * len(legend)
    height = top + sum(panel.height + GAP for panel in panels) + 4
    title = "Rehearsal of " + ", ".join(dict.fromkeys(panel.head.rpartition(" ")[2] for panel in panels)) if panels \
        else "Rehearsal: nothing changed"
    said = ". ".join(f"{panel.head}: {panel.more}" for panel in panels) or "No workload changed."
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
           f'height="{height:.0f}" role="img" aria-labelledby="t{number} d{number}">')
    yield f'<title id="t{number}">{escape(title)}</title><desc id="d{number}">{escape(said)}</desc>'
    yield f'<style>{STYLE}</style><rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="#fff"/>'
    yield _text(LEFT, 34, title, 19, weight=700)
    runs = f", the first of {len(shown[0].outcomes)} runs" if shown and len(shown[0].outcomes) > 1 else ""
    yield _text(LEFT, 54, f"lines are {_nouns(panels)}, time runs from left to right{runs}; seed "
                f"{answer.stage.options.seed}", 12, "q")
    for place, line in enumerate(legend):
        yield from _legend_line(line, 72.0 + 22.0 * place)
    for panel in panels:
        yield from _draw(panel, top)
        top += panel.height + GAP
    yield "</svg>"


def _nouns(panels: Sequence[_Panel]) -> str:
    return " or ".join(dict.fromkeys(panel.noun for panel in panels)) or "nodes"


def _legend(states: Sequence[str]) -> list[list[tuple[str, float]]]:
    """Lines of (state, x)."""
    lines: list[list[tuple[str, float]]] = [[]]
    x = float(LEFT)
    for state in states:
        width = 34 + 6.7 * len(STATES[state])
        if x + width > WIDTH - RIGHT:
            lines.append([])
            x = float(LEFT)
        lines[-1].append((state, x))
        x += width
    return lines


def _legend_line(line: Sequence[tuple[str, float]], y: float) -> Iterator[str]:
    for state, x in line:
        yield (f'<rect x="{x:.0f}" y="{y:.0f}" width="13" height="13" rx="3" fill="{COLOURS[state]}" '
               'stroke="#1f2a3a" stroke-opacity=".18"/>')
        yield _text(x + 19, y + 11, STATES[state], 12)


# ------------------------------------------------------------------ a panel


def _draw(panel: _Panel, top: float) -> Iterator[str]:
    named = len(panel.rows) <= MOST_NAMED and panel.line_height >= 6.5
    left = LEFT_WITH_NAMES if named else LEFT
    scale = (WIDTH - RIGHT - left) / panel.until_s
    yield f'<g><title>{escape(panel.head)}</title>'
    yield _text(LEFT, top + 22, panel.head, 15, weight=700)
    yield _text(LEFT, top + 41, panel.more, 12.5, "q")
    strip = top + HEAD
    lines = strip + STRIP + 8
    bottom = lines + panel.line_height * len(panel.rows)
    yield from _strip(panel, strip, left, scale)
    yield (f'<rect x="{left}" y="{lines:.1f}" width="{WIDTH - RIGHT - left}" height="{bottom - lines:.1f}" '
           'fill="#fafbfc"/>')
    yield '<g shape-rendering="crispEdges">'
    yield from _lines(panel, lines, left, scale)
    yield "</g>"
    if named:
        yield from _names(panel, lines, left)
    else:
        yield from _numbers(panel, lines, left)
    yield from _axis(panel, strip, bottom, left, scale)
    yield "</g>"


def _lines(panel: _Panel, top: float, left: float, scale: float) -> Iterator[str]:
    """Lines that are alike are drawn as one."""
    y, place, lines = top, 0, panel.lines
    while place < len(lines):
        size, first = lines[place].size, lines[place]
        place += 1
        alone = len(panel.rows) <= MOST_LINES
        while not alone and place < len(lines) and lines[place].spans == first.spans:
            size += lines[place].size
            place += 1
        height = size * panel.line_height
        yield from _line(first, size, panel, y, height, left, scale)
        y += height


def _line(band: Band, size: int, panel: _Panel, y: float, height: float, left: float, scale: float) -> Iterator[str]:
    gap = 1.0 if panel.line_height >= 6.5 else 0.0
    name = band.names[0] if size == 1 else f"{size} {panel.noun} from {band.names[0]} on"
    for place, span in enumerate(band.spans):
        until = band.spans[place + 1].start if place + 1 < len(band.spans) else panel.until_s
        if not span.state or span.start >= panel.until_s:
            continue
        x, end = left + span.start * scale, left + min(until, panel.until_s) * scale
        told = f"{name}: {STATES[span.state]}, {spoken(span.start)} to {spoken(until)}"
        yield (f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(end - x, 0.3):.2f}" height="{height - gap:.2f}" '
               f'fill="{COLOURS[span.state]}"><title>{escape(told)}</title></rect>')


def _names(panel: _Panel, top: float, left: float) -> Iterator[str]:
    size = min(10.0, panel.line_height - 1.0)
    for place, band in enumerate(panel.lines):
        name = band.names[0]
        if len(name) > LONGEST_NAME:
            name = f"\N{HORIZONTAL ELLIPSIS}{name[1 - LONGEST_NAME:]}"
        y = top + (place + 0.5) * panel.line_height + size * 0.33
        yield _text(left - 8, y, name, size, "n", anchor="end")


def _numbers(panel: _Panel, top: float, left: float) -> Iterator[str]:
    count = len(panel.rows)
    for number in dict.fromkeys((1, count // 2, count)):
        y = top + (number - 0.5) * panel.line_height
        yield _text(left - 8, max(y + 4, top + 9) if number == 1 else y + 4, f"{number:,}", 10.5, "q", anchor="end")


def _strip(panel: _Panel, top: float, left: float, scale: float) -> Iterator[str]:
    """How many were down, as an area."""
    steps, most = panel.down, panel.most_down
    here = max(down for _, down in steps)
    base = top + STRIP
    yield f'<line x1="{left}" x2="{WIDTH - RIGHT}" y1="{base:.1f}" y2="{base:.1f}" class="g"/>'
    yield _text(left - 8, base - 2, "0", 10.5, "q", anchor="end")
    if not here:
        yield _text(left + 6, base - 8, f"no {panel.noun} down", 11, "q")
        return
    path = [f"M{left} {base:.1f}"]
    for at, down in steps:
        if at > panel.until_s:
            break
        path.append(f"H{left + at * scale:.2f}V{base - down / most * (STRIP - 8):.2f}")
    path.append(f"H{WIDTH - RIGHT}V{base:.1f}Z")
    yield (f'<path d="{"".join(path)}" fill="{DOWN_COLOUR}" fill-opacity=".16" stroke="{DOWN_COLOUR}" '
           f'stroke-width="1.2"><title>{panel.noun} down, at most {here:,}</title></path>')
    yield _text(left - 8, top + 12, f"{most:,}", 10.5, "q", anchor="end")
    yield _text(left - 8, top + 26, "down", 10.5, "q", anchor="end")


def _axis(panel: _Panel, top: float, bottom: float, left: float, scale: float) -> Iterator[str]:
    step = next((one for one in _STEPS_S if panel.until_s / one <= 9), _STEPS_S[-1])
    at = 0.0
    while at <= panel.until_s:
        x = left + at * scale
        yield f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{top:.1f}" y2="{bottom + 5:.1f}" class="g"/>'
        yield _text(x, bottom + 19, _tick(at), 11, "q", anchor="start" if at == 0 else "middle")
        at += step


def _tick(seconds: float) -> str:
    if seconds == 0:
        return "0"
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:g} {name}" if seconds % unit == 0 or unit == 86400 else _mixed(seconds)
    return f"{seconds:g} s"


def _mixed(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes:02d}" if hours else f"{minutes} min {left:02d}"


def _text(x: float, y: float, text: str, size: float, kind: str = "", *, weight: int = 0, anchor: str = "") -> str:
    more = (f' class="{kind}"' if kind else "") + (f' font-weight="{weight}"' if weight else "") \
        + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"{more}>{escape(text)}</text>'
