"""How the server reaches pods on other machines: by lines that their nodes keep open to it.

    node    GET /muster.dev/v1/nodes/NAME/line, Upgrade: muster-line     a few of them wait here, each for one call
    server  one line of JSON: what is asked (log, exec, attach, portforward) about which pod, or what all of them use
    node    one line of JSON: the headers of its answer, or a Status; then bytes, until either side ends

So no node needs a port that listens, nor a certificate to serve with, and firewalls between see connections to the
server alone (docs/decisions/joined-nodes.md).
"""
from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from ..api.errors import BadRequest, TooManyRequests, Unavailable, from_status
from ..api.logs import LogOptions
from ..api.objects import Obj, name_of, namespace_of, uid_of
from .exchange import Request
from .node_rights import LINES
from .pipe import Duplex, Pipe
from .upgrades import Upgrade, UpgradeRequired

PROTOCOL = b"muster-line"
MOST_IDLE = 16  # of one node
WAIT_S = 5.0  # for a line of a node that has none just now
ANSWER_WITHIN_S = 30.0
LARGEST_HEAD = 1 << 20
# A machine that lost its power says no more; these find out within half a minute.
_KEEPALIVE = ((socket.SOL_SOCKET, "SO_KEEPALIVE", 1), (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 15),
              (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5), (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3))


class NodeLines:
    def __init__(self) -> None:
        self._idle: dict[str, deque[Pipe]] = {}
        self._news = asyncio.Event()

    def upgrade(self, request: Request) -> Upgrade:
        """One more line of a node, which was let in by name (node_rights.py)."""
        if request.headers.get(b"upgrade", b"").lower() != PROTOCOL:
            raise UpgradeRequired("Upgrade request required")
        node = request.path.removeprefix(LINES).split("/")[0]
        if len(self._idle.get(node, ())) >= MOST_IDLE:
            raise TooManyRequests(f"{MOST_IDLE} lines of node {node} wait already", retry_after_s=5)

        async def keep(pipe: Pipe) -> None:
            keep_alive(pipe)
            idle = self._idle.setdefault(node, deque())
            idle.append(pipe)
            self._tell()
            try:
                await pipe.over()
            finally:
                with contextlib.suppress(ValueError):
                    idle.remove(pipe)
                if not idle and self._idle.get(node) is idle:
                    del self._idle[node]
        return Upgrade(((b"upgrade", PROTOCOL), (b"connection", b"Upgrade")), keep)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _take(self, node: str) -> Pipe:
        try:
            async with asyncio.timeout(WAIT_S):
                while not (idle := self._idle.get(node)):
                    await self._news.wait()
        except TimeoutError:
            raise Unavailable(f"node {node} is not connected to the server; does `muster node join` run on its machine?"
                              ) from None
        return idle.popleft()

    def connected(self) -> list[str]:
        """The nodes that have a line waiting."""
        return sorted(self._idle)

    async def ask(self, node: str, what: str) -> Any:
        """What a node knows of itself.  Raises what the node raised."""
        pipe, said = await self._call(node, {"do": what})
        pipe.close()
        return said["answer"]

    async def _call(self, node: str, asked: dict[str, Any]) -> tuple[Pipe, Obj]:
        """The line, and the head of the node's answer.  Raises what the node raised."""
        pipe = await self._take(node)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await pipe.write(orjson.dumps(asked) + b"\n")
                said = await read_line(pipe)
        except (TimeoutError, ConnectionError):
            pipe.close()
            raise Unavailable(f"node {node} does not answer") from None
        except BaseException:
            pipe.close()
            raise
        if "error" in said:
            pipe.close()
            raise from_status(said["error"])
        return pipe, said

    async def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        pipe, _ = await self._call(*_about(pod, "log", options=asdict(options)))
        try:
            while piece := await pipe.read():
                yield piece
        finally:
            pipe.close()

    async def relay(self, subresource: str, pod: Obj, request: Request) -> Upgrade:
        """exec, attach and port-forward: what was asked goes to the node as it came, and so does all that follows."""
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.all_headers
                   if _concerns_the_node(name)]
        line, said = await self._call(*_about(pod, subresource, params=request.params, headers=headers))

        async def run(pipe: Pipe) -> None:
            try:
                await both_ways(pipe, line)
            finally:
                line.close()
        return Upgrade([(name.encode("latin-1"), value.encode("latin-1")) for name, value in said["headers"]], run)


def _about(pod: Obj, what: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Its node, and what that is asked."""
    return pod["spec"]["nodeName"], {"do": what, "pod": [namespace_of(pod), name_of(pod), uid_of(pod)], **more}


def _concerns_the_node(name: bytes) -> bool:
    return name in (b"upgrade", b"connection", b"x-stream-protocol-version") or name.startswith(b"sec-websocket-")


def keep_alive(pipe: Pipe) -> None:
    found = pipe.socket()
    for level, option, value in _KEEPALIVE:
        if found is not None and hasattr(socket, option):
            with contextlib.suppress(OSError):
                found.setsockopt(level, getattr(socket, option), value)


async def read_line(pipe: Pipe) -> Any:
    """The next line of JSON.  Raises ConnectionError where none comes any more."""
    head = b""
    while b"\n" not in head:
        piece = await pipe.read()
        if not piece:
            raise ConnectionResetError("the other side is gone")
        head += piece
        if len(head) > LARGEST_HEAD:
            raise BadRequest(f"a line is larger than {LARGEST_HEAD} bytes")
    line, _, rest = head.partition(b"\n")
    pipe.unread(rest)
    return orjson.loads(line)


async def both_ways(one: Duplex, other: Duplex) -> None:
    """Until either has nothing more to say: what is carried says itself when it ends."""
    ways = [asyncio.ensure_future(_one_way(*pair)) for pair in ((one, other), (other, one))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _one_way(source: Duplex, target: Duplex) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read():
            await target.write(data)


def encoded_headers(headers: Sequence[tuple[bytes, bytes]]) -> list[list[str]]:
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
