"""What is told of a bench: percentiles, medians of several runs, a line of JSON or a table."""
from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Figures = dict[str, Any]

# The columns of the table, where anything measured has them; JSON has all figures.
COLUMNS = ("bench", "nodes", "connections", "wall_s", "per_s", "p50_ms", "p99_ms", "server_cpu_s", "client_share",
           "peak_rss_mb", "writes", "plans", "examined")


def percentiles(taken_s: Sequence[float]) -> Figures:
    """Of how long requests took, in milliseconds; empty where there were none."""
    if not taken_s:
        return {}
    ordered = sorted(taken_s)
    return {f"p{share}_ms": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1e3
            for share in (50, 90, 99)} | {"max_ms": ordered[-1] * 1e3}


def medians(runs: Sequence[Mapping[str, Any]]) -> Figures:
    """Of like measurements: each figure's median; what is no number is as in the first run that has it."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: _middle([run[name] for run in runs if name in run]) for name in names}


def _middle(values: Sequence[Any]) -> Any:
    if isinstance(values[0], Mapping):
        return medians(values)
    if isinstance(values[0], bool) or not isinstance(values[0], int | float):
        return values[0]
    middle = statistics.median(values)
    return round(middle) if all(isinstance(value, int) for value in values) else middle


def summary(runs: Sequence[Figures]) -> Figures:
    """One line for all runs: the medians, and each run's time, so that the spread is seen."""
    if len(runs) == 1:
        return {**runs[0], "runs": 1}
    return {**medians(runs), "runs": len(runs), "wall_s_of_runs": [run["wall_s"] for run in runs]}


def json_line(figures: Figures) -> str:
    return json.dumps(_short(figures))


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, Mapping):
        return {name: _short(inner) for name, inner in value.items()}
    return [_short(inner) for inner in value] if isinstance(value, list) else value


def table(lines: Sequence[Figures]) -> str:
    """Plain columns, three spaces apart; `-` where there is no such figure."""
    shown = [name for name in COLUMNS if any(name in line for line in lines)]
    rows = [[name.upper() for name in shown], *([_cell(line.get(name)) for name in shown] for line in lines)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(shown))]
    return "\n".join("   ".join(cell.rjust(width) if place else cell.ljust(width)
                                for place, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
                     for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
