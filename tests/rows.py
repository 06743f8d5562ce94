"""`@rows(4, "49-54")`: which rows of docs/mission.md a test shows (read by tools/mission_table.py)."""
from collections.abc import Callable


def rows(*numbers: int | str) -> Callable:
    def mark(test: Callable) -> Callable:
        test.mission_rows = numbers  # type: ignore[attr-defined]
        return test
    return mark
