"""`muster node`: how machines become nodes of a cluster that runs elsewhere, and stop being that."""
from __future__ import annotations

import asyncio
import sys
from importlib.util import find_spec
from math import isinf
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..api.durations import parse_duration
from ..api.errors import BadRequest
from ..client.client import Client
from ..clock import Clock
from ..data_directory import DataDirectory, Unusable
from ..own_addresses import seen_from_outside
from ..server.bootstrap_tokens import generate, secret_of
from .connection import ask, running_kubeconfig
from .up import check_extra, end, say, spawn

if TYPE_CHECKING:
    from ..joined_machine import Request

JOIN = "muster node join"


def make_token(data: DataDirectory, ttl: str, description: str) -> None:
    """Prints the command with which another machine joins."""
    from ..server.certificates import authority_hash
    lasts_s = _ttl(ttl)
    config = running_kubeconfig(data)
    server = reachable(config.server)
    token = generate()

    async def create(client: Client) -> None:
        await client.create(secret_of(token, Clock().now() + lasts_s if lasts_s else None, description))

    ask(data, create)
    print(f"muster node join --server {server} --token {token} --ca-hash {authority_hash(config.ca)}")


def _ttl(text: str) -> float:
    """Seconds; 0: for ever."""
    try:
        lasts_s = parse_duration(text)
        return 0.0 if isinf(lasts_s) else lasts_s
    except ValueError:
        raise BadRequest(f"--ttl {text}: it is a length of time such as 24h or 30m, or 0 for ever") from None


def reachable(server: str) -> str:
    """The server's URL as other machines know it.  Raises Unusable where they can not reach it."""
    parts = urlsplit(server)
    host = seen_from_outside(parts.hostname or "")
    if not host:
        raise Unusable(f"the server listens on {parts.hostname} alone, where no other machine reaches it: stop it with "
                       "`muster down`, and start it again with `muster up --host ADDRESS`, an address of this machine")
    return f"https://[{host}]:{parts.port}" if ":" in host else f"https://{host}:{parts.port}"


def join(request: Request, *, detach: bool) -> None:
    """Is a node of that cluster until it is told to stop; with `detach`, starts a process that is."""
    for archive in request.images:
        if not archive.is_file():
            raise BadRequest(f"--load-image {archive}: no such file")
    check_extra(JOIN)
    asyncio.run(_check_host())
    data = request.data
    data.prepare()
    running = data.running()
    if running is not None:
        raise Unusable(f"{data.path} is in use (pid {running.pid}, {running.url}): this machine is a node already, or "
                       "a server; stop it with `muster down --data-dir`, or name another folder with --data-dir")
    if detach:
        print(spawn([word for word in sys.argv[1:] if word not in ("-d", "--detach")], data))
        return
    from ..joined_machine import serve
    serve(request, ready=say)


async def _check_host() -> None:
    from ..node import containerd
    try:
        await containerd.check_host(JOIN, JOIN, "")
    except containerd.Unusable as error:
        raise Unusable(str(error)) from None


def leave(data: DataDirectory) -> None:
    """Ends the node of this machine, and takes it out of its cluster."""
    if not data.path.is_dir() or find_spec("grpc") is None:
        print("this machine is no node of any cluster")
        return
    from .. import joined_machine
    running = data.running()
    if running is not None:
        asyncio.run(end(running))
    print(asyncio.run(joined_machine.leave(data)))
