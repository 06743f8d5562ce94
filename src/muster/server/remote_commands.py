"""`kubectl exec` and `attach`: a session's input and output on the channels of a WebSocket or the streams of SPDY.

    v5.channel.k8s.io    messages whose first byte says the channel; 255 closes one (`echo hi | kubectl exec -i`)
    v4.channel.k8s.io    the same without closing; over SPDY, a stream for each channel

The last thing said is a Status on channel 3: success, or the exit code.
https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/ (TranslateStreamCloseWebsocketRequests)
"""
from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

import orjson

from ..api.errors import ApiError
from ..api.objects import Obj
from .processes import ERROR, RESIZE, STDERR, STDIN, STDOUT, Session, Wanted
from .spdy import Spdy, Stream
from .websocket import WebSocket

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
CLOSE_SIGNAL = 255
OPEN_WITHIN_S = 30.0


class Hearing(Protocol):
    """The half of a session that is spoken to."""

    async def write(self, data: bytes) -> None: ...

    async def end_input(self) -> None: ...

    async def resize(self, width: int, height: int) -> None: ...


class Channels(Protocol):
    async def feed(self, session: Hearing) -> None:
        """Hands on what the client says, until it is gone."""
        ...

    async def send(self, channel: int, data: bytes) -> None: ...

    async def finish(self, status: Obj) -> None: ...


async def converse(session: Session, channels: Channels) -> None:
    """Until the process has ended, or the client is gone."""
    try:
        await session.start()
    except ApiError as error:
        await _refuse(channels, error)
        return
    feeding = asyncio.ensure_future(channels.feed(session))
    telling = asyncio.ensure_future(_tell(session, channels))
    try:
        await asyncio.wait((feeding, telling), return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            telling.result()
    finally:
        for task in (feeding, telling):
            task.cancel()
        await asyncio.gather(feeding, telling, return_exceptions=True)
        await session.close()


async def _refuse(channels: Channels, error: ApiError) -> None:
    listening = asyncio.ensure_future(channels.feed(Deaf()))  # the client's streams have to be opened before
    try:
        await channels.finish(error.to_status())
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


class Deaf:
    """Where there is no process to hand anything to."""

    async def write(self, data: bytes) -> None: ...

    async def end_input(self) -> None: ...

    async def resize(self, width: int, height: int) -> None: ...


async def _tell(session: Session, channels: Channels) -> None:
    with contextlib.suppress(ConnectionError):
        async for channel, data in session.output():
            await channels.send(channel, data)
        await channels.finish(await session.result())


class OverWebSocket:
    def __init__(self, socket: WebSocket, protocol: str):
        self._socket, self._can_close = socket, protocol == V5

    async def feed(self, session: Hearing) -> None:
        while (message := await self._socket.receive()) is not None:
            if not message:
                continue
            channel, data = message[0], message[1:]
            if channel == STDIN and data:
                await session.write(data)
            elif channel == RESIZE:
                await _resize(session, data)
            elif channel == CLOSE_SIGNAL and self._can_close and data[:1] == bytes((STDIN,)):
                await session.end_input()

    async def send(self, channel: int, data: bytes) -> None:
        await self._socket.send(bytes((channel,)) + data)

    async def finish(self, status: Obj) -> None:
        await self._socket.send(bytes((ERROR,)) + orjson.dumps(status))
        await self._socket.close()


class OverSpdy:
    def __init__(self, connection: Spdy, wanted: Wanted):
        self._connection = connection
        self._expected = {name for name, is_wanted in (
            ("error", True), ("stdin", wanted.stdin), ("stdout", wanted.stdout),
            ("stderr", wanted.stderr and not wanted.tty), ("resize", wanted.tty)) if is_wanted}
        self._opened: dict[str, Stream] = {}
        self._all_open = asyncio.Event()

    async def feed(self, session: Hearing) -> None:
        async with asyncio.TaskGroup() as group:
            async for stream in self._connection.streams():
                kind = stream.headers.get("streamtype", "")
                self._opened[kind] = stream
                if kind == "stdin":
                    group.create_task(_feed_input(session, stream))
                elif kind == "resize":
                    group.create_task(_feed_sizes(session, stream))
                if self._expected <= set(self._opened):
                    self._all_open.set()

    async def send(self, channel: int, data: bytes) -> None:
        stream = await self._stream({STDOUT: "stdout", STDERR: "stderr"}[channel])
        if stream is not None:
            await stream.write(data)

    async def finish(self, status: Obj) -> None:
        stream = await self._stream("error")
        if stream is not None:
            await stream.write(orjson.dumps(status))
        for opened in self._opened.values():
            with contextlib.suppress(ConnectionError):
                await opened.close()

    async def _stream(self, kind: str) -> Stream | None:
        """They come one after the other; nothing is said before all are there."""
        if not self._all_open.is_set():
            async with asyncio.timeout(OPEN_WITHIN_S):
                await self._all_open.wait()
        return self._opened.get(kind)


async def _feed_input(session: Hearing, stream: Stream) -> None:
    while data := await stream.read():
        await session.write(data)
    await session.end_input()


async def _feed_sizes(session: Hearing, stream: Stream) -> None:
    while data := await stream.read():
        await _resize(session, data)


async def _resize(session: Hearing, data: bytes) -> None:
    """A size is one JSON object; of several that came together the last one counts."""
    try:
        said = orjson.loads(data.strip().splitlines()[-1])
        width, height = int(said["Width"]), int(said["Height"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, IndexError):
        return
    if width > 0 and height > 0:
        await session.resize(width, height)
