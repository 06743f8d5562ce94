"""`kubectl attach`: the input and output of a container's own process, through CRI's streams.

A WebSocket can not close the input by itself, so the input has one of its own.  Its end is the end of the container's
input where that is to be given once (`stdinOnce`: `echo hi | kubectl run -i ... -- cat` ends).  Elsewhere the container
reads on, and it is the session that ends, as it does with any containerd; what is answered until then is passed on.
"""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from ...api.errors import Internal
from ...api.objects import Obj
from ...server.processes import ERROR, RESIZE, STDERR, STDIN, STDOUT, Wanted
from .client import Runtime, RuntimeFailed

PROTOCOL = "v4.channel.k8s.io"
DONE: Obj = {"metadata": {}, "status": "Success"}
ANSWERED_WITHIN_S, SAID_WITHIN_S = 10.0, 1.0  # after the end of the input, and after the answer began


class AttachSession:
    def __init__(self, runtime: Runtime, container: str, wanted: Wanted, *, is_given_once: bool):
        self._runtime, self._container, self._wanted = runtime, container, wanted
        self._is_given_once = is_given_once  # the input
        self._there: ClientConnection | None = None
        self._input: ClientConnection | None = None
        self._ending: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()
        self._result: Obj = DONE

    @property
    def _connection(self) -> ClientConnection:
        assert self._there is not None, "it was started"
        return self._there

    async def start(self) -> None:
        tty = self._wanted.tty
        try:
            # Without an input, this too would end at once.
            self._there = await self._connect(stdin=True, stdout=True, stderr=self._wanted.stderr and not tty)
            if self._wanted.stdin:
                self._input = await self._connect(stdin=True)
        except (RuntimeFailed, WebSocketException, OSError) as error:
            await self.close()
            raise Internal(f"Internal error occurred: error attaching to container: {error}") from None

    async def _connect(self, **streams: bool) -> ClientConnection:
        answer = await self._runtime.call("Attach", container_id=self._container, tty=self._wanted.tty, **streams)
        return await connect(answer.url.replace("http://", "ws://", 1), max_size=None, compression=None,
                             subprotocols=[Subprotocol(PROTOCOL)])

    async def write(self, data: bytes) -> None:
        if self._input is not None:
            await self._send(self._input, STDIN, data)

    async def end_input(self) -> None:
        if self._input is None:
            return
        there, self._input = self._input, None
        await there.close()
        if not self._is_given_once:
            self._ending = asyncio.ensure_future(self._end_soon())

    async def _end_soon(self) -> None:
        self._answered.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                await self._answered.wait()
                await asyncio.sleep(SAID_WITHIN_S)
        await self._connection.close()

    async def resize(self, width: int, height: int) -> None:
        await self._send(self._connection, RESIZE, orjson.dumps({"Width": width, "Height": height}))

    async def _send(self, there: ClientConnection, channel: int, data: bytes) -> None:
        try:
            await there.send(bytes((channel,)) + data)
        except ConnectionClosed:
            return

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        async for message in self._connection:
            data = message.encode() if isinstance(message, str) else message
            if data[:1] == bytes((ERROR,)):
                if len(data) > 1:
                    self._result = orjson.loads(data[1:])
                return
            if len(data) > 1 and (data[0] == STDERR or (data[0] == STDOUT and self._wanted.stdout)):
                self._answered.set()
                yield data[0], data[1:]

    async def result(self) -> Obj:
        return self._result

    async def close(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        for there in (self._input, self._there):
            if there is not None:
                await there.close()
