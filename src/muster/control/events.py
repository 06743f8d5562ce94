"""Turns what components tell into Event objects, so that `kubectl describe` is readable and stays so.

    the same event again         raises `count` and `lastTimestamp` of the one that is there
    many alike in ten minutes    become one: "(combined from similar events): ..."
    a flood about one object     is cut off: a burst of 25, then one every five minutes

These are the rules of the client library's event correlator, with its numbers.  `Correlator` is the pure
part: it is handed the time, and answers what to write.  `Recorder` writes it in the background.  Telling
never waits and never fails: what can not be kept is counted in `lost`.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""
from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from zlib import crc32

from ..api.errors import AlreadyExists, ApiError, NotFound, Timeout, TooManyRequests, Unavailable
from ..api.objects import Key, Obj, name_of, namespace_of, to_time
from ..client.client import Client
from ..clock import Clock
from .plan import Tell

log = logging.getLogger(__name__)

MOST_ALIKE = 10  # different messages of one kind about one object, before they are combined
ALIKE_WITHIN_S = 600.0
BURST, REFILL_S = 25, 300.0  # a source may say so much about one object at once, and one more every so often
REMEMBERED = 4096  # objects, kinds and events that are kept in mind
LONGEST_MESSAGE = 1024  # bytes
LONGEST_BACKLOG = 1000  # events waiting to be written
TOGETHER = 16  # events written at the same time: behind everything else
TRIES, RETRY_S = 5, 1.0

COMBINED = "(combined from similar events): "

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A map that forgets what was not used for longest."""

    def __init__(self, keep: int = REMEMBERED):
        self._keep = keep
        self._known: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: K) -> V | None:
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def put(self, key: K, value: V) -> None:
        self._known[key] = value
        self._known.move_to_end(key)
        if len(self._known) > self._keep:
            self._known.popitem(last=False)


# ------------------------------------------------------------------ what to write

@dataclass(frozen=True, slots=True)
class Record:
    """An event to create (`patch` is None), or the patch that raises the one that is there."""

    event: Obj
    patch: Obj | None = None

    @property
    def key(self) -> Key:
        return Key("events", namespace_of(self.event), name_of(self.event))


@dataclass(slots=True)
class _Alike:
    messages: dict[str, None] = field(default_factory=dict)
    last: float = 0.0


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Correlator:
    """For one source of events.  State is bounded; every answer follows from what was told before, and when."""

    def __init__(self, component: str, host: str = ""):
        self._component = component
        self._host = host
        self._stamp = 0
        self._salt = crc32(f"{component}/{host}".encode()) % 1000  # two sources do not name events alike
        self._alike: Recent[Hashable, _Alike] = Recent()
        self._written: Recent[Hashable, Obj] = Recent()
        self._buckets: Recent[Hashable, _Bucket] = Recent()

    def record(self, tell: Tell, now: float) -> Record | None:
        """What to write for this; None where so much was said about the object that it is dropped."""
        about = reference_to(tell)
        kind = (*_identity(tell), tell.field_path, tell.type, tell.reason)
        message = shortened(tell.message)
        if self._are_many(kind, message, now):
            key: Hashable = kind
            message = shortened(COMBINED + message)
        else:
            key = (*kind, message)
        record = self._again(key, message, now) or self._new(key, about, tell, message, now)
        return record if self.may_speak(tell, now) else None

    def rename(self, event: Obj, now: float) -> Obj:
        """The same event under another name, where its name was taken."""
        stem = event["involvedObject"].get("name", "")
        return {**event, "metadata": {**event["metadata"], "name": self._name(stem, now)}}

    def _are_many(self, kind: Hashable, message: str, now: float) -> bool:
        alike = self._alike.get(kind)
        if alike is None or now - alike.last > ALIKE_WITHIN_S:
            alike = _Alike()
        alike.messages[message] = None
        alike.last = now
        self._alike.put(kind, alike)
        if len(alike.messages) < MOST_ALIKE:
            return False
        del alike.messages[next(iter(alike.messages))]
        return True

    def _again(self, key: Hashable, message: str, now: float) -> Record | None:
        before = self._written.get(key)
        if before is None:
            return None
        patch = {"count": before["count"] + 1, "lastTimestamp": to_time(now), "message": message}
        event = {**before, **patch}
        self._written.put(key, event)
        return Record(event, patch)

    def _new(self, key: Hashable, about: Obj, tell: Tell, message: str, now: float) -> Record:
        time = to_time(now)
        source = {"component": self._component}
        if host := tell.host or self._host:
            source["host"] = host
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self._name(about.get("name", ""), now),
                         "namespace": about.get("namespace") or "default"},
            "involvedObject": about,
            "reason": tell.reason,
            "message": message,
            "source": source,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
            "type": tell.type,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": host,
        }
        self._written.put(key, event)
        return Record(event)

    def _name(self, stem: str, now: float) -> str:
        self._stamp = max(self._stamp + 1000, int(now * 1e6) * 1000 + self._salt)
        return f"{stem}.{self._stamp:x}"

    def may_speak(self, tell: Tell, now: float) -> bool:
        """Whether so little was said about the object that this may be; to ask is to say it."""
        about = _identity(tell)
        bucket = self._buckets.get(about)
        if bucket is None:
            bucket = _Bucket(BURST, now)
            self._buckets.put(about, bucket)
        bucket.left = min(BURST, bucket.left + max(0.0, now - bucket.at) / REFILL_S)
        bucket.at = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True


def reference_to(tell: Tell) -> Obj:
    """The `involvedObject`."""
    about = tell.about
    metadata = about["metadata"]
    reference = {"kind": about.get("kind"), "namespace": metadata.get("namespace"), "name": metadata.get("name"),
                 "uid": metadata.get("uid"), "apiVersion": about.get("apiVersion"),
                 "resourceVersion": metadata.get("resourceVersion"), "fieldPath": tell.field_path}
    return {name: value for name, value in reference.items() if value}


def _identity(tell: Tell) -> tuple[Any, ...]:
    about, metadata = tell.about, tell.about["metadata"]
    return (about.get("kind"), metadata.get("namespace"), metadata.get("name"), metadata.get("uid"),
            about.get("apiVersion"))


def shortened(message: str) -> str:
    encoded = message.encode()
    if len(encoded) <= LONGEST_MESSAGE:
        return message
    return encoded[:LONGEST_MESSAGE].decode(errors="ignore")


# ------------------------------------------------------------------ writing it

class Recorder:
    """Call it with a Tell; `run` writes what was told, in order for each event."""

    def __init__(self, client: Client, clock: Clock, component: str, host: str = "",
                 longest_backlog: int = LONGEST_BACKLOG):
        self.lost = 0  # told, but never to be seen
        self._client = client
        self._clock = clock
        self._correlator = Correlator(component, host)
        self._backlog: list[Record] = []
        self._longest_backlog = longest_backlog
        self._filled = asyncio.Event()

    def __call__(self, tell: Tell) -> None:
        record = self._correlator.record(tell, self._clock.now())
        if record is None or len(self._backlog) >= self._longest_backlog:
            self.lost += 1
            return
        self._backlog.append(record)
        self._filled.set()

    async def run(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._backlog:
                batch, self._backlog = self._backlog[:TOGETHER], self._backlog[TOGETHER:]
                by_event: dict[Key, list[Record]] = {}
                for record in batch:
                    by_event.setdefault(record.key, []).append(record)
                await asyncio.gather(*(self._write(records) for records in by_event.values()))

    async def _write(self, records: list[Record]) -> None:
        """One event, so far as it was told: what was raised several times is written once."""
        first, last = records[0], records[-1]
        event, patch = last.event, last.patch if first.patch is not None else None
        for attempt in range(TRIES):
            try:
                if patch is not None:
                    await self._client.patch(last.key, patch)
                else:
                    await self._client.create(event)
                return
            except NotFound as error:
                if patch is None:  # the namespace is gone
                    return self._lose(event, error)
                patch = None  # it has expired: begin again
            except AlreadyExists:
                event = self._correlator.rename(event, self._clock.now())
            except (Unavailable, Timeout, TooManyRequests):
                await asyncio.sleep(RETRY_S * 2 ** attempt)
            except ApiError as error:
                return self._lose(event, error)
        self._lose(event, None)

    def _lose(self, event: Obj, error: ApiError | None) -> None:
        self.lost += 1
        log.debug("event %s (%s) is lost: %s", name_of(event), event["reason"], error)
