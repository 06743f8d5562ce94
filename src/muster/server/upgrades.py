"""Requests that turn into something else than HTTP: exec, attach and port-forward, by WebSocket or SPDY.

What can be said with a status (no such container, nothing runs there) is said before the answer is 101.
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ..api.errors import ApiError, BadRequest
from ..api.logs import container_of
from ..api.objects import Obj, name_of
from . import websocket
from .exchange import Request
from .options import flag
from .pipe import Pipe
from .port_forwards import PROTOCOL, TUNNELED, forward
from .processes import Processes, Wanted
from .remote_commands import V4, V5, OverSpdy, OverWebSocket, converse
from .spdy import Spdy
from .websocket import Tunnel, WebSocket

SPDY = b"spdy/3.1"


class UpgradeRequired(ApiError):
    reason, code = "UpgradeRequired", 426


@dataclass(slots=True)
class Upgrade:
    """An answer of 101 with these headers, and what happens on the connection then."""

    headers: Sequence[tuple[bytes, bytes]]
    run: Callable[[Pipe], Awaitable[None]]


async def upgrade(subresource: str, pod: Obj, request: Request, processes: Processes) -> Upgrade:
    if subresource == "portforward":
        return _forward(pod, request, processes)
    wanted = _wanted(pod, request, subresource)
    over_socket = websocket.is_asked_for(request.headers)
    if not over_socket and request.headers.get(b"upgrade", b"").lower() != SPDY:
        raise UpgradeRequired("Upgrade request required")
    protocol = _first(websocket.offered(request.headers), (V5, V4)) if over_socket else \
        _first(_versions(request), (V4,))
    session = await (processes.run if subresource == "exec" else processes.attach)(pod, wanted)
    if over_socket:
        async def by_socket(pipe: Pipe) -> None:
            await converse(session, OverWebSocket(WebSocket(pipe), protocol))
        return Upgrade(websocket.handshake(request.headers, protocol), by_socket)

    async def by_spdy(pipe: Pipe) -> None:
        await converse(session, OverSpdy(Spdy(pipe), wanted))
    return Upgrade(_spdy_headers(protocol), by_spdy)


def _forward(pod: Obj, request: Request, processes: Processes) -> Upgrade:
    if websocket.is_asked_for(request.headers):
        _first(websocket.offered(request.headers), (TUNNELED,))

        async def tunneled(pipe: Pipe) -> None:
            await forward(processes, pod, Spdy(Tunnel(WebSocket(pipe))))
        return Upgrade(websocket.handshake(request.headers, TUNNELED), tunneled)
    if request.headers.get(b"upgrade", b"").lower() != SPDY:
        raise UpgradeRequired("Upgrade request required")
    _first(_versions(request), (PROTOCOL,))

    async def plain(pipe: Pipe) -> None:
        await forward(processes, pod, Spdy(pipe))
    return Upgrade(_spdy_headers(PROTOCOL), plain)


def _wanted(pod: Obj, request: Request, subresource: str) -> Wanted:
    params = request.params
    container = container_of(pod, (params.get("container") or [""])[0])
    wanted = Wanted(container, params.get("command", []), *(flag(params, name) is True
                                                            for name in ("stdin", "stdout", "stderr", "tty")))
    if subresource == "exec" and not any(wanted.command):
        raise BadRequest("you must specify at least one command for the container")
    if not (wanted.stdin or wanted.stdout or wanted.stderr):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        raise BadRequest(f"cannot exec into a container in a completed pod; current phase is {pod['status']['phase']}"
                         if subresource == "exec" else
                         f"cannot attach a container in a completed pod; current phase is {pod['status']['phase']}")
    if not pod["spec"].get("nodeName"):
        raise BadRequest(f"pod {name_of(pod)} does not have a host assigned")
    return wanted


def _versions(request: Request) -> list[str]:
    """The client says each on a line of its own."""
    return [one.strip() for name, value in request.all_headers if name == b"x-stream-protocol-version"
            for one in value.decode("latin-1").split(",")]


def _first(offered: Sequence[str], known: Sequence[str]) -> str:
    """The best that both know."""
    for protocol in known:
        if protocol in offered:
            return protocol
    raise BadRequest(f"unable to negotiate protocol: client supports {list(offered)}, server supports {list(known)}")


def _spdy_headers(protocol: str) -> Sequence[tuple[bytes, bytes]]:
    return ((b"upgrade", b"SPDY/3.1"), (b"connection", b"Upgrade"),
            (b"x-stream-protocol-version", protocol.encode()))
