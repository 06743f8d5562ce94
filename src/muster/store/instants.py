"""Moments of a history that was, and the state it had at them.

An instant is a revision (812), a time (2026-01-01T00:10:00Z), a while after the beginning (+10m), or "last".
The states at several instants are found in one pass; objects that did not change between them are the same bytes.

A recording may have gaps, where its cluster ran without it.  Nothing is known of them, so an instant in a gap is
refused like one before the beginning or after the end, with what there is.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..api.durations import parse_duration
from ..api.errors import BadRequest
from ..api.objects import Key, from_time, to_time
from .history import Snapshot
from .memory import MemoryStore
from .recorded import Begin, End, Entry, Recorded


@dataclass
class Span:
    """A stretch of a history without a gap."""

    first: int
    first_at: float
    last: int
    last_at: float

    def __str__(self) -> str:
        if not self.last:
            return "no change yet"
        return (f"revisions {max(self.first, 1)} to {self.last} "
                f"({to_time(self.first_at)} to {to_time(self.last_at)})")


@dataclass(frozen=True)
class Instant:
    text: str
    revision: int | None = None
    at: float | None = None
    after_s: float | None = None  # since the beginning of the history; none of the three: its end

    @classmethod
    def parse(cls, text: str) -> Instant:
        """Raises BadRequest."""
        if text == "last":
            return cls(text)
        if text.isascii() and text.isdigit() and len(text) <= 18:
            return cls(text, revision=int(text))
        try:
            if text.startswith("+"):
                return cls(text, after_s=parse_duration(text[1:]))
            return cls(text, at=from_time(text))
        except ValueError:
            raise BadRequest(f"{text!r}: an instant is a revision (812), a time (2026-01-01T00:10:00Z), "
                             "a while after the beginning (+10m), or last") from None

    def is_before(self, revision: int, at: float, begun_at: float) -> bool:
        """Whether a change at that revision and time came after this instant."""
        if self.revision is not None:
            return revision > self.revision
        moment = self._moment(begun_at)
        return moment is not None and at > moment

    def is_reached(self, revision: int, at: float, begun_at: float) -> bool:
        """Whether a change at that revision and time came at this instant or after it."""
        if self.revision is not None:
            return revision >= self.revision
        moment = self._moment(begun_at)
        return moment is not None and at >= moment

    def is_in(self, span: Span, begun_at: float) -> bool:
        if self.revision is not None:
            return span.first <= self.revision <= span.last
        moment = self._moment(begun_at)
        # Headers and ends tell the time to the microsecond, people to the second.
        return moment is None or span.first_at - 1 < moment < span.last_at + 1

    def moment(self, span: Span, begun_at: float) -> float:
        """When it is, where `span` ends with the last change before it."""
        moment = self._moment(begun_at)
        return span.last_at if moment is None else max(moment, span.first_at)

    def _moment(self, begun_at: float) -> float | None:
        return begun_at + self.after_s if self.after_s is not None else self.at


@dataclass(frozen=True)
class Past:
    """What there was at an instant."""

    objects: dict[Key, Entry]
    revision: int
    at: float

    def store(self) -> MemoryStore:
        """The same as a store; objects are read from their JSON when first asked for."""
        lanes: dict[str, tuple[dict[tuple[str, str], Snapshot], list]] = {}
        for key, entry in self.objects.items():
            assert entry.value is not None, "what is there has a value"
            objects, _ = lanes.setdefault(key.resource, ({}, []))
            objects[key[1:]] = Snapshot.from_encoded(entry.value, entry.revision)
        store = MemoryStore()
        store.history.restore(self.revision, self.revision, lanes)
        return store


def pasts(recorded: Recorded, instants: Sequence[Instant]) -> list[Past]:
    """The state at each of the instants, in one pass.  Raises BadRequest for those that are not in the history."""
    found: dict[int, Past] = {}
    objects: dict[Key, Entry] = {}
    span: Span | None = None
    begun_at = 0.0

    def keep(after: tuple[int, float] | None, *, gap: bool = True) -> None:
        """Keeps what is there now for the instants that are over; `after`: what comes next, and after a gap or not."""
        for index, instant in enumerate(instants):
            if index in found or span is None or (after is not None and not instant.is_before(*after, begun_at)):
                continue
            known = span if gap or after is None else replace(span, last_at=after[1])
            if instant.is_in(known, begun_at):
                found[index] = Past(dict(objects), span.last, instant.moment(span, begun_at))

    spans = _Spans()
    for item in recorded.read():
        if isinstance(item, Begin) and item.whole:
            keep((item.about["revision"], item.about.get("started", 0.0)))
            objects = {}
        elif isinstance(item, Entry):
            if not item.there:
                keep((item.revision, item.at), gap=False)
                if len(found) == len(instants):
                    break
            if item.value is None:
                objects.pop(item.key, None)
            else:
                objects[item.key] = item
        spans.add(item)
        if spans.all:
            span, begun_at = spans.all[-1], spans.all[0].first_at
    keep(None)
    for index, instant in enumerate(instants):
        if index not in found:
            raise outside(recorded, instant)
    return [found[index] for index in range(len(instants))]


class _Spans:
    """Which stretches a stream covers, as it is read."""

    def __init__(self) -> None:
        self.all: list[Span] = []

    def add(self, item: Begin | Entry | End) -> None:
        if isinstance(item, Begin):
            if item.whole or not self.all:
                revision, at = item.about["revision"], item.about.get("started", 0.0)
                self.all.append(Span(revision, at, revision, at))
            return
        span = self.all[-1]
        span.last_at = max(span.last_at, item.at)
        if isinstance(item, Entry) and item.there:
            span.first_at = span.last_at  # a data directory's header does not say when it was
            return
        span.first_at = span.first_at or item.at
        span.last = max(span.last, item.revision)


def spans_of(recorded: Recorded) -> list[Span]:
    spans = _Spans()
    for item in recorded.read():
        spans.add(item)
    return spans.all


def outside(recorded: Recorded, instant: Instant) -> BadRequest:
    what = f"revision {instant.revision}" if instant.revision is not None else instant.text
    held = " and ".join(map(str, spans_of(recorded)))
    return BadRequest(f"{what} is not in {recorded.name}, which holds {held}")
