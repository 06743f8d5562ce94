"""Writes docs/mission.md: every row of what the tutorials describe, with the tests that show it.

A test names its rows with `@rows(4, "49-54")` (tests/rows.py).  Nothing is run here: the decorators are read.
`python tools/mission_table.py --check` exits with 1 when the page is not what it would write.
"""
from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE, ROWS = ROOT / "docs" / "mission.md", ROOT / "docs" / "mission_rows.tsv"
SECTIONS = [(1, "DaemonSet: object, defaulting, placement"), (49, "Tolerations, taints, eviction"),
            (67, "Update, rollout, rollback, deletion of a DaemonSet"), (94, "Pod features"), (114, "PriorityClass"),
            (120, "ReplicaSet"), (128, "Deployment"), (151, "StatefulSet, Service, DNS"),
            (170, "kubectl and printing"), (197, "Cluster operation outside kubectl")]


def expand(arguments: list[ast.expr]) -> list[int]:
    """`4, "49-54"` -> 4, 49, 50, ..., 54"""
    found: list[int] = []
    for argument in arguments:
        value = ast.literal_eval(argument)
        if isinstance(value, int):
            found.append(value)
        else:
            first, _, last = value.partition("-")
            found.extend(range(int(first), int(last or first) + 1))
    return found


def shown_by() -> dict[int, list[str]]:
    """Row number -> "tests/wire/test_x.py::test_y", in the order of the files."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "rows":
                    for row in expand(decorator.args):
                        found[row].append(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return found


def page() -> str:
    tests = shown_by()
    rows = [line.split("\t") for line in ROWS.read_text().splitlines()]
    shown = sum(1 for number, *_ in rows if tests[int(number)])
    lines = ["# What the tutorials describe, and the tests that show it", "",
             "<!-- Written by tools/mission_table.py (`make mission`); edit that, or docs/mission_rows.tsv. -->", "",
             f"{shown} of {len(rows)} rows are shown by a test.", ""]
    for number, text, seeds in rows:
        for start, title in SECTIONS:
            if int(number) == start:
                lines += [f"## {title}", "", "| # | What | Seed | Shown by |", "|---|---|---|---|"]
        names = "<br>".join(f"`{name.removeprefix('tests/')}`" for name in tests[int(number)]) or "-"
        lines.append(f"| {number} | {text} | {seeds} | {names} |")
        if any(int(number) + 1 == start for start, _ in SECTIONS):
            lines.append("")
    return "\n".join(lines) + "\n"


def main() -> int:
    text = page()
    if "--check" in sys.argv:
        return 0 if PAGE.exists() and PAGE.read_text() == text else 1
    PAGE.write_text(text)
    print(f"wrote {PAGE.relative_to(ROOT)}: {text.splitlines()[4]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
