"""Events are news: they are dropped an hour after they were last seen (upstream's --event-ttl).

Who tells of something does so by a clock that may be wrong: what is told to have happened before the event was made
counts from then, and so does what is told to lie ahead.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.objects import Key, Obj, from_time, revision_of, uid_of
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Delete, Plan
from ..control.runtime import Controller
from ..store.history import Change

KEPT_S = 3600.0
AT_MOST_EVERY_S = 30.0  # one look is at all events


@dataclass(frozen=True)
class Observed:
    events: list[tuple[Key, Obj]]


def wakes(change: Change, mirror: Mirror) -> Iterable[str]:
    if change.previous is None and len(mirror.objects("events")) == 1:
        yield "events"  # from here on the plan says itself when to look again


def observe(mirror: Mirror, key: str) -> Observed:
    return Observed([(Key("events", *place), event) for place, event in mirror.objects("events").items()])


def plan(seen: Observed, now: float) -> Plan:
    if not seen.events:
        return NOTHING
    old = [Delete(key, uid_of(event), revision=revision_of(event))  # it may have been seen once more meanwhile
           for key, event in seen.events if last_seen(event, now) + KEPT_S <= now]
    left = [when for _, event in seen.events if (when := last_seen(event, now)) + KEPT_S > now]
    wake_at = max(min(left) + KEPT_S, now + AT_MOST_EVERY_S) if left else now + AT_MOST_EVERY_S
    return Plan(list(old), wake_at=wake_at, size=len(seen.events))


def last_seen(event: Obj, now: float) -> float:
    made = from_time(event["metadata"]["creationTimestamp"])
    told = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return made if not told or (when := from_time(told)) > now else max(made, when)


controller = Controller("event-expiry", ("events",), wakes, observe, plan)
