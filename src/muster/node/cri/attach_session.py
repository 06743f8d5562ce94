"""`kubectl attach`: the input and output of a container's own process, through CRI's stream.

Its WebSocket can not close the input by itself; where the client's input ends, nothing more is sent.
"""
from __future__ import annotations

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


class AttachSession:
    def __init__(self, runtime: Runtime, container: str, wanted: Wanted):
        self._runtime, self._container, self._wanted = runtime, container, wanted
        self._there: ClientConnection | None = None
        self._result: Obj = DONE

    @property
    def _connection(self) -> ClientConnection:
        assert self._there is not None, "it was started"
        return self._there

    async def start(self) -> None:
        wanted = self._wanted
        try:
            answer = await self._runtime.call("Attach", container_id=self._container, stdin=wanted.stdin,
                                              tty=wanted.tty, stdout=wanted.stdout,
                                              stderr=wanted.stderr and not wanted.tty)
            self._there = await connect(answer.url.replace("http://", "ws://", 1), max_size=None, compression=None,
                                        subprotocols=[Subprotocol(PROTOCOL)])
        except (RuntimeFailed, WebSocketException, OSError) as error:
            raise Internal(f"Internal error occurred: error attaching to container: {error}") from None

    async def write(self, data: bytes) -> None:
        await self._send(STDIN, data)

    async def end_input(self) -> None:
        """The other end takes no word of it."""

    async def resize(self, width: int, height: int) -> None:
        await self._send(RESIZE, orjson.dumps({"Width": width, "Height": height}))

    async def _send(self, channel: int, data: bytes) -> None:
        try:
            await self._connection.send(bytes((channel,)) + data)
        except ConnectionClosed:
            return

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        async for message in self._connection:
            data = message.encode() if isinstance(message, str) else message
            if data[:1] == bytes((ERROR,)):
                if len(data) > 1:
                    self._result = orjson.loads(data[1:])
                return
            if len(data) > 1 and data[0] in (STDOUT, STDERR):
                yield data[0], data[1:]

    async def result(self) -> Obj:
        return self._result

    async def close(self) -> None:
        if self._there is not None:
            await self._there.close()
