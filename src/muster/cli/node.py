"""`muster node`: how other machines become nodes of a cluster."""
from __future__ import annotations

from math import isinf
from urllib.parse import urlsplit

from ..api.durations import parse_duration
from ..api.errors import BadRequest
from ..client.client import Client
from ..clock import Clock
from ..data_directory import DataDirectory, Unusable
from ..own_addresses import seen_from_outside
from ..server.bootstrap_tokens import generate, secret_of
from .connection import ask, running_kubeconfig


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
