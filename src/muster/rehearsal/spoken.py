"""Lengths of time as a person says them."""
from __future__ import annotations


def spoken(seconds: float | None) -> str:
    """ "41 s", "20 min 12 s", "2 h 31 min"."""
    if seconds is None:
        return "never"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
