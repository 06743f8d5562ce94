"""A connection to the server that turns into something else than HTTP: the asking side of an upgrade."""
from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from ..api.errors import ApiError, Unavailable, from_status
from ..server.pipe import Pipe
from .connections import CONNECT_WITHIN_S, tls
from .kubeconfig import Kubeconfig

LARGEST_HEAD = 64 * 1024


class _Dialed(Pipe):
    def __init__(self) -> None:
        super().__init__(asyncio.Transport())  # until it is connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]


async def dial(config: Kubeconfig, path: str, protocol: str) -> Pipe:
    """Raises an ApiError where the server does not agree to speak that protocol, or is not there."""
    parts = urlsplit(config.server)
    host, name = parts.hostname or "localhost", config.server_name or parts.hostname
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            _, pipe = await asyncio.get_running_loop().create_connection(
                _Dialed, host, parts.port or 443, ssl=tls(config), server_hostname=name)
            await pipe.write(f"GET {path} HTTP/1.1\r\nhost: {parts.netloc}\r\nuser-agent: muster\r\n"
                             f"connection: Upgrade\r\nupgrade: {protocol}\r\n\r\n".encode())
            await _agreed(pipe)
    except (OSError, ssl.SSLError) as error:
        raise Unavailable(f"the server at {config.server} can not be reached: {error}") from None
    return pipe


async def _agreed(pipe: Pipe) -> None:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < LARGEST_HEAD:
        piece = await pipe.read()
        if not piece:
            raise ConnectionResetError("the server closed the connection")
        head += piece
    said, _, rest = head.partition(b"\r\n\r\n")
    words = said.split(b"\r\n", 1)[0].split(b" ", 2)
    if words[1:2] == [b"101"]:
        pipe.unread(rest)
        return
    pipe.close()
    raise _refused(words)


def _refused(words: list[bytes]) -> ApiError:
    code = int(words[1]) if len(words) > 1 and words[1].isdigit() else 500
    why = words[2].decode("latin-1") if len(words) > 2 else ""
    return from_status({"code": code, "message": f"the server answered {code} {why}".strip()})
