"""Which images a node can do without, and when it has to: pure.

    to_free(available, capacity, settings)     so many bytes; 0: there is room enough
    expendable(images, now, settings)          those that may go, who goes first before the others
    outlived(images, now, settings)            those that go also where there is room

An image goes when no container has it, nobody pinned it, and it has been here for a while: the one that was used the
longest ago first.
https://kubernetes.io/docs/concepts/architecture/garbage-collection/#containers-images
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .node_settings import NodeSettings


class Kept(NamedTuple):
    """An image on the node."""

    id: str
    size: int
    is_wanted: bool  # a container has it, or it is pinned
    seen_since: float
    used_last: float  # 0: never, as far as is known


def to_free(available: int, capacity: int, settings: NodeSettings) -> int:
    used_percent = 100 - available * 100 // capacity
    if used_percent < settings.image_high_percent:
        return 0
    return capacity * (100 - settings.image_low_percent) // 100 - available


def expendable(images: Iterable[Kept], now: float, settings: NodeSettings) -> list[Kept]:
    return sorted((one for one in images if not one.is_wanted and now - one.seen_since >= settings.image_min_age_s),
                  key=lambda one: (one.used_last, one.seen_since, one.id))


def outlived(images: Iterable[Kept], now: float, settings: NodeSettings) -> list[Kept]:
    """Unused for longer than images are kept at all."""
    if not settings.image_max_age_s:
        return []
    return [one for one in expendable(images, now, settings)
            if now - max(one.used_last, one.seen_since) > settings.image_max_age_s]
