"""The node's end of its lines to the server: what kubectl wants of a pod here, answered (server/node_lines.py).

Some lines wait at any time; each serves one call, and another one takes its place.
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import orjson

from ..api.errors import ApiError, Internal, NotFound, not_found
from ..api.logs import LogOptions
from ..api.objects import Key, Obj, uid_of
from ..server.exchange import Request
from ..server.node_lines import encoded_headers, keep_alive, read_line
from ..server.pipe import Pipe
from ..server.processes import Processes
from ..server.upgrades import upgrade

log = logging.getLogger(__name__)

WAITING = 2
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 10.0


class Reached(Processes, Protocol):
    """A node as its server wants it."""

    def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]: ...

    def samples(self) -> Obj:
        """What it and its pods use (far_readings.py)."""
        ...


class Line:
    def __init__(self, dial: Callable[[], Awaitable[Pipe]], find: Callable[[Key], Obj | None], node: Reached):
        self._dial, self._find, self._node = dial, find, node

    async def run(self) -> None:
        async with asyncio.TaskGroup() as calls:
            for _ in range(WAITING):
                calls.create_task(self._wait(calls))

    async def _wait(self, calls: asyncio.TaskGroup) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                pipe = await self._dial()
            except (ApiError, TimeoutError) as error:
                log.info("%s; again in %.1f s", error, retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(LONGEST_RETRY_S, 2 * retry_s)
                continue
            keep_alive(pipe)
            try:
                asked = await read_line(pipe)
            except (ConnectionError, ApiError, orjson.JSONDecodeError):
                pipe.close()
                await asyncio.sleep(retry_s)  # a server that goes away takes every line with it
                continue
            retry_s = FIRST_RETRY_S
            calls.create_task(self._call(pipe, asked))

    async def _call(self, pipe: Pipe, asked: Obj) -> None:
        try:
            await self._answer(pipe, asked)
        except ConnectionError as error:
            log.info("a call ended: %s", error)
        except Exception:
            log.exception("a call failed")  # our own mistake: the others go on
        finally:
            pipe.close()

    async def _answer(self, pipe: Pipe, asked: Obj) -> None:
        if asked["do"] == "samples":
            await _say(pipe, {"answer": self._node.samples()})
            return
        try:
            pod = self._pod(*asked["pod"])
            if asked["do"] == "log":
                await self._log(pipe, pod, LogOptions(**asked["options"]))
                return
            agreed = await upgrade(asked["do"], pod, _request(asked), self._node)
        except ApiError as error:
            await _say(pipe, {"error": error.to_status()})
            return
        await _say(pipe, {"headers": encoded_headers(agreed.headers)})
        await agreed.run(pipe)

    async def _log(self, pipe: Pipe, pod: Obj, options: LogOptions) -> None:
        chunks = self._node.logs(pod, options)
        gone = asyncio.ensure_future(pipe.over())
        try:
            said = False
            while True:
                following = asyncio.ensure_future(anext(chunks, None))
                await asyncio.wait((following, gone), return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
                    return
                piece = following.result()
                if not said:  # what is wrong is said by the first
                    await _say(pipe, {"headers": []})
                    said = True
                if piece is None:
                    return
                await pipe.write(piece)
        finally:
            gone.cancel()

    def _pod(self, namespace: str, name: str, uid: str) -> Obj:
        pod = self._find(Key("pods", namespace, name))
        if pod is None:
            raise not_found("pods", name)
        if uid_of(pod) != uid:
            raise NotFound(f"pod {name} is another one by now")
        return pod


def _request(asked: Obj) -> Request:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in asked["headers"]]
    scope: dict[str, Any] = {"method": "GET", "path": "/", "headers": headers, "query_string": b""}
    request = Request(scope, _nothing_more)
    request.params = asked["params"]
    return request


async def _nothing_more() -> dict[str, Any]:
    raise Internal("a call has no body")


async def _say(pipe: Pipe, head: Obj) -> None:
    await pipe.write(orjson.dumps(head) + b"\n")
