"""The rows of every kind that comes with Muster, in the order discovery lists them.

Adding a kind is one file in this folder and one line here.
"""
from __future__ import annotations

from .kind import Kind

BUILT_IN: tuple[Kind, ...] = (
)
