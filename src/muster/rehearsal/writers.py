"""Who is writing, and on what they may have decided to.

    writers = Writers(clock.now)
    with writers.writing("job-controller"):        around each write, from before it is sent until it is answered
        await client.create(pod)
    writers.who         the account, asked while its write is being made; "" where nobody's is
    writers.began()     since when that account has been writing without a pause

A write may take long: the server keeps a pod's creation until its namespace has the default account, and an eviction
until the budget has been told.  Others write meanwhile, so the account goes with the task that writes.  A plan's
batches follow each other at once: what is written now was decided no earlier than the first of them was sent.
"""
from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass

_WHO: ContextVar[str] = ContextVar("who is writing", default="")


@dataclass
class _Spell:
    """A time in which an account has been writing without a pause."""

    began: float
    ended: float  # if nothing is under way
    under_way: int = 0


class Writers:
    def __init__(self, now: Callable[[], float]):
        self._now = now
        self._spells: dict[str, _Spell] = {}

    @property
    def who(self) -> str:
        return _WHO.get()

    def writing(self, name: str) -> _Writing:
        return _Writing(name, self._spells, self._now)

    def began(self) -> float:
        """Now, where nobody writes."""
        spell = self._spells.get(_WHO.get())
        return spell.began if spell is not None and spell.under_way else self._now()


class _Writing:
    __slots__ = ("_name", "_spells", "_now", "_spell", "_before")

    _spell: _Spell
    _before: Token[str]

    def __init__(self, name: str, spells: dict[str, _Spell], now: Callable[[], float]):
        self._name, self._spells, self._now = name, spells, now

    def __enter__(self) -> None:
        now, name = self._now(), self._name
        spell = self._spells.get(name)
        if spell is None or not spell.under_way and spell.ended < now:
            spell = self._spells[name] = _Spell(now, now)
        spell.under_way += 1
        self._spell = spell
        self._before = _WHO.set(name)

    def __exit__(self, *failure: object) -> None:
        _WHO.reset(self._before)
        self._spell.under_way -= 1
        self._spell.ended = self._now()
