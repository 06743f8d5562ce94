"""Watches written out: one line of JSON an event, as they happen.

The encoded object is made once per revision and shared by all watchers; a line only adds its frame.  A whole
batch goes out in one write, and the next is not asked for before the client has room for it.  What can no
longer be continued ends with an ERROR event that says so (410), at status 200, as upstream does.

A stream ends when its iterator ends, its time is up, the client goes away or the server stops; each of the
last three cuts the same knot: the deadline moves to now.
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence

import orjson

from ..api.errors import ApiError
from ..api.kinds.kind import Kind
from ..api.objects import Obj
from ..api.tables import Include, partial, table
from .exchange import Request, Send, Stream
from .negotiation import Form
from .requests import WatchEvent

log = logging.getLogger(__name__)

_FRAMES = {type_: b'{"type":"' + type_.encode() + b'","object":'
           for type_ in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")}
_END = b"}\n"

Render = Callable[[Sequence[WatchEvent]], bytes]


def whole_lines(events: Sequence[WatchEvent]) -> bytes:
    parts: list[bytes] = []
    for type_, snapshot in events:
        parts += (_FRAMES[type_], snapshot.encoded(), _END)
    return b"".join(parts)


async def pieces(batches: AsyncIterator[Sequence[WatchEvent]], render: Render) -> AsyncIterator[bytes]:
    """What a watch sends: a batch of events as one piece."""
    try:
        async for batch in batches:
            yield render(batch)
    except ApiError as error:
        yield b"".join((_FRAMES["ERROR"], orjson.dumps(error.to_status()), _END))


def renderer(kind: Kind, form: Form, include: Include, now: Callable[[], float]) -> Render:
    if form.shape == "partial":
        return _each(lambda event: orjson.dumps(partial(event.snapshot.value)))
    if form.shape == "table":
        return _each(_Rows(kind, include, now))
    return whole_lines


def _each(encode: Callable[[WatchEvent], bytes]) -> Render:
    return lambda events: b"".join(b"".join((_FRAMES[event.type], encode(event), _END)) for event in events)


class _Rows:
    """Every event as a Table of one row; only the first says what the columns are."""

    def __init__(self, kind: Kind, include: Include, now: Callable[[], float]):
        self._kind = kind
        self._include = include
        self._now = now
        self._headers = True

    def __call__(self, event: WatchEvent) -> bytes:
        value: Obj = event.snapshot.value
        metadata = {"resourceVersion": str(event.snapshot.revision)}
        rows = () if event.type == "BOOKMARK" else (value,)
        made = table(self._kind, rows, self._now(), self._include, metadata=metadata, headers=self._headers)
        if event.type == "BOOKMARK" and "annotations" in value["metadata"]:
            made["rows"] = [{"cells": [], "object": partial(value)}]  # where the end of the initial events is said
        self._headers = False
        return orjson.dumps(made)


class Streams:
    """All that are open, so that stopping the server can end them at once."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._open)

    def stop(self) -> None:
        self._stopped = True
        for deadline in self._open:
            _expire(deadline)

    async def send(self, stream: Stream, request: Request, audit_id: bytes, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [
            (b"content-type", stream.media), (b"audit-id", audit_id), (b"cache-control", b"no-cache, private")]})
        # The head goes out before there is anything to say: a watcher of a quiet kind knows that it watches.
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        leaving = asyncio.ensure_future(request.disconnected())
        try:
            async with asyncio.timeout(0 if self._stopped else stream.seconds) as deadline:
                self._open.add(deadline)
                leaving.add_done_callback(lambda _: _expire(deadline))
                async for chunk in stream.chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            pass
        except ApiError as error:  # the status is long sent; all that can be done is to end
            log.info("request %s: the stream ended: %s", audit_id.decode(), error)
        finally:
            self._open.discard(deadline)
            leaving.cancel()
            close = getattr(stream.chunks, "aclose", None)
            if close is not None:
                await close()
        await send({"type": "http.response.body", "body": b""})


def _expire(deadline: asyncio.Timeout) -> None:
    if not deadline.expired():
        try:
            deadline.reschedule(asyncio.get_running_loop().time())
        except RuntimeError:  # it has just ended by itself
            return
